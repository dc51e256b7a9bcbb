"""Each switch of the fault kit in a run of its own: a recommender that misbehaves on one arm, a
good one on the other. The run comes to its end, the fault is counted, the good arm notices
nothing."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from recarena.server import runs
from recarena.server.rpc import admission, limits
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventKind, Outcome
from support.arena import PATIENCE, begin, finished, log_of, recommender, settings
from support.kit import BAD, KIT, kit

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
GOOD = "good"
CALM = {"clock": "lockstep", "resume_window_s": 10.0}
SHORT = {"ready_timeout_s": 1.0, "ping_interval_s": 0.2}
"""Of the session, where silence is to be found soon."""
WORK_TIMEOUT_S = 0.4
"""Of the bad arm; the good one has a minute."""
PATIENT = {"work_timeout_s": 30.0}
"""A bad arm where nothing is to be late, however busy the machine is."""
ACCEPTED, VIOLATIONS, REJECTED = Outcome.ACCEPTED, Outcome.VIOLATIONS, Outcome.REJECTED
LATE, FAILED, LOST = Outcome.LATE, Outcome.FAILED, Outcome.LOST


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server for all runs, and a good recommender that serves them all: what one fault leaves
    behind would show in the next."""
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "DRAIN_GRACE_S", 2.0)
        patch.setattr(admission, "REGISTER_TIMEOUT_S", 0.5)
        async with (
            Server(folder / "runs") as made,
            recommender(made, "popular", "--id", GOOD, log=folder / "log"),
        ):
            yield made


async def playing(server: Server, name: str, **values: Any) -> Run:
    """A run with both, started. One page a visit, unless said otherwise."""
    bad = {"recommender": BAD, "work_timeout_s": WORK_TIMEOUT_S, **values.pop("arm", {})}
    session = {**CALM, **values.pop("session", {})}
    chosen = {"visits": {"step_cap": 1}, **values}
    return await begin(server, settings(GOOD, bad, session=session, **chosen), run_id=name)


def outcomes(run: Run, arm: str) -> Counter[Outcome]:
    """How many pages of an arm had each outcome."""
    pages = log_of(run).of(EventKind.PAGE)
    number = [one.id for one in run.settings.arms].index(arm)
    return Counter(map(Outcome, pages.outcome[run.arm_of_user[pages.user] == number].tolist()))


def assert_good_arm_unharmed(run: Run) -> None:
    found = outcomes(run, GOOD)
    assert set(found) == {ACCEPTED}, found


def works(run: Run) -> Counter[Outcome]:
    """How many works of the bad arm had each outcome."""
    return Counter(one.outcome for one in run.folder.works() if one.arm == 1)


SPOILT = {
    "late": (("--late", 0.8), {LATE}, "LATE"),
    "silent": (("--silent",), {LATE}, None),
    "unknown-works": (("--unknown-works",), {LATE}, "UNKNOWN_WORK"),
    "unknown-items": (("--unknown-items",), {VIOLATIONS}, "ACCEPTED_WITH_VIOLATIONS"),
    "unknown-items columnar": (
        ("--unknown-items", "--columnar"), {VIOLATIONS}, "ACCEPTED_WITH_VIOLATIONS",
    ),
    "query-index": (("--query-index",), {REJECTED}, "REJECTED"),
    "query-index columnar": (("--query-index", "--columnar"), {REJECTED}, "REJECTED"),
    "nan": (("--nan",), {REJECTED}, "REJECTED"),
    "partial": (("--partial",), {ACCEPTED, FAILED}, "ACCEPTED_WITH_VIOLATIONS"),
}  # fmt: skip
"""Faults of each work: switches, outcomes of the pages, what the recommender is told each time."""


@pytest.mark.parametrize("name", SPOILT)
async def test_a_spoilt_answer_is_counted_as_what_it_is(server, name):
    await assert_counted(server, name, *SPOILT[name])


@pytest.mark.parametrize("encoding", [(), ("--columnar",)], ids=["rich", "columnar"])
async def test_an_answer_to_another_kind_of_work_is_rejected(server, encoding):
    name = f"wrong-type{''.join(encoding)}"
    await assert_counted(server, name, ("--wrong-type", *encoding), {REJECTED}, "REJECTED")


async def assert_counted(
    server: Server,
    name: str,
    switches: tuple[object, ...],
    expected: set[Outcome],
    disposition: str | None,
) -> None:
    """Plays a run in which each work is answered wrongly: all of it is counted, and told."""
    arm = {} if LATE in expected or name == "partial" else PATIENT
    run = await playing(server, f"spoilt-{name.replace(' ', '-')}", arm=arm)
    async with kit(server, *switches) as bad:
        await finished(run)
        await bad.line("ended", code="OK")
    assert set(outcomes(run, BAD)) == expected
    assert bad.told == (Counter({disposition: len(bad.faults)}) if disposition else Counter())
    assert len(bad.faults) == len(bad.all("work")) == works(run).total() > 0
    assert_good_arm_unharmed(run)


HARMLESS = {
    "gibberish": ("--gibberish", 20),
    "flood": ("--flood", 20),
    "duplicate": ("--duplicate",),
    "long-lists": ("--long-lists", 1000),
    "long-lists columnar": ("--long-lists", 1000, "--columnar"),
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_is_sent_beside_a_right_answer_costs_it_nothing(server, name):
    run = await playing(server, f"harmless-{name.replace(' ', '-')}", arm=PATIENT)
    async with kit(server, *HARMLESS[name]) as bad:
        await finished(run)
        await bad.line("ended", code="OK")
    assert set(outcomes(run, BAD)) == {ACCEPTED}
    assert bad.endings == [("OK", "")]
    if name == "duplicate":
        assert bad.told == {"DUPLICATE": len(bad.faults)}
    if name == "flood":
        assert bad.told == {"UNKNOWN_WORK": 20 * len(bad.faults)}
    assert_good_arm_unharmed(run)


BREAKS = {
    "garbage": (("--garbage",), "FAILED_PRECONDITION", "PROTOCOL_VIOLATION"),
    "oversized": (("--oversized", 5_000_000), "RESOURCE_EXHAUSTED", ""),
    "half-close": (("--half-close",), "OK", ""),
    "flood": (("--flood", 3000), "RESOURCE_EXHAUSTED", "FLOODED"),
    "no-register": (("--no-register",), "DEADLINE_EXCEEDED", "TOO_SLOW"),
    "repeat-register": (("--repeat-register",), "FAILED_PRECONDITION", "PROTOCOL_VIOLATION"),
}
"""Faults that end the session: switches, status and reason."""


@pytest.mark.parametrize("name", BREAKS)
async def test_who_breaks_the_session_may_come_back_and_answer(server, name, monkeypatch):
    monkeypatch.setattr(limits, "UNSOLICITED_PER_S", 2000.0)  # or the flood is read for minutes
    switches, code, reason = BREAKS[name]
    run = await playing(server, f"breaks-{name}", arm=PATIENT)
    async with kit(server, *switches, "--at-most", 1) as bad:
        ended = await bad.line("ended")
        assert (ended["code"], ended["reason"]) == (code, reason)
        await finished(run)
        await bad.line("drained", over=True)
    again = bad.all("registered")[-1]
    if name != "repeat-register":  # whether it has heard any feedback by then is left to chance
        assert again["resumed"] is (name != "no-register")
    assert set(outcomes(run, BAD)) == {ACCEPTED}
    assert [line for line in bad.all("feedback") if not line["new"]] == []
    assert_good_arm_unharmed(run)


async def test_five_rejected_answers_in_a_row_end_the_session_for_good(server):
    short = {"resume_window_s": 0.3}
    run = await playing(server, "quarantined", rounds=8, session=short, arm=PATIENT)
    async with kit(server, "--query-index", "--stubborn") as bad:
        await bad.line("ended", code="FAILED_PRECONDITION", reason="QUARANTINED")
        await finished(run)
        await bad.line("ended", code="FAILED_PRECONDITION", reason="QUARANTINED")
    assert works(run)[REJECTED] == limits.MAX_REJECTED == len(bad.faults)
    assert set(outcomes(run, BAD)) == {REJECTED, LOST}
    assert bad.told == {"REJECTED": limits.MAX_REJECTED}
    assert len(bad.all("registered")) == 1
    assert_good_arm_unharmed(run)


async def test_a_quarantined_program_leaves_by_itself(server):
    short = {"resume_window_s": 0.3}
    run = await playing(server, "quarantined-once", rounds=8, session=short, arm=PATIENT)
    async with kit(server, "--nan") as bad:
        assert await asyncio.wait_for(bad.process.wait(), PATIENCE) == 1
        await finished(run)
    assert bad.endings == [("FAILED_PRECONDITION", "QUARANTINED")]


SILENT_TYPES = {
    "hang": ("--hang", 1),
    "frozen": ("--frozen", 1, "--frozen-for", 1.5),
    "slow-reader": ("--slow-reader",),
}
"""A session that stands still, though the connection lives."""


@pytest.mark.parametrize("name", SILENT_TYPES)
async def test_who_stands_still_is_late_and_may_come_back(server, name):
    few = {"rounds": 3, "visits": {"step_cap": 2}}
    run = await playing(server, f"still-{name}", session=SHORT, **few)
    async with kit(server, *SILENT_TYPES[name], "--at-most", 1) as bad:
        await bad.line("fault", fault=name)
        await finished(run)
        ended = await bad.line("ended")
        await bad.line("drained", over=True)
    assert (ended["code"], ended["reason"]) in {
        ("UNAVAILABLE", "SESSION_LOST"), ("DEADLINE_EXCEEDED", "TOO_SLOW"),
    }  # fmt: skip
    assert bad.all("registered")[-1]["resumed"]
    found = outcomes(run, BAD)
    assert set(found) == {ACCEPTED, LATE}, found
    assert_good_arm_unharmed(run)


async def test_works_wait_for_a_process_that_was_killed_and_started_again(server):
    run = await playing(server, "killed", rounds=3, visits={"step_cap": 2}, arm=PATIENT)
    async with kit(server, "--die-after", 1) as first:
        assert await asyncio.wait_for(first.process.wait(), PATIENCE) == -9
    async with kit(server) as second:
        await finished(run)
        await second.line("drained", over=True)
    assert set(outcomes(run, BAD)) == {ACCEPTED}
    assert not second.all("registered")[0]["resumed"]
    told = [line["round"] for line in second.all("feedback")]
    assert told == sorted(told) == list(range(run.round + 1))
    assert_good_arm_unharmed(run)


async def test_works_are_lost_when_nobody_comes_back_in_time(server):
    short = {"resume_window_s": 0.3}
    run = await playing(server, "lost", rounds=3, session=short, arm=PATIENT)
    async with kit(server, "--die-after", 1):
        await finished(run)
    found = outcomes(run, BAD)
    assert LOST in found
    assert set(found) <= {ACCEPTED, LOST}
    assert_good_arm_unharmed(run)


async def test_a_program_that_dies_every_now_and_then_loses_nothing(server):
    run = await playing(server, "mortal", rounds=12, arm=PATIENT)
    lives = 0
    over = asyncio.ensure_future(finished(run))
    while not over.done():
        async with kit(server, "--late", 0.05, "--die-every", 0.7) as bad:
            dead = asyncio.ensure_future(bad.process.wait())
            await asyncio.wait({dead, over}, return_when=asyncio.FIRST_COMPLETED)
            dead.cancel()
            lives += 1
    await over
    assert lives > 1
    assert set(outcomes(run, BAD)) == {ACCEPTED}
    assert_good_arm_unharmed(run)


async def test_a_flood_without_end_harms_the_flooder_alone(server):
    run = await playing(server, "flooded", session=SHORT)
    async with kit(server, "--flood-rate", 2000, "--late", 0.1):
        await finished(run)
    assert LATE in outcomes(run, BAD)
    assert_good_arm_unharmed(run)


async def test_without_resume_a_recommender_starts_from_nothing(server):
    run = await playing(server, "fresh", rounds=3, arm=PATIENT)
    async with kit(server, "--garbage", "--at-most", 1, "--no-resume") as bad:
        await finished(run)
        await bad.line("drained", over=True)
    assert [line["resumed"] for line in bad.all("registered")] == [False, False]
    assert [line["round"] for line in bad.all("feedback")].count(0) == 2
    assert set(outcomes(run, BAD)) == {ACCEPTED}


async def test_with_a_probability_some_works_fail_and_each_is_counted(server):
    run = await playing(server, "sometimes", rounds=10, arm=PATIENT)
    async with kit(server, "--unknown-items", "--probability", 0.5, "--seed", 3) as bad:
        await finished(run)
        await bad.line("drained", over=True)
    assert works(run) == {
        VIOLATIONS: len(bad.faults), ACCEPTED: len(bad.all("work")) - len(bad.faults),
    }  # fmt: skip
    assert bad.told == {"ACCEPTED_WITH_VIOLATIONS": len(bad.faults)}
    assert 0 < len(bad.faults) < len(bad.all("work"))


async def test_the_list_of_switches_explains_every_one(server):
    line = (sys.executable, str(KIT), "--list")
    process = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE)
    said = (await process.communicate())[0].decode()
    everything = {*SPOILT, *HARMLESS, *BREAKS, *SILENT_TYPES, "die-after", "die-every"}
    for name in everything | {"flood-rate", "wrong-type"}:
        assert f"--{name.split()[0]}" in said
