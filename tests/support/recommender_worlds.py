"""A small planted world for trying recommenders offline: taste . attributes + quality, a page of
five, a logit choice among its items and leaving. The truth is known, so is who should win."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recarena.client import Catalog, RunInfo
from recarena.recommenders.numeric import NumericRecommender, Wanted
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.types_pb2 import Impression, Interaction, Item
from recarena.v1.work_pb2 import RankQuery

PAGE = 5
SMALL_USERS, SMALL_ITEMS = 30, 40
IMPRESSION, VIEW, RATE = (
    Interaction.TYPE_IMPRESSION,
    Interaction.TYPE_VIEW_ITEM,
    Interaction.TYPE_RATE,
)


@dataclass
class Planted:
    """Users with tastes for genres and eight factors; ~10 ratings a user before the run."""

    users: int = 400
    items: int = 200
    seed: int = 1
    genres: int = 12
    factors: int = 8
    history: int = 10
    spread: float = 0.9  # standard deviation of taste . attributes, in rating points
    truth: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.genre = self.rng.random((self.items, self.genres)) < 2 / self.genres
        self.genre[np.arange(self.items), self.rng.integers(0, self.genres, self.items)] = True
        shares = self.genre / np.sqrt(self.genre.sum(axis=1, keepdims=True))
        factors = self.rng.normal(0, 1, (self.items, self.factors)) / np.sqrt(self.factors)
        self.attributes = np.concatenate([shares, factors], axis=1)
        self.taste = self.rng.normal(0, 1, (self.users, self.genres + self.factors))
        match = self.taste @ self.attributes.T
        self.quality = self.rng.normal(0, 0.5, self.items)
        self.truth = match / match.std() * self.spread + self.quality
        self.taste *= self.spread / match.std()
        self.level = 3.4 + self.rng.normal(0, 0.4, self.users)
        self.fame = self.rng.normal(0, 1, self.items) + 0.7 * self.quality

    def catalog(self) -> Catalog:
        return Catalog.of(
            "v1",
            [
                Item(
                    item_id=f"i{n}",
                    title=f"Film {n}",
                    categories=[f"Genre {g}" for g in np.flatnonzero(self.genre[n])],
                )
                for n in range(self.items)
            ],
        )

    def run_info(self) -> RunInfo:
        return info(self.catalog(), self.users)

    def rating(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        told = self.level[users] + self.truth[users, items] + self.rng.normal(0, 0.5, len(users))
        return np.clip(np.rint(told), 1, 5)

    def past(self) -> list[tuple[int, int, int, float]]:
        """(user, item, type, value) of history: chosen by fame and taste, as people do."""
        wish = self.fame + 0.7 * self.truth + self.rng.gumbel(0, 1, self.truth.shape)
        count = np.maximum(self.rng.poisson(self.history, self.users), 1)
        rows = []
        order = np.argsort(-wish, axis=1)
        for user in range(self.users):
            items = np.sort(order[user, : count[user]])
            values = self.rating(np.full(len(items), user), items)
            rows += [(user, int(i), RATE, float(v)) for i, v in zip(items, values, strict=True)]
        return rows

    def visit(self, lists: np.ndarray) -> list[tuple[int, int, int, float]]:
        """What users do with one page each: watch what they choose of it, or leave."""
        rows = []
        pull = self.truth[np.arange(self.users)[:, None], lists] - 0.15 * np.arange(PAGE)
        pull = np.concatenate([1.5 * pull, np.full((self.users, 1), 1.0)], axis=1)
        chosen = (pull + self.rng.gumbel(0, 1, pull.shape)).argmax(axis=1)
        for user in range(self.users):
            for position, item in enumerate(lists[user].tolist()):
                if position == chosen[user]:
                    value = float(self.rating(np.array([user]), np.array([item]))[0])
                    rated = self.rng.random() < 0.9
                    kind = RATE if rated else VIEW
                    rows.append((user, int(item), kind, value if rated else float("nan")))
                else:
                    rows.append((user, int(item), IMPRESSION, float("nan")))
        return rows


def info(catalog: Catalog, users: int, columnar: bool = True) -> RunInfo:
    return RunInfo(
        run_id="planted", epoch=1, catalog=catalog, user_count=users, page_size=PAGE,
        round_limit=10, arm_ids=("a",), columnar=columnar,
    )  # fmt: skip


def columns(round: int, rows: list[tuple[int, int, int, float]]) -> FeedbackColumns:
    user, item, kind, value = zip(*rows, strict=True) if rows else ((), (), (), ())
    return FeedbackColumns(
        round=round, user_numbers=user, item_numbers=item, types=kind, values=value
    )


def rich(round: int, rows: list[tuple[int, int, int, float]]) -> FeedbackBatch:
    """The same feedback in the rich form: in history interactions alone, else pages too."""
    batch = FeedbackBatch(round=round)
    pages: dict[int, Impression] = {}
    for user, item, kind, value in rows:
        page = f"p{round}-{user}" if round else ""
        if round:
            if user not in pages:
                pages[user] = batch.impressions.add(impression_id=page, user_id=f"u{user}")
            shown = pages[user].items
            shown.add(item_id=f"i{item}", position=len(shown))
        if kind != IMPRESSION:
            done = batch.interactions.add(
                type=kind, user_id=f"u{user}", item_id=f"i{item}", impression_id=page
            )
            if value == value:
                done.value = value
    return batch


def lists(recommender: NumericRecommender, users: int, offset: int = 0) -> np.ndarray:
    """A page for every user of the world."""
    numbers = np.arange(users, dtype=np.int32)
    rows = recommender.users.rows(numbers)
    return recommender.top(Wanted(rows, numbers, np.full(users, offset, np.int32), PAGE))


def play(world: Planted, recommender: NumericRecommender, rounds: int) -> list[float]:
    """Mean true worth of the items on the pages, round by round."""
    recommender.start(world.run_info())
    recommender.feedback_columns(columns(0, world.past()))
    worth = []
    for round in range(1, rounds + 1):
        recommender.ready(round)
        pages = lists(recommender, world.users)
        worth.append(float(world.truth[np.arange(world.users)[:, None], pages].mean()))
        recommender.feedback_columns(columns(round, world.visit(pages)))
    recommender.close()
    return worth


def small_world() -> tuple[Planted, list]:
    """A small world and the feedback of its history and two rounds."""
    planted = Planted(users=SMALL_USERS, items=SMALL_ITEMS, genres=4, factors=2, history=5)
    pages = np.stack([planted.rng.permutation(SMALL_ITEMS)[:PAGE] for _ in range(SMALL_USERS)])
    past = [row for row in planted.past() if row[0] % 5]  # every fifth user has no history
    some = [row for row in planted.visit(pages) if row[0] % 3]  # not everybody comes
    return planted, [past, some, planted.visit(pages[::-1])]


def taught(
    kind: Callable[[], NumericRecommender], planted: Planted, rounds: list, form, split: int = 0
):
    """A recommender that has played these rounds; batches in two where `split` says so."""
    recommender = kind()
    recommender.start(info(planted.catalog(), planted.users, columnar=form is columns))
    give = recommender.feedback if form is rich else recommender.feedback_columns
    for round, rows in enumerate(rounds):
        for batch in parts(form(round, rows), split):
            give(batch)
        recommender.ready(round + 1)
    return recommender


def parts(batch: FeedbackBatch | FeedbackColumns, split: int):
    """The batch in two; a rich one is cut among its pages and, elsewhere, its interactions."""
    if not split:
        return [batch]
    if isinstance(batch, FeedbackColumns):
        names = ("user_numbers", "item_numbers", "types", "values")
        cut = split % (len(batch.user_numbers) + 1)
        return [
            FeedbackColumns(round=batch.round, **{n: getattr(batch, n)[part] for n in names})
            for part in (slice(cut), slice(cut, None))
        ]
    pages, done = split % (len(batch.impressions) + 1), split % (len(batch.interactions) + 1)
    if batch.impressions:
        done = 0  # a page may come before what was done with it, never after
    return [
        FeedbackBatch(
            round=batch.round, impressions=batch.impressions[:pages],
            interactions=batch.interactions[:done],
        ),
        FeedbackBatch(
            round=batch.round, impressions=batch.impressions[pages:],
            interactions=batch.interactions[done:],
        ),
    ]  # fmt: skip


def rank_query(user: int, offset: int = 0, count: int = PAGE, **more) -> RankQuery:
    query = RankQuery(offset=offset, result_count=count, **more)
    query.user.user_id, query.user.user_number = f"u{user}", user
    return query


def write_world(folder: Path, planted: Planted, backwards: bool = False) -> Path:
    """The planted truth as a world folder; the items in another order than the run's."""
    order = np.arange(planted.items)[:: -1 if backwards else 1]
    genres = [[f"Genre {g}" for g in np.flatnonzero(row)] for row in planted.genre[order]]
    wide = planted.genres

    def vectors(rows: np.ndarray) -> pa.Array:
        flat = pa.array(np.ascontiguousarray(rows, np.float32).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])

    items = {
        "item_id": [f"i{n}" for n in order],
        "genres": pa.array(genres, pa.list_(pa.string())),
        "quality": planted.quality[order].astype(np.float32),
        "factors": vectors(planted.attributes[order, wide:]),
    }
    users = {"user_id": [f"u{n}" for n in range(planted.users)], "taste": vectors(planted.taste)}
    folder.mkdir()
    pq.write_table(pa.table(items), folder / "items.parquet")
    pq.write_table(pa.table(users), folder / "users.parquet")
    names = ", ".join(f'"Genre {n}"' for n in range(wide))
    (folder / "world.json").write_text(f'{{"genre_names": [{names}]}}')
    return folder
