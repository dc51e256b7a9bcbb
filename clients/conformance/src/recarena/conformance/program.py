"""The author's program as a process with a group of its own, so that nothing of it is left over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from recarena.conformance.findings import Unmet
from recarena.conformance.scripted_server import ScriptedServer, ScriptedStream

LAST_LINES = 15
DIALS_IN = "the program runs and dials in"


class NotPlayable(Exception):
    """The command cannot be started, ends at once, or never dials in: nothing can be judged."""


class Left(Unmet):
    """The program ended where it was to dial in."""


class Silent(Unmet):
    """The program did not dial in."""


class Program:
    """One process of the program under test."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, patience: float) -> None:
        self._process, self._log, self._patience = process, log, patience

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    async def left(self, within: float | None = None) -> int:
        """Its exit code, once it has left. Unmet when it has not within so many seconds."""
        seconds = self._patience if within is None else within
        try:
            return await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            raise Unmet(f"it still runs after {seconds:g} s", required="the program ends") from None

    def told_to_leave(self, how: signal.Signals = signal.SIGINT) -> None:
        """Signals the whole group, as a terminal and a supervisor do."""
        self._signal(how)

    async def go_on(self) -> None:
        """Gives the program the line that it waits for."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"\n")
            await self._process.stdin.drain()

    def said(self) -> str:
        """What it has written to stdout and stderr."""
        return self._log.read_text("utf-8", errors="replace")

    def last_lines(self) -> list[str]:
        """The end of what it has written."""
        return self.said().splitlines()[-LAST_LINES:]

    async def accepted(self, server: ScriptedServer, within: float | None = None) -> ScriptedStream:
        """Its next stream, once Register has come.

        Raises:
            Left: it left.
            Silent: it did not dial in within so many seconds, or the server's patience.
            Unmet: it dialled in and did not register.
        """
        seconds = server.patience if within is None else within
        coming = asyncio.ensure_future(server.accept(seconds))
        gone = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({coming, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                last = [line for line in self.last_lines() if any(map(str.isalpha, line))]
                words = f": {last[-1].strip()}" if last else ""
                raise Left(f"it left with {self.code}{words}", required=DIALS_IN)
            return coming.result()
        except TimeoutError:
            raise Silent(f"it did not dial in for {seconds:g} s", required=DIALS_IN) from None
        finally:
            coming.cancel()
            gone.cancel()
            await asyncio.gather(coming, gone, return_exceptions=True)

    async def killed(self) -> None:
        """Ends all that is left of it, also what it started."""
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str],
    log: Path,
    *,
    patience: float,
    environment: Mapping[str, str] | None = None,
    stdin: bool = False,
) -> AsyncGenerator[Program]:
    """The program, with its output in `log`; it is gone afterwards.

    Raises:
        NotPlayable: there is no such command, or it cannot be run.
    """
    with log.open("wb") as out:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except FileNotFoundError:
            raise NotPlayable(f"{command[0]}: command not found") from None
        except OSError as error:
            raise NotPlayable(f"{command[0]}: {error.strerror}") from None
    program = Program(process, log, patience)
    try:
        yield program
    finally:
        await program.killed()


PLACEHOLDER, VARIABLE = "{server}", "RECARENA_SERVER"


def addressed(command: Sequence[str], address: str) -> tuple[list[str], dict[str, str]]:
    """The command with the server's address in place of {server}; where it does not stand there,
    what is added to the environment."""
    words = [word.replace(PLACEHOLDER, address) for word in command]
    return words, {} if words != list(command) else {VARIABLE: address}
