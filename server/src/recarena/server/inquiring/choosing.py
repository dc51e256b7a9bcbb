"""Inquiries answered by the choice mind: what users do, rate and know. It has no words."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
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
    Talk,
    Task,
    Told,
)
from recarena.server.inquiring.respondent import Moment, Seen
from recarena.server.minds.choice import ChoiceMind, Coefficients
from recarena.server.minds.choice.utility import Utility
from recarena.server.ports import PageView
from recarena.server.randomness import Purpose, keys, uniform
from recarena.server.types import NOTHING, Ints, MemoryColumns, Surface
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
        if task is Expect:
            return self.expected(batch)
        if task is Rate:
            return self.rated(batch)
        return [self._one(batch, row, one) for row, one in enumerate(batch.seen)]

    def _one(self, batch: Batch, row: int, seen: Seen) -> Said:
        match seen.inquiry.task:
            case Quiz() as quiz:
                return self.quizzed(batch, seen, quiz)
            case Questionnaire() as questionnaire:
                return self.scored(batch, seen, questionnaire)
            case Compare() as compare:
                return self.compared(batch, seen, compare)
            case Talk():
                return NO_WORDS
            case Choose() | Expect() | Rate():
                raise AssertionError("these are answered together")

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

    def quizzed(self, batch: Batch, seen: Seen, quiz: Quiz) -> Said:
        """What the user has watched it knows; of what it is told it believes a part."""
        known = self.known_genres(batch, seen)
        names = batch.world.catalog.genre_number
        return QuizAnswers(tuple((one.id, _option(one, known, names)) for one in quiz.questions))

    def known_genres(self, batch: Batch, seen: Seen) -> Sequence[int]:
        """Genres that the user takes the item in question to have: those it has, where the user
        has watched it; else those it is told of, right or wrong, each with the probability
        min(kappa_u, 1)."""
        world, user, item = batch.world, seen.inquiry.user, seen.inquiry.item
        if has_watched(world, seen):
            return [int(genre) for genre in np.flatnonzero(world.catalog.genres[item])]
        told = seen.inquiry.told
        claimed = [one for one in told.claims if one >= 0] if told else []
        if not claimed:
            return []
        drawn = uniform(keys(world.seed, Purpose.BELIEF, batch.round, user, item, claimed))
        trust = float(world.population.trust[user])
        return [one for one, u in zip(claimed, drawn.tolist(), strict=True) if u < trust]

    # ------------------------------------------------------------------ what it cannot say

    def scored(self, batch: Batch, seen: Seen, questionnaire: Questionnaire) -> Said:
        """It agrees and disagrees with nothing."""
        return NO_WORDS

    def compared(self, batch: Batch, seen: Seen, compare: Compare) -> Said:
        """Which of two explanations moves the user more towards its item, where that is the
        question."""
        if compare.construct != PERSUASIVENESS:
            return NO_WORDS
        first, second = self.effects(batch, seen, compare)
        if abs(first - second) < SAME:
            return Choice.NEITHER
        return Choice.FIRST if first > second else Choice.SECOND

    # ------------------------------------------------------------------ explanations

    def effect(self, batch: Batch, seen: Seen, told: Told | None = None, item: int = -1) -> float:
        """E_ui of what the user is told of the item in question, or of another explanation of
        another item."""
        told = told or seen.inquiry.told
        item = item if item >= 0 else seen.inquiry.item
        if told is None or item < 0:
            return 0.0
        user = np.array([seen.inquiry.user], np.int32)
        one = np.array([[item]], np.int32)
        watched = batch.world.watched.has(user, one)
        if seen.position >= 0 and item == seen.inquiry.item:
            watched[0, 0] = has_watched(batch.world, seen)
        view = PageView(
            batch.round, 0, user, one, np.zeros(1, np.int16),
            np.full(1, Surface.FEED, np.int8), np.full(1, NOTHING, np.int32), False,
            np.empty((1, 0), np.int32), {(0, 0): told.claims},
        )  # fmt: skip
        return float(self._utility.explanations(batch.world, view, watched)[0, 0])

    def effects(self, batch: Batch, seen: Seen, compare: Compare) -> tuple[float, float]:
        """E_ui of the explanation shown first, and of the one shown second."""
        return (
            self.effect(batch, seen),
            self.effect(batch, seen, compare.other, compare.other_item),
        )


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


def has_watched(world: World, seen: Seen) -> bool:
    """Whether the user has watched the item in question, earlier in the visit included."""
    user, item = seen.inquiry.user, seen.inquiry.item
    one = np.array([user], np.int32), np.array([item], np.int32)
    return bool(world.watched.has(*one)[0]) or item in seen.view.watched_now[0].tolist()


def _option(question: QuizQuestion, known: Sequence[int], names: Mapping[str, int]) -> int:
    """The option with the genre that comes first among those known, UNKNOWN without."""
    offered: dict[int, int] = {}
    for at, fact in enumerate(question.facts):
        kind, _, value = fact.partition("=")
        genre = names.get(value.strip().lower()) if kind.strip().lower() == "genre" else None
        if genre is not None:
            offered.setdefault(genre, at)
    return next((offered[genre] for genre in known if genre in offered), UNKNOWN)
