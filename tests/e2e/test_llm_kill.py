"""Runs with LLM minds that are killed at any moment: no recorded call is paid twice, and the log is
that of the run that nobody killed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recarena.server.founding import RunState
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.store.run_folder import RunFolder
from support import llm_player
from support.commands import PATIENCE, TESTS
from support.figures import report
from support.llm_runs import played
from support.llm_stub import StubProcess
from support.thoroughness import thorough

KILLS = thorough(20, otherwise=8)
LONGEST_DELAY_S = 0.35
SESSIONS = 200


class Nursery:
    """Processes that play a run, one after another."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    async def life(self, path: Path, url: str, delay: float | None) -> bool:
        """One of them, ended by SIGKILL after a delay; whether it came to its end."""
        self._in.write(f"{path} {url}\n".encode())
        child = int(await self._word("child"))
        await self._word("playing")
        if delay is not None:
            await asyncio.sleep(delay)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        line = await self._line()
        if line.startswith("ended"):
            assert line.startswith("ended succeeded"), line
            line = await self._line()
        status = int(line.removeprefix("gone"))
        assert status in (0, signal.SIGKILL), line
        return status == 0

    async def _line(self) -> str:
        return (await asyncio.wait_for(self._out.readline(), PATIENCE)).decode()

    async def _word(self, kind: str) -> str:
        line = await self._line()
        assert line.startswith(kind), line
        return line.removeprefix(kind)


@contextlib.asynccontextmanager
async def nursery(log: Path) -> AsyncIterator[Nursery]:
    with log.open("ab") as err:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "support.llm_player"),
            cwd=TESTS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=err,
        )  # fmt: skip
    try:
        yield Nursery(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.communicate(), PATIENCE)


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
        async with nursery(tmp_path / "log") as lives:
            for _ in range(SESSIONS):
                before, answered = recorded(path), Counter(stub.counts()["answered"])
                delay = dice.uniform(0, LONGEST_DELAY_S) if kills < KILLS else None
                ended = await lives.life(path, stub.url, delay)
                again = Counter(stub.counts()["answered"]) - answered
                assert not before & set(again), "what was recorded before is asked again"
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
        f"{KILLS} kills with LLM minds", recorded_calls=len(recorded(path)), answered=total.total(),
        in_flight_at_a_kill=sum(in_flight.values()), asked_again=sum(paid_again.values())
        - len(paid_again),
    )  # fmt: skip
