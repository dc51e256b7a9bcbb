"""Runs with LLM minds that are killed at any moment: no recorded call is paid twice, and the log is
that of the run that nobody killed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.runs import RunState
from recarena.server.store.run_folder import RunFolder
from support import llm_player
from support.commands import PATIENCE, TESTS
from support.figures import report
from support.llm_runs import played
from support.llm_stub import StubProcess

KILLS = 20
LONGEST_DELAY_S = 0.35
SESSIONS = 200


async def session(path: Path, url: str, log: Path, delay: float | None) -> bool:
    """One life of the program, ended by SIGKILL after a delay; whether it came to its end."""
    with log.open("ab") as err:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "support.llm_player", str(path), url),
            cwd=TESTS, stdout=asyncio.subprocess.PIPE, stderr=err,
        )  # fmt: skip
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    assert first.startswith(b"playing"), first
    if delay is not None:
        await asyncio.sleep(delay)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    rest, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    if process.returncode != -9:
        assert b"ended succeeded" in rest, rest
    return process.returncode != -9


def recorded(path: Path) -> set[str]:
    """Hashes of the bodies of the calls that stand in the recording."""
    if not (path / FILE).exists():
        return set()
    with Recorder(path / FILE, read_only=True) as recorder:
        bodies = [recorder.request(one) for (one,) in recorder.rows("SELECT hash FROM calls")]
    return {hashlib.sha256(body).hexdigest() for body in bodies if body}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_recorded_call_is_paid_twice_however_often_the_run_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    path, dice = tmp_path / "run", random.Random(20)
    in_flight: Counter[str] = Counter()
    kills = 0
    with StubProcess("random", 3, latency_s=0.05, latency_spread_s=0.05) as stub:
        for _ in range(SESSIONS):
            before, answered = recorded(path), Counter(stub.counts()["answered"])
            delay = dice.uniform(0, LONGEST_DELAY_S) if kills < KILLS else None
            ended = await session(path, stub.url, tmp_path / "log", delay)
            again = Counter(stub.counts()["answered"]) - answered
            assert not before & set(again), "what was recorded before the session is asked again"
            in_flight.update(set(again) - recorded(path))
            kills += not ended
            if ended:
                break
        total = Counter(stub.counts()["answered"])
    assert kills == KILLS
    paid_again = {body: count for body, count in total.items() if count > 1}
    assert set(paid_again) <= set(in_flight), "only what was under way at a kill is asked again"
    folder = RunFolder.open(path)
    assert folder.last_round == 12
    assert folder.verify_digest() == folder.digest
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    strict = llm_player.settings("http://127.0.0.1:9", recording=str(path), replay="strict")
    data = llm_player.open_world(llm_player.WORLD)
    async with played(tmp_path / "whole", strict, data) as run:
        assert run.state is RunState.SUCCEEDED, run.error
        assert run.folder.digest == folder.digest
    report(
        "20 kills with LLM minds", recorded_calls=len(recorded(path)), answered=total.total(),
        in_flight_at_a_kill=sum(in_flight.values()), asked_again=sum(paid_again.values())
        - len(paid_again),
    )  # fmt: skip
