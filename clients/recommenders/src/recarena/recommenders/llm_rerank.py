"""LLM re-rank: the best of another recommender, put in order and explained by a language model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from recarena.client import Answer, ItemColumns, Recommender, RunInfo
from recarena.recommenders import llm_prompt
from recarena.recommenders.llm_budget import Budget, Spent
from recarena.recommenders.llm_models import LanguageModel, ModelFailed, Question, Said, model_for
from recarena.recommenders.llm_prompt import Malformed, Page, Picks, Seen
from recarena.recommenders.model_options import ModelChoice
from recarena.recommenders.numeric import EXPLAINED, NumericRecommender, columns, offsets_of
from recarena.recommenders.watched import Floats, Ints
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.types_pb2 import Explanation, ExplanationMode, RankedItem
from recarena.v1.work_pb2 import RankBatch, RankQuery, SearchBatch, SearchQuery

logger = logging.getLogger(__name__)

MARGIN, LONGEST_MARGIN = 0.2, 3.0
"""Share of a work's time, and most seconds of it, that are left for the way back."""
PATIENCE = 20.0
"""Seconds for a work whose time is not known."""
BY_MODEL = "by the model"
LIKED, DISLIKED = 15, 5
"""Watched items that the model is told of: the best rated, and the worst."""


class GivenUp(Exception):
    """The model is not asked any more, since every answer would be the same error."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One page wanted: what the first stage has for it."""

    user: int
    """Number in the run."""
    row: int
    """Of the first stage's users; -1: nothing is known."""
    offset: int
    count: int
    order: Sequence[int]
    """Item numbers in the first stage's order, from rank 0."""
    explain: bool = False
    profile: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Shown:
    """One page as it is answered."""

    items: list[int]
    explanations: dict[int, Explanation]
    """By item."""
    by_model: bool


class LlmRerank(Recommender):
    """Asks a model once for each page: it picks, in order, among the first `depth` items of the
    first stage, without those that the user has watched or that were on an earlier page of the
    round. What comes after them is the first stage's. Where the model fails, is late, or answers
    what cannot be read, the page is the first stage's, and that is counted (`counts`) and logged,
    each kind at length once a run.

    The methods that ask run on the event loop, many at once; the first stage is asked in a thread,
    by one at a time.
    """

    explains = True

    def __init__(
        self,
        model: ModelChoice,
        first_stage: Callable[[], NumericRecommender],
        budget: Budget | None = None,
    ) -> None:
        """`budget` is shared by all runs of a process; None: one of its own."""
        self._choice = model
        self._first = first_stage()
        self._budget = budget or Budget(model)
        self._model: LanguageModel | None = None
        self.counts: Counter[str] = Counter()
        """Pages by what became of them, and what did not hold of answers."""

    # ------------------------------------------------------------------ the first stage's part

    def start(self, run: RunInfo) -> None:
        """Starts the first stage."""
        self._first.start(run)
        self.run = self._first.run
        self._model = model_for(self._choice)
        self._alone = asyncio.Lock()
        self._given_up = False
        self._forget_pages()

    def feedback(self, batch: FeedbackBatch) -> None:
        """Hands it on."""
        self._first.feedback(batch)

    def feedback_columns(self, batch: FeedbackColumns) -> None:
        """Hands it on."""
        self._first.feedback_columns(batch)

    def ready(self, round: int) -> None:
        """Trains the first stage; pages of earlier rounds are forgotten."""
        self._first.ready(round)
        self._forget_pages()

    def catalog_changed(self, run: RunInfo) -> None:
        """Hands it on."""
        self._first.catalog_changed(run)
        self.run = self._first.run
        self._forget_pages()

    async def search(self, queries: Sequence[SearchQuery]) -> Sequence[Answer]:
        """The first stage's search."""
        async with self._alone:
            return await asyncio.to_thread(self._first.search, queries)

    async def search_columns(self, batch: SearchBatch) -> ItemColumns:
        """The first stage's search."""
        async with self._alone:
            return await asyncio.to_thread(self._first.search_columns, batch)

    async def close(self) -> None:
        """Says what came of it, and closes the connections."""
        self._first.close()
        if self._model is not None:
            await self._model.close()
            told = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
            level = logging.WARNING if set(self.counts) - {BY_MODEL} else logging.INFO
            logger.log(level, "pages of %s: %s", self._choice.model, told or "none")

    def _forget_pages(self) -> None:
        self._picked: dict[int, list[int]] = {}
        """By user: items of the pages of this round, in the order of their ranks."""
        self._pages: dict[tuple[int, int, int, bool], Shown] = {}
        """Pages that were answered in this round, in case one is asked for again."""

    # ------------------------------------------------------------------ lists

    async def rank(self, queries: Sequence[RankQuery]) -> Sequence[Answer]:
        """A list for each query, drawn from its candidates."""
        due = self._due()
        async with self._alone:
            visits = await asyncio.to_thread(self._visits, queries)
        pages = await asyncio.gather(*(self._page(visit, due) for visit in visits))
        plain = {
            place
            for place, (visit, page) in enumerate(zip(visits, pages, strict=True))
            if visit.explain and not page.by_model
        }
        answers = [self._answer(*pair) for pair in zip(visits, pages, strict=True)]
        if plain:
            async with self._alone:
                for place in sorted(plain):
                    answers[place] = await asyncio.to_thread(
                        self._first_stage_says, queries[place], pages[place]
                    )
        return answers

    async def rank_columns(self, batch: RankBatch) -> ItemColumns:
        """Lists for all users of the batch; nothing is explained."""
        due = self._due()
        numbers, offsets = np.array(batch.user_numbers, np.int32), offsets_of(batch)
        deep = self._deep(int(offsets.max(initial=0)), batch.result_count)
        asked = RankBatch(result_count=deep, user_numbers=batch.user_numbers)
        async with self._alone:
            found = await asyncio.to_thread(self._first.rank_columns, asked)
        offered = self._first.offered
        items = offered.places(np.asarray(found.item_numbers, np.int64))
        lengths = np.asarray(found.list_lengths, np.int64)
        if not len(lengths):
            lengths = np.full(len(numbers), deep)
        ends = np.cumsum(lengths)
        rows = self._first.users.rows(numbers)
        visits = [
            Visit(
                user=int(numbers[n]),
                row=int(rows[n]),
                offset=int(offsets[n]),
                count=batch.result_count,
                order=items[ends[n] - lengths[n] : ends[n]].tolist(),
            )
            for n in range(len(numbers))
        ]
        pages = await asyncio.gather(*(self._page(visit, due) for visit in visits))
        lists = np.full((len(pages), batch.result_count), -1, np.int32)
        for row, page in enumerate(pages):
            lists[row, : len(page.items)] = page.items
        return columns(offered.numbered(lists))

    def _visits(self, queries: Sequence[RankQuery]) -> list[Visit]:
        """The first stage's lists, as deep as the pages need."""
        asked: list[RankQuery] = []
        for query in queries:
            whole = RankQuery()
            whole.CopyFrom(query)
            whole.offset, whole.result_count = 0, self._deep(query.offset, query.result_count)
            whole.explanation_mode = ExplanationMode.EXPLANATION_MODE_NONE
            asked.append(whole)
        lists = cast("Sequence[Sequence[str]]", self._first.rank(asked))
        number_of = self.run.catalog.number_of
        return [
            Visit(
                user=query.user.user_number,
                row=self._first.users.row(query.user.user_id),
                offset=query.offset,
                count=query.result_count,
                order=[number_of[item_id] for item_id in ids],
                explain=query.explanation_mode in EXPLAINED,
                profile=dict(query.user.attributes),
            )
            for query, ids in zip(queries, lists, strict=True)
        ]

    def _deep(self, offset: int, count: int) -> int:
        return max(self._choice.depth, offset + count)

    def _answer(self, visit: Visit, page: Shown) -> Answer:
        ids = [self.run.catalog.item_ids[item] for item in page.items]
        if not visit.explain:
            return ids
        return [
            RankedItem(item_id=item_id, explanation=page.explanations.get(item))
            for item_id, item in zip(ids, page.items, strict=True)
        ]

    def _first_stage_says(self, query: RankQuery, page: Shown) -> Answer:
        """A page of the first stage with its own explanations, where it has some."""
        again = RankQuery()
        again.CopyFrom(query)
        again.offset, again.result_count = 0, len(page.items)
        ids = [self.run.catalog.item_ids[item] for item in page.items]
        again.candidates.items.item_ids[:] = ids
        return self._first.rank([again])[0]

    # ------------------------------------------------------------------ one page

    async def _page(self, visit: Visit, due: float) -> Shown:
        """One page; the model is asked where there is something to choose."""
        key = (visit.user, visit.offset, visit.count, visit.explain)
        again = self._pages.get(key)
        if again is not None and set(again.items) <= set(visit.order):
            return again
        seen = set(self._watched_by(visit.row)[0].tolist())
        head = [item for item in visit.order[: self._choice.depth] if item not in seen]
        before = [item for item in self._picked.get(visit.user, []) if item in head]
        before = before[: visit.offset]
        left = [item for item in head if item not in before]
        skipped = min(max(visit.offset - len(before), 0), len(left))
        before, left = before + left[:skipped], left[skipped:]
        wanted = min(visit.count, len(left))
        picks = await self._picks(visit, left, wanted, due) if wanted else None
        chosen = [left[place] for place in picks.places] if picks else []
        chosen += [item for item in left if item not in chosen][: wanted - len(chosen)]
        begin = max(visit.offset, len(head))
        rest = list(visit.order[begin : visit.offset + visit.count])
        explained = {left[at]: said for at, said in picks.explanations.items()} if picks else {}
        page = Shown(chosen + rest, explained, picks is not None)
        self._picked[visit.user] = before + chosen
        self._pages[key] = page
        return page

    async def _picks(self, visit: Visit, left: list[int], wanted: int, due: float) -> Picks | None:
        """What the model picks; None: nothing, and it is counted why."""
        items = self.run.catalog.items
        page = Page(
            [items[item] for item in left],
            self._told_of(visit.row),
            wanted,
            visit.explain,
            visit.profile,
        )
        try:
            said = await self._asked(page, due)
            picks = llm_prompt.read(said.text, page)
        except Spent as error:
            if not self._budget.said:
                self._budget.said = True
                logger.warning("the first stage alone from now on: %s", error)
            self.counts["over budget"] += 1
        except GivenUp:
            self.counts["not asked"] += 1
        except TimeoutError:
            self._failed("late", "no answer in time")
        except Malformed as error:
            self._failed("malformed", str(error))
        except ModelFailed as error:
            self._failed(error.kind, str(error))
            if error.for_good and not self._given_up:
                self._given_up = True
                logger.warning("the model is not asked any more in this run")
        else:
            self.counts[BY_MODEL] += 1
            self.counts.update(picks.dropped)
            if len(picks.places) < wanted:
                self.counts["short"] += 1
            return picks
        return None

    async def _asked(self, page: Page, due: float) -> Said:
        """Spent, GivenUp, TimeoutError, ModelFailed."""
        if self._model is None:
            raise RuntimeError("start() comes first")
        question = Question(
            llm_prompt.rules(page),
            llm_prompt.message(page),
            llm_prompt.schema(page),
            self._choice.answer_tokens,
        )
        time_left = due - time.monotonic()
        if time_left <= 0:
            raise TimeoutError
        async with asyncio.timeout(time_left), self._budget.room:
            if self._given_up:
                raise GivenUp
            kept, used = await self._budget.set_aside(question), None
            try:
                said = await self._model.ask(question)
                used = said.tokens
            except ModelFailed as error:
                used = 0 if error.free else None
                raise
            finally:
                self._budget.settle(kept, used)
        return said

    def _watched_by(self, row: int) -> tuple[Ints, Floats]:
        """Items that a user watched, with their ratings (0: none)."""
        _, items, ratings = self._first.watched.rated(np.array([row], np.int32))
        return items, ratings

    def _told_of(self, row: int) -> list[Seen]:
        """The best and the worst rated of them; of equal ones the earlier in the catalogue."""
        items, ratings = self._watched_by(row)
        order = np.lexsort((items, -ratings))
        if len(order) > LIKED + DISLIKED:
            rated = order[ratings[order] > 0]
            last = rated[-DISLIKED:]
            order = np.concatenate([order[~np.isin(order, last)][:LIKED], last])
        catalog = self.run.catalog.items
        return [Seen(catalog[int(items[at])], float(ratings[at])) for at in order]

    def _failed(self, kind: str, why: str) -> None:
        """Counts a page that is the first stage's; the first of each kind is told at length."""
        if not self.counts[kind]:
            logger.warning("a page is the first stage's, not the model's (%s): %s", kind, why)
        self.counts[kind] += 1

    def _due(self) -> float:
        """The moment by which a work that has just come must be answered."""
        allowed = self.run.work_timeout or PATIENCE
        return time.monotonic() + allowed - min(MARGIN * allowed, LONGEST_MARGIN)
