"""The program: a web server over a client of the RecArena server, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from recarena.observatory.app import Site
from recarena.observatory.failures import Failure
from recarena.observatory.guard import Doors
from recarena.observatory.upstream import Access, Upstream

NICENESS = 10
"""Simulations come first."""
KNOCK_AGAIN_S = 1.0
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served, and how."""

    access: Access
    door: socket.socket
    """Bound, and listening when it is served."""
    public: tuple[str, ...]
    """Addresses by which the page is also reached, as by a proxy."""
    read_only: bool


class Sockets(WebSocketsSansIOProtocol):
    """WebSockets; one that does not answer is gone at once, with all that waits for it."""

    def keepalive_timeout(self) -> None:
        """No answer came to a ping."""
        super().keepalive_timeout()
        self.transport.abort()


class Web(uvicorn.Server):
    """The web server; signals are not its business."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws=Sockets,
                ws_max_size=4096,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leaves them alone."""
        yield


async def serve(
    what: Serving,
    announce: Callable[[Doors], None],
    waiting: Callable[[], None],
    refused: Callable[[str], None],
) -> None:
    """Serves until SIGINT or SIGTERM. `announce` is told when it is up, `waiting` when the RecArena
    server is not there yet, `refused` in one line when that no longer lets this program in.
    NotLetIn where it never will be."""
    stop = _stop_asked()
    with suppress(OSError):
        os.nice(NICENESS)
    upstream = Upstream(what.access)
    try:
        knocking = asyncio.create_task(knocked(upstream, waiting))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({knocking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not knocking.done():
            knocking.cancel()
            await asyncio.gather(knocking, return_exceptions=True)
            return
        stopping.cancel()
        knocking.result()
        host, port = what.door.getsockname()[:2]
        doors = Doors.at(host, port, what.public)
        site = Site(upstream, read_only=what.read_only)
        await _together(upstream, site, doors, what.door, stop, lambda: announce(doors), refused)
    finally:
        await upstream.close()


async def knocked(upstream: Upstream, waiting: Callable[[], None]) -> None:
    """Returns when the server has let this client in; says once that it is waited for. NotLetIn."""
    told = False
    while True:
        try:
            return await upstream.knock()
        except Failure:
            if not told:
                told = True
                waiting()
        await asyncio.sleep(KNOCK_AGAIN_S)


async def _together(
    upstream: Upstream, site: Site, doors: Doors, door: socket.socket, stop: asyncio.Event,
    ready: Callable[[], None], refused: Callable[[str], None],
) -> None:  # fmt: skip
    web = Web(site.app(doors))
    serving = asyncio.create_task(web.serve(sockets=[door]))
    others = [
        asyncio.create_task(upstream.keep_watch()),
        asyncio.create_task(site.live.tell_of_server()),
        asyncio.create_task(_tell_of_refusals(upstream, refused)),
        asyncio.create_task(stop.wait()),
    ]
    try:
        ready()
        done, _ = await asyncio.wait({serving, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        web.should_exit = True
        for task in others:
            task.cancel()
        await asyncio.gather(serving, *others, return_exceptions=True)


async def _tell_of_refusals(upstream: Upstream, refused: Callable[[str], None]) -> None:
    """Tells of each once, however often the server is asked again."""
    told = False
    while True:
        if upstream.refusal and not told:
            refused(upstream.refusal)
        told = bool(upstream.refusal)
        await upstream.changed()


def _stop_asked() -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets; the second ends the process at once."""
    asked = asyncio.Event()

    def ask() -> None:
        if asked.is_set():
            os._exit(INTERRUPTED)
        asked.set()

    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, ask)
    return asked
