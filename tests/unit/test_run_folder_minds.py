"""What run folders keep of users who think: words, vectors, what came to mind."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from pathlib import Path

import lancedb
import numpy as np
import pytest

from recarena.server.store.fork import fork
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import MemoryColumns, MemoryKind, RoundResult, memory_id
from support.rounds import made_round, sim_time
from support.run_folders import ARMS, MANIFEST
from support.worlds import tiny_world

MEMORY = {"embedder": "letters", "dimension": 3}
RECALLED = {0: (memory_id(1, 0), -1), 5: (memory_id(1, 1),)}


def folder_of(path: Path, *, fsync: bool = False) -> RunFolder:
    manifest = MANIFEST | {"memory": MEMORY}
    return RunFolder.create(path, manifest, tiny_world(), ARMS, fsync=fsync, optimize_every=3)


def thought(round: int) -> RoundResult:
    """A round whose first memory is an insight, whose second is not embedded."""
    result = made_round(round)
    memories = result.memories
    vector = np.zeros((len(memories), 3), np.float32)
    vector[:, 0] = 1
    vector[1] = 0
    vector[0] = 0, 0.6, 0.8
    kind = memories.kind.copy()
    kind[0] = MemoryKind.INSIGHT
    made = dataclasses.replace(
        memories, kind=kind, vector=vector, text={0: f"Insight {round}", 2: "Heat"},
        rests_on={0: (memory_id(round, 2), 7)}, recalled=RECALLED if round > 1 else {},
    )  # fmt: skip
    return dataclasses.replace(result, memories=made)


def assert_thought(folder: RunFolder, last: int) -> None:
    found = [memories for _, memories in folder.rounds(1, last)]
    assert len(found) == last
    for round, memories in enumerate(found, 1):
        expected: MemoryColumns = thought(round).memories
        assert len(memories) == len(expected), "what came to mind is no memory"
        np.testing.assert_array_equal(memories.user, expected.user)
        assert memories.text == expected.text
        assert memories.rests_on == expected.rests_on
        assert memories.recalled == expected.recalled


def nearest(path: Path) -> list[str]:
    tables = lancedb.connect(str(path / "tables"), read_consistency_interval=timedelta(0))
    table = tables.open_table("memories")
    return table.search([0.0, 0.6, 0.8]).limit(2).to_arrow()["text"].to_pylist()


def commit(folder: RunFolder, first: int, last: int) -> None:
    for round in range(first, last + 1):
        asyncio.run(folder.commit(thought(round), sim_time(round)))


@pytest.mark.parametrize("fsync", [False, True])
def test_what_users_thought_is_read_as_it_was_written(tmp_path: Path, fsync: bool):
    path = tmp_path / "run"
    with folder_of(path, fsync=fsync) as folder:
        commit(folder, 1, 4)
        assert_thought(folder, 4)
    with RunFolder.open(path, writable=True, fsync=fsync) as folder:
        commit(folder, 5, 6)
    assert_thought(RunFolder.open(path), 6)
    assert all(text.startswith("Insight") for text in nearest(path)), "LanceDB searches by meaning"


def test_a_fork_keeps_thoughts_and_vectors(tmp_path: Path):
    with folder_of(tmp_path / "run") as folder:
        commit(folder, 1, 3)
        fork(folder, tmp_path / "fork", 2).close()
    assert_thought(RunFolder.open(tmp_path / "fork"), 2)
    assert nearest(tmp_path / "fork") == ["Insight 1", "Insight 2"]


def test_a_power_cut_takes_no_thought(tmp_path: Path):
    path = tmp_path / "run"
    with folder_of(path, fsync=True) as folder:
        commit(folder, 1, 5)
    newest = max(
        (path / "tables/memories.lance/data").glob("*.lance"),
        key=lambda one: one.stat().st_mtime_ns,
    )
    newest.unlink()
    with RunFolder.open(path, writable=True, fsync=True) as folder:
        assert_thought(folder, 5)
        commit(folder, 6, 6)
        assert_thought(folder, 6)


def test_vectors_of_another_embedder_are_not_taken_over(tmp_path: Path):
    with folder_of(tmp_path / "run") as folder:
        commit(folder, 1, 2)
        other = {"embedder": "longer", "dimension": 5}
        fork(folder, tmp_path / "fork", 2, memory=other).close()
    assert_thought(RunFolder.open(tmp_path / "fork"), 2)
