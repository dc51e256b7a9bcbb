"""What counts of a competition: states of runs, complete worlds, money, progress, an early end."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.evaluation.competing.folder import CompetitionFolder
from recarena.evaluation.competing.manifest import manifest_of, write_manifest
from recarena.evaluation.competing.minds import Purse, mind_settings, server_options, spent
from recarena.evaluation.competing.plan import BadPlan, Design, Plan, worlds_of
from recarena.evaluation.competing.results import (
    FAILED,
    FINISHED,
    UNFINISHED,
    Found,
    RunResult,
    complete_worlds,
    here,
    ranked,
    read,
    results_of,
    run_results,
    write_results,
)
from recarena.evaluation.competing.standing import Standing
from recarena.evaluation.competing.stopping import Stopper
from recarena.evaluation.metrics import measures
from recarena.evaluation.playing.contenders import remote
from recarena.evaluation.playing.mirrored import Bout, Conduct, Played
from recarena.evaluation.report.content import of_competition
from recarena.evaluation.runs.run_log import RunLog
from support.run_logs import page, write_run


def plan(worlds: int = 2, **more: Any) -> Plan:
    return Plan(
        name="n", recommenders=(remote("a"), remote("b")),
        worlds=worlds_of(["new:users=2"], worlds, 1), rounds=1, **more,
    )  # fmt: skip


def folder_of(path: Path, made: Plan) -> CompetitionFolder:
    write_manifest(path, manifest_of(made, {"settings": {}}))
    return CompetitionFolder.open(path)


def run(
    folder: CompetitionFolder, bout: Bout, state: str, watches: int = 1, error: str = ""
) -> None:
    """A run folder in which each user watches so many of four items."""
    rows = [
        row for user in (0, 1) for row in page(user, range(4), dict.fromkeys(range(watches), 3))
    ]
    path = write_run(
        folder.runs / bout.run_id, rows, arm_of_user=[bout.recommender] * 2, seed=bout.seed
    )
    (path / "status.json").write_text(json.dumps({"state": state, "error": error}))


def result(made: Plan, number: int, bout: Bout, state: str) -> RunResult:
    return RunResult(bout, made.worlds[number], state, 1, "", "")


# ------------------------------------------------------------------ states


def test_states_come_from_the_folders_and_what_was_played(tmp_path: Path):
    made = plan(3)
    folder = folder_of(tmp_path, made)
    bouts = made.bouts()
    run(folder, bouts[0], "succeeded")
    run(folder, bouts[1], "paused", error="the budget is used up")
    run(folder, bouts[2], "failed", error="the disk is full")
    run(folder, bouts[3], "stopped")
    run(folder, bouts[4], "running")
    gone = Played(bouts[3], Path(), 1, "b was ended by signal SIGKILL", {"b": Conduct("B 1", 2, 0)})
    found = run_results(folder, {gone.bout.run_id: gone}, "the competition was stopped")
    assert [one.state for one in found] == [
        FINISHED, UNFINISHED, FAILED, FAILED, UNFINISHED, UNFINISHED,
    ]  # fmt: skip
    assert [one.error for one in found] == [
        "",
        "ended after 1 of 1 rounds: the budget is used up",
        "the disk is full",
        "b was ended by signal SIGKILL",
        "ended after 1 of 1 rounds: the competition was stopped",
        "not played: the competition was stopped",
    ]
    assert found[3].conduct == {"b": {"software": "B 1", "unsolicited": 2, "quarantined": 0}}


def test_a_run_that_used_up_its_budget_says_how_the_competition_goes_on(tmp_path: Path):
    said = "it is used up. Raise the cap: recarena resume RUN"
    folder = tmp_path / "my arena"
    cost = here(f"{said} --max-cost 0.12", folder, "w0-a")
    assert cost.endswith(": recarena compete --resume 'my arena' --max-cost MORE")
    tokens = here(f"{said} --max-tokens 12", folder, "w0-a")
    assert tokens.endswith(
        ": recarena resume 'my arena'/runs/w0-a --max-tokens 12 --only-change, "
        "then recarena compete --resume 'my arena'"
    )
    assert [here(text, folder, "w0-a") for text in (cost, tokens)] == [cost, tokens]


def test_what_is_told_of_runs_names_no_folder_around_the_competition(tmp_path: Path):
    made = plan(1)
    folder = folder_of(tmp_path, made)
    said = f"a died; the last lines of {tmp_path}/logs/recommender-a.log:\n  no memory"
    failed, _ = run_results(folder, {"w0-a": Played(made.bouts()[0], Path(), 0, said)})
    assert failed.error == "a died; the last lines of logs/recommender-a.log:\n  no memory"


def test_what_failed_before_is_still_said_why(tmp_path: Path):
    made = plan(1)
    folder = folder_of(tmp_path, made)
    before = {"id": "w0-b", "state": FAILED, "error": "it flooded", "conduct": {"b": {}}}
    kept = {"format": "recarena-competition-results", "format_version": 1, "runs": [before]}
    (tmp_path / "results.json").write_text(json.dumps(kept))
    run(folder, made.bouts()[1], "stopped")
    _, failed = run_results(CompetitionFolder.open(tmp_path), {})
    assert (failed.state, failed.error) == (FAILED, "it flooded")


def test_why_something_was_not_played_is_still_said_to_later_readers(tmp_path: Path):
    made = plan(2)
    folder = folder_of(tmp_path, made)
    run(folder, made.bouts()[0], "succeeded")
    run(folder, made.bouts()[1], "running")
    told = run_results(folder, {}, "the competition was stopped")
    write_results(folder, Found(told, {}, None, True, "", 1.0))
    assert run_results(CompetitionFolder.open(tmp_path), {}) == told
    run(folder, made.bouts()[2], "running")
    later = run_results(CompetitionFolder.open(tmp_path), {})
    assert later[2].error == "ended after 1 of 1 rounds"


def test_a_competition_is_measured_once_for_all_who_tell_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = plan(2)
    folder = folder_of(tmp_path, made)
    for bout in made.bouts():
        run(folder, bout, "succeeded", watches=1 + (bout.recommender == "a"))
    opened: list[Path] = []
    once = RunLog.open
    monkeypatch.setattr(RunLog, "open", lambda path, **_: opened.append(path) or once(path))
    here = read(folder)
    assert here.board
    monkeypatch.setattr(measures, "METRICS", ())  # whoever measured again would find nothing
    found = Found(here.runs, here.logs, here.board, False, "", 1.0)
    values = results_of(folder, found)["runs"][0]["metrics"]["a"]
    assert values["watch_rate"] == 0.5
    assert of_competition(folder, found).board is here.board
    assert sorted(opened) == sorted(folder.run_folders().values())


def test_what_failed_before_and_is_played_anew_is_unfinished(tmp_path: Path):
    made = plan(1)
    folder = folder_of(tmp_path, made)
    before = [{"id": name, "state": FAILED, "error": "it flooded"} for name in ("w0-a", "w0-b")]
    kept = {"format": "recarena-competition-results", "format_version": 1, "runs": before}
    (tmp_path / "results.json").write_text(json.dumps(kept))
    run(folder, made.bouts()[0], "paused")
    anew, never_begun = run_results(CompetitionFolder.open(tmp_path), {})
    assert (anew.state, anew.error) == (UNFINISHED, "ended after 1 of 1 rounds")
    assert (never_begun.state, never_begun.error) == (FAILED, "it flooded")


def test_a_world_is_complete_when_nobody_plays_in_it_any_more_and_one_has_finished():
    made = plan(4)
    states = [FINISHED, FINISHED, FINISHED, FAILED, FINISHED, UNFINISHED, FAILED, FAILED]
    runs = [
        result(made, at // 2, bout, state)
        for at, (bout, state) in enumerate(zip(made.bouts(), states, strict=True))
    ]
    assert complete_worlds(made, runs) == [0, 1]
    assert [one.bout.run_id for one in ranked(made, runs)] == ["w0-a", "w0-b", "w1-a"]


def test_shared_worlds_are_ranked_only_where_there_are_no_others():
    for design, names in ((Design.BOTH, ["w0-a", "w0-b"]), (Design.SPLIT, ["split-w0"])):
        made = plan(1, design=design)
        runs = [result(made, 0, bout, FINISHED) for bout in made.bouts()]
        assert [one.bout.run_id for one in ranked(made, runs)] == names


# ------------------------------------------------------------------ money


@settings(deadline=None)
@given(
    st.floats(0.01, 1000),
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=12),
)
def test_all_runs_together_never_cost_more_than_the_cap(cap: float, uses: list[tuple[float, bool]]):
    """Whatever share of its own cap each run uses, and whether it ends before the next begins."""
    costs: dict[str, float] = {}
    purse = Purse(cap, len(uses), costs.__getitem__)
    live: list[str] = []
    for at, (share, ends) in enumerate(uses):
        bout = purse.begin(Bout(str(at), ("a",), "new:", 1), {})
        costs[bout.run_id] = share * bout.settings["llm"]["max_cost"]
        live.append(bout.run_id)
        if ends:
            purse.end(live.pop(0))
    assert sum(costs.values()) <= cap * (1 + 1e-9)


def test_what_a_run_does_not_use_is_there_for_those_after_it():
    purse = Purse(10.0, 2, lambda _: 1.0)
    first = purse.begin(Bout("0", ("a",), "new:", 1), {})
    purse.end("0")
    second = purse.begin(Bout("1", ("a",), "new:", 1, {"llm": {"model": "m"}}), {"workers": 2})
    assert first.settings["llm"] == {"max_cost": 5.0}
    assert second.settings["llm"] == {"model": "m", "workers": 2, "max_cost": 9.0}


def test_what_was_spent_and_promised_before_is_gone():
    purse = Purse(10.0, 1, lambda _: 0.0)
    purse.count(3.0)
    purse.hold("half-played", 2.0)
    assert purse.begin(Bout("half-played", ("a",), "new:", 1), {}).settings == {}
    assert purse.begin(Bout("1", ("a",), "new:", 1), {}).settings["llm"]["max_cost"] == 5.0


def test_without_cap_or_minds_nothing_is_added():
    bout = Bout("0", ("a",), "new:", 1)
    assert Purse(None, 1, lambda _: 0.0).begin(bout, {}) == bout


def test_calls_of_unknown_cost_count_as_the_worst_case(tmp_path: Path):
    assert spent(tmp_path) == 0
    with sqlite3.connect(tmp_path / "llm.sqlite") as database:
        database.execute("CREATE TABLE calls (cost REAL, worst REAL, paid INTEGER)")
        database.executemany(
            "INSERT INTO calls VALUES (?, ?, ?)", [(1, 5, 1), (None, 2, 1), (9, 9, 0)]
        )
    database.close()
    assert spent(tmp_path) == 3


def test_minds_are_named_by_provider_and_model():
    assert mind_settings("", base_url="") == {}
    assert mind_settings("openai-compatible:llama", base_url="http://here/v1", share=0.5) == {
        "provider": "openai-compatible", "model": "llama", "base_url": "http://here/v1",
        "share": 0.5,
    }  # fmt: skip
    with pytest.raises(BadPlan, match="is no mind"):
        mind_settings("llama")
    assert server_options({}) == ()
    llm = {"provider": "openai-compatible", "base_url": "http://here/v1"}
    assert server_options({"llm": llm}) == ("--llm", "--llm-url", "http://here/v1")


# ------------------------------------------------------------------ progress


def test_time_that_is_left_follows_from_the_rounds_of_this_playing():
    now = 100.0
    made = Plan(
        name="n", recommenders=(remote("a"), remote("b")),
        worlds=worlds_of(["new:users=2"], 2, 1), rounds=10,
    )  # fmt: skip
    standing = Standing(made, clock=lambda: now)
    first, second, third, _ = made.bouts()
    standing.already([first.run_id])
    assert standing.seconds_left is None
    standing.round(second, 1)
    now = 104.0
    standing.round(second, 8)
    assert (standing.rounds_per_second, standing.seconds_left) == (2.0, 11.0)
    standing.end(Played(second, Path(), 10, ""))
    assert (standing.worlds_done, standing.rounds_done) == (1, 18)
    standing.end(Played(third, Path(), 0, "gone"))
    assert standing.rounds_per_second == 2.0
    told = standing.as_json()
    assert (told["runs_done"], told["rounds"], told["worlds"]) == (3, 40, 2)
    assert "cost" not in told


# ------------------------------------------------------------------ an early end


def test_it_ends_early_once_every_pair_is_separated_and_worlds_are_taken_in_order(tmp_path: Path):
    made = plan(14, stop_early=True)
    folder = folder_of(tmp_path, made)
    stopper = Stopper(folder)
    pairs = [made.bouts_in(world) for world in made.worlds]
    for number, (a, b) in enumerate(pairs[1:12], start=1):
        # Three or four of four items against one: apart by more than they vary.
        run(folder, a, "succeeded", 3 + number % 2)
        run(folder, b, "succeeded", 1)
    assert stopper.look() == ""  # world 0 is not played yet, whatever the others say
    run(folder, pairs[0][0], "succeeded", 3)
    assert stopper.look() == ""
    run(folder, pairs[0][1], "succeeded", 1)
    assert "after 12 worlds every pair is separated" in stopper.look()


def test_who_failed_in_a_world_is_not_waited_for_and_decides_nothing(tmp_path: Path):
    made = Plan(
        name="n", recommenders=tuple(map(remote, ("ease", "popular", "random"))),
        rounds=1, stop_early=True, worlds=worlds_of(["new:users=2"], 12, 1),
    )  # fmt: skip
    folder = folder_of(tmp_path, made)
    for number, world in enumerate(made.worlds):
        a, b, c = made.bouts_in(world)
        run(folder, a, "succeeded", 3 + number % 2)
        run(folder, b, "succeeded", 1)
        run(folder, c, "succeeded" if number else "failed", 1)
    assert "after 12 worlds every pair is separated" in Stopper(folder).look()


def test_it_goes_on_while_a_pair_is_open(tmp_path: Path):
    made = plan(12, stop_early=True)
    folder = folder_of(tmp_path, made)
    for number, world in enumerate(made.worlds):
        for at, bout in enumerate(made.bouts_in(world)):
            run(folder, bout, "succeeded", 1 + (number + at) % 2 * 2)
    assert Stopper(folder).look() == ""
