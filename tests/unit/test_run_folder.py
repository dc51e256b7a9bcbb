"""The run folder: rounds are there as a whole or not at all."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from recarena.server.errors import Conflict, InputError, NotFound
from recarena.server.population import TRAITS
from recarena.server.store.fork import fork
from recarena.server.store.new_folder import new_folder
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.run_tables import RunTables, windows
from recarena.server.store.tables import event_table, events_from
from recarena.server.types import EventColumns, EventKind, Faults, MemoryColumns, RoundResult
from support.columns import assert_same, event_columns, memory_columns
from support.rounds import made_round, sim_time
from support.run_folders import (
    ARMS,
    MANIFEST,
    TESTS,
    assert_log_is_uninterrupted,
    assert_same_array,
    commit_up_to,
    committer,
    made_folder,
)
from support.worlds import tiny_world

# ---------------------------------------------------------------------- keeping and reading


def test_the_world_comes_back_exactly(tmp_path: Path):
    world = tiny_world()
    with RunFolder.create(tmp_path / "run", MANIFEST, world, ARMS) as folder:
        found = folder.world()
    for name in ("item_ids", "titles", "genre_names", "directors", "descriptions", "version"):
        assert getattr(found.catalog, name) == getattr(world.catalog, name)
    for name in ("years", "genres", "quality", "popularity", "factors"):
        assert_same_array(getattr(found.catalog, name), getattr(world.catalog, name))
    for name in ("user_ids", "names", "profile"):
        assert getattr(found.population, name) == getattr(world.population, name)
    for name in ("taste", *TRAITS):
        assert_same_array(getattr(found.population, name), getattr(world.population, name))
    for name in ("start", "other", "closeness", "kind"):
        assert_same_array(getattr(found.network, name), getattr(world.network, name))
    for name in ("user", "item", "rating", "time"):
        assert_same_array(getattr(found.history, name), getattr(world.history, name))
    assert found.network.kinds == world.network.kinds
    assert (found.name, found.origin) == (world.name, world.origin)


@pytest.mark.parametrize(("users", "items"), [(1, 1), (0, 0), (2, 40)])
def test_a_world_of_any_size_comes_back(tmp_path: Path, users: int, items: int):
    world = tiny_world(users, items)
    with RunFolder.create(tmp_path / "run", MANIFEST, world, ["A"] * users) as folder:
        found = folder.world()
    assert found.catalog.version == world.catalog.version
    assert_same_array(found.catalog.factors, world.catalog.factors)
    assert_same_array(found.population.taste, world.population.taste)
    assert (len(found.network), len(found.history)) == (len(world.network), len(world.history))


def test_arms_are_given_by_name_or_by_number(tmp_path: Path):
    numbers = np.array([0, 1, -1, 1, 1, 0], np.int8)
    with RunFolder.create(tmp_path / "a", MANIFEST, tiny_world(), numbers) as folder:
        assert_same_array(folder.arm_of_user(), numbers)
    with made_folder(tmp_path / "b") as folder:
        assert_same_array(folder.arm_of_user(), np.array([0, 1, 0, 1, 1, 0], np.int8))


def test_committed_rounds_are_read_back_as_they_were(tmp_path: Path):
    with made_folder(tmp_path / "run", 7) as folder:
        assert_log_is_uninterrupted(folder, 7)
        row = folder.round_rows()[4]
        assert (row.round, row.active, row.wall_ms) == (5, 6, 12.5)
        assert row.training_ms == {"A": 2.0, "B": 0.5}
        assert row.commit_ms > 0
    with RunFolder.open(tmp_path / "run") as folder:
        assert_log_is_uninterrupted(folder, 7)
        assert folder.round_rows()[4] == row
        assert [len(events) for events, _ in folder.rounds(3, 4)] == [48, 48]
        assert list(folder.rounds(4, 3)) == []


def test_the_log_of_one_user_is_in_order(tmp_path: Path):
    with made_folder(tmp_path / "run", 5) as folder:
        events, memories = folder.events_of(3), folder.memories_of(3)
        whole = EventColumns.concat([events for events, _ in folder.rounds(1, 5)])
    assert_same(events, whole.take(whole.user == 3))
    assert memories.round.tolist() == [1, 2, 3, 4, 5]
    assert set(memories.user.tolist()) == {3}


def test_a_round_without_events_is_a_round(tmp_path: Path):
    nothing = RoundResult(1, 0, EventColumns.empty(), MemoryColumns.empty())
    with made_folder(tmp_path / "run") as folder:
        asyncio.run(folder.commit(nothing, sim_time(1)))
        commit_up_to(folder, 3)
    with RunFolder.open(tmp_path / "run") as folder:
        assert [len(events) for events, _ in folder.rounds(1, 3)] == [0, 48, 48]
        assert folder.round_rows()[0].digest != ""
        folder.verify_digest()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    with made_folder(tmp_path_factory.mktemp("shared") / "run") as folder:
        yield folder


@settings(max_examples=40, deadline=None)
@given(events=event_columns(), memories=memory_columns())
def test_any_columns_and_words_come_back(
    shared: RunFolder, events: EventColumns, memories: MemoryColumns
):
    round = shared.last_round + 1
    events.round[:] = round
    memories.round[:] = round
    asyncio.run(shared.commit(RoundResult(round, 0, events, memories), sim_time(round)))
    ((found_events, found_memories),) = shared.rounds(round, round)
    assert_same(found_events, events)
    assert_same(found_memories, memories)


def test_small_rounds_are_read_together_and_large_ones_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("recarena.server.store.run_tables.WINDOW", 10)
    assert list(windows([4, 4, 4, 30, 0, 9, 1], 5)) == [(5, 6), (7, 7), (8, 8), (9, 11)]
    assert list(windows([], 1)) == []


def test_rounds_read_in_many_windows_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("recarena.server.store.run_tables.WINDOW", 100)
    with made_folder(tmp_path / "run", 7) as folder:
        assert_log_is_uninterrupted(folder, 7)
        with fork(folder, tmp_path / "fork", 7) as forked:
            assert_log_is_uninterrupted(forked, 7)


def test_the_status_is_replaced_as_a_whole(tmp_path: Path):
    with made_folder(tmp_path / "run") as folder:
        assert folder.status["text"] == "created, no round yet"
        commit_up_to(folder, 2)
        folder.set_status("paused", "arm A has no recommender")
    with RunFolder.open(tmp_path / "run") as reader:
        assert reader.status["text"] == "paused after round 2: arm A has no recommender"
        assert reader.status["state"] == "paused"
        with pytest.raises(Conflict, match="not open for writing"):
            reader.set_status("running")
    assert not list((tmp_path / "run").glob(".*.new"))


# ---------------------------------------------------------------------- what is refused


def test_a_round_out_of_turn_is_refused(tmp_path: Path):
    with made_folder(tmp_path / "run", 2) as folder:
        for round in (2, 4):
            with pytest.raises(Conflict, match=f"round {round} cannot follow round 2"):
                asyncio.run(folder.commit(made_round(round), sim_time(round)))
        with pytest.raises(ValueError, match="of another round"):
            asyncio.run(folder.commit(replace(made_round(5), round=3), sim_time(3)))
        with pytest.raises(ValueError, match="time zone"):
            asyncio.run(folder.commit(made_round(3), datetime(2026, 1, 1)))  # noqa: DTZ001
        commit_up_to(folder, 3)
        assert_log_is_uninterrupted(folder, 3)


def test_an_existing_folder_is_never_overwritten(tmp_path: Path):
    made_folder(tmp_path / "run", 1).close()
    with pytest.raises(Conflict, match="already"):
        made_folder(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    made_folder(tmp_path / "empty").close()


def test_a_create_that_fails_leaves_nothing(tmp_path: Path):
    with pytest.raises(InputError, match="no arm is called 'C'"):
        RunFolder.create(tmp_path / "run", MANIFEST, tiny_world(), ["C"] * 6)
    with pytest.raises(InputError, match="6"):
        RunFolder.create(tmp_path / "run", MANIFEST, tiny_world(), ["A"])
    with pytest.raises(InputError, match="arms"):
        RunFolder.create(tmp_path / "run", {"run_id": "x"}, tiny_world(), ARMS)
    with pytest.raises(InputError, match="dataset"):
        RunFolder.create(tmp_path / "run", {**MANIFEST, "dataset": 1}, tiny_world(), ARMS)

    def fill_and_fail() -> None:
        with new_folder(tmp_path / "run", MANIFEST, tiny_world(), ARMS, sync=False):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_a_create_that_is_killed_leaves_nothing_that_opens(tmp_path: Path):
    script = (
        "import os, signal\n"
        "from recarena.server.store import new_folder\n"
        "new_folder.write_json = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from pathlib import Path\n"
        "from support.worlds import tiny_world\n"
        "from recarena.server.store.run_folder import RunFolder\n"
        f"RunFolder.create(Path({str(tmp_path / 'run')!r}), {MANIFEST!r}, tiny_world(), {ARMS!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=TESTS, check=False).returncode == -9
    with pytest.raises(NotFound):
        RunFolder.open(tmp_path / "run")
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".run.")
    with pytest.raises(InputError, match="not a run folder"):
        RunFolder.open(leftover)
    made_folder(tmp_path / "run").close()


def test_a_folder_that_is_missing_foreign_or_newer_is_refused(tmp_path: Path):
    with pytest.raises(NotFound, match="there is no run folder"):
        RunFolder.open(tmp_path / "nowhere", writable=True)
    assert not (tmp_path / "nowhere").exists()
    for text in (None, "not json", "[1]", '{"format": "something else", "format_version": 1}'):
        foreign = tmp_path / f"foreign-{text}"
        foreign.mkdir()
        if text is not None:
            (foreign / "manifest.json").write_text(text)
        with pytest.raises(InputError, match="not a run folder"):
            RunFolder.open(foreign, writable=True)
        assert not (foreign / "lock").exists()
    made_folder(tmp_path / "run").close()
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 2}))
    with pytest.raises(InputError, match=r"has format 2.*Update RecArena"):
        RunFolder.open(tmp_path / "run")


def test_a_round_that_is_not_committed_is_not_found(tmp_path: Path):
    with made_folder(tmp_path / "run", 2) as folder:
        for first, last in ((0, 1), (1, 3), (3, 3)):
            with pytest.raises(NotFound, match="rounds 1 to 2"):
                folder.rounds(first, last)


def test_an_altered_event_is_found_by_its_digest(tmp_path: Path):
    with made_folder(tmp_path / "run", 4) as folder:
        events = RunTables(folder.tables.path, live=False)
        events._table("events").update(where="round = 3 AND user = 2", values={"item": 1})
    with (
        RunFolder.open(tmp_path / "run") as folder,
        pytest.raises(InputError, match="the events of round 3 do not give the digest"),
    ):
        folder.verify_digest()


# ---------------------------------------------------------------------- one writer, many readers


def test_a_second_writer_is_told_who_writes(tmp_path: Path):
    made_folder(tmp_path / "run").close()
    with committer(tmp_path / "run", 2, "--hold-at", "append:events:2") as other:
        assert other.stdout
        assert other.stdin
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Conflict, match=rf"^run run is being written by process {other.pid}$"):
            RunFolder.open(tmp_path / "run", writable=True)
        other.stdin.close()
        assert other.wait(30) == 0
    with RunFolder.open(tmp_path / "run", writable=True) as folder:
        assert_log_is_uninterrupted(folder, 2)
        with pytest.raises(Conflict, match="is being written"):
            RunFolder.open(tmp_path / "run", writable=True)


@pytest.mark.parametrize("point", ["append:events:3", "append:memories:3", "append:works:3"])
def test_a_reader_sees_nothing_of_a_commit_that_is_half_done(tmp_path: Path, point: str):
    made_folder(tmp_path / "run", 1).close()
    with RunFolder.open(tmp_path / "run") as reader:
        assert_log_is_uninterrupted(reader, 1)
        with committer(tmp_path / "run", 4, "--hold-at", point) as writer:
            assert writer.stdout
            assert writer.stdin
            assert writer.stdout.readline() == "held\n"
            assert reader.last_round == 3
            expected = [made_round(round).events for round in (1, 2, 3)]
            for (events, _), made in zip(reader.rounds(1, 3), expected, strict=True):
                assert_same(events, made)
            assert set(reader.events_of(2).round.tolist()) == {1, 2, 3}
            assert reader.memories_of(2).round.tolist() == [1, 2, 3]
            assert len(reader.works()) == 6
            reader.verify_digest()
            writer.stdin.close()
            assert writer.wait(30) == 0
        assert_log_is_uninterrupted(reader, 4)


def test_a_reader_writes_nothing(tmp_path: Path):
    with made_folder(tmp_path / "run", 2) as folder:
        folder.tables.append("events", event_table(made_round(3).events))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    with RunFolder.open(tmp_path / "run") as reader:
        reader.verify_digest()
        reader.works()
        for forbidden in (
            lambda: reader.truncate(1),
            lambda: asyncio.run(reader.commit(made_round(3), sim_time(3))),
        ):
            with pytest.raises(Conflict, match="not open for writing"):
                forbidden()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before


def test_the_example_in_the_documentation_reads_the_watches(tmp_path: Path):
    with made_folder(tmp_path / "run", 2) as folder:
        folder.tables.append("events", event_table(made_round(3).events))
    text = (TESTS.parent / "docs" / "run-folder.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(example.replace("runs/my-run", str(tmp_path / "run")), names)
    watches = names["watches"]
    expected = EventColumns.concat([made_round(r).events for r in (1, 2)]).of(EventKind.WATCH)
    assert_same(events_from(watches), expected)


def test_a_folder_of_before_the_causes_were_kept_is_read_and_written_on(tmp_path: Path):
    import lancedb

    folder = made_folder(tmp_path / "run")
    commit_up_to(folder, 1)
    folder.close()
    works = lancedb.connect(str(tmp_path / "run" / "tables")).open_table("works")
    works.drop_columns(["unknown", "duplicate", "excluded", "short", "token"])
    kept, told = Faults(untold=2), Faults(unknown=1, short=1)
    assert [work.faults for work in RunFolder.open(tmp_path / "run").works()] == [Faults(), kept]
    with RunFolder.open(tmp_path / "run", writable=True) as folder:
        commit_up_to(folder, 2)
        assert [work.faults for work in folder.works()] == [Faults(), kept, Faults(), told]
        assert [work.violations for work in folder.works()] == [0, 2, 0, 2]
