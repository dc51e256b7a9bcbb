"""Recorded runs with raw clients in their shadow, and what must not change by it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.shadowing import Shadow, plan_of
from recarena.server.store.run_folder import RunFolder
from recarena.v1.session_pb2 import CAPABILITY_CONVERSE, CAPABILITY_EXPLAIN
from support.answering import Answers
from support.arena import begin, finished, settings
from support.raw_client import FEEDBACK, RICH, WORKS, RawClient

WORLD = "new:users=60,seed=8,history=3"
EVERYTHING = (*RICH, CAPABILITY_CONVERSE, CAPABILITY_EXPLAIN)
TALKATIVE = {"conversation": -0.5, "explanation": 1.5}
PATIENCE = 30.0


def fingerprints(folder: Path) -> dict[str, str]:
    """Every file below a folder, and the hash of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


async def recorded(
    server: Server, *arms: Any, capabilities: Sequence[int] = EVERYTHING,
    answers: Answers | None = None, **values: Any,
) -> tuple[Run, list[RawClient]]:  # fmt: skip
    """A finished run with a raw client for each arm, and the clients with all they were sent."""
    values = {"rounds": 3, "choice": TALKATIVE, **values}
    run = await begin(server, settings(*arms, **values), world=WORLD)
    clients: list[RawClient] = []
    async with contextlib.AsyncExitStack() as stack:
        for arm in run.settings.arms:
            client = await stack.enter_async_context(RawClient(server.address))
            await client.join(arm.recommender, capabilities=capabilities, instance_id=arm.id)
            clients.append(client)
        serving = [asyncio.ensure_future(client.serve(answers)) for client in clients]
        await finished(run)
        await asyncio.gather(*serving)
    await run.close()
    return run, clients


@contextlib.asynccontextmanager
async def shadow_of(
    folder: Path, server: Server, name: str = "raw", **plan: Any
) -> AsyncIterator[Shadow]:
    """A shadow that waits for its sessions; it says goodbye at the end."""
    shadow = Shadow(plan_of(RunFolder.open(folder), name, **plan), server.door)
    try:
        yield shadow
    finally:
        await shadow.close()


async def shadowed(
    folder: Path,
    server: Server,
    *,
    capabilities: Sequence[int] = EVERYTHING,
    answers: Answers | None = None,
    name: str = "raw",
    **plan: Any,
) -> tuple[Shadow, list[RawClient]]:
    """What came of a shadow with a raw client for each arm, and the clients."""
    async with (
        shadow_of(folder, server, name, **plan) as shadow,
        contextlib.AsyncExitStack() as stack,
    ):
        clients: list[RawClient] = []
        for number in range(len(shadow.comparisons)):
            client = await stack.enter_async_context(RawClient(server.address))
            await client.join(name, capabilities=capabilities, instance_id=f"shadow-{number}")
            clients.append(client)
        serving = [asyncio.ensure_future(client.serve(answers)) for client in clients]
        await shadow.arrived(PATIENCE)
        async for _ in shadow.play():
            pass
        await shadow.close()
        await asyncio.gather(*serving)
    return shadow, clients


def asked(client: RawClient, *rounds: int) -> list[bytes]:
    """The works that a client was sent (in these rounds, or in all), without what is theirs alone
    (ids and trace), in an order that does not follow from arrival."""
    works = []
    for kind in WORKS:
        for work in client.all(kind):
            if rounds and work.header.round not in rounds:
                continue
            same = type(work).FromString(work.SerializeToString())
            same.header.ClearField("work_id")
            same.header.ClearField("traceparent")
            works.append(kind.encode() + same.SerializeToString(deterministic=True))
    return sorted(works)


def told(client: RawClient, *, tokens: bool = True) -> list[bytes]:
    """Rounds and feedback that a client was told, in order; without attribution tokens where they
    are not wanted."""
    lines = []
    for message in client.all("round_started", "round_ended", *FEEDBACK):
        same = type(message).FromString(message.SerializeToString())
        for rows in (getattr(same, "impressions", ()), getattr(same, "interactions", ())):
            for row in rows:
                if not tokens:
                    row.ClearField("attribution_token")
        lines.append(type(same).__name__.encode() + same.SerializeToString(deterministic=True))
    return lines
