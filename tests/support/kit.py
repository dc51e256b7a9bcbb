"""The recommender that misbehaves, run as a program of its own: see tests/faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recarena.server.rpc.server import Server
from support.arena import PATIENCE

KIT = Path(__file__).parents[1] / "faults" / "misbehaving.py"
BAD = "bad"
"""The name that it goes by."""


@dataclass
class Kit:
    """The program under way, and what it has said so far."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)

    async def line(self, event: str, **wanted: Any) -> dict[str, Any]:
        """The next line about this, of those that have not been read yet."""
        assert self.process.stdout is not None
        while said := await asyncio.wait_for(self.process.stdout.readline(), PATIENCE):
            self.lines.append(json.loads(said))
            if {"event": event, **wanted}.items() <= self.lines[-1].items():
                return self.lines[-1]
        raise AssertionError(f"no {event} {wanted}: {self.lines[-5:]}")

    async def stopped(self) -> int:
        """Its exit code, when all that it said is read; killed unless it has ended."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        out, _ = await asyncio.wait_for(self.process.communicate(), PATIENCE)
        self.lines += [json.loads(said) for said in out.splitlines()]
        return self.process.returncode or 0

    def all(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    @property
    def faults(self) -> list[str]:
        """Works that a fault befell."""
        return [line["work"] for line in self.all("work") if line["fault"]]

    @property
    def told(self) -> Counter[str]:
        """What it was told of its answers."""
        return Counter(line["disposition"] for line in self.all("outcome"))

    @property
    def endings(self) -> list[tuple[str, str]]:
        return [(line["code"], line["reason"]) for line in self.all("ended")]


@contextlib.asynccontextmanager
async def kit(server: Server, *switches: object) -> AsyncIterator[Kit]:
    """The misbehaving recommender as a program of its own; it is gone afterwards."""
    line = (str(KIT), "--server", server.address, "--id", BAD, "--seconds", str(2 * PATIENCE))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *line, *map(str, switches),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    one = Kit(process)
    try:
        yield one
    finally:
        await one.stopped()
