"""A bare pair of gRPC processes that exchange the messages of a round: no engine, no validation,
no mind, no sessions. What a run could reach if all of RecArena cost nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from cpu import Cpu
from echo_client import BUILT, PREBUILT

from recarena.server.datasets.films import film_catalog
from recarena.server.rpc.feedback_codec import PAGES_PER_COLUMNAR_PART, PAGES_PER_RICH_PART
from recarena.server.rpc.limits import DEFAULT_OUTSTANDING
from recarena.server.rpc.server import OPTIONS
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.recommender_service_pb2_grpc import (
    RecommenderServiceServicer,
    add_RecommenderServiceServicer_to_server,
)
from recarena.v1.session_pb2 import RoundStarted, WorkHeader
from recarena.v1.types_pb2 import Impression, Interaction, Surface
from recarena.v1.work_pb2 import RankBatch, RankQuery, RankWork, UserContext

CLIENT = Path(__file__).with_name("echo_client.py")
PAGE = 5
Context = grpc.aio.ServicerContext


@dataclass(slots=True)
class Rich:
    """The rich messages of a round, made from plain ids."""

    users: int
    users_a_message: int

    def works(self, round: int) -> Iterator[ConnectResponse]:
        """A RankWork for each batch of users."""
        for number, at in enumerate(range(0, self.users, self.users_a_message)):
            head = WorkHeader(work_id=f"1-{round}-{number}", attempt=1, round=round, epoch=1)
            numbers = range(at, min(at + self.users_a_message, self.users))
            queries = [
                RankQuery(
                    query_index=index,
                    user=UserContext(user_id=f"u{user:06d}", user_number=user, arm_id="popular"),
                    surface=Surface.SURFACE_FEED,
                    result_count=PAGE,
                )
                for index, user in enumerate(numbers)
            ]
            yield ConnectResponse(rank_work=RankWork(header=head, queries=queries))

    def read(self, message: ConnectRequest) -> list[list[str]]:
        """The item ids of a RankResult, in the order of the queries."""
        lists = message.rank_result.lists
        found: list[list[str]] = [[]] * len(lists)
        for one in lists:
            found[one.query_index] = [item.item_id for item in one.items]
        return found

    def feedback(self, round: int, answers: list[Any]) -> Iterator[ConnectResponse]:
        """FeedbackBatches of one page a user, of which nothing was watched."""
        pages: list[list[str]] = [page for answer in answers for page in answer]
        for at in range(0, self.users, PAGES_PER_RICH_PART):
            part = pages[at : at + PAGES_PER_RICH_PART]
            impressions = [
                Impression(
                    impression_id=f"{round}-u{user:06d}-0",
                    user_id=f"u{user:06d}",
                    source=Impression.SOURCE_RECOMMENDER,
                    surface=Surface.SURFACE_FEED,
                    items=[
                        Impression.Shown(item_id=item_id, position=position)
                        for position, item_id in enumerate(page)
                    ],
                )
                for user, page in enumerate(part, start=at)
            ]
            batch = FeedbackBatch(round=round, impressions=impressions, cursor=f"1.{round}.{at}")
            yield ConnectResponse(feedback_batch=batch)


@dataclass(slots=True)
class Columnar:
    """The columnar messages of a round, made from plain numbers."""

    users: int
    users_a_message: int

    def works(self, round: int) -> Iterator[ConnectResponse]:
        """A RankBatch for each batch of users."""
        for number, at in enumerate(range(0, self.users, self.users_a_message)):
            head = WorkHeader(work_id=f"1-{round}-{number}", attempt=1, round=round, epoch=1)
            users = np.arange(at, min(at + self.users_a_message, self.users))
            yield ConnectResponse(
                rank_batch=RankBatch(header=head, result_count=PAGE, user_numbers=users.tolist())
            )

    def read(self, message: ConnectRequest) -> np.ndarray:
        """The item numbers of a RankBatchResult [users, page size]."""
        return np.array(message.rank_batch_result.item_numbers).reshape(-1, PAGE)

    def feedback(self, round: int, answers: list[Any]) -> Iterator[ConnectResponse]:
        """FeedbackColumns of one page a user, of which nothing was watched."""
        pages = np.concatenate(answers)
        for at in range(0, self.users, PAGES_PER_COLUMNAR_PART):
            part = pages[at : at + PAGES_PER_COLUMNAR_PART]
            rows = part.size
            columns = FeedbackColumns(
                round=round,
                user_numbers=np.repeat(np.arange(at, at + len(part)), PAGE).tolist(),
                item_numbers=part.ravel().tolist(),
                positions=np.tile(np.arange(PAGE), len(part)).tolist(),
                types=np.full(rows, Interaction.TYPE_IMPRESSION).tolist(),
                values=np.full(rows, np.nan, np.float32).tolist(),
                cursor=f"1.{round}.{at}",
            )
            yield ConnectResponse(feedback_columns=columns)


class Echo(RecommenderServiceServicer):
    """The server's end of the pair; rounds are played on the streams that the client opens."""

    def __init__(self) -> None:
        self.client_pid: int | None = None
        loop = asyncio.get_running_loop()
        self.streams = {name: loop.create_future() for name in (BUILT, PREBUILT)}
        self._over = asyncio.Event()
        self._prebuilt: tuple[list[ConnectResponse], list[ConnectResponse]] | None = None

    async def Connect(  # noqa: N802
        self, _: AsyncIterator[ConnectRequest], context: Context
    ) -> None:
        """Holds a stream open."""
        first = await context.read()
        self.streams[first.register.recommender_id].set_result(context)
        await self._over.wait()

    def end(self) -> None:
        """Lets go of the streams."""
        self._over.set()

    async def play(self, form: Rich | Columnar, rounds: int) -> tuple[float, Cpu]:
        """Exchanges rounds, every message built and read; seconds, and on processors."""
        stream = await self.streams[BUILT]
        start, cpu = time.perf_counter(), Cpu.so_far(self.client_pid)
        for round in range(1, rounds + 1):
            answers = [form.read(one) for one in await exchanged(stream, form.works(round))]
            await told(stream, form.feedback(round, answers), round)
        return time.perf_counter() - start, Cpu.so_far(self.client_pid) - cpu

    async def play_prebuilt(self, form: Rich | Columnar, rounds: int) -> float:
        """Exchanges rounds of messages that were built before: gRPC and protobuf's own coding."""
        stream = await self.streams[PREBUILT]
        if self._prebuilt is None:
            works = list(form.works(1))
            answers = [form.read(one) for one in await exchanged(stream, works)]
            self._prebuilt = works, list(form.feedback(1, answers))
        works, feedback = self._prebuilt
        start = time.perf_counter()
        for round in range(1, rounds + 1):
            await exchanged(stream, works)
            await told(stream, feedback, round)
        return time.perf_counter() - start


async def exchanged(stream: Context, works: Any) -> list[ConnectRequest]:
    """The answers to works, with as many under way as a session has."""
    answers: list[ConnectRequest] = []
    sent = 0
    for work in works:
        if sent - len(answers) == DEFAULT_OUTSTANDING:
            answers.append(await stream.read())
        await stream.write(work)
        sent += 1
    while len(answers) < sent:
        answers.append(await stream.read())
    return answers


async def told(stream: Context, feedback: Any, round: int) -> None:
    """Sends feedback, and waits until it was read."""
    for batch in feedback:
        await stream.write(batch)
    await stream.write(ConnectResponse(round_started=RoundStarted(round=round)))
    await stream.read()


@asynccontextmanager
async def echoing() -> AsyncIterator[Echo]:
    """A server, and a client in a process of its own."""
    server = grpc.aio.server(options=OPTIONS)
    echo = Echo()
    add_RecommenderServiceServicer_to_server(echo, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = await asyncio.create_subprocess_exec(
        sys.executable, str(CLIENT), f"127.0.0.1:{port}", *film_catalog().item_ids[:500],
        stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            await asyncio.gather(*echo.streams.values())
        echo.client_pid = client.pid
        yield echo
    finally:
        echo.end()
        await server.stop(0.5)
        if client.returncode is None:
            client.kill()
        await client.wait()
