"""A recommender that is killed, frozen, hung or does not read is found within the time that
docs/sessions.md states. How long it took stands in the figures."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Callable
from typing import Any

import pytest

from recarena.server.errors import SessionLost
from recarena.server.founding import RunState
from recarena.server.rpc import recommenders
from recarena.server.rpc import server as rpc_server
from recarena.server.rpc.server import Server
from recarena.server.rpc.session import Session
from recarena.server.runs import Run
from recarena.server.types import Outcome
from recarena.v1.feedback_pb2 import FeedbackBatch
from recarena.v1.recommender_service_pb2 import ConnectResponse
from support.arena import PATIENCE, begin, finished, settings, settled
from support.figures import report
from support.kit import BAD, Kit, kit
from support.raw_client import RawClient
from support.sessions import outcomes

pytestmark = pytest.mark.alone
PING_S = 0.4
STATED_S = 3 * PING_S
SLACK_S = 0.5
"""What a busy machine may add."""
WAITS: dict[str, Any] = {
    "rounds": 2,
    "visits": {"step_cap": 1},
    "session": {"ping_interval_s": PING_S, "resume_window_s": 60.0},
}
SMALL_WORLD = "new:users=12,seed=3,history=2"


def session_of(run: Run) -> Session:
    """The session that serves the run."""
    (arm,) = run.recommenders
    (session,) = arm.reserved  # type: ignore[attr-defined]
    return session


async def seconds_until_found(session: Session, act: Callable[[], None]) -> float:
    """How long after `act` the server ends a session."""
    clock = asyncio.get_running_loop().time
    began = clock()
    act()
    await asyncio.wait_for(session.ended.wait(), PATIENCE)
    return clock() - began


def sent(bad: Kit, what: signal.Signals) -> Callable[[], None]:
    return lambda: bad.process.send_signal(what)


async def in_a_work(server: Server, bad: Kit) -> Run:
    """The program has a work that it does not answer; it answers pings."""
    run = await begin(server, settings(BAD, **WAITS), "run", SMALL_WORLD)
    await bad.line("work")
    return run


async def between_rounds(server: Server, bad: Kit) -> Run:
    """The program waits for the next round of a run that is paused."""
    run = await server.house.create("run", SMALL_WORLD, settings(BAD, **WAITS))
    run.start(1)
    await bad.line("round")
    await settled(run)
    assert run.state is RunState.PAUSED
    return run


MOMENTS = {"in a work": (in_a_work, ("--silent",)), "between rounds": (between_rounds, ())}
SIGNALS = {
    "SIGKILL": (signal.SIGKILL, "at once", PING_S),
    "SIGSTOP": (signal.SIGSTOP, "3 pings", STATED_S + SLACK_S),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", SIGNALS)
async def test_a_process_that_is_killed_or_frozen_is_found_in_the_stated_time(server, name, moment):
    what, stated, most = SIGNALS[name]
    reach, switches = MOMENTS[moment]
    async with kit(server, *switches) as bad:
        run = await reach(server, bad)
        found = await seconds_until_found(session_of(run), sent(bad, what))
        report("05", fault=name, moment=moment, found_s=round(found, 3), stated=stated,
               ping_s=PING_S)  # fmt: skip
        assert found < most
    await another_goes_on(server, run)


async def another_goes_on(server: Server, run: Run) -> None:
    """Whatever was left is another's, and the run comes to its end."""
    if not run.state.is_live:
        run.start()
    async with kit(server) as other:
        await finished(run)
        await other.line("drained", over=True)
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


@pytest.mark.slow
async def test_a_hung_program_that_reads_on_is_found_in_the_stated_time(server):
    async with kit(server, "--hang", 0, "--at-most", 1) as bad:
        run = await begin(server, settings(BAD, **WAITS), "run", SMALL_WORLD)
        await bad.line("fault", fault="hang")
        found = await seconds_until_found(session_of(run), lambda: None)
        report("05", fault="hung program", moment="in a work", found_s=round(found, 3),
               stated="3 pings", ping_s=PING_S)  # fmt: skip
        assert found < STATED_S + SLACK_S
        ended = await bad.line("ended")
        assert (ended["code"], ended["reason"]) == ("UNAVAILABLE", "SESSION_LOST")
        await finished(run)  # it comes back, and hangs no more
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_who_reads_nothing_and_says_nothing_is_found_as_a_hung_program_is(server):
    async with RawClient(server.address) as client:
        run = await begin(server, settings("raw", **WAITS), "run", SMALL_WORLD)
        await client.join()
        found = await seconds_until_found(session_of(run), lambda: None)
        report("05", fault="reads nothing", moment="before a round", found_s=round(found, 3),
               stated="3 pings", ping_s=PING_S)  # fmt: skip
        assert found < STATED_S + SLACK_S


async def test_who_stands_still_for_less_than_the_stated_time_is_not_lost(server):
    async with kit(server, "--late", 0.1) as bad:
        run = await between_rounds(server, bad)
        session = session_of(run)
        for _ in range(3):
            bad.process.send_signal(signal.SIGSTOP)
            await asyncio.wait([asyncio.ensure_future(session.ended.wait())], timeout=2 * PING_S)
            assert not session.ended.is_set()
            bad.process.send_signal(signal.SIGCONT)
            heard = session.last_heard
            async with asyncio.timeout(PATIENCE):
                while session.last_heard == heard:
                    await server_is_called(server)
        run.start()
        await finished(run)
        assert [line["run"] for line in bad.all("registered")] == ["run"]


async def server_is_called(server: Server) -> None:
    """One more call that is answered."""
    async with RawClient(server.address) as other:
        await other.stays_silent()


# ------------------------------------------------------------------------------ slow readers
SEND_TIMEOUT_S = 1.0
LARGE = ConnectResponse(feedback_batch=FeedbackBatch(cursor="x" * 2**20)).SerializeToString()


@pytest.mark.slow
async def test_who_answers_pings_and_reads_nothing_is_found_when_its_queue_has_been_full(
    server, monkeypatch
):
    patient = functools.partial(Session, send_timeout_s=SEND_TIMEOUT_S)
    monkeypatch.setattr(recommenders, "Session", patient)
    async with kit(server, "--slow-reader", "--at-most", 1) as bad:
        arm = {"recommender": BAD, "work_timeout_s": 0.2}
        run = await begin(server, settings(arm, **WAITS), "run", SMALL_WORLD)
        await bad.line("fault", fault="slow-reader")
        session = session_of(run)
        began = await filled(session)
        found = asyncio.get_running_loop().time() - began
        report("05", fault="slow reader", moment="queue full", found_s=round(found, 3),
               stated=f"{SEND_TIMEOUT_S:g} s (60 s)")  # fmt: skip
        assert SEND_TIMEOUT_S <= found < SEND_TIMEOUT_S + SLACK_S
        assert "does not read" in str(session.error)
        assert [message async for message in session.outbound()] == []  # nothing is kept for it
        async with kit(server) as other:
            await finished(run)
            await other.line("drained", over=True)


async def filled(session: Session) -> float:
    """Sends to a session until it is lost; when the last message began to wait."""
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await session.send_serialized(LARGE)
        except SessionLost:
            return began


# ------------------------------------------------------------------------------ without a run
KEEPALIVE = ("grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms")
KEEPALIVE_S = 2.0


@pytest.mark.slow
@pytest.mark.parametrize("name", SIGNALS)
async def test_a_process_that_waits_for_a_run_is_found_by_keepalive(tmp_path, monkeypatch, name):
    assert {dict(rpc_server.OPTIONS)[option] for option in KEEPALIVE} == {20_000}  # 40 s
    shorter = dict.fromkeys(KEEPALIVE, int(1000 * KEEPALIVE_S))
    monkeypatch.setattr(rpc_server, "OPTIONS", [*(dict(rpc_server.OPTIONS) | shorter).items()])
    what, _, most = SIGNALS[name]
    is_frozen = what is signal.SIGSTOP
    async with Server(tmp_path / "runs") as server, kit(server) as bad:
        async with asyncio.timeout(PATIENCE):
            while not server.lobby._waiting:
                await server_is_called(server)
        (waiting,) = server.lobby._waiting
        found = await seconds_until_found(waiting.session, sent(bad, what))
        report("05", fault=name, moment="waiting for a run", found_s=round(found, 3),
               stated=f"{2 * KEEPALIVE_S:g} s (40 s)" if is_frozen else "at once")  # fmt: skip
        assert found < (2 * KEEPALIVE_S + SLACK_S if is_frozen else most)
