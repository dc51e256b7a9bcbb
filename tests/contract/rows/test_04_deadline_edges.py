"""Each deadline of a work, hit from both sides on a clock that stands still until it is told to
move: what comes before it counts, what comes at it or after it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from google.rpc.status_pb2 import Status

from recarena.server.errors import SessionLost
from recarena.server.rpc import limits
from recarena.server.rpc.session import Session, WorkRefused
from recarena.v1.recommender_service_pb2 import ConnectResponse
from recarena.v1.session_pb2 import (
    CAPABILITY_PARTIAL_RESULTS,
    CAPABILITY_RANK,
    ExtendDeadline,
    Register,
    WorkFailed,
    WorkOutcome,
)
from recarena.v1.work_pb2 import RankedList, RankResult, RankWork
from support.clock import now, on_a_virtual_clock, until
from support.lines import Requests

LATE, DUPLICATE = WorkOutcome.DISPOSITION_LATE, WorkOutcome.DISPOSITION_DUPLICATE
TIMEOUT, LONGEST = 60.0, 240.0
A_MOMENT = 0.001
WORK = ConnectResponse(rank_work=RankWork()).SerializeToString()


class Talk:
    """A session on its own, and what its peer is told."""

    def __init__(self, *more: int) -> None:
        capabilities: Any = [CAPABILITY_RANK, *more]
        self.session = Session(Register(recommender_id="raw", capabilities=capabilities), "nobody")
        self.session.catalog_version = "v1"
        self.requests = Requests()
        self.told: list[tuple[float, ConnectResponse]] = []
        self.began = now()
        self.reading = asyncio.ensure_future(self.session.read(aiter(self.requests)))
        self.listening = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        async for payload in self.session.outbound():
            self.told.append((now() - self.began, ConnectResponse.FromString(payload)))

    def ask(self, work_id: str = "w", queries: int = 2) -> asyncio.Future[Any]:
        """A work, on its way by the next turn of the loop."""
        asking = self.session.ask(work_id, queries, TIMEOUT, LONGEST, WORK)
        return asyncio.ensure_future(asking)

    async def at(self, seconds: float, **message: Any) -> None:
        """The peer says something so long after the beginning, and it is read."""
        await until(self.began + seconds)
        self.requests.send(**message)
        for _ in range(5):
            await asyncio.sleep(0)

    def cancels(self) -> list[tuple[float, str, int]]:
        """(when, work, why) of every CancelWork."""
        return [
            (when, one.cancel_work.work_id, one.cancel_work.reason.code)
            for when, one in self.told
            if one.HasField("cancel_work")
        ]

    def outcomes(self) -> list[tuple[str, int]]:
        """(work, disposition) of every WorkOutcome."""
        told = [one.work_outcome for _, one in self.told if one.HasField("work_outcome")]
        return [(one.work_id, one.disposition) for one in told]


@asynccontextmanager
async def talk(*more: int) -> AsyncIterator[Talk]:
    one = Talk(*more)
    try:
        yield one
    finally:
        one.session.end()
        await asyncio.wait({one.listening})
        one.reading.cancel()
        await asyncio.wait({one.reading})


def answer(lists: int = 2, first: int = 0, complete: bool = True) -> RankResult:
    """An answer to the work w."""
    numbered = [RankedList(query_index=first + n) for n in range(lists)]
    return RankResult(work_id="w", lists=numbered, complete=complete)


def more(seconds: float) -> ExtendDeadline:
    whole = Duration()
    whole.FromMilliseconds(round(seconds * 1000))
    return ExtendDeadline(work_id="w", timeout=whole)


async def assert_late_at(one: Talk, asking: asyncio.Future[Any], seconds: float) -> None:
    """The work has no answer, is over at this moment, and was withdrawn then and only then."""
    with pytest.raises(TimeoutError):
        await asking
    assert now() - one.began == pytest.approx(seconds, abs=1e-6)
    await asyncio.sleep(0)
    ((when, work_id, why),) = one.cancels()
    assert when == pytest.approx(seconds, abs=1e-6)
    assert (work_id, why) == ("w", code_pb2.DEADLINE_EXCEEDED)


# ------------------------------------------------------------------------------ one answer
@on_a_virtual_clock
async def test_an_answer_just_before_the_deadline_counts():
    async with talk() as one:
        asking = one.ask()
        await one.at(TIMEOUT - A_MOMENT, rank_result=answer())
        assert [len(part.lists) for part in await asking] == [2]
        await until(one.began + 2 * TIMEOUT)
        assert one.cancels() == one.outcomes() == []


@pytest.mark.parametrize("after", [0.0, A_MOMENT, 1000.0])
@pytest.mark.parametrize("first", ["the answer", "the deadline"])
@on_a_virtual_clock
async def test_an_answer_at_the_deadline_or_after_it_is_late_once_then_a_duplicate(after, first):
    async with talk() as one:
        asking = None if first == "the answer" else one.ask()
        await asyncio.sleep(0)
        coming = asyncio.ensure_future(one.at(TIMEOUT + after, rank_result=answer()))
        await asyncio.sleep(0)
        await assert_late_at(one, asking or one.ask(), TIMEOUT)
        await coming
        assert one.outcomes() == [("w", LATE)]
        await one.at(TIMEOUT + after, rank_result=answer())
        await one.at(TIMEOUT + after, work_failed=WorkFailed(work_id="w"))
        assert one.outcomes() == [("w", LATE), ("w", DUPLICATE), ("w", DUPLICATE)]
        assert len(one.cancels()) == 1


@on_a_virtual_clock
async def test_an_answer_that_was_there_before_a_busy_server_saw_the_deadline_counts():
    async with talk() as one:
        asking = one.ask()
        await until(one.began + TIMEOUT - A_MOMENT)
        one.requests.send(rank_result=answer())
        asyncio.get_running_loop().pass_by(1.0)  # type: ignore[attr-defined]  # in a turn of its own
        assert await asking
        await asyncio.sleep(0)
        assert one.cancels() == one.outcomes() == []


@on_a_virtual_clock
async def test_a_refusal_just_before_the_deadline_is_no_late_answer():
    async with talk() as one:
        asking = one.ask()
        failed = WorkFailed(work_id="w", status=Status(code=13, message="no"))
        await one.at(TIMEOUT - A_MOMENT, work_failed=failed)
        with pytest.raises(WorkRefused):
            await asking
        assert one.cancels() == one.outcomes() == []
        await one.at(TIMEOUT, rank_result=answer())
        assert one.outcomes() == [("w", DUPLICATE)]


@on_a_virtual_clock
async def test_a_work_that_is_given_up_is_withdrawn_once_and_its_answer_is_late():
    async with talk() as one:
        asking = one.ask()
        await until(one.began + 10.0)
        asking.cancel()
        await asyncio.wait({asking})
        await one.at(2 * TIMEOUT, rank_result=answer())
        assert one.cancels() == [(10.0, "w", code_pb2.CANCELLED)]
        assert one.outcomes() == [("w", LATE)]


@on_a_virtual_clock
async def test_the_deadline_of_one_work_is_not_that_of_another():
    async with talk() as one:
        first, second = one.ask(), None
        await until(one.began + 20.0)
        second = one.ask("other")
        await assert_late_at(one, first, TIMEOUT)
        await one.at(TIMEOUT, rank_result=RankResult(work_id="other", complete=True))
        assert await second
        assert one.outcomes() == []


# ------------------------------------------------------------------------------ parts
@on_a_virtual_clock
async def test_the_parts_that_came_by_the_deadline_count_and_the_rest_is_late():
    async with talk(CAPABILITY_PARTIAL_RESULTS) as one:
        asking = one.ask(queries=4)
        await one.at(1.0, rank_result=answer(1, 0, complete=False))
        await one.at(TIMEOUT - A_MOMENT, rank_result=answer(1, 1, complete=False))
        assert not asking.done()
        await one.at(TIMEOUT, rank_result=answer(1, 2, complete=False))
        parts = await asking
        assert [one.query_index for part in parts for one in part.lists] == [0, 1]
        await one.at(TIMEOUT + A_MOMENT, rank_result=answer(1, 3, complete=True))
        assert one.outcomes() == [("w", LATE), ("w", DUPLICATE)]
        assert one.cancels() == [(TIMEOUT, "w", code_pb2.DEADLINE_EXCEEDED)]


@on_a_virtual_clock
async def test_the_last_part_just_before_the_deadline_makes_the_answer_whole():
    async with talk(CAPABILITY_PARTIAL_RESULTS) as one:
        asking = one.ask()
        await one.at(1.0, rank_result=answer(1, 0, complete=False))
        await one.at(TIMEOUT - A_MOMENT, rank_result=answer(1, 1))
        assert len(await asking) == 2
        await until(one.began + 2 * TIMEOUT)
        assert one.cancels() == one.outcomes() == []


@on_a_virtual_clock
async def test_a_part_counts_until_the_extended_deadline():
    async with talk(CAPABILITY_PARTIAL_RESULTS) as one:
        asking = one.ask()
        await one.at(30.0, extend_deadline=more(70.0))
        await one.at(100.0 - A_MOMENT, rank_result=answer(1, 0, complete=False))
        await one.at(100.0, rank_result=answer(1, 1))
        assert len(await asking) == 1
        assert one.outcomes() == [("w", LATE)]


# ------------------------------------------------------------------------------ ExtendDeadline
EXTENSIONS: dict[str, tuple[list[tuple[float, float]], float]] = {
    "once": ([(50.0, 40.0)], 90.0),
    "at once": ([(0.0, 100.0)], 100.0),
    "just before the deadline": ([(TIMEOUT - A_MOMENT, 10.0)], TIMEOUT - A_MOMENT + 10.0),
    "at the deadline": ([(TIMEOUT, 100.0)], TIMEOUT),
    "twice": ([(10.0, 80.0), (20.0, 200.0)], 90.0),
    "twice at once": ([(10.0, 80.0), (10.0, 200.0)], 90.0),
    "to the very maximum": ([(40.0, LONGEST - 40.0)], LONGEST),
    "beyond the maximum": ([(40.0, LONGEST)], LONGEST),
    "far beyond the maximum": ([(59.0, 1e9)], LONGEST),
    "by less than is left": ([(10.0, 20.0)], TIMEOUT),
    "by exactly what is left": ([(10.0, 50.0)], TIMEOUT),
    "by nothing": ([(10.0, 0.0)], TIMEOUT),
    "by less than nothing": ([(10.0, -1000.0)], TIMEOUT),
    "a shorter one is the one that is granted": ([(10.0, 20.0), (11.0, 200.0)], TIMEOUT),
}
"""[(when, seconds from then on)] of each ExtendDeadline, and the deadline that comes of it."""


@pytest.mark.parametrize("name", EXTENSIONS)
@on_a_virtual_clock
async def test_the_deadline_is_where_one_extension_puts_it(name):
    extensions, deadline = EXTENSIONS[name]
    for answered in (False, True):
        async with talk() as one:
            asking = one.ask()
            for when, seconds in extensions:
                await one.at(when, extend_deadline=more(seconds))
            if answered and deadline - A_MOMENT > now() - one.began:
                await one.at(deadline - A_MOMENT, rank_result=answer())
                assert await asking
                assert one.cancels() == one.outcomes() == []
            else:
                await assert_late_at(one, asking, deadline)
                await one.at(deadline + A_MOMENT, rank_result=answer())
                assert one.outcomes() == [("w", LATE)]


@on_a_virtual_clock
async def test_an_extension_after_the_deadline_or_of_nothing_changes_nothing():
    async with talk() as one:
        asking = one.ask()
        of_nothing = ExtendDeadline(work_id="other", timeout=Duration(seconds=100))
        await one.at(1.0, extend_deadline=of_nothing)
        await assert_late_at(one, asking, TIMEOUT)
        await one.at(TIMEOUT + A_MOMENT, extend_deadline=more(100.0))
        again = one.ask()  # the same work, sent again after a loss: its time is a new one
        await one.at(2 * TIMEOUT, extend_deadline=more(10.0))
        await until(one.began + 2 * TIMEOUT + 1.0)
        assert not again.done()
        await one.at(2 * TIMEOUT + 9.0, rank_result=answer())
        assert await again
        await one.at(2 * TIMEOUT + 9.0, extend_deadline=more(100.0))
        assert len(one.cancels()) == 1
        assert one.outcomes() == []


@on_a_virtual_clock
async def test_time_runs_from_when_a_work_could_be_sent():
    session = Session(Register(recommender_id="raw", capabilities=[CAPABILITY_RANK]), "nobody")
    began = now()
    works = [
        asyncio.ensure_future(session.ask(str(n), 1, TIMEOUT, LONGEST, WORK))
        for n in range(limits.OUTBOUND_MESSAGES + 1)
    ]
    await until(began + 50.0)  # the peer reads nothing, and the last one waits for its turn
    outbound = session.outbound()
    await anext(outbound)
    with pytest.raises(TimeoutError):
        await works[0]
    assert now() - began == TIMEOUT
    with pytest.raises(TimeoutError):
        await works[-1]
    assert now() - began == 50.0 + TIMEOUT
    session.end()
    await asyncio.gather(*works, return_exceptions=True)


@on_a_virtual_clock
async def test_a_peer_that_reads_nothing_is_found_a_minute_after_its_queue_is_full():
    session = Session(Register(recommender_id="raw", capabilities=[CAPABILITY_RANK]), "nobody")
    for _ in range(limits.OUTBOUND_MESSAGES):
        await session.send(ConnectResponse())
    began = now()
    with pytest.raises(SessionLost):
        await session.send(ConnectResponse())
    assert now() - began == 60.0
    assert isinstance(session.error, SessionLost)
