"""One round of the world. Users decide on the world as it stood when the round began; what they
did changes it when the result is applied. Open this file first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from recarena.server.activation import Activation, activate
from recarena.server.memory.remember import remember
from recarena.server.ports import Mind, Recommender
from recarena.server.social import socialise
from recarena.server.types import EventColumns, EventKind, Ints, RoundResult, WorkRecord
from recarena.server.visits import VisitRules, visit
from recarena.server.world import World

T = TypeVar("T")
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
) -> RoundResult:
    """activate -> choose -> visit and socialise -> reflect. Changes nothing: `world.apply` does."""
    round = world.round + 1
    active = activate(rules.activation, world.seed, round, world.gap)
    activity = await mind.choose_activity(world, round, active)
    idle = active[activity == EventKind.IDLE]
    visitors = active[activity == EventKind.ENTER_RECOMMENDER]
    social = active[activity == EventKind.ENTER_SOCIAL]

    async def visits(arm: int, cohort: Ints) -> Played:
        return await visit(world, mind, arms[arm], rules.visits, round, cohort)

    async def talks(cohort: Ints) -> Played:
        return await socialise(world, mind, round, cohort), []

    jobs = [
        partial(visits, arm, cohort)
        for arm in range(len(arms))
        for cohort in cohorts(visitors[arm_of_user[visitors] == arm], rules.cohort_size)
    ]
    jobs += [partial(talks, cohort) for cohort in cohorts(social, rules.cohort_size)]
    played = await at_most(rules.cohorts_at_once, jobs)

    nothing = EventColumns.make(len(idle), round=round, user=idle, kind=EventKind.IDLE)
    events = in_user_order([nothing, *(events for events, _ in played)], world.users)
    works = [work for _, works in played for work in works]
    return RoundResult(round, len(active), events, remember(events, world.network), tuple(works))


def cohorts(users: Ints, size: int) -> list[Ints]:
    """Users cut into cohorts, in order."""
    return [users[at : at + size] for at in range(0, len(users), size)]


async def at_most(limit: int, jobs: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Runs jobs concurrently, at most `limit` at once; results in the order of the jobs. The first
    failure cancels the others and is raised by itself."""
    gate = asyncio.Semaphore(limit)
    results: dict[int, T] = {}

    async def run(number: int, job: Callable[[], Awaitable[T]]) -> None:
        async with gate:
            results[number] = await job()

    try:
        async with asyncio.TaskGroup() as group:
            for number, job in enumerate(jobs):
                group.create_task(run(number, job))
    except ExceptionGroup as failures:
        raise first_failure(failures) from None
    return [results[number] for number in range(len(jobs))]


def first_failure(failures: ExceptionGroup[Exception]) -> Exception:
    """The first exception of a group, or of the groups in it, as itself."""
    first = failures.exceptions[0]
    return first_failure(first) if isinstance(first, ExceptionGroup) else first


def in_user_order(parts: Sequence[EventColumns], users: int) -> EventColumns:
    """Events of disjoint sets of users, put into (user, order of doing) order: the order of the
    log, whatever the order in which things came to pass."""
    events = EventColumns.concat(parts)
    order = np.argsort(events.user, kind="stable")
    return events.take(order)
