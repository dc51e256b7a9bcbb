"""A competition to which everything happens: a recommender is killed, the command is stopped, then
(where tests are thorough) killed itself, and at last it is played to its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.commands import Ended, Live, started
from support.thoroughness import THOROUGH

PATIENCE = 180.0
"""For one playing, on a machine that does much else."""
WORLDS, ROUNDS, USERS = 2, 8, 30
NAMES = ("popular", "random")
POPULAR = "popular"
RANDOM = "random=recarena-recommender random --no-search --server {server} --sessions {sessions}"
"""One that is known by its name, one by a command of its own."""
PLAN = (
    f"new:users={USERS}", "-r", POPULAR, "-r", RANDOM, "--worlds", WORLDS, "--rounds", ROUNDS,
    "--seed", 5, "--minimum-effect", 0.05, "--max-p95-ms", 60_000, "--at-once", 1,
)  # fmt: skip
RUNS = [f"w{world}-{name}" for world in range(WORLDS) for name in NAMES]


@dataclass(frozen=True, slots=True)
class Stage:
    """One playing: what the command said and what it left."""

    code: int
    events: list[dict[str, Any]]
    results: dict[str, Any]
    manifest: bytes
    left: list[int]
    """Processes of it that are still there."""

    def said(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]

    def states(self) -> dict[str, str]:
        """Of each run, by name."""
        return {run["id"]: run["state"] for run in self.results["runs"]}


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, in this order."""

    folder: Path
    early: list[str]
    """Files that were there when the first round was heard of."""
    bereaved: Stage
    stopped: Stage
    killed: Stage | None
    """None where tests are not thorough."""
    finished: Stage


async def story(where: Path) -> Story:
    """Plays it in a new folder `where/arena`."""
    folder = where / "arena"
    early: list[str] = []
    async with started("compete", *PLAN, "--out", folder, "--json", cwd=where) as live:
        assert await live.event("progress")
        early += sorted(path.name for path in folder.iterdir())
        assert await live.event("run")
        os.kill(_child(live, "recommender random"), signal.SIGKILL)
        bereaved = await _stage(live, folder)
    again = ("compete", "--resume", folder, "--retry-failed", "--at-once", 1, "--json")
    stages: list[Stage] = []
    for how in (signal.SIGINT, signal.SIGKILL) if THOROUGH else (signal.SIGINT,):
        async with started(*again, cwd=where) as live:
            assert await live.event("progress")
            live.process.send_signal(how)
            stages.append(await _stage(live, folder))
    async with started(*again, cwd=where) as live:
        finished = await _stage(live, folder)
    stopped, killed = (*stages, None)[:2]
    assert stopped
    return Story(folder, early, bereaved, stopped, killed, finished)


async def to_its_end(*words: object, where: Path) -> Ended:
    """A command that plays a whole competition."""
    async with started(*words, cwd=where) as live:
        return await _ended(live)


async def _stage(live: Live, folder: Path) -> Stage:
    below = _held(_children(live.process.pid))
    try:
        ended = await _ended(live)
        await asyncio.wait_for(asyncio.gather(*map(_gone, below.values())), PATIENCE)
    finally:
        for handle in below.values():
            os.close(handle)
    return _stage_of(folder, live, ended, below)


def _held(pids: Iterable[int]) -> dict[int, int]:
    """A handle of each process, but of those that have ended since they were listed."""
    handles: dict[int, int] = {}
    for pid in pids:
        with suppress(ProcessLookupError):
            handles[pid] = os.pidfd_open(pid)
    return handles


async def _ended(live: Live) -> Ended:
    out, err = await asyncio.wait_for(live.process.communicate(), PATIENCE)
    assert b"Traceback" not in err, err
    return Ended(live.process.returncode or 0, out.decode(), err.decode())


def _stage_of(folder: Path, live: Live, ended: Ended, below: Iterable[int]) -> Stage:
    return Stage(
        ended.code,
        [*live.events, *ended.values],
        json.loads((folder / "results.json").read_text()),
        (folder / "manifest.json").read_bytes(),
        [pid for pid in below if _lives(pid)],
    )


async def _gone(handle: int) -> None:
    """Returns when the process has ended."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(handle)


def _lives(pid: int) -> bool:
    """Whether there is such a process, and it is more than an entry that nobody has read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _child(live: Live, words: str) -> int:
    for pid in _children(live.process.pid):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if words in line:
            return pid
    raise AssertionError(f"no program with {words}")
