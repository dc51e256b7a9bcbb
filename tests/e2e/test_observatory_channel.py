"""A mistake of the observatory's own ends no page: it is told, logged, and all begins anew."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from recarena.observatory import channel as channels
from recarena.observatory.channel import Channel
from recarena.observatory.chronicle import Chronicle
from recarena.observatory.library import Library
from recarena.observatory.listener import Listener
from recarena.observatory.upstream import Access, Upstream
from recarena.v1.run_pb2 import RoundLog
from support.arena import PATIENCE
from support.observatory.plays import Pace
from support.observatory.staged import Staged

ROUNDS = 30


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    server = Staged(40, 120, Pace(rounds=60, events=60, every_s=0.02), ahead=ROUNDS)
    await server.open()
    upstream = Upstream(Access(server.address))
    upstream.note(reachable=True)
    try:
        yield upstream
    finally:
        await upstream.close()
        await server.close()


async def told(listener: Listener, *kinds: str) -> dict[str, Any]:
    """The next message of some types."""
    async with asyncio.timeout(PATIENCE):
        while (message := json.loads(await listener.next()))["type"] not in kinds:
            pass
    return message


async def test_a_channel_that_breaks_says_so_and_begins_anew(upstream, monkeypatch, caplog):
    monkeypatch.setattr(channels, "ANEW_S", (0.01, 0.02))
    fold, broken = Chronicle.fold, [7, 7, ROUNDS]

    def breaking(chronicle: Chronicle, log: RoundLog) -> Any:
        if broken and log.summary.round == broken[0]:
            chronicle.rounds.append({"half": "done"})
            raise KeyError(f"at round {broken.pop(0)}")
        return fold(chronicle, log)

    monkeypatch.setattr(Chronicle, "fold", breaking)
    channel = Channel(upstream, Library(upstream), "live")
    listener = Listener()
    with caplog.at_level(logging.ERROR, "recarena.observatory"):
        async with channel.joined(listener, 0, 0):
            said = await told(listener, "server")
            assert (said["reachable"], "begins anew" in said["message"]) == (False, True)
            snapshot = await told(listener, "snapshot")
            assert snapshot["keyframe"]["round"] == snapshot["round_last"]["round"] == ROUNDS
            said = await told(listener, "server")
            assert (said["reachable"], said["message"]) == (True, "")
            assert broken == []
            # Who comes later is told nothing of it.
            later = Listener()
            async with channel.joined(later, 0, 0):
                assert (await told(later, "server", "snapshot"))["type"] == "snapshot"
    logged = [one for one in caplog.records if one.name == "recarena.observatory"]
    assert len(logged) == 3
    assert all("run live cannot be followed" in one.message and one.exc_info for one in logged)


async def test_who_joins_a_channel_that_is_broken_is_told(upstream, monkeypatch):
    monkeypatch.setattr(channels, "ANEW_S", (PATIENCE,))
    library = Library(upstream)

    async def read(run_id: str) -> Chronicle:
        raise ZeroDivisionError(run_id)

    monkeypatch.setattr(library, "read", read)
    channel = Channel(upstream, library, "live")
    first, second = Listener(), Listener()
    async with channel.joined(first, 0, 0):
        assert (await told(first, "server"))["reachable"] is False
        async with channel.joined(second, 0, 0):
            assert (await told(second, "server"))["reachable"] is False


async def test_what_somebody_changed_is_looked_at_at_once(upstream, monkeypatch):
    monkeypatch.setattr(channels, "POLL_S", PATIENCE)
    channel = Channel(upstream, Library(upstream), "live")
    asked: list[str] = []
    ask_for_interventions = Chronicle.ask_for_interventions

    async def noting(chronicle: Chronicle) -> bool:
        asked.append("interventions")
        return await ask_for_interventions(chronicle)

    listener = Listener()
    async with channel.joined(listener, 0, 0):
        await told(listener, "snapshot")
        monkeypatch.setattr(Chronicle, "ask_for_interventions", noting)
        channel.look()
        async with asyncio.timeout(PATIENCE), channel.changed:
            await channel.changed.wait_for(lambda: bool(asked))
    assert asked == ["interventions"]
