"""A competition that is interrupted in every way comes out as if it had not been."""

from __future__ import annotations

import sys

import pytest

from support.competitions import ROUNDS, RUNS, Story
from support.thoroughness import THOROUGH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children"),
]


def test_the_manifest_is_there_before_the_first_round_and_never_changes(competition: Story):
    assert "manifest.json" in competition.early
    assert "results.json" not in competition.early
    stages = (competition.bereaved, competition.stopped, competition.killed, competition.finished)
    assert len({stage.manifest for stage in stages if stage}) == 1


def test_a_recommender_that_dies_costs_its_own_runs_alone(competition: Story):
    stage = competition.bereaved
    states = stage.states()
    assert stage.code == 1
    assert {state for run, state in states.items() if run.endswith("popular")} == {"finished"}
    assert "failed" in {state for run, state in states.items() if run.endswith("random")}
    failures = stage.results["failures"]
    assert {tuple(one["recommenders"]) for one in failures} == {("random",)}
    for one in failures:
        assert "recommender-random was ended by signal SIGKILL" in one["reason"]
        assert one["round"] < ROUNDS


def test_the_others_have_their_leaderboard_where_one_has_failed(competition: Story):
    stage = competition.bereaved
    assert stage.results["complete_worlds"] == [0, 1]
    assert "popular" in {row["recommender"] for row in stage.said("leaderboard")}
    assert "--retry-failed" in stage.said("done")[0]["next"][0]


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(competition: Story):
    stage = competition.stopped
    assert (stage.code, stage.results["interrupted"], stage.left) == (130, True, [])
    states = stage.states()
    assert states["w0-popular"] == states["w1-popular"] == "finished"
    assert "unfinished" in states.values()
    (done,) = stage.said("done")
    assert done["interrupted"]
    assert done["next"][0].startswith("recarena compete --resume ")


@pytest.mark.skipif(not THOROUGH, reason="one more playing")
def test_a_killed_command_leaves_no_program_behind(competition: Story):
    assert competition.killed
    assert (competition.killed.code, competition.killed.left) == (-9, [])


def test_it_is_finished_in_the_end_and_nothing_is_played_twice(competition: Story):
    stage = competition.finished
    assert (stage.code, stage.results["failures"]) == (0, [])
    assert set(stage.states().values()) == {"finished"}
    assert [run["id"] for run in stage.results["runs"]] == RUNS
    assert {run["rounds"] for run in stage.results["runs"]} == {ROUNDS}
    assert {one["run_id"] for one in stage.said("run")} <= {"w0-random", "w1-random"}
    before = {run["id"]: run["digest"] for run in competition.bereaved.results["runs"]}
    now = {run["id"]: run["digest"] for run in stage.results["runs"]}
    assert all(before[run] == now[run] for run in ("w0-popular", "w1-popular"))
