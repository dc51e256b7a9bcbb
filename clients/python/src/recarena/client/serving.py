"""`serve`: keep sessions with a server, come back when they are lost, leave on Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import sys
import uuid
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar, cast

import grpc

from recarena.client.engagement import Engagement
from recarena.client.errors import RecommenderFailed, Unreachable
from recarena.client.link import Link
from recarena.client.offer import Encoding, Offer, capability_set
from recarena.client.recommender import Recommender
from recarena.client.session import GRACE, End, How, Session
from recarena.v1.session_pb2 import Capability

logger = logging.getLogger("recarena.client")
T = TypeVar("T")

DEFAULT_SERVER = "127.0.0.1:7788"
# Seconds before coming back: the first time, and at most.
FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
# A stream that held so long was a connection, also when the server had nothing to say.
STEADY = 10.0


def serve(
    factory: Callable[[], Recommender],
    recommender_id: str,
    *,
    server: str = DEFAULT_SERVER,
    sessions: int = 1,
    encoding: Encoding = "auto",
    once: bool = False,
    software_version: str = "",
    max_users_per_work: int = 0,
    max_outstanding_work: int = 0,
    retry_for: float | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    token: str | None = None,
    capabilities: Iterable[Capability.ValueType] | None = None,
) -> None:
    """Serve runs as `recommender_id` until Ctrl-C or SIGTERM, or until one is over with `once`.

    Args:
        factory: Called once per run: a class, or a function without arguments.
        recommender_id: The name by which arms of runs ask for this recommender.
        server: host:port.
        sessions: Runs to serve at the same time, each with a recommender of its own.
        encoding: "auto": columnar where the recommender has methods for it, rich otherwise.
        once: Return when each session has served one run to its end.
        software_version: Free text for reports.
        max_users_per_work: Most users in one work; 0: the server's default.
        max_outstanding_work: Works to be given at once; 0: the server's default.
        retry_for: Seconds without a connection after which to give up; None: never.
        credentials: Of a TLS channel; None: an unencrypted one.
        token: Sent as `authorization: Bearer` with every call.
        capabilities: Offered in place of those that the recommender's methods tell, for example
            with EXPLAIN. RANK is always among them.

    Raises:
        Refused: the server said no for good (a subclass for each reason).
        Unreachable: there was no connection for `retry_for` seconds.
        RecommenderFailed: the factory, start, feedback, ready or catalog_changed raised.
        ProtocolBroken: the server broke a rule.
        TypeError: the recommender has not the methods that the encoding needs.
    """
    options: dict[str, Any] = {**locals()}

    async def serve_until_signal() -> None:
        service = Service(**options)
        with leaving_on_signals(service.leave):
            await service.run()

    with log_to_stderr(), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_until_signal())


async def serve_async(
    factory: Callable[[], Recommender],
    recommender_id: str,
    *,
    server: str = DEFAULT_SERVER,
    sessions: int = 1,
    encoding: Encoding = "auto",
    once: bool = False,
    software_version: str = "",
    max_users_per_work: int = 0,
    max_outstanding_work: int = 0,
    retry_for: float | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    token: str | None = None,
    capabilities: Iterable[Capability.ValueType] | None = None,
) -> None:
    """`serve` on the running event loop. It leaves in good order when it is cancelled.

    Signals and logging are the caller's.
    """
    service = Service(**locals())
    running = asyncio.create_task(service.run())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        service.leave()
        await asyncio.wait({running})
        raise
    finally:
        if running.cancel():  # cancelled twice: at once
            await asyncio.wait({running})
        if not running.cancelled():
            running.exception()


class Service:
    """All sessions of one `serve`."""

    def __init__(
        self,
        factory: Callable[[], Recommender],
        recommender_id: str,
        *,
        server: str,
        sessions: int,
        encoding: Encoding,
        once: bool,
        retry_for: float | None,
        credentials: grpc.ChannelCredentials | None,
        token: str | None,
        capabilities: Iterable[Capability.ValueType] | None,
        **said: Any,
    ) -> None:
        if sessions < 1:
            raise ValueError(f"sessions={sessions}: at least one is needed")
        if encoding not in ("auto", "rich", "columnar"):
            raise ValueError(f"encoding={encoding!r}: one of auto, rich, columnar is needed")
        self.factory, self.once, self.retry_for = factory, once, retry_for
        self.offer = Offer(
            recommender_id=recommender_id,
            encoding=encoding,
            capabilities=capability_set(capabilities),
            **said,
        )
        self.link = Link(server, credentials, token)
        self.leaving = asyncio.Event()
        process = uuid.uuid4().hex
        names = [process] if sessions == 1 else [f"{process}-{n}" for n in range(sessions)]
        self._seats = [Seat(self, name) for name in names]

    async def run(self) -> None:
        """Serve until all seats are done. The first error makes the others leave, and is raised."""
        tasks = [asyncio.create_task(seat.run()) for seat in self._seats]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            self.leave()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self.link.close()

    def leave(self) -> None:
        """Make all sessions say goodbye."""
        self.leaving.set()
        for seat in self._seats:
            seat.leave()


class Seat:
    """One of the sessions that are kept: waits for a run, serves it, waits for the next."""

    def __init__(self, service: Service, instance_id: str) -> None:
        self._service = service
        self._instance_id = instance_id
        self._session: Session | None = None

    async def run(self) -> None:
        """Serve run after run; raises what is final."""
        leaving = self._service.leaving
        while True:
            self._engagement = self._engage()
            try:
                await self._serve_run()
            finally:
                await self._engagement.close(0.1 if leaving.is_set() else GRACE)
            if leaving.is_set() or self._service.once:
                return

    def leave(self) -> None:
        if self._session is not None:
            self._session.leave()

    def _engage(self) -> Engagement:
        try:
            recommender = cast("object", self._service.factory())
        except Exception as error:
            raise RecommenderFailed("the factory", error) from error
        if not isinstance(recommender, Recommender):
            kind = type(recommender).__name__
            raise TypeError(f"the factory made a {kind}, which is no Recommender")
        return Engagement(recommender)

    async def _serve_run(self) -> None:
        """Serve one run to its end, through as many sessions as it takes."""
        link, clock = self._service.link, asyncio.get_running_loop().time
        retry_for, leaving = self._service.retry_for, self._service.leaving
        connected, attempt = clock(), 0
        while True:
            until = None if retry_for is None else connected + retry_for
            await self._unless_leaving(link.ready(until))
            if leaving.is_set():
                return
            began = clock()
            end, heard = await self._one_session(first=attempt == 0)
            if end.how is not How.LOST or leaving.is_set():
                return
            if heard or clock() - began > STEADY:
                connected, attempt = clock(), 0
            delay = backoff(attempt)
            attempt += 1
            if retry_for is not None and clock() + delay > connected + retry_for:
                raise Unreachable(f"no session at {link.server}: {end.text}")
            log = logger.warning if attempt == 1 else logger.debug
            log("session lost: %s; coming back", end.text)
            await self._unless_leaving(asyncio.sleep(delay))

    async def _one_session(self, *, first: bool) -> tuple[End, bool]:
        """How a session ended, and whether anything came from the server."""
        link, offer = self._service.link, self._service.offer
        session = Session(link, offer, self._instance_id, self._engagement, self._engage)
        if first and self._engagement.run is None:
            logger.info("waiting for a run as %s at %s", offer.recommender_id, link.server)
        self._session = session
        try:
            end = await session.run()
        finally:
            self._engagement, self._session = session.engagement, None
        run = self._engagement.run
        if end.how is How.RUN_OVER and run is not None:
            logger.info("run %s is over", run.run_id)
        return end, session.heard

    async def _unless_leaving(self, step: Any) -> None:
        """Wait for a step, no longer than until leave."""
        waiting = {asyncio.ensure_future(step), asyncio.ensure_future(self._service.leaving.wait())}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)


def backoff(attempt: int) -> float:
    """Seconds to wait before the attempt after this many: doubling, capped, with jitter."""
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempt, 16))
    return longest * random.uniform(0.5, 1.0)


@contextlib.contextmanager
def leaving_on_signals(leave: Callable[[], None]) -> Generator[None]:
    """Ctrl-C and SIGTERM call `leave`; the second one ends the program at once.

    Outside the main thread, and where the event loop knows no signals, nothing is changed.
    """
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}

    def first() -> None:
        logger.info("leaving; a second Ctrl-C ends at once")
        for number in before:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        leave()

    for number in (signal.SIGINT, signal.SIGTERM):
        previous = signal.getsignal(number)
        # Event loops without signals say NotImplementedError, other threads the other two.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, first)
            before[number] = previous
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


@contextlib.contextmanager
def log_to_stderr() -> Generator[None]:
    """Show the SDK's log on stderr, where the program has not set up logging itself."""
    if logger.hasHandlers():
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
