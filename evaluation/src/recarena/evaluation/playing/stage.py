"""A server and recommenders that a command starts for itself, and what can go wrong with them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from recarena.evaluation.playing.arena import play
from recarena.evaluation.playing.channels import open_channel
from recarena.evaluation.playing.contenders import BadContender, Contender
from recarena.evaluation.playing.mirrored import Bout, Played, Progress
from recarena.evaluation.playing.processes import (
    Interrupted,
    MissingProgram,
    ProgramDied,
    Programs,
    computing_among,
    find_program,
)
from recarena.evaluation.runs.unreadable import Unreadable

READY_TIMEOUT_S = 120.0
FAILED = 1
INTERRUPTED = 130


class ServerRefused(Exception):
    """The server answered a call with an error; the text is for people."""


EXPECTED = (BadContender, MissingProgram, ProgramDied, ServerRefused, Unreadable, OSError)
"""What is told in a line, and not with a traceback."""


def finished(
    act: Callable[[], int], error: Callable[[str], None], stopped: Callable[[], str]
) -> int:
    """What `act` returns, or the exit code of what went wrong, once it has been told: 1, or
    128 + the signal's number where somebody stopped it."""
    try:
        return act()
    except (Interrupted, KeyboardInterrupt) as stop:
        error(stopped())
        return stop.exit_code if isinstance(stop, Interrupted) else INTERRUPTED
    except BrokenPipeError:
        raise
    except EXPECTED as expected:
        error(str(expected))
        return FAILED


@dataclass(frozen=True, slots=True)
class Stage:
    """A server with recommenders that are waiting to play."""

    programs: Programs
    channel: grpc.aio.Channel
    at_once: Mapping[str, int]
    address: str
    """Of the server."""

    async def play(
        self, bouts: Sequence[Bout], rounds: int, progress: Progress
    ) -> Sequence[Played]:
        """Plays the bouts, unless a program dies over it. ProgramDied, grpc.aio.AioRpcError."""
        return await self.programs.while_alive(
            play(self.channel, bouts, rounds, self.at_once, progress)
        )


@asynccontextmanager
async def staged(
    folder: Path,
    recommenders: Iterable[Contender],
    runs: int,
    starting: AbstractContextManager[None],
    serving: Sequence[str] = (),
) -> AsyncGenerator[Stage]:
    """Starts a server whose runs go into `folder`, and a process for each recommender, of which no
    more than `runs` runs are asked at once. All have ended when the block is left; what they said
    is in `folder/logs`. `starting` is entered meanwhile; `serving` are further options of
    `recarena serve`.

    Raises ServerRefused for a call in the block that was refused, and what is in EXPECTED.
    """
    async with Programs(folder / "logs") as programs:
        with starting:
            address, at_once = await _start(programs, folder, recommenders, runs, serving)
        try:
            async with open_channel(address) as channel:
                yield Stage(programs, channel, at_once, address)
        except grpc.aio.AioRpcError as error:
            raise ServerRefused(
                f"the server refused a call: {error.details()} ({error.code().name})"
            ) from None


async def _start(
    programs: Programs, folder: Path, recommenders: Iterable[Contender], runs: int,
    serving: Sequence[str],
) -> tuple[str, dict[str, int]]:  # fmt: skip
    server = await programs.start(
        "server", find_program("recarena"), "serve",
        "--listen", "127.0.0.1:0", "--runs", str(folder), "--json", *serving,
    )  # fmt: skip
    ready = await server.json_line(READY_TIMEOUT_S)
    if ready.get("event") != "serving" or not ready.get("address"):
        raise ProgramDied(server, f"said {ready} instead of where it serves")
    address, at_once = str(ready["address"]), dict[str, int]()
    taking_part = list(recommenders)
    environment = computing_among(len(taking_part) + 1)
    for one in taking_part:
        at_once[one.name] = min(one.at_once, runs)
        words = one.words(address, runs)
        await programs.start_silent(f"recommender-{one.name}", *words, environment=environment)
    return address, at_once
