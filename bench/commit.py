"""Committing a round to the run folder, against writing the same events to one Arrow file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from choice import InProcess
from figures import Figure, alternately, median, seconds, spread
from worlds import made

from recarena.server.config import parse_settings
from recarena.server.founding import create_run
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.tables import event_table
from recarena.server.types import RoundResult

SIZES = {200: 21, 10_000: 11, 100_000: 5}
"""Users -> rounds committed; more than twenty include a compaction."""
QUICK_SIZES = {50: 3}
WHEN = datetime(2025, 1, 1, tzinfo=UTC)


def figures(quick: bool) -> Iterator[Figure]:
    """One figure for each number of users."""
    for users, rounds in (QUICK_SIZES if quick else SIZES).items():
        with tempfile.TemporaryDirectory() as folder:
            yield measured(users, rounds, Path(folder))


def measured(users: int, rounds: int, folder: Path) -> Figure:
    """Commits a round of the choice mind again and again, under the next number each time."""
    settings = parse_settings({"rounds": rounds, "arms": [{"recommender": "popular"}]}, "bench")
    run = create_run(folder / "run", settings, made(users))
    played = InProcess(users)
    played.play(2)
    result = played.results[-1]
    table = event_table(result.events)
    taken, plain = alternately(
        rounds,
        lambda: committed(run, renumbered(result, run.last_round + 1)),
        lambda: seconds(lambda: written(table, folder / "events.arrow")),
    )
    run.close()
    return Figure(
        f"commit_{users}",
        median(taken) * 1000,
        "ms",
        median(plain) * 1000,
        {
            "baseline": "the events written to an Arrow IPC file",
            "users": users,
            "events": len(result.events),
            "memories": len(result.memories),
            "rounds": rounds,
            "between_ms": [one * 1000 for one in spread(taken)],
            "baseline_between_ms": [one * 1000 for one in spread(plain)],
        },
    )


def committed(folder: RunFolder, result: RoundResult) -> float:
    """Seconds that a commit takes."""
    return seconds(lambda: asyncio.run(folder.commit(result, WHEN)))


def written(table: pa.Table, path: Path) -> None:
    """Writes a table as an Arrow IPC file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def renumbered(result: RoundResult, round: int) -> RoundResult:
    """The same round under another number."""
    events, memories = result.events, result.memories
    return replace(
        result,
        round=round,
        events=replace(events, round=np.full(len(events), round, np.int32)),
        memories=replace(memories, round=np.full(len(memories), round, np.int32)),
        works=tuple(replace(work, round=round) for work in result.works),
    )
