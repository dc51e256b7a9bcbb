"""A real server on a free port, runs in it, and recommender programs that dial in."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from recarena.server.config import Settings, parse_settings
from recarena.server.founding import RunState
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventColumns

PATIENCE = 60.0
"""Seconds after which a test gives up waiting for something that must come."""
WORLD = "new:users=40,seed=3,history=3"
PROGRAMS = Path(sys.executable).parent


def settings(*arms: str | Mapping[str, Any], **values: Any) -> Settings:
    """Settings of a small run; an arm is its recommender's name or a table of its own."""
    tables = [{"recommender": arm} if isinstance(arm, str) else dict(arm) for arm in arms]
    return parse_settings({"seed": 7, "rounds": 2, **values, "arms": tables}, "test")


async def begin(server: Server, chosen: Settings, run_id: str = "run", world: str = WORLD) -> Run:
    """A run of the server, started."""
    run = await server.house.create(run_id, world, chosen)
    run.start()
    return run


async def settled(run: Run) -> Run:
    """The run when nothing plays it any more."""
    await asyncio.wait_for(run.settled(), PATIENCE)
    return run


async def finished(run: Run) -> str:
    """Digest of the run, which must come to its end."""
    await settled(run)
    assert run.state is RunState.SUCCEEDED, (run.state, run.error)
    return run.folder.digest


async def until(run: Run, round: int) -> None:
    """Returns when a round of the run is committed."""
    seen = -1
    async with asyncio.timeout(PATIENCE):
        while run.round < round:
            seen = await run.changed(seen)


def log_of(run: Run, round: int | None = None) -> EventColumns:
    """The event log of one committed round, or of all."""
    first, last = (1, run.round) if round is None else (round, round)
    return EventColumns.concat([events for events, _ in run.folder.rounds(first, last)])


@contextlib.asynccontextmanager
async def program(*words: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of this environment, told to stop at the end; what it says goes to `log`."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            str(PROGRAMS / words[0]), *words[1:], stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@contextlib.asynccontextmanager
async def talking(
    *words: str, cwd: Path | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A program whose pipes are the test's; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *words, cwd=cwd, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def recommender(
    server: Server, name: str, *options: str, log: Path
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """A reference recommender as a program of its own."""
    return program("recarena-recommender", name, "--server", server.address, *options, log=log)
