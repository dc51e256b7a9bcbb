"""The two suites: how each starts the program for a case."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from recarena.conformance.case import Case, Scene
from recarena.conformance.findings import Unmet
from recarena.conformance.probe.cases import CASES as PROBE_CASES
from recarena.conformance.probe.client import playing
from recarena.conformance.program import PLACEHOLDER, VARIABLE, Left, NotPlayable, Program, Silent
from recarena.conformance.wire.cases import CASES as WIRE_CASES
from recarena.conformance.wire.handshake import registering
from recarena.conformance.wire.peer import performance
from recarena.conformance.wire.settings import Settings

REGISTERS_FIRST = "registers_first"


@dataclass(frozen=True, slots=True)
class Trial:
    """What is known of a program once it was started and has registered, or has failed to."""

    offered: frozenset[str] | None = None
    """Names of its capabilities; None: every case can be played."""
    scene: Scene | None = None
    seen: Any = None
    """What this scene gave back, which need not be played again."""
    failure: Unmet | None = None
    last_lines: tuple[str, ...] = ()


class Suite(Protocol):
    """Cases, and how a program is started for one."""

    @property
    def cases(self) -> Mapping[str, Case]:
        """By name, in the order in which they are shown."""
        ...

    def stage(self, case: Case, log: Path) -> AbstractAsyncContextManager[tuple[Any, Program]]:
        """The program, started: what the scene is given, and the process."""
        ...

    async def trial(self, log: Path) -> Trial:
        """Starts the program once. NotPlayable where it does not get as far as dialling in."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """Cases for any recommender."""

    settings: Settings

    @property
    def cases(self) -> Mapping[str, Case]:
        """By name, in the order in which they are shown."""
        return WIRE_CASES

    @asynccontextmanager
    async def stage(self, case: Case, log: Path) -> AsyncGenerator[tuple[Any, Program]]:
        """The program and the server that it dials."""
        async with performance(self.settings, log) as peer:
            yield peer, peer.program

    async def trial(self, log: Path) -> Trial:
        """Plays the scene that the cases of Register are judged by."""
        async with performance(self.settings, log) as peer:
            try:
                session = await registering(peer)
            except (Left, Silent) as unmet:
                raise never_dialled(unmet, self.settings, peer.program) from None
            except Unmet as unmet:
                return Trial(failure=unmet, last_lines=tuple(peer.program.last_lines()))
            offered = self.settings.offered(session.register)
            return Trial(offered, registering, session)


@dataclass(frozen=True, slots=True)
class Probe:
    """Cases for a client, played with its probe program."""

    settings: Settings

    @property
    def cases(self) -> Mapping[str, Case]:
        """By name, in the order in which they are shown."""
        return PROBE_CASES

    @asynccontextmanager
    async def stage(self, case: Case, log: Path) -> AsyncGenerator[tuple[Any, Program]]:
        """The program, started with the options of the case."""
        settings = self.settings
        async with playing(settings.command, case.options, log, settings.patience) as client:
            yield client, client.program

    async def trial(self, log: Path) -> Trial:
        """Sees whether the program dials in at all."""
        settings = self.settings
        async with playing(settings.command, (), log, settings.dial_in) as client:
            try:
                await client.accepted()
            except (Left, Silent) as unmet:
                raise never_dialled(unmet, settings, client.program) from None
            except Unmet as unmet:
                return Trial(failure=unmet, last_lines=tuple(client.program.last_lines()))
        return Trial()


def never_dialled(unmet: Left | Silent, settings: Settings, program: Program) -> NotPlayable:
    """Why nothing can be judged, and what the author can do."""
    command = " ".join(settings.command)
    said = "\n".join(["it said last:", *program.last_lines()]) if program.last_lines() else ""
    if isinstance(unmet, Left):
        text = f"{command}: ended with {program.code} before it dialled in"
    elif any(PLACEHOLDER in word for word in settings.command):
        text = f"{command}: opened no stream within {settings.dial_in:g} s"
    else:
        text = (
            f"{command}: opened no stream within {settings.dial_in:g} s; put {PLACEHOLDER} where"
            f" the command takes the server's HOST:PORT, or let it read {VARIABLE}"
        )
    return NotPlayable("\n".join(filter(None, [text, said])))
