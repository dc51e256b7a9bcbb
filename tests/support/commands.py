"""The real `recarena` program, run as people run it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("recarena")
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def value(self) -> dict[str, Any]:
        """The only JSON object on stdout."""
        (one,) = self.values
        return one

    def failed(self, code: int = 1) -> str:
        """The one line on stderr of a program that was to fail."""
        assert self.code == code, self
        assert "Traceback" not in self.err, self.err
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]

    def went_well(self) -> Ended:
        assert self.code == 0, self
        assert "Traceback" not in self.err, self.err
        return self


@dataclass(slots=True)
class Live:
    """A program under way whose stdout is JSON lines."""

    process: asyncio.subprocess.Process
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def event(self, kind: str) -> dict[str, Any] | None:
        """The next event of this kind; None when the program has closed its output."""
        assert self.process.stdout is not None
        while line := await asyncio.wait_for(self.process.stdout.readline(), PATIENCE):
            self.events.append(json.loads(line))
            if self.events[-1].get("event") == kind:
                return self.events[-1]
        return None

    async def ended(self, patience: float = PATIENCE) -> Ended:
        """What it came to, with the rest of its output read. TimeoutError after `patience` s."""
        out, err = await asyncio.wait_for(self.process.communicate(), patience)
        return Ended(self.process.returncode or 0, out.decode(), err.decode())


async def recarena(*words: object, cwd: Path, patience: float = PATIENCE) -> Ended:
    """Runs a command to its end, which comes within `patience` s."""
    async with started(*words, cwd=cwd) as live:
        return await live.ended(patience)


@contextlib.asynccontextmanager
async def started(*words: object, cwd: Path) -> AsyncIterator[Live]:
    """A command under way; it is killed at the end, if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), *map(str, words), cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )  # fmt: skip
    try:
        yield Live(process)
    finally:
        await _gone(process, signal.SIGKILL)


@contextlib.asynccontextmanager
async def helper(
    module: str, *words: object, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of the tests as a program of its own; it is stopped at the end."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *map(str, words), cwd=TESTS, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        await _gone(process, signal.SIGINT)


async def _gone(process: asyncio.subprocess.Process, how: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(how)
        # What is left in a pipe would keep the transport open.
        try:
            await asyncio.wait_for(process.communicate(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
