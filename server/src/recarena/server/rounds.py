"""One round of the world. Users decide on the world as it stood when the round began; what they
did changes it when the result is applied. Open this file first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recarena.server.activation import Activation, activate
from recarena.server.interventions import Intervention, as_events, posts_of
from recarena.server.ports import Manner, Mind, Recommender
from recarena.server.social import socialise
from recarena.server.together import at_most
from recarena.server.types import EventColumns, EventKind, Ints, RoundResult, WorkRecord
from recarena.server.visits import VisitRules, visit
from recarena.server.world import World

Played: TypeAlias = tuple[EventColumns, list[WorkRecord]]
"""What a cohort did, and how the works for it went."""


@dataclass(frozen=True, slots=True)
class RoundRules:
    """How rounds are played. Cohorts bound batches and concurrency; they never change a result."""

    visits: VisitRules = field(default_factory=VisitRules)
    activation: Activation = field(default_factory=Activation)
    cohort_size: int = 4096
    cohorts_at_once: int = 4


async def play_round(
    world: World,
    mind: Mind,
    arms: Sequence[Recommender],
    arm_of_user: NDArray[np.int8],
    rules: RoundRules,
    interventions: Sequence[Intervention] = (),
) -> RoundResult:
    """activate -> choose -> visit and socialise -> reflect. Changes nothing: `world.apply` does.

    `interventions`: those that take effect in the round, which the world has taken up. They come
    first in its events; a post that one puts into a user's mouth is the last of the user's.
    """
    round = world.round + 1
    active = activate(rules.activation, world.seed, round, world.gap)
    if world.by_person.any():
        active = np.union1d(active, np.flatnonzero(world.by_person)).astype(np.int32)
    activities = await mind.choose_activity(world, round, active)
    activity = activities.kind
    idle = active[activity == EventKind.IDLE]
    visitors = active[activity == EventKind.ENTER_RECOMMENDER]
    social = active[activity == EventKind.ENTER_SOCIAL]

    async def visits(arm: int, cohort: Ints) -> Played:
        return await visit(world, mind, arms[arm], rules.visits, round, cohort)

    async def talks(cohort: Ints) -> Played:
        return await socialise(world, mind, round, cohort), []

    async def play(manner: Manner) -> list[Played]:
        size = manner.cohort_size or rules.cohort_size
        jobs = [
            partial(visits, arm, cohort)
            for arm in range(len(arms))
            for cohort in cohorts(manner.of(visitors[arm_of_user[visitors] == arm]), size)
        ]
        jobs += [partial(talks, cohort) for cohort in cohorts(manner.of(social), size)]
        return await at_most(manner.cohorts_at_once or rules.cohorts_at_once, jobs)

    manners = mind.manners()
    by_manner = await at_most(len(manners), [partial(play, manner) for manner in manners])
    played = [one for part in by_manner for one in part]
    nothing = EventColumns.make(
        len(idle), round=round, user=idle, kind=EventKind.IDLE,
        text=_of_rows(np.flatnonzero(activity == EventKind.IDLE), activities.failed),
    )  # fmt: skip
    parts = [nothing, *(events for events, _ in played)]
    if interventions:
        parts = [as_events(round, interventions), *parts, posts_of(round, interventions)]
    events = in_user_order(parts)
    works = [work for _, works in played for work in works]
    memories = await mind.remember(world, round, events)
    return RoundResult(round, len(active), events, memories, tuple(works))


def cohorts(users: Ints, size: int) -> list[Ints]:
    """Users cut into cohorts, in order."""
    return [users[at : at + size] for at in range(0, len(users), size)]


def _of_rows(rows: NDArray[np.intp], words: dict[int, str]) -> dict[int, str]:
    """Words by rows of a whole, as words by rows of a part of it."""
    if not words:
        return {}
    return {new: words[old] for new, old in enumerate(rows.tolist()) if old in words}


def in_user_order(parts: Sequence[EventColumns]) -> EventColumns:
    """Events of disjoint sets of users, put into (user, order of doing) order: the order of the
    log, whatever the order in which things came to pass."""
    events = EventColumns.concat(parts)
    order = np.argsort(events.user, kind="stable")
    return events.take(order)
