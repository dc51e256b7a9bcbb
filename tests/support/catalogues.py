"""Catalogues that change between the rounds of a run."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from recarena.server.catalog import NewItem
from recarena.server.config import Settings
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from support.arena import WORLD, settled
from support.raw_client import RawClient


async def after_one_round(
    server: Server, client: RawClient, chosen: Settings, **register: Any
) -> Run:
    """A run that stands after its first round, with the client as its recommender."""
    run = await server.house.create("run", WORLD, chosen)
    run.start(rounds=1)
    await client.join(**register)
    await client.serve(until=lambda message: message.HasField("round_ended"))
    await settled(run)
    assert run.round == 1
    return run


def change(
    run: Run, *, added: tuple[str, ...] = (), withdrawn: tuple[int, ...] = ()
) -> asyncio.Task[None]:
    """Items come and go, and the recommender of the first arm is told; done when it has them."""
    catalog = run.data.catalog
    changed = [*withdrawn]
    for item_id in added:
        genres = (catalog.genre_names[0],)
        changed.append(catalog.add(NewItem(item_id, f"The film {item_id}", genres, 2026)))
    for item in withdrawn:
        catalog.withdraw(item)
    told = run.recommenders[0].catalog_changed(np.array(sorted(changed), np.int32))
    return asyncio.ensure_future(told)
