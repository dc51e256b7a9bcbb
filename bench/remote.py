"""A round of 100,000 users, everything included: a recommender behind gRPC, and the same one
called in the server's process."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from figures import Figure, Target, median, spread
from stage import Stage, settings, staged
from twin import TwinDoor
from worlds import made

from recarena.server.config import parse_settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.founding import create_run
from recarena.server.runs import Run

LONGEST_S = 5.0


def figures(quick: bool) -> Iterator[Figure]:
    """Seconds a round: choice mind, search, feedback and commit."""
    yield asyncio.run(measured(2_000 if quick else 100_000, 1 if quick else 5))


async def measured(users: int, repetitions: int) -> Figure:
    """Plays both runs in turns. RuntimeError where their event logs differ."""
    world = made(users)
    async with (
        staged(world, settings(), ["--encoding", "columnar"]) as over,
        inside(world) as within,
    ):
        remote, local, store, lists = [], [], [], []
        for _ in range(repetitions):
            played = await over.play()
            remote.append(played.seconds)
            store.append(played.store_seconds)
            lists.append(played.lists)
            local.append((await within.play()).seconds)
        if over.run.folder.digest != within.run.folder.digest:
            raise RuntimeError("the same recommender gave another event log over gRPC")
    return Figure(
        "remote_round",
        median(remote),
        "s",
        median(local),
        {
            "baseline": "the same recommender called in the server's process, the same event log",
            "users": users,
            "lists_a_round": median(lists),
            "store_s": median(store),
            "between_s": spread(remote),
            "baseline_between_s": spread(local),
        },
        Target("value", "below", LONGEST_S),
    )


@asynccontextmanager
async def inside(world: WorldData) -> AsyncIterator[Stage]:
    """The same run, its recommender a part of the process; after a first round."""
    with tempfile.TemporaryDirectory() as made_folder:
        folder = create_run(Path(made_folder) / "run", parse_settings(settings(), "bench"), world)
        run = Run(folder, TwinDoor())
        try:
            stage = Stage(run)
            await stage.play()
            yield stage
        finally:
            await run.close()
