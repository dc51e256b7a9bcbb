"""Pages that watch a run live: each sees every round once, whatever happens to the others."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from support.observatory.plays import Pace
from support.observatory.staged import Staged
from support.observing import Visitor, first, messages, observatory

FAST = Pace(rounds=400, events=60, every_s=0.02)


@pytest.fixture
async def staged() -> AsyncIterator[Staged]:
    server = Staged(40, 120, FAST)
    await server.open()
    try:
        yield server
    finally:
        await server.close()


@pytest.fixture
async def page(staged: Staged, tmp_path: Path) -> AsyncIterator[Visitor]:
    async with observatory(staged.address, cwd=tmp_path) as page:
        yield page


async def rounds_seen(socket: Any, until: int) -> tuple[list[int], dict[str, Any]]:
    """Rounds told after the snapshot, up to one, and the last message that told some."""
    told: list[int] = []
    message = await first(socket, "snapshot", "rounds")
    start = message["keyframe"]["round"] if message["type"] == "snapshot" else None
    if start is None:
        told.extend(one["round"] for one in message["rounds"])
    while message["keyframe"]["round"] < until:
        message = await first(socket, "snapshot", "rounds")
        assert message["type"] == "rounds", message["type"]
        told.extend(one["round"] for one in message["rounds"])
        assert message["keyframe"]["round"] == told[-1] == message["run"]["round"]
    return ([start, *told] if start is not None else told), message


async def test_a_page_sees_every_round_once_and_in_order(staged, page):
    async with page.socket("live") as socket:
        assert (await first(socket, "snapshot"))["keyframe"]["round"] == 0
        assert (await page.command("live", "start")).status == 200
        seen: list[int] = []
        while not seen or seen[-1] < 40:
            message = await first(socket, "rounds", "snapshot")
            assert message["type"] == "rounds"
            seen.extend(one["round"] for one in message["rounds"])
        assert seen == list(range(1, seen[-1] + 1))


async def test_seven_pages_that_come_at_different_times_see_the_same(staged, page):
    await page.command("live", "start")
    async with AsyncExitStack() as stack:
        waits: list[asyncio.Task[Any]] = []
        for _ in range(7):
            socket = await stack.enter_async_context(page.socket("live"))
            waits.append(asyncio.create_task(rounds_seen(socket, 60)))
        for told, message in await asyncio.gather(*waits):
            assert told == list(range(told[0], told[-1] + 1))
            frame = await page.get(f"/api/runs/live/at/{told[-1]}")
            assert message["keyframe"] == frame


async def test_a_page_that_comes_back_is_told_what_it_missed_and_nothing_twice(staged, page):
    await page.command("live", "start")
    async with page.socket("live") as other:
        async with page.socket("live") as socket:
            told, message = await rounds_seen(socket, 15)
        await rounds_seen(other, 30)
        query = f"epoch={message['run']['epoch']}&since={told[-1]}"
        async with page.socket("live", query) as socket:
            again, _ = await rounds_seen(socket, 45)
    assert again == list(range(told[-1] + 1, again[-1] + 1))


async def test_a_batch_comes_at_most_ten_times_a_second(staged, page):
    await page.command("live", "start")
    loop = asyncio.get_running_loop()
    async with page.socket("live") as socket:
        await first(socket, "snapshot")
        began, batches = loop.time(), 0
        async for message in messages(socket, "rounds"):
            batches += 1
            if message["keyframe"]["round"] >= 80:
                break
        assert batches <= 10 * (loop.time() - began) + 2


async def test_a_reset_begins_afresh_in_a_new_epoch(staged, page):
    await page.command("live", "start")
    async with page.socket("live") as socket:
        await rounds_seen(socket, 5)
        assert (await page.command("live", "pause")).status == 200
        while (await first(socket, "run", "rounds"))["run"]["state"] != "paused":
            pass
        assert (await page.command("live", "reset")).status == 200
        while (message := await first(socket, "snapshot"))["run"]["epoch"] == 1:
            pass
        assert (message["run"]["epoch"], message["keyframe"]["round"]) == (2, 0)
        stale = await page.command("live", "start", epoch=1)
        assert (stale.status, stale.error["code"]) == (409, "ABORTED")
        await page.command("live", "start", epoch=2)
        told, _ = await rounds_seen_after(socket, 5)
        assert told == list(range(1, told[-1] + 1))


async def rounds_seen_after(socket: Any, until: int) -> tuple[list[int], dict[str, Any]]:
    told: list[int] = []
    while True:
        message = await first(socket, "rounds")
        told.extend(one["round"] for one in message["rounds"])
        if told[-1] >= until:
            return told, message


async def test_a_server_that_goes_and_comes_back_costs_no_round(staged, page):
    await page.command("live", "start")
    async with page.socket("live") as socket:
        told, _ = await rounds_seen(socket, 10)
        await staged.vanish()
        while (gone := await first(socket, "server"))["reachable"]:
            pass  # said when the program had just come up
        assert staged.address in gone["message"]
        assert (await page.ask("/api/runs")).status == 503
        await staged.open()
        while not (await first(socket, "server"))["reachable"]:
            pass
        after, _ = await rounds_seen_after(socket, told[-1] + 20)
        # Batches that were under way when it went are not lost to this test alone.
        assert after == list(range(after[0], after[-1] + 1))


async def test_a_ping_is_answered_and_nonsense_is_not(page):
    async with page.socket("live") as socket:
        await socket.send("nonsense")
        await socket.send('{"type":"ping"}')
        assert await first(socket, "pong") == {"type": "pong"}
        await socket.send("x" * 5000)
        with pytest.raises(ConnectionClosed):
            async for _ in messages(socket):
                pass


async def test_the_socket_of_a_run_that_is_not_there_is_closed_with_a_reason(page):
    async with page.socket("nowhere") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 4404


def memory_of(process: int) -> int:
    """Resident bytes of a process."""
    fields = Path(f"/proc/{process}/statm").read_text().split()
    return int(fields[1]) * 4096


async def test_a_page_that_stops_reading_changes_nothing_and_is_given_a_snapshot(staged, page):
    """It takes nothing from its connection; the program holds a bounded number of messages."""
    await page.command("live", "start")
    slow = sockets.socket()
    slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, ("127.0.0.1", int(page.origin.rpartition(":")[2])))
    host = page.origin.removeprefix("http://")
    request = (
        f"GET /api/runs/live/live?epoch=0&since=0 HTTP/1.1\r\nHost: {host}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {page.origin}\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Cookie: {page.cookie}\r\n\r\n"
    )
    await loop.sock_sendall(slow, request.encode())
    try:
        async with page.socket("live") as socket:
            await rounds_seen(socket, 40)
            assert page.live is not None
            before = memory_of(page.live.process.pid)
            told, _ = await rounds_seen_after(socket, 300)
            assert told == list(range(told[0], told[-1] + 1))
            grown = memory_of(page.live.process.pid) - before
            # What all pages together were sent in this time is several times as much.
            assert grown < 24 * 2**20, grown
    finally:
        slow.close()
