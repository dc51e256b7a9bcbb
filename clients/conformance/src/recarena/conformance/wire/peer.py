"""The program in one performance, and the server that it dials."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc

from recarena.conformance.findings import Unmet
from recarena.conformance.program import Program, addressed, started
from recarena.conformance.scripted_server import ScriptedServer
from recarena.conformance.wire.session import Session
from recarena.conformance.wire.settings import Settings

COMES_BACK_WITHIN = 30.0
AWAY = 1.5
"""Seconds in which a program that is to stay away must not be seen."""
LEAVES_WITHIN = 10.0


class Peer:
    """The program under test. Cases speak with it through its sessions."""

    def __init__(self, server: ScriptedServer, program: Program, settings: Settings) -> None:
        self.server, self.program, self.settings = server, program, settings

    async def accepted(self) -> Session:
        """Its next session, once Register has come."""
        stream = await self.program.accepted(self.server, self.settings.dial_in)
        return Session(stream, self.settings, self.server.items)

    async def serving(self, run_id: str = "run-1", **registered: Any) -> Session:
        """Its next session, with handshake and history done and round 1 open."""
        return await (await self.accepted()).in_round(run_id, **registered)

    def lost(self) -> tuple[grpc.StatusCode, str]:
        """How a stream ends that the program is to come back from."""
        return grpc.StatusCode.UNAVAILABLE, "the script broke the session off"

    async def back(self) -> Session:
        """The session with which it comes back after one was lost."""
        stream = await self.program.accepted(self.server, COMES_BACK_WITHIN)
        return Session(stream, self.settings, self.server.items)

    async def stays_away(self) -> None:
        """Returns when the program has left, or was not seen for a while. Unmet where it opened a
        stream."""
        before = len(self.server.opened)
        leaving = asyncio.ensure_future(self.program.left(AWAY))
        await asyncio.wait({leaving})
        leaving.exception()  # it may as well stay, and be quiet
        if len(self.server.opened) > before:
            raise Unmet(f"it came back within {AWAY:g} s")

    async def leaves(self, session: Session, how: signal.Signals) -> None:
        """Signals the program; it must say goodbye, close its half and end with 0."""
        self.program.told_to_leave(how)
        await session.until("Drain comes first", lambda one: one.HasField("drain"))
        await session.closed()
        code = await self.program.left(LEAVES_WITHIN)
        if code != 0:
            raise Unmet(f"it left with {code}", required="exit code 0")


@contextlib.asynccontextmanager
async def performance(settings: Settings, log: Path) -> AsyncGenerator[Peer]:
    """The program, started for one scene; it is gone afterwards."""
    async with ScriptedServer(settings.items, page=7, patience=settings.patience) as server:
        words, environment = addressed(settings.command, server.address)
        async with started(
            words, log, patience=settings.patience, environment=environment
        ) as program:
            yield Peer(server, program, settings)
