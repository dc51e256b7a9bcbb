"""Run folders with made rounds, another process that writes one, and what must hold of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from recarena.server.store.run_folder import RunFolder
from recarena.server.store.volatile import VolatileStore
from support.columns import assert_same
from support.rounds import made_round, sim_time
from support.worlds import tiny_world

TESTS = Path(__file__).parents[1]
MANIFEST = {"run_id": "r-1", "seed": 7, "arms": [{"arm_id": "A"}, {"arm_id": "B"}]}
ARMS = ["A", "B", "A", "B", "B", "A"]


def made_folder(path: Path, rounds: int = 0, **options: object) -> RunFolder:
    options = {"optimize_every": 3} | options
    folder = RunFolder.create(path, MANIFEST, tiny_world(), ARMS, **options)  # type: ignore[arg-type]
    commit_up_to(folder, rounds)
    return folder


def commit_up_to(folder: RunFolder, last: int) -> None:
    async def commit() -> None:
        for round in range(folder.last_round + 1, last + 1):
            await folder.commit(made_round(round), sim_time(round))

    asyncio.run(commit())


def assert_log_is_uninterrupted(folder: RunFolder, last: int) -> None:
    """The folder holds rounds 1..last of `made_round`, everything once, and nothing else."""
    expected = VolatileStore()
    for round in range(1, last + 1):
        asyncio.run(expected.commit(made_round(round), sim_time(round)))
    assert folder.last_round == last
    assert folder.digest == expected.digest == folder.verify_digest()
    found = list(folder.rounds(1, last))
    assert len(found) == last
    for (events, memories), result in zip(found, expected.results, strict=True):
        assert_same(events, result.events)
        assert_same(memories, result.memories)
    assert folder.works() == [work for result in expected.results for work in result.works]
    rows = folder.round_rows()
    assert [row.sim_time for row in rows] == [sim_time(r) for r in range(1, last + 1)]
    assert folder.tables.all_rows("events")["round"].to_pylist() == [
        row.round for row in rows for _ in range(row.events)
    ]


@contextmanager
def committer(path: Path, last: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "support.committer", str(path), str(last), *options],
        cwd=TESTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def assert_same_array(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
