"""The command, as its own process, plays a round against a server and leaves in good order."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from recarena.recommenders.roster import ROSTER
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.session_pb2 import Capability, RoundStarted
from recarena.v1.types_pb2 import Interaction
from recarena.v1.work_pb2 import RankBatch, SearchBatch, SearchQuery, SearchWork, UserContext
from support.recommender_worlds import Planted
from support.scripted_server import ScriptedServer, rank_work

FILMS = list(Planted(users=1, items=12, genres=3).catalog().items)
HISTORY = [(user, item, Interaction.TYPE_RATE, 4.0) for user in range(6) for item in (user, 11)]
LEARNERS = [name for name in ROSTER if name not in ("oracle", "llm-rerank")]


@asynccontextmanager
async def process(
    server: ScriptedServer, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, connected to the server; killed if the test leaves it running."""
    command = [sys.executable, "-W", "error", "-m", "recarena.recommenders.cli", *arguments]
    running = await asyncio.create_subprocess_exec(
        *command, "--server", server.address, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


@pytest.mark.parametrize("name", LEARNERS)
async def test_a_round_in_columns(name: str):
    async with ScriptedServer(FILMS) as server, process(server, name, "--once") as running:
        stream = await (await server.accept()).begin(size=len(FILMS))
        assert stream.register.recommender_id == name
        users, items, types, values = zip(*HISTORY, strict=True)
        history = FeedbackColumns(
            cursor="1", user_numbers=users, item_numbers=items, types=types, values=values
        )
        await stream.send(feedback_columns=history)
        await stream.send(round_started=RoundStarted(round=1))
        await stream.receive("round_ready")
        batch = RankBatch(result_count=5, user_numbers=[0, 5, 99])
        batch.header.work_id = "w"
        await stream.send(rank_batch=batch)
        result = await stream.receive("rank_batch_result")
        lists = [result.item_numbers[at : at + 5] for at in (0, 5, 10)]
        assert [len(set(page)) for page in lists] == [5, 5, 5]
        assert not {0, 11} & set(lists[0])
        search = SearchBatch(
            result_count=1, user_numbers=[0, 1], text_numbers=[1, 0], texts=["film 3", "zxqv"]
        )
        search.header.work_id = "s"
        await stream.send(search_batch=search)
        result = await stream.receive("rank_batch_result")
        assert (list(result.item_numbers), list(result.list_lengths)) == ([3], [0, 1])
        await stream.end_run()
        assert await asyncio.wait_for(running.wait(), 20) == 0


@pytest.mark.parametrize("name", LEARNERS)
async def test_a_round_in_rich_messages(name: str):
    async with (
        ScriptedServer(FILMS) as server,
        process(server, name, "--encoding", "rich", "--once", "--id", "mine") as running,
    ):
        stream = await (await server.accept()).begin(size=len(FILMS))
        assert stream.register.recommender_id == "mine"
        assert Capability.CAPABILITY_COLUMNAR not in stream.register.capabilities
        history = FeedbackBatch(cursor="1")
        for user, item, kind, value in HISTORY:
            history.interactions.add(user_id=f"u{user}", item_id=f"i{item}", type=kind, value=value)
        await stream.send(feedback_batch=history)
        await stream.send(round_started=RoundStarted(round=1))
        await stream.receive("round_ready")
        await stream.send(rank_work=rank_work("w", 2, count=5))
        result = await stream.receive("rank_result")
        assert [len({item.item_id for item in one.items}) for one in result.lists] == [5, 5]
        assert not {"i0", "i11"} & {item.item_id for item in result.lists[0].items}
        query = SearchQuery(user=UserContext(user_id="u1"), text="film 3", result_count=1)
        work = SearchWork(queries=[query])
        work.header.work_id = "s"
        await stream.send(search_work=work)
        result = await stream.receive("rank_result")
        assert [item.item_id for item in result.lists[0].items] == ["i3"]
        await stream.end_run()
        assert await asyncio.wait_for(running.wait(), 20) == 0


async def test_ctrl_c_is_a_quiet_goodbye():
    async with ScriptedServer(FILMS) as server, process(server, "popular") as running:
        stream = await (await server.accept()).begin(size=len(FILMS))
        running.send_signal(signal.SIGINT)
        await stream.receive("drain")
        _, said = await asyncio.wait_for(running.communicate(), 20)
        assert running.returncode == 0
        assert b"Traceback" not in said


async def test_the_wrong_world_is_refused_in_one_line(tmp_path):
    async with (
        ScriptedServer(FILMS) as server,
        process(server, "oracle", "--world", str(tmp_path)) as running,
    ):
        stream = await server.accept()
        await stream.registered(size=len(FILMS))
        refused = await stream.receive("catalog_ready")
        assert "no world folder" in refused.error.message
        stream.end(grpc.StatusCode.FAILED_PRECONDITION)
        _, said = await asyncio.wait_for(running.communicate(), 20)
        assert running.returncode == 1
        assert b"recarena-recommender: start raised ValueError: oracle: " in said.splitlines()[-1]
