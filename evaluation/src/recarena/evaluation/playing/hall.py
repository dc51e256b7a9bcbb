"""A server and recommenders that a command starts for many runs, of which any recommender may fail
alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio

from recarena.evaluation.playing.admission import Admission
from recarena.evaluation.playing.arena import Arena
from recarena.evaluation.playing.channels import Access, open_channel
from recarena.evaluation.playing.contenders import REFERENCE, Contender
from recarena.evaluation.playing.processes import (
    Program,
    ProgramDied,
    Programs,
    computing_among,
    find_program,
)
from recarena.evaluation.playing.stage import READY_TIMEOUT_S, ServerRefused

T = TypeVar("T")
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Addresses to listen on, and where such a server is reached from here."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """The server that is started, and how many runs it plays at once."""

    runs: Path
    """Folder of the run folders."""
    logs: Path
    listen: str = "127.0.0.1:0"
    options: tuple[str, ...] = ()
    """Further options of `recarena serve`."""
    tokens: Path | None = None
    """Tokens that the server lets callers in by; this command gives itself and the recommenders
    that it starts some of their own, and takes them back."""
    ca: Path | None = None
    """The authority of the server's certificate; None with `tls`: those of the system."""
    tls: bool = False
    keeps: tuple[int, ...] = ()
    """File descriptors that the server inherits, and has open until it ends."""
    at_once: int = 2
    """Most runs of one recommender at the same time."""
    runs_at_once: int = 8
    """Most runs at the same time in all."""


@dataclass(frozen=True, slots=True)
class Hall:
    """A server with recommenders that are there, or are waited for."""

    programs: Programs
    server: Program
    address: str
    """HOST:PORT as the server says it."""
    channel: grpc.aio.Channel
    arena: Arena
    started: dict[str, Program] = field(default_factory=dict[str, Program])
    """By recommender."""

    async def while_served(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. ProgramDied as soon as the server ends before it."""
        return await self.programs.while_alive(work, [self.server])


@asynccontextmanager
async def opened(hosting: Hosting, recommenders: Sequence[Contender]) -> AsyncGenerator[Hall]:
    """Starts the server, and a process for each recommender that has a command. All have ended when
    the block is left.

    A recommender that ends costs only its own runs: `arena.lost` says so. Raises ServerRefused for
    a call in the block that was refused, and what is in `stage.EXPECTED`.
    """
    async with Programs(hosting.logs) as programs, AsyncExitStack() as stack:
        admission = await stack.enter_async_context(Admission.by(hosting.tokens))
        token = await admission.operator()
        server, address = await _serve(programs, hosting)
        here = _from_here(address)
        access = Access(here, token=token, ca=hosting.ca, tls=hosting.tls)
        channel = await stack.enter_async_context(open_channel(access))
        started: dict[str, Program] = {}
        for one in recommenders:
            if not one.is_remote:
                started[one.name] = await _start(
                    programs, one, hosting, here, admission, computing_among(len(recommenders) + 1)
                )
        lost = {name: asyncio.create_task(_gone(program)) for name, program in started.items()}
        arena = Arena(
            channels={one.name: channel for one in recommenders},
            at_once={one.name: min(one.at_once, hosting.at_once) for one in recommenders},
            lost=lost,
            runs_at_once=hosting.runs_at_once,
            goes_on=True,
        )
        try:
            yield Hall(programs, server, address, channel, arena, started)
        except grpc.aio.AioRpcError as error:
            raise ServerRefused(
                f"the server refused a call: {error.details()} ({error.code().name})"
            ) from None
        finally:
            for task in lost.values():
                task.cancel()
            await asyncio.gather(*lost.values(), return_exceptions=True)


async def _serve(programs: Programs, hosting: Hosting) -> tuple[Program, str]:
    server = await programs.start(
        "server", find_program("recarena"), "serve",
        "--listen", hosting.listen, "--runs", str(hosting.runs), "--json", *hosting.options,
        keeps=hosting.keeps,
    )  # fmt: skip
    ready = await server.json_line(READY_TIMEOUT_S)
    if ready.get("event") != "serving" or not ready.get("address"):
        raise ProgramDied(server, f"said {ready} instead of where it serves")
    return server, str(ready["address"])


async def _start(
    programs: Programs,
    one: Contender,
    hosting: Hosting,
    address: str,
    admission: Admission,
    environment: dict[str, str],
) -> Program:
    words = one.words(address, hosting.at_once)
    if Path(words[0]).name == REFERENCE and hosting.tls:
        words += ["--tls-ca", str(hosting.ca)] if hosting.ca else ["--tls"]
    if token := await admission.recommender(one.name, hosting.at_once):
        environment["RECARENA_TOKEN"] = token
    return await programs.start_silent(f"recommender-{one.name}", *words, environment=environment)


async def _gone(program: Program) -> str:
    """Returns when it has ended, with how it did and its last words."""
    return str(await program.died())


def _from_here(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"{EVERYWHERE.get(host, host)}:{port}"
