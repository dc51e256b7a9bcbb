"""Run folders after kills, failed commits and power cuts; going back and forking."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from recarena.server.errors import Conflict, InputError, NotFound
from recarena.server.store.fork import fork
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.run_tables import RunTables
from support.columns import assert_same
from support.rounds import made_round, sim_time
from support.run_folders import (
    assert_log_is_uninterrupted,
    assert_same_array,
    commit_up_to,
    committer,
    made_folder,
)

# ---------------------------------------------------------------------- kills and power cuts

POINTS = {
    "append:events:3": 2, "append:memories:3": 2, "append:works:3": 2, "compact::1": 2,
    "append:rounds:3": 3, "compact::2": 3, "prune::1": 3, "append:rounds:4": 4,
}  # fmt: skip
"""Where the process dies -> the last round then; with fsync a round begun is in the redo log."""


@pytest.mark.parametrize(
    ("point", "fsync"),
    [*((point, False) for point in POINTS), ("append:events:3", True), ("prune::1", True)],
)
def test_a_killed_run_resumes_to_the_same_log(tmp_path: Path, point: str, fsync: bool):
    expected = max(POINTS[point], 3) if fsync else POINTS[point]
    made_folder(tmp_path / "run", fsync=fsync).close()
    options = ["--kill-at", point, *(["--fsync"] if fsync else [])]
    with committer(tmp_path / "run", 5, *options) as process:
        assert process.wait(60) == -9
    with RunFolder.open(tmp_path / "run", writable=True, fsync=fsync) as folder:
        assert_log_is_uninterrupted(folder, expected)
        commit_up_to(folder, 6)
        assert_log_is_uninterrupted(folder, 6)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_gets_done(tmp_path: Path):
    """Killed from outside, wherever it is then, after some appends more each time."""
    made_folder(tmp_path / "run").close()
    for appends in (1, 6, 11, 3, 14):
        with committer(tmp_path / "run", 1000) as process:
            assert process.stdout
            for _ in range(appends):
                process.stdout.readline()
            process.kill()
        with RunFolder.open(tmp_path / "run") as reader:
            assert_rounds_are_those_made(reader)
    with RunFolder.open(tmp_path / "run", writable=True) as folder:
        commit_up_to(folder, 12)
        assert_log_is_uninterrupted(folder, folder.last_round)


def assert_rounds_are_those_made(reader: RunFolder) -> None:
    last = reader.last_round
    for round, (events, memories) in enumerate(reader.rounds(1, last), 1):
        assert_same(events, made_round(round).events)
        assert_same(memories, made_round(round).memories)


def test_a_commit_that_fails_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with made_folder(tmp_path / "run", 1) as folder:
        append = RunTables.append

        def full(self: RunTables, name: str, rows: object) -> None:
            if name == "works":
                raise OSError("no space left on device")
            append(self, name, rows)

        with monkeypatch.context() as patch:
            patch.setattr(RunTables, "append", full)
            with pytest.raises(OSError, match="no space"):
                asyncio.run(folder.commit(made_round(2), sim_time(2)))
        assert folder.last_round == 1
        commit_up_to(folder, 3)
        assert_log_is_uninterrupted(folder, 3)


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize(("table", "lost", "how"), [
    ("events", "_versions/*.manifest", "emptied"),
    ("events", "_versions/*.manifest", "gone"),
    ("events", "data/*.lance", "gone"),
    ("memories", "data/*.lance", "emptied"),
    ("works", "data/*.lance", "emptied"),
    ("rounds", "_versions/*.manifest", "emptied"),
    ("rounds", "data/*.lance", "emptied"),
    ("rounds", "_versions/*.manifest", "gone"),
])  # fmt: skip
def test_a_power_cut_takes_no_round_with_fsync(tmp_path: Path, table: str, lost: str, how: str):
    made_folder(tmp_path / "run", 5, fsync=True).close()
    path = newest(tmp_path / "run" / "tables" / f"{table}.lance", lost)
    path.write_bytes(b"") if how == "emptied" else path.unlink()
    with RunFolder.open(tmp_path / "run", writable=True, fsync=True) as folder:
        assert_log_is_uninterrupted(folder, 5)
        assert folder.round_rows()[4].training_ms == {"A": 2.0, "B": 0.5}
        commit_up_to(folder, 7)
        assert_log_is_uninterrupted(folder, 7)
    with RunFolder.open(tmp_path / "run", writable=True) as folder:
        assert_log_is_uninterrupted(folder, 7)


def test_the_redo_log_is_short_and_ends_when_it_is_not_wanted(tmp_path: Path):
    made_folder(tmp_path / "run", 5, fsync=True).close()
    redo = tmp_path / "run" / "redo"
    assert sorted(path.name for path in redo.glob("round-*")) == [
        "round-000004.arrow", "round-000005.arrow",
    ]  # fmt: skip
    with RunFolder.open(tmp_path / "run", writable=True) as folder:
        assert not redo.exists()
        commit_up_to(folder, 6)
    with RunFolder.open(tmp_path / "run", writable=True, fsync=True) as folder:
        commit_up_to(folder, 7)
        assert_log_is_uninterrupted(folder, 7)
        folder.truncate(2)
    with RunFolder.open(tmp_path / "run", writable=True, fsync=True) as folder:
        assert_log_is_uninterrupted(folder, 2)


# ---------------------------------------------------------------------- going back, going elsewhere


@pytest.mark.parametrize("round", [0, 1, 4, 5])
def test_a_truncated_run_goes_on_from_that_round(tmp_path: Path, round: int):
    with made_folder(tmp_path / "run", 5) as folder:
        folder.truncate(round)
        assert_log_is_uninterrupted(folder, round)
    with RunFolder.open(tmp_path / "run", writable=True) as folder:
        assert_log_is_uninterrupted(folder, round)
        commit_up_to(folder, 6)
        assert_log_is_uninterrupted(folder, 6)
        with pytest.raises(NotFound):
            folder.truncate(7)


def test_a_fork_shares_the_past_and_nothing_else(tmp_path: Path):
    with made_folder(tmp_path / "run", 5) as source:
        with fork(source, tmp_path / "fork", 3, run_id="r-2", seed=8) as forked:
            assert_log_is_uninterrupted(forked, 3)
            commit_up_to(forked, 7)
            assert_log_is_uninterrupted(forked, 7)
            assert forked.manifest["seed"] == 8
            assert forked.manifest["dataset"] == source.manifest["dataset"]
            assert forked.manifest["forked_from"] == {
                "run_id": "r-1", "round": 3, "digest": source.round_rows()[2].digest,
            }  # fmt: skip
            assert_same_array(forked.arm_of_user(), source.arm_of_user())
        assert_log_is_uninterrupted(source, 5)
        with pytest.raises(Conflict):
            fork(source, tmp_path / "fork", 3)
        with pytest.raises(NotFound):
            fork(source, tmp_path / "other", 6)


def test_a_fork_of_a_reader_may_have_other_recommenders(tmp_path: Path):
    made_folder(tmp_path / "run", 2).close()
    arms = [{"arm_id": "X"}, {"arm_id": "A"}, {"arm_id": "more"}]
    with RunFolder.open(tmp_path / "run") as source:
        with fork(source, tmp_path / "fork", 2, arms=arms) as forked:
            assert_log_is_uninterrupted(forked, 2)
            assert forked.round_rows()[0].training_ms == {"X": 2.0, "A": 0.5}
        with pytest.raises(InputError, match="at least 2 arms"):
            fork(source, tmp_path / "few", 2, arms=arms[:1])
    with RunFolder.open(tmp_path / "fork", writable=True) as forked:
        forked.truncate(1)
        assert_log_is_uninterrupted(forked, 1)


def test_a_fork_at_round_0_has_the_world_only(tmp_path: Path):
    with made_folder(tmp_path / "run", 2) as source, fork(source, tmp_path / "f", 0) as forked:
        assert_log_is_uninterrupted(forked, 0)
        assert forked.manifest["forked_from"]["digest"] == ""
