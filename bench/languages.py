"""Lists a second that the client of each language answers, against a bare echo.

The measuring end is as cheap as it can be made: works are serialized once and sent as bytes, and
answers are counted and not read. So the program at the other end is what is measured: its gRPC,
its SDK, and lists of five that follow from the user's number. The echo answers the same works with
the same lists in Python, without an SDK.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
from echo import CLIENT as ECHO
from echo_client import BUILT, PREBUILT
from figures import Figure, alternately_async, median, say, spread

from recarena.v1 import recommender_service_pb2 as wire
from recarena.v1.session_pb2 import Limits, Registered, RoundStarted, WorkHeader
from recarena.v1.types_pb2 import Item, Surface
from recarena.v1.work_pb2 import RankBatch, RankQuery, RankWork, UserContext

TESTS = Path(__file__).parents[1] / "tests"
SERVICE = "recarena.v1.RecommenderService"
ITEMS = [Item(item_id=f"item-{n}", title=f"Film {n}") for n in range(500)]
IDS = [item.item_id for item in ITEMS]
PAGE, OUTSTANDING = 5, 4
USERS = {"rich": (1, 64, 256), "columnar": (4096,)}
PATIENCE = 60.0
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def figures(quick: bool) -> Iterator[Figure]:
    """Lists a second, by language and users a message, in both encodings."""
    yield from asyncio.run(_measured(0.1 if quick else 2.0, 1 if quick else 3))


async def _measured(seconds: float, repetitions: int) -> list[Figure]:
    sys.path.insert(0, str(TESTS))
    from conformance.programs import PROGRAMS, unbuilt

    found: list[Figure] = []
    for encoding, sizes in USERS.items():
        options = ["--columnar"] if encoding == "columnar" else []
        for language, program in PROGRAMS.items():
            if reason := unbuilt(language):
                say(f"languages: {language} is left out: {reason}")
                continue
            async with (
                playing([*program, "--server", "{server}", *options], ["conformance"]) as peer,
                playing([sys.executable, str(ECHO), "{server}", *IDS], [BUILT, PREBUILT]) as echo,
            ):
                for users in sizes:
                    what = encoding, users, seconds
                    taken, bare = await alternately_async(
                        repetitions,
                        lambda: peer.lists_a_second("conformance", *what),  # noqa: B023
                        lambda: echo.lists_a_second(BUILT, *what),  # noqa: B023
                    )
                    wire_alone = await echo.lists_a_second(PREBUILT, *what)
                    found.append(Figure(
                        f"{language}_{encoding}_{users}", median(taken), "lists/s", median(bare),
                        {"baseline": "a bare echo in Python that builds the same answers",
                         "echo_of_prebuilt_answers": wire_alone, "users_a_message": users,
                         "between": spread(taken), "baseline_between": spread(bare)},
                    ))  # fmt: skip
    return found


class Peer:
    """A server with the streams of a program that has dialled in, by the names they register."""

    def __init__(self, names: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        self._streams: dict[str, asyncio.Future[Any]] = {n: loop.create_future() for n in names}
        self._over = asyncio.Event()

    async def connect(self, _: AsyncIterator[bytes], context: Any) -> None:
        """Connect: bytes in and out; the stream is held open."""
        register = wire.ConnectRequest.FromString(await context.read()).register
        await context.write(_sent(registered=Registered(
            session_id="s", run_id="run-1", epoch=1, arm_ids=["a"], catalog_version="v1",
            catalog_size=len(ITEMS), user_count=10_000, round_limit=1, page_size=PAGE,
            capabilities=register.capabilities, limits=Limits(max_message_bytes=4 * 2**20),
        )))  # fmt: skip
        if register.capabilities:  # the echo offers none, and does without the rest
            await context.read()  # CatalogReady
            await context.write(_sent(round_started=RoundStarted(round=1)))
            await context.read()  # RoundReady
        self._streams[register.recommender_id].set_result(context)
        await self._over.wait()

    async def catalog(self, _: bytes, context: Any) -> None:
        """StreamCatalog, in one part."""
        part = wire.StreamCatalogResponse(catalog_version="v1", items=ITEMS)
        await context.write(part.SerializeToString())

    async def joined(self) -> None:
        """Returns when the program is ready for works."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._streams.values())

    def let_go(self) -> None:
        """Ends the stream."""
        self._over.set()

    async def lists_a_second(self, name: str, encoding: str, users: int, seconds: float) -> float:
        """Exchanges works of so many users, a few under way at a time."""
        stream, works = await self._streams[name], works_of(encoding, users)
        await _exchange(stream, works, seconds / 4)  # compilers wake up
        start = time.perf_counter()
        answered = await _exchange(stream, works, seconds)
        return answered * users / (time.perf_counter() - start)


async def _exchange(stream: Any, works: Iterator[bytes], seconds: float) -> int:
    until, answered = time.perf_counter() + seconds, 0
    for _ in range(OUTSTANDING):
        await stream.write(next(works))
    while time.perf_counter() < until:
        await stream.read()
        answered += 1
        await stream.write(next(works))
    for _ in range(OUTSTANDING):
        await stream.read()
    return answered + OUTSTANDING


def works_of(encoding: str, users: int) -> Iterator[bytes]:
    """Works without end: twenty that were serialized once, with an id of its own each time."""
    form = _rich if encoding == "rich" else _columnar
    number = 0
    bodies = [form(users, at * users) for at in range(20)]
    while True:
        head = WorkHeader(work_id=f"1-1-{users}-{number}", attempt=1, round=1, epoch=1)
        head.timeout.seconds = 60
        # Messages put one behind the other are one message: the head joins the body.
        yield bodies[number % len(bodies)] + _headed(encoding, head)
        number += 1


def _rich(users: int, first: int) -> bytes:
    queries = [
        RankQuery(
            query_index=index,
            user=UserContext(user_id=f"u{user:06d}", user_number=user, arm_id="a"),
            surface=Surface.SURFACE_FEED,
            result_count=PAGE,
        )
        for index, user in enumerate(range(first, first + users))
    ]
    return _sent(rank_work=RankWork(queries=queries))


def _columnar(users: int, first: int) -> bytes:
    batch = RankBatch(result_count=PAGE, user_numbers=range(first, first + users))
    return _sent(rank_batch=batch)


def _headed(encoding: str, head: WorkHeader) -> bytes:
    if encoding == "rich":
        return _sent(rank_work=RankWork(header=head))
    return _sent(rank_batch=RankBatch(header=head))


def _sent(**message: Any) -> bytes:
    return wire.ConnectResponse(**message).SerializeToString()


@asynccontextmanager
async def playing(program: Sequence[str], names: Sequence[str]) -> AsyncIterator[Peer]:
    """A server, and a program that has dialled it; both are gone afterwards."""
    peer, server = Peer(names), grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([
        grpc.method_handlers_generic_handler(SERVICE, {
            "Connect": grpc.stream_stream_rpc_method_handler(peer.connect),
            "StreamCatalog": grpc.unary_stream_rpc_method_handler(peer.catalog),
        })
    ])  # fmt: skip
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            *(word.replace("{server}", f"127.0.0.1:{port}") for word in program),
            stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            await peer.joined()
            yield peer
        finally:
            peer.let_go()
            await server.stop(0)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
