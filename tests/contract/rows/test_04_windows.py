"""How long a run waits for its recommender: for an answer, for one that was lost, for one that
loads, trains or says nothing; each to the moment, on a clock that stands still."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from recarena.server.founding import RunState
from recarena.server.rpc.admission import REGISTER_TIMEOUT_S
from recarena.server.runs import Run
from recarena.server.types import EventKind, Outcome
from recarena.v1.session_pb2 import RoundReady, WorkOutcome
from support.arena import log_of, settings
from support.clock import now, on_a_virtual_clock, until
from support.lines import Arena, Line, arena
from support.raw_client import reason_of
from support.sessions import ONE_PAGE, outcomes

CODE = grpc.StatusCode
A_MOMENT = 0.001
WINDOW = 30.0
READY = 300.0
PING = 10.0
EDGE = pytest.mark.parametrize("off", [-A_MOMENT, 0.0, A_MOMENT], ids=["before", "at", "after"])


async def over(run: Run) -> None:
    """The run has come to its end."""
    await run.settled()
    assert run.state is RunState.SUCCEEDED, (run.state, run.error)


async def working(one: Arena, line: Line, *arms: Any, **values: Any) -> tuple[Run, str, Any]:
    """A run in which a recommender has its first work."""
    run = await one.begin(settings(*(arms or ("raw",)), **{**ONE_PAGE, **values}))
    await line.join()
    await line.open_round()
    return run, *await line.receive_work()


# ------------------------------------------------------------------------------ both clocks
CLOCKS: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "realtime": ({}, {"clock": "realtime"}, 2.0),
    "lockstep": ({}, {"clock": "lockstep"}, 60.0),
    "the run's": ({}, {"clock": "realtime", "work_timeout_s": 7.5}, 7.5),
    "the arm's": ({"work_timeout_s": 0.5}, {"work_timeout_s": 7.5}, 0.5),
}


@EDGE
@pytest.mark.parametrize("name", CLOCKS)
@on_a_virtual_clock
async def test_a_work_has_the_time_that_the_clock_of_its_run_gives(tmp_path, name, off):
    of_arm, session, timeout = CLOCKS[name]
    async with arena(tmp_path) as one, one.line() as line:
        arm = {"recommender": "raw", **of_arm}
        run, kind, work = await working(one, line, arm, session=session)
        sent = now()
        assert work.header.timeout.ToMilliseconds() == timeout * 1000
        assert line.registered.work_timeout == work.header.timeout
        await until(sent + timeout + off)
        await line.send(line.answer(kind, work))
        await line.find("drain")
        await line.close_half()
        while await line.receive_any():  # what is told of a late answer may come after goodbye
            pass
        await over(run)
        told = [outcome.disposition for outcome in line.all("work_outcome")]
        if off < 0:
            assert set(outcomes(run)) == {Outcome.ACCEPTED}
            assert told == line.all("cancel_work") == []
        else:
            assert set(outcomes(run)) == {Outcome.LATE}
            assert not len(log_of(run).of(EventKind.SHOWN))
            assert line.when("cancel_work") == pytest.approx(sent + timeout, abs=1e-6)
            assert told == [WorkOutcome.DISPOSITION_LATE]


@on_a_virtual_clock
async def test_a_work_that_is_sent_again_has_all_its_time_again(tmp_path):
    async with arena(tmp_path) as one:
        async with one.line() as first:
            run, _, _ = await working(one, first)
            await until(now() + 60.0 - A_MOMENT)
        await until(now() + WINDOW - A_MOMENT)
        second = one.line()
        await second.join()
        await second.open_round()
        kind, again = await second.receive_work()
        assert (again.header.attempt, again.header.timeout.seconds) == (2, 60)
        await until(now() + 60.0 - A_MOMENT)
        await second.send(second.answer(kind, again))
        await second.serve()
        await over(run)
        assert set(outcomes(run)) == {Outcome.ACCEPTED}
        assert second.all("cancel_work") == []


# ------------------------------------------------------------------------------ coming back
@EDGE
@on_a_virtual_clock
async def test_a_work_waits_for_its_recommender_as_long_as_the_resume_window(tmp_path, off):
    async with arena(tmp_path) as one:
        async with one.line() as line:
            run, _, work = await working(one, line)
        lost = now()
        if off >= 0:
            await run.settled()
            assert now() == pytest.approx(lost + WINDOW, abs=1e-6)
        await until(lost + WINDOW + off)
        async with one.line() as line:
            await line.register(resume_run_id="run")
            if off < 0:
                line.registered = await line.receive("registered")
                await line.load_catalog()
                await line.catalog_ready()
                await line.open_round()
                kind, again = await line.receive_work()
                assert again.header.work_id == work.header.work_id
                await line.send(line.answer(kind, again))
                await line.serve()
            else:
                assert await line.stays_silent()  # it has missed the run, and waits for the next
        await over(run)
        assert set(outcomes(run)) == {Outcome.ACCEPTED if off < 0 else Outcome.LOST}


@on_a_virtual_clock
async def test_every_loss_begins_a_window_of_its_own(tmp_path):
    async with arena(tmp_path) as one:
        async with one.line() as line:
            run, _, work = await working(one, line)
        for attempt in range(2, 6):
            await until(now() + WINDOW - A_MOMENT)
            async with one.line() as line:
                await line.join()
                await line.open_round()
                _, again = await line.receive_work()
                assert (again.header.work_id, again.header.attempt) == (
                    work.header.work_id, attempt,
                )  # fmt: skip
        lost = now()
        await over(run)
        assert now() == pytest.approx(lost + WINDOW, abs=1e-6)
        assert set(outcomes(run)) == {Outcome.LOST}


@on_a_virtual_clock
async def test_the_window_of_a_run_may_be_closed(tmp_path):
    async with arena(tmp_path) as one, one.line() as line:
        run, _, _ = await working(one, line, session={"resume_window_s": 0.0})
        await line.hang_up()
        lost = now()
        await over(run)
        assert now() == lost
        assert set(outcomes(run)) == {Outcome.LOST}


@EDGE
@on_a_virtual_clock
async def test_what_is_left_to_be_told_is_kept_for_as_long_after_the_end(tmp_path, off):
    async with arena(tmp_path) as one:
        async with one.line() as line:
            run, kind, work = await working(one, line)
            cursor = line.feedback()[-1].cursor
            await line.send(line.answer(kind, work))
            while run.round < 1:
                await run.changed(run.changes)
        lost = now()
        await over(run)
        await until(lost + WINDOW + off)
        async with one.line() as line:
            await line.register(resume_run_id="run", feedback_cursor=cursor)
            if off >= 0:
                assert await line.stays_silent()
                return
            line.registered = await line.receive("registered")
            await line.catalog_ready()
            await line.serve()
            assert line.kinds() == ["registered", "feedback_batch", "drain"]


# ------------------------------------------------------------------------------ getting ready
@EDGE
@on_a_virtual_clock
async def test_register_has_ten_seconds(tmp_path, off):
    async with arena(tmp_path) as one, one.line() as line:
        began = now()
        await until(began + REGISTER_TIMEOUT_S + off)
        await line.register()
        if off < 0:
            assert await line.stays_silent()
            return
        assert await line.receive_any() is None
        assert (await line.status())[0] is CODE.DEADLINE_EXCEEDED
        assert reason_of(await line.rich_status()) == "TOO_SLOW"
        assert line.when("ended") == pytest.approx(began + 10.0, abs=1e-6)


@EDGE
@pytest.mark.parametrize("what", ["CatalogReady", "RoundReady"])
@on_a_virtual_clock
async def test_loading_and_training_have_the_ready_timeout(tmp_path, what, off):
    async with arena(tmp_path) as one, one.line() as line:
        run = await one.begin(settings("raw", **ONE_PAGE))
        await line.register()
        line.registered = await line.receive("registered")
        await line.load_catalog()
        if what == "RoundReady":
            await line.catalog_ready()
            await line.find("round_started")
        asked = now()
        await until(asked + READY + off)
        if what == "RoundReady":
            await line.send(round_ready=RoundReady(round=1))
        else:
            await line.catalog_ready()
        if off < 0:
            await line.serve()
            await over(run)
            assert set(outcomes(run)) == {Outcome.ACCEPTED}
            return
        assert await line.receive_any() is None
        assert (await line.status())[0] is CODE.DEADLINE_EXCEEDED
        assert line.when("ended") == pytest.approx(asked + READY, abs=1e-6)
        await run.close()


# ------------------------------------------------------------------------------ silence
@pytest.mark.parametrize("silent_from", [0.0, 3.3, 9.999, 10.0, 47.0])
@on_a_virtual_clock
async def test_silence_is_found_three_pings_after_the_last_word(tmp_path, silent_from):
    async with arena(tmp_path) as one, one.line() as line:
        run = await one.begin(settings("raw", **ONE_PAGE))
        await line.join()
        await until(now() + silent_from)
        line.pongs = False
        hung = now()
        await line.send()  # its last word
        while await line.receive_any():
            pass
        assert line.when("ended") - hung == pytest.approx(3 * PING, abs=1e-6)
        assert (await line.status())[0] is CODE.UNAVAILABLE
        assert reason_of(await line.rich_status()) == "SESSION_LOST"
        await run.close()


@on_a_virtual_clock
async def test_who_had_nothing_to_say_for_an_hour_of_waiting_may_load_in_peace(tmp_path):
    async with arena(tmp_path) as one, one.line() as line:
        await line.register()
        await until(now() + 3600.0)
        run = await one.begin(settings("raw", **ONE_PAGE))
        line.registered = await line.receive("registered")
        await line.load_catalog()
        await until(now() + 3 * PING - A_MOMENT)
        assert line.pings == 2
        line.pongs = False
        await until(now() + PING)
        line.pongs = True
        await until(now() + 4 * PING)
        await line.catalog_ready()
        await line.serve()
        await over(run)
        assert await line.status() == (CODE.OK, "")


@on_a_virtual_clock
async def test_any_word_is_a_sign_of_life(tmp_path):
    async with arena(tmp_path) as one, one.line() as line:
        run = await one.begin(settings("raw", **ONE_PAGE))
        await line.join()
        line.pongs = False
        started = await line.find("round_started")
        for _ in range(5):
            await until(now() + 3 * PING - A_MOMENT)
            await line.send()
            assert await line.stays_silent()
        await line.send(round_ready=RoundReady(round=started.round))
        await line.serve()
        await over(run)
