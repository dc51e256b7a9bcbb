"""Inquiries answered by the choice mind: what users do, rate and know. It has no words."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recarena.server.inquiring.questions import (
    UNKNOWN,
    Answers,
    Choice,
    Choose,
    Chosen,
    Compare,
    Expect,
    Missing,
    Questionnaire,
    Quiz,
    QuizAnswers,
    QuizQuestion,
    Rate,
    Rating,
    Reason,
    Said,
    Task,
    Told,
)
from recarena.server.inquiring.respondent import Moment, Seen
from recarena.server.minds.choice import ChoiceMind, Coefficients
from recarena.server.minds.choice.utility import Utility
from recarena.server.ports import PageView
from recarena.server.randomness import Purpose, keys, uniform
from recarena.server.types import NOTHING, Bools, Floats, Ints, MemoryColumns, Surface
from recarena.server.world import World

NO_WORDS = Missing(Reason.NOT_ABLE, "the choice mind has no words")
PERSUASIVENESS = "persuasiveness"
SAME = 1e-6
"""Explanations whose effects differ by less are equally good."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Inquiries of one task and one draw at one moment."""

    seed: int
    """Of the request."""
    world: World
    """Under the seed of the draw."""
    round: int
    seen: Sequence[Seen]

    def __len__(self) -> int:
        return len(self.seen)

    @property
    def users(self) -> Ints:
        """[rows]: who is asked."""
        return np.array([one.inquiry.user for one in self.seen], np.int32)

    @property
    def items(self) -> Ints:
        """[rows]: the item in question."""
        return np.array([one.inquiry.item for one in self.seen], np.int32)

    @property
    def told(self) -> list[Told | None]:
        """[rows]: what the user is told of it."""
        return [one.inquiry.told for one in self.seen]


class ChoiceRespondent:
    """A `Respondent` without language. What it draws depends on the seed, the draw, the moment, the
    user and the item alone, never on what the user is told nor on the batch: where two
    explanations have the same effect, and be it none, the same users do the same."""

    name = "choice"

    def __init__(self, coefficients: Coefficients) -> None:
        self.mind = ChoiceMind(coefficients)
        self._utility = Utility(coefficients)

    @property
    def prompts(self) -> Mapping[str, str]:
        """None."""
        return {}

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """Nothing: what moves the choice mind is in the world."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def answer(self, moment: Moment, seen: Sequence[Seen], seed: int) -> Answers:
        """See `Respondent`."""
        rows: dict[tuple[type[Task], int], list[int]] = {}
        for row, one in enumerate(seen):
            rows.setdefault((type(one.inquiry.task), one.inquiry.draw), []).append(row)
        said: dict[int, Said] = {}
        for (task, draw), mine in rows.items():
            world = under(moment.world, seed, draw)
            batch = Batch(seed, world, moment.round, [seen[row] for row in mine])
            said.update(zip(mine, await self._said(task, batch), strict=True))
        return Answers([said[row] for row in range(len(seen))])

    async def _said(self, task: type[Task], batch: Batch) -> Sequence[Said]:
        if task is Choose:
            return await self.chosen(batch)
        answered: dict[type[Task], Callable[[Batch], Sequence[Said]]] = {
            Expect: self.expected,
            Rate: self.rated,
            Quiz: self.quizzed,
            Questionnaire: self.scored,
            Compare: self.compared,
        }
        return answered.get(task, self.silent)(batch)

    # ------------------------------------------------------------------ what users do

    async def chosen(self, batch: Batch) -> Sequence[Said]:
        """What is watched of each page, the item in question or others."""
        found: dict[int, Said] = {}
        for rows, view in together([one.view for one in batch.seen]):
            decision = await self.mind.act(batch.world, view)
            for row, watched in zip(rows, decision.watched.tolist(), strict=True):
                positions = [at for at in watched if at >= 0]
                mine = batch.seen[row].position
                found[row] = Chosen(mine in positions, tuple(at for at in positions if at != mine))
        return [found[row] for row in range(len(batch))]

    def expected(self, batch: Batch) -> Sequence[Said]:
        """The rating that each user expects to give."""
        found: dict[int, Said] = {}
        for rows, view in together([one.view for one in batch.seen]):
            at = np.array([batch.seen[row].position for row in rows], np.int32)
            stars = self.mind.expected_stars(batch.world, view, at)
            found.update((row, Rating(float(one))) for row, one in zip(rows, stars, strict=True))
        return [found[row] for row in range(len(batch))]

    def rated(self, batch: Batch) -> Sequence[Said]:
        """The rating that each user gives, whatever it was told before."""
        stars = self.mind.stars_after(batch.world, batch.round, batch.users, batch.items)
        return [Rating(float(one)) for one in stars]

    # ------------------------------------------------------------------ what users know

    def quizzed(self, batch: Batch) -> Sequence[Said]:
        """What the user has watched it knows; of what it is told it believes a part."""
        names = batch.world.catalog.genre_number
        found: list[Said] = []
        for one, known in zip(batch.seen, self.known_genres(batch), strict=True):
            quiz = one.inquiry.task
            assert isinstance(quiz, Quiz)
            answers = tuple((each.id, _option(each, known, names)) for each in quiz.questions)
            found.append(QuizAnswers(answers))
        return found

    def known_genres(self, batch: Batch) -> list[list[int]]:
        """[rows]: genres that the user takes the item in question to have: those it has, where the
        user has watched it; else those it is told of, right or wrong, each with the probability
        min(kappa_u, 1)."""
        world, users, items = batch.world, batch.users, batch.items
        watched = has_watched(batch)
        known: list[list[int]] = [[] for _ in batch.seen]
        claims: list[tuple[int, int]] = []
        for row, one in enumerate(batch.seen):
            if watched[row]:
                known[row] = np.flatnonzero(world.catalog.genres[items[row]]).tolist()
            elif told := one.inquiry.told:
                claims += [(row, genre) for genre in told.claims if genre >= 0]
        if claims:
            row, genre = np.array(claims).T
            key = keys(world.seed, Purpose.BELIEF, batch.round, users[row], items[row], genre)
            believed = uniform(key) < world.population.trust[users[row]]
            for at in np.flatnonzero(believed).tolist():
                known[claims[at][0]].append(claims[at][1])
        return known

    # ------------------------------------------------------------------ what it cannot say

    def scored(self, batch: Batch) -> Sequence[Said]:
        """It agrees and disagrees with nothing."""
        return self.silent(batch)

    def compared(self, batch: Batch) -> Sequence[Said]:
        """Which of two explanations moves the user more towards its item, where that is the
        question."""
        better = preferred(*self.effects_of_both(batch), SAME)
        return [
            choice if compare.construct == PERSUASIVENESS else NO_WORDS
            for choice, compare in zip(better, comparisons(batch), strict=True)
        ]

    def silent(self, batch: Batch) -> Sequence[Said]:
        """It has no words."""
        return [NO_WORDS] * len(batch)

    # ------------------------------------------------------------------ explanations

    def effects_of_both(self, batch: Batch) -> tuple[Floats, Floats]:
        """[rows]: E_ui of the explanation shown first, and of the one shown second."""
        others = comparisons(batch)
        items = np.array([one.other_item for one in others], np.int32)
        return (
            self.effects(batch, batch.told, batch.items),
            self.effects(batch, [one.other for one in others], items),
        )

    def effects(self, batch: Batch, told: Sequence[Told | None], items: Ints) -> Floats:
        """[rows]: E_ui of explanations of some items, one each."""
        n = len(batch)
        watched = batch.world.watched.has(batch.users, items)
        watched |= has_watched(batch) & (items == batch.items)
        view = PageView(
            batch.round, 0, batch.users, items[:, None], np.zeros(n, np.int16),
            np.full(n, Surface.FEED, np.int8), np.full(n, NOTHING, np.int32), False,
            np.empty((n, 0), np.int32),
            {(row, 0): one.claims for row, one in enumerate(told) if one and items[row] >= 0},
        )  # fmt: skip
        return self._utility.explanations(batch.world, view, watched[:, None])[:, 0]


def under(world: World, seed: int, draw: int) -> World:
    """The same world with other draws; the run's own is not touched.

    The draws are not the run's: those decided what was shown and watched in it, and whoever is
    asked was chosen by that. With them, users would repeat what they were chosen for.
    """
    other = copy.copy(world)
    other.seed = int(keys(seed, Purpose.INQUIRY, draw, 0)[0] >> np.uint64(1))
    return other


def together(views: Sequence[PageView]) -> Iterator[tuple[list[int], PageView]]:
    """Pages that can be decided on at once, as one view each, with the rows that they come from."""
    alike: dict[tuple[int, int, int, bool], list[int]] = {}
    for row, view in enumerate(views):
        key = view.round, view.step, view.items.shape[1], view.can_search
        alike.setdefault(key, []).append(row)
    for (round, step, width, can_search), rows in alike.items():
        mine = [views[row] for row in rows]
        watched = np.full((len(mine), max(v.watched_now.shape[1] for v in mine)), NOTHING, np.int32)
        for at, view in enumerate(mine):
            watched[at, : view.watched_now.shape[1]] = view.watched_now[0]
        items: Ints = np.concatenate([view.items for view in mine]).reshape(len(mine), width)
        yield (
            rows,
            PageView(
                round=round,
                step=step,
                users=np.concatenate([view.users for view in mine]),
                items=items,
                page=np.concatenate([view.page for view in mine]),
                surface=np.concatenate([view.surface for view in mine]),
                sought=np.concatenate([view.sought for view in mine]),
                can_search=can_search,
                watched_now=watched,
                claims={(at, p): c for at, v in enumerate(mine) for (_, p), c in v.claims.items()},
                explanations={
                    (at, p): w for at, v in enumerate(mine) for (_, p), w in v.explanations.items()
                },
            ),
        )


def has_watched(batch: Batch) -> Bools:
    """[rows]: whether the user has watched the item in question, earlier in the visit included."""
    found = batch.world.watched.has(batch.users, batch.items)
    for row, one in enumerate(batch.seen):
        if one.view.watched_now.shape[1] and one.inquiry.item in one.view.watched_now[0]:
            found[row] = True
    return found


def comparisons(batch: Batch) -> list[Compare]:
    """[rows]: what is compared."""
    tasks = [one.inquiry.task for one in batch.seen]
    found = [task for task in tasks if isinstance(task, Compare)]
    assert len(found) == len(tasks)
    return found


def preferred(first: Floats, second: Floats, same: float) -> list[Choice]:
    """[rows]: the larger of two numbers, neither where they differ by less than `same`."""
    return [
        Choice.NEITHER if abs(a - b) < same else Choice.FIRST if a > b else Choice.SECOND
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]


def _option(question: QuizQuestion, known: Sequence[int], names: Mapping[str, int]) -> int:
    """The option with the genre that comes first among those known, UNKNOWN without."""
    offered: dict[int, int] = {}
    for at, fact in enumerate(question.facts):
        kind, _, value = fact.partition("=")
        genre = names.get(value.strip().lower()) if kind.strip().lower() == "genre" else None
        if genre is not None:
            offered.setdefault(genre, at)
    return next((offered[genre] for genre in known if genre in offered), UNKNOWN)
