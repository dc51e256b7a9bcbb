"""The base of the reference recommenders: numbers in numpy, both encodings as thin adapters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.client import Answer, ItemColumns, Recommender, RunInfo
from recarena.recommenders.offered import Offered
from recarena.recommenders.search import CatalogSearch
from recarena.recommenders.signals import RichRound, Signals, from_columns
from recarena.recommenders.watched import Floats, Ints, Longs, Users, Watched
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.types_pb2 import CandidateSet, Explanation, ExplanationMode, RankedItem
from recarena.v1.work_pb2 import RankBatch, RankQuery, SearchBatch, SearchQuery


@dataclass(frozen=True, slots=True)
class Wanted:
    """Lists wanted in one round: one entry a list in every column."""

    users: Ints
    """Rows as in `learn`; -1 for a user of whom nothing was heard."""
    numbers: Ints
    """Positions in the run's population."""
    offsets: Ints
    """Ranks to skip."""
    count: int
    """Items wanted for each list."""

    def __len__(self) -> int:
        return len(self.users)

    def part(self, begin: int, end: int) -> Wanted:
        """The entries begin .. end - 1."""
        cut = slice(begin, end)
        return Wanted(self.users[cut], self.numbers[cut], self.offsets[cut], self.count)


class NumericRecommender(Recommender, ABC):
    """Ranks and learns in numpy columns; write `top`, and `learn` or `train` where there is
    something to learn.

    Promises to the subclass: feedback is collected and handed over once, a round at a time and
    before any list of a later round is asked for; `learn`, then `train`, see the same columns in
    both encodings and however the batches were split. Items that were withdrawn are no items:
    `run.catalog` and all item numbers are of what may be shown alone. Promise to the server: what
    was recommended follows from the feedback of earlier rounds alone, so requests may come in any
    order.
    """

    explains = False
    """Whether `reasons` or `explained` ever gives one."""
    _search: CatalogSearch | None = None

    def start(self, run: RunInfo) -> None:
        """Takes the run's catalogue and size; nothing is known yet."""
        self.offered = Offered(run)
        self.run = run = self.offered.run
        self.item_count = len(run.catalog)
        self.round = 0
        self.users = Users(run.user_count)
        self.watched = Watched(self.item_count)
        self.watches: Longs = np.zeros(self.item_count, np.int64)
        """[items]: how often each was watched so far."""
        self.row_count = 0
        """Rows of users of whom feedback has been learned; later rows are still to be learned."""
        self._pending: list[Signals] = []
        self._rich: RichRound | None = None
        self._stale = True
        self._search = CatalogSearch(run.catalog.items)

    # ------------------------------------------------------------------ for the subclass

    @abstractmethod
    def top(self, wanted: Wanted) -> Ints:
        """[lists, count]: item numbers at ranks offset .. offset + count - 1 of each user's list,
        -1 beyond its end. Must be the same however the lists of a round are asked for. Neither
        this nor `learn` or `train` is called while there are no items."""

    def learn(self, signals: Signals) -> None:
        """Takes one round's feedback; `users`, `watched` and `watches` hold it already."""

    def train(self) -> None:
        """Brings the model up to date before the lists of a round are asked for."""

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Why each of these items is on the list of this row; None where there is nothing true
        to say."""
        return [None] * len(items)

    def explained(self, query: RankQuery, user: int, items: Ints) -> list[Explanation | None]:
        """As `reasons`, for a recommender to whom a row does not say enough of who asks."""
        return self.reasons(user, items)

    def learned(self) -> dict[str, NDArray[Any]]:
        """All that was learned and does not follow from the rest, as arrays without objects, for
        another instance to `recall`. Extend both where you keep something in `learn` or `train`."""
        return {
            "rows": np.array([self.row_count], np.int64),
            "watched.keys": self.watched.keys,
            "watched.ratings": self.watched.ratings,
            "watches": self.watches,
        }

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes what another instance has learned, after `start` and before any feedback; `train`
        is called before lists are asked for."""
        self.row_count = int(learned["rows"][0])
        self.watched.put(learned["watched.keys"], learned["watched.ratings"], self.row_count)
        self.watches = learned["watches"]

    def items_moved(self, number: Ints) -> None:
        """Called after the catalogue changed: what was item i is now number[i], or gone (-1), and
        others may be new. `run`, `item_count`, `watched` and `watches` speak of the new one
        already."""

    # ------------------------------------------------------------------ feedback

    def ready(self, round: int) -> None:
        """Learns all that was fed back and trains."""
        self.round = round
        self._stale = True
        self._catch_up()

    def feedback(self, batch: FeedbackBatch) -> None:
        """Keeps a rich batch until the round opens."""
        if self._rich is None or self._rich.round != batch.round:
            self._end_rich_round()
            self._rich = RichRound(batch.round)
        self._rich.add(batch, self.run.catalog.number_of)
        self._stale = True

    def feedback_columns(self, batch: FeedbackColumns) -> None:
        """Keeps a columnar batch until the round opens."""
        items = self.offered.places(np.array(batch.item_numbers, np.int64))
        self._pending.append(from_columns(batch, self.users, items))
        self._stale = True

    def catalog_changed(self, run: RunInfo) -> None:
        """Carries what was learned over to the new catalogue; what was learned of items that were
        withdrawn is forgotten."""
        self._catch_up()
        self.offered = Offered(run)
        run = self.offered.run
        number = np.array(
            [run.catalog.number_of.get(item_id, -1) for item_id in self.run.catalog.item_ids],
            np.int32,
        )
        self.close()
        self.run, self.item_count = run, len(run.catalog)
        self._search = CatalogSearch(run.catalog.items)
        self.watched = self.watched.renumbered(number, self.item_count)
        watches = np.zeros(self.item_count, np.int64)
        watches[number[number >= 0]] = self.watches[number >= 0]
        self.watches = watches
        self.items_moved(number)
        self._stale = True

    def _end_rich_round(self) -> None:
        if self._rich is not None:
            self._pending.append(self._rich.signals(self.users))
            self._rich = None

    def _finder(self) -> CatalogSearch:
        if self._search is None:
            raise RuntimeError("start() comes first")
        return self._search

    def _catch_up(self) -> None:
        """Learns what is pending, each round as a whole, and trains after each: a process that
        is told all rounds at once ends where one stands that was told them as they were played."""
        if not self._stale:
            return
        self._end_rich_round()
        if not self.item_count:  # whatever was fed back is about what is gone
            self._pending.clear()
        elif not self._pending:
            self.train()
        while self._pending:
            round = self._pending[0].round
            parts = [part for part in self._pending if part.round == round]
            self._pending = [part for part in self._pending if part.round != round]
            signals = Signals(
                round,
                np.concatenate([part.users for part in parts]),
                np.concatenate([part.items for part in parts]),
                np.concatenate([part.ratings for part in parts]),
            )
            done = ~np.isnan(signals.ratings)
            items = signals.items[done]
            self.row_count = max(self.row_count, int(signals.users.max(initial=-1)) + 1)
            self.watched.add(signals.users[done], items, signals.ratings[done], self.row_count)
            self.watches += np.bincount(items, minlength=self.item_count)
            self.learn(signals)
            self.train()
        self._finder().rank_by(self.watches)
        self._stale = False

    # ------------------------------------------------------------------ columnar work

    def rank_columns(self, batch: RankBatch) -> ItemColumns:
        """Lists for all users of the batch."""
        numbers = np.array(batch.user_numbers, np.int32)
        lists = self._lists(numbers, offsets_of(batch), batch.result_count)
        return columns(self.offered.numbered(lists))

    def search_columns(self, batch: SearchBatch) -> ItemColumns:
        """Results for all searches of the batch."""
        self._catch_up()
        rows = self.users.rows(np.array(batch.user_numbers, np.int32))
        texts = np.array(batch.text_numbers, np.int32)
        found = self._finder().lists(
            list(batch.texts), texts, self.watched, rows, offsets_of(batch), batch.result_count
        )
        return columns(self.offered.numbered(found))

    def _lists(self, numbers: Ints, offsets: Ints, count: int) -> Ints:
        self._catch_up()
        return self._top(Wanted(self.users.rows(numbers), numbers, offsets, count))

    def _top(self, wanted: Wanted) -> Ints:
        if not self.item_count:
            return np.full((len(wanted), wanted.count), -1, np.int32)
        return self.top(wanted)

    # ------------------------------------------------------------------ rich work

    def rank(self, queries: Sequence[RankQuery]) -> Sequence[Answer]:
        """A list for each query, drawn from its candidates."""
        self._catch_up()
        wanted = self._wanted(queries)
        narrow = {place for place, query in enumerate(queries) if is_narrow(query.candidates)}
        lists = self._top(wanted)
        answers: list[Answer] = []
        for place, query in enumerate(queries):
            items = lists[place, : query.result_count]
            if place in narrow:
                items = self._narrowed(query, wanted.part(place, place + 1))
            answers.append(self._answer(query, int(wanted.users[place]), items[items >= 0]))
        return answers

    def search(self, queries: Sequence[SearchQuery]) -> Sequence[Answer]:
        """Results for each search, drawn from its candidates."""
        self._catch_up()
        answers: list[Answer] = []
        one = np.zeros(1, np.int32)
        for query in queries:
            row = np.array([self.users.row(query.user.user_id)], np.int32)
            depth = self._depth(query)
            found = self._finder().lists([query.text], one, self.watched, row, one, depth)[0]
            found = self._among(found[found >= 0], query.candidates)
            page = found[query.offset : query.offset + query.result_count]
            answers.append([self.run.catalog.item_ids[item] for item in page])
        return answers

    def _wanted(self, queries: Sequence[RankQuery]) -> Wanted:
        return Wanted(
            np.array([self.users.row(query.user.user_id) for query in queries], np.int32),
            np.array([query.user.user_number for query in queries], np.int32),
            np.array([query.offset for query in queries], np.int32),
            max((query.result_count for query in queries), default=0),
        )

    def _narrowed(self, query: RankQuery, wanted: Wanted) -> Ints:
        """The list of one user without what the query rules out."""
        start = Wanted(wanted.users, wanted.numbers, np.zeros(1, np.int32), self._depth(query))
        items = self._top(start)[0]
        allowed = self._among(items[items >= 0], query.candidates)
        return allowed[query.offset : query.offset + query.result_count]

    def _depth(self, query: RankQuery | SearchQuery) -> int:
        """Ranks of the whole catalogue's list in which the page asked for is sure to lie."""
        if query.candidates.WhichOneof("source") == "items":
            return self.item_count
        excluded = len(query.candidates.excluded_item_ids)
        return min(query.offset + query.result_count + excluded, self.item_count)

    def _among(self, items: Ints, candidates: CandidateSet) -> Ints:
        """Those of these items that the candidates allow, in their order."""
        number_of = self.run.catalog.number_of
        if candidates.WhichOneof("source") == "items":
            only = [number_of.get(one, -1) for one in candidates.items.item_ids]
            items = items[np.isin(items, only)]
        without = [number_of.get(one, -1) for one in candidates.excluded_item_ids]
        return items[~np.isin(items, without)] if without else items

    def _answer(self, query: RankQuery, user: int, items: Ints) -> Answer:
        ids = [self.run.catalog.item_ids[item] for item in items]
        if query.explanation_mode not in EXPLAINED:
            return ids
        answer: list[RankedItem] = []
        for item_id, reason in zip(ids, self.explained(query, user, items), strict=True):
            answer.append(RankedItem(item_id=item_id, explanation=reason))
        return answer

    def close(self) -> None:
        """Removes the search index."""
        if self._search is not None:
            self._search.close()


EXPLAINED = (ExplanationMode.EXPLANATION_MODE_TEXT, ExplanationMode.EXPLANATION_MODE_STRUCTURED)


def is_narrow(candidates: CandidateSet) -> bool:
    """Whether a query draws from less than the whole catalogue."""
    return bool(candidates.excluded_item_ids) or candidates.WhichOneof("source") == "items"


def offsets_of(batch: RankBatch | SearchBatch) -> Ints:
    """One offset a list; none given means 0 for all."""
    if batch.offsets:
        return np.array(batch.offsets, np.int32)
    return np.zeros(len(batch.user_numbers), np.int32)


def columns(lists: Ints) -> ItemColumns:
    """Lists padded with -1 as the columnar answer has them."""
    full = lists >= 0
    if full.all():
        return ItemColumns(lists.ravel())
    return ItemColumns(lists[full], full.sum(axis=1))


def centred(ratings: Floats, rows: Ints, row_count: int, shrink: float = 3.0) -> Floats:
    """Each rating less its user's mean, the mean drawn toward everybody's by `shrink` ratings
    that stand at it; 0 for a watch without a rating. Ratings are 0 where not given."""
    rated = ratings > 0
    if not rated.any():
        return np.zeros(len(ratings), np.float32)
    mean = float(ratings[rated].mean())
    sums = np.bincount(rows[rated], ratings[rated] - mean, row_count)
    counts = np.bincount(rows[rated], minlength=row_count)
    offset = mean + sums / (counts + shrink)
    return np.where(rated, ratings - offset[rows], 0).astype(np.float32)
