"""Several things at once, of which the first failure ends the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


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
