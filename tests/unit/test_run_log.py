"""Reading run folders: what is committed and nothing else, and never a traceback."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from recarena.evaluation.metrics.exposure import planted_groups
from recarena.evaluation.runs import events as ours
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Outcome
from recarena.evaluation.runs.run_log import (
    EVENT_COLUMNS,
    RunLog,
    UnreadableRun,
    find_runs,
    open_runs,
)
from recarena.evaluation.runs.steering import NAMES, ChangeKind
from recarena.server import types as servers
from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.planting import Planting
from recarena.server.store.new_folder import FORMAT, FORMAT_VERSION
from recarena.server.store.run_folder import RunFolder
from support.rounds import made_round, sim_time
from support.run_logs import event, page, run_log, visit, work, write_run
from support.worlds import tiny_world


@pytest.mark.parametrize("name", ["EventKind", "Outcome", "Surface"])
def test_the_stored_numbers_mean_the_same_to_server_and_evaluation(name: str):
    theirs, own = getattr(servers, name), getattr(ours, name)
    assert {one.name: one.value for one in own} == {one.name: one.value for one in theirs}


def test_server_and_evaluation_agree_on_what_interventions_change():
    theirs = {one.name: one.value for one in servers.InterventionKind}
    assert {one.name: one.value for one in ChangeKind} == theirs
    assert set(NAMES) == set(ChangeKind)


def test_server_and_evaluation_agree_on_what_a_usable_list_is():
    usable = {one.name for one in servers.Outcome if one.usable}
    assert usable == {one.name for one in Outcome if one.usable}


def test_server_and_evaluation_agree_on_the_types_of_columns():
    for name, dtype in EVENT_COLUMNS.items():
        assert servers.EVENT_COLUMNS[name][0] is dtype


def test_server_and_evaluation_agree_on_the_format():
    from recarena.evaluation.runs import run_log as own

    assert (own.FORMAT, own.FORMAT_VERSION) == (FORMAT, FORMAT_VERSION)


def test_a_folder_that_the_server_writes_is_read_in_order_while_it_is_written(tmp_path: Path):
    manifest = {
        "run_id": "r", "seed": 7, "world": {"name": "tiny"},
        "arms": [{"arm_id": "a", "recommender": "popular"}, {"arm_id": "b", "recommender": "ease"}],
    }  # fmt: skip
    arm_of_user = ["a", "b", "a", "b", "a", ""]
    rounds = [made_round(number) for number in (1, 2, 3)]
    with RunFolder.create(tmp_path / "r", manifest, tiny_world(), arm_of_user) as folder:
        for done, result in enumerate(rounds, 1):
            asyncio.run(folder.commit(result, sim_time(done)))
            log = RunLog.open(tmp_path / "r")
            assert log.rounds == done
    for name in EVENT_COLUMNS:
        given = np.concatenate([getattr(result.events, name) for result in rounds])
        assert np.array_equal(getattr(log.events, name), given)
    works = [one for result in rounds for one in result.works]
    assert log.works.violations.tolist() == [one.violations for one in works]
    for cause in ("unknown", "duplicate", "excluded", "short", "token"):
        given_counts = [getattr(one.faults, cause) for one in works]
        assert getattr(log.works, cause).tolist() == given_counts
    assert log.works.outcome.tolist() == [int(one.outcome) for one in works]
    assert log.works.arm.tolist() == [one.arm for one in works]
    assert (log.run_id, log.seed, log.world) == ("r", 7, "tiny")
    assert [arm.recommender for arm in log.arms] == ["popular", "ease"]
    assert log.arm_of_user.tolist() == [0, 1, 0, 1, 0, -1]
    assert (len(log.item_ids), len(log.user_ids), log.user_names[1]) == (8, 6, "Bob")


def test_what_was_known_before_the_run_is_read_when_somebody_asks(tmp_path: Path):
    world = tiny_world()
    manifest = {"run_id": "r", "seed": 7, "arms": [{"arm_id": "a", "recommender": "a"}]}
    RunFolder.create(tmp_path / "r", manifest, world, ["a"] * 6).close()
    log = RunLog.open(tmp_path / "r")
    assert log.genre_names == world.catalog.genre_names
    assert np.array_equal(log.genres, world.catalog.genres)
    assert np.array_equal(log.history.user, world.history.user)
    assert np.array_equal(log.history.item, world.history.item)
    assert np.array_equal(log.history.rating, world.history.rating)
    assert log.truth is not None
    assert np.array_equal(log.truth.quality, world.catalog.quality)
    assert np.allclose(log.truth.attributes, world.catalog.attributes)
    assert np.array_equal(log.truth.taste, world.population.taste)
    assert np.array_equal(log.truth.mean_rating, world.population.mean_rating)
    watches = world.catalog.popularity.astype(float)
    assert np.allclose(log.p_train, (watches + 1) / (watches.sum() + len(watches)))


def test_a_folder_that_tells_nothing_of_before_is_a_run_all_the_same(tmp_path: Path):
    log = run_log(tmp_path / "r", visit(0, page(0, [1])))
    assert log.genres.shape == (4, 0)
    assert (len(log.history), log.truth, dict(log.planted)) == (0, None, {})


def test_planted_groups_reach_the_log(tmp_path: Path):
    world = planted_world(5, 6, 1, planting=Planting(groups=2))
    manifest = {"run_id": "r", "seed": 7, "arms": [{"arm_id": "a", "recommender": "a"}]}
    RunFolder.create(tmp_path / "r", manifest, world, ["a"] * 5).close()
    groups = planted_groups(RunLog.open(tmp_path / "r"))
    assert (groups.names, np.bincount(groups.of_item).tolist()) == (("A", "B"), [3, 3])
    assert groups.merit[0] == pytest.approx(groups.merit[1])


def test_causes_of_violations_are_unknown_where_the_folder_does_not_have_them(tmp_path: Path):
    import lancedb

    path = write_run(tmp_path / "r", [], [work(unknown=2), work()])
    works = lancedb.connect(str(path / "tables")).open_table("works")
    works.drop_columns(["unknown", "duplicate", "excluded", "short", "token"])
    found = RunLog.open(path).works
    assert found.violations.tolist() == [2, 0]
    assert found.unknown.tolist() == found.short.tolist() == [-1, 0]


def test_rows_of_a_round_that_was_not_committed_are_passed_over(tmp_path: Path):
    log = run_log(
        tmp_path / "r", visit(0, page(0, [1])), uncommitted=visit(1, page(1, [2], round=2), round=2)
    )
    assert log.rounds == 1
    assert set(log.events.round.tolist()) == {1}


def test_a_run_without_a_round_is_read(tmp_path: Path):
    log = run_log(tmp_path / "r", [], rounds=0)
    assert (log.rounds, len(log.events)) == (0, 0)


def test_events_of_an_arm_are_those_of_its_users(tmp_path: Path):
    log = run_log(
        tmp_path / "r",
        [event(0, Kind.IDLE), event(1, Kind.IDLE), event(2, Kind.IDLE)],
        [work(arm="b"), work(arm="a")],
        arm_of_user=("a", "b", ""),
        arms={"a": "popular", "b": "ease"},
    )
    assert log.events_of("b").user.tolist() == [1]
    assert log.events_of().user.tolist() == [0, 1, 2]
    assert log.works_of("a").arm.tolist() == [0]
    with pytest.raises(KeyError, match="it has a, b"):
        log.events_of("c")


def test_only_pages_with_the_recommenders_own_list_are_its_own(tmp_path: Path):
    rows = visit(
        0,
        page(0, [1, 2], {2: 5}),
        page(0, [3], {3: 1}, step=1, outcome=Outcome.LATE),
        page(0, [0], step=2, outcome=Outcome.VIOLATIONS),
    )
    rows += visit(1, page(1, [0], {0: 3}, outcome=Outcome.LOST))
    log = run_log(tmp_path / "r", rows)
    own = log.events.take(log.events.own)
    assert [Kind(kind).name for kind in own.kind.tolist()] == [
        "PAGE", "SHOWN", "SHOWN", "WATCH", "PAGE", "SHOWN",
    ]  # fmt: skip
    assert own.item.tolist() == [-1, 1, 2, 2, -1, 0]


def unreadable(path: Path) -> str:
    with pytest.raises(UnreadableRun) as caught:
        RunLog.open(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_what_is_no_run_folder_is_refused_in_one_line_with_a_remedy(tmp_path: Path):
    assert "Name a folder" in unreadable(tmp_path / "missing")
    assert "Name a folder" in unreadable(tmp_path)
    (tmp_path / "manifest.json").write_text("{not json")
    assert "Name a folder" in unreadable(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path):
    path = write_run(tmp_path / "r", [])
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"format_version": 99}))
    assert "Update RecArena" in unreadable(path)


def test_a_damaged_folder_is_refused(tmp_path: Path):
    path = write_run(tmp_path / "r", visit(0, page(0, [1])))
    table = path / "tables" / "users.lance"
    table.rename(path / "elsewhere")
    assert "users" in unreadable(path)


def test_rows_that_are_missing_from_a_committed_round_are_noticed(tmp_path: Path):
    import lancedb

    path = write_run(tmp_path / "r", visit(0, page(0, [1])))
    lancedb.connect(str(path / "tables")).open_table("events").delete("seq = 1")
    assert "events" in unreadable(path)


def test_rows_come_in_the_order_of_the_log_wherever_they_stand_in_the_table(tmp_path: Path):
    import lancedb

    path = write_run(
        tmp_path / "r", [*visit(0, page(0, [1])), event(0, Kind.IDLE, round=2)], rounds=2
    )
    before = RunLog.open(path).events
    tables = lancedb.connect(str(path / "tables"))
    rows = tables.open_table("events").to_arrow()
    tables.create_table("events", data=rows.take(list(range(len(rows)))[::-1]), mode="overwrite")
    after = RunLog.open(path).events
    assert after.kind.tolist() == before.kind.tolist()
    assert after.own.tolist() == before.own.tolist()


def test_several_runs_are_opened_in_their_order_or_the_first_damaged_one_is_named(tmp_path: Path):
    folders = [
        write_run(tmp_path / f"r{seed}", visit(0, page(0, [1])), arm_of_user=["a"], seed=seed)
        for seed in range(6)
    ]
    assert [log.seed for log in open_runs(folders)] == list(range(6))
    for broken in (2, 4):
        (folders[broken] / "manifest.json").unlink()
    with pytest.raises(UnreadableRun, match="r2 is no run folder"):
        open_runs(folders)


def test_runs_are_found_directly_in_a_folder(tmp_path: Path):
    for name in ("b", "a"):
        write_run(tmp_path / name, [])
    (tmp_path / "logs").mkdir()
    assert [path.name for path in find_runs(tmp_path)] == ["a", "b"]
    assert find_runs(tmp_path / "a") == [tmp_path / "a"]
    write_run(tmp_path / "cup" / "runs" / "w0-ease", [])
    write_run(tmp_path / "cup" / "runs" / "split-w0", [])
    assert find_runs(tmp_path / "cup") == [tmp_path / "cup" / "runs" / "w0-ease"]
    with pytest.raises(UnreadableRun, match="holds none"):
        find_runs(tmp_path / "logs")
