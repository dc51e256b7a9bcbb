"""Leaderboards: grouped by recommender, paired by world, ties said, and who the users were."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from recarena.evaluation.leaderboard.board import Leaderboard, build
from recarena.evaluation.leaderboard.forms import as_csv, as_json_lines, as_table, notes
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.worlds import paired_difference
from support.run_logs import page, quick_log, visit, work, write_run

WORLDS = {
    "good": ([4, 3, 4], [3, 3, 3], [4, 4, 3], [4, 3, 3]),
    "fair": ([2, 1, 2], [1, 1, 1], [2, 2, 1], [1, 2, 1]),
    "same": ([2, 1, 2], [1, 1, 1], [2, 2, 1], [2, 1, 1]),
    "poor": ([0, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]),
}


def logs() -> list[RunLog]:
    return [
        quick_log(name, watched, seed=seed)
        for name, worlds in WORLDS.items()
        for seed, watched in enumerate(worlds)
    ]


def printed(board: Leaderboard, width: int = 100) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(as_table(board, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_rows_are_sorted_by_watch_rate_with_an_interval_over_worlds():
    board = build(logs())
    assert [row.recommender for row in board.rows] == ["good", "fair", "same", "poor"]
    good = board.rows[0]
    # per world: 11/12, 9/12, 11/12, 10/12
    assert good.intervals["watch_rate"].mean == pytest.approx(41 / 48)
    assert good.intervals["watch_rate"].worlds == good.worlds == 4
    assert (good.users, good.rounds) == (12, 4)


def test_recommenders_that_are_not_separated_share_their_places():
    places = {
        row.recommender: (row.first_place, row.last_place, row.tied_with)
        for row in build(logs()).rows
    }
    assert places == {
        "good": (1, 1, ()),
        "fair": (2, 3, ("same",)),
        "same": (2, 3, ("fair",)),
        "poor": (4, 4, ()),
    }


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=2),
        min_size=2,
        max_size=6,
    )
)
def test_two_recommenders_tie_exactly_where_the_paired_interval_includes_zero(
    worlds: list[list[tuple[int, int]]],
):
    runs = [
        quick_log(name, [user[at] for user in users], seed=seed)
        for at, name in enumerate("ab")
        for seed, users in enumerate(worlds)
    ]
    a, b = sorted(build(runs).rows, key=lambda row: row.recommender)
    assert a.by_world.keys() == b.by_world.keys()
    one = paired_difference(list(a.by_world.values()), list(b.by_world.values()))
    if min(abs(one.low), abs(one.high)) > 1e-9 or one.low == one.high:
        assert (a.tied_with == ("b",)) == (not one.excludes(0))
        assert a.tied == b.tied == bool(a.tied_with)


@settings(deadline=None, max_examples=8)
@given(st.permutations(range(16)))
def test_the_order_of_the_runs_is_irrelevant(order: list[int]):
    runs = logs()
    assert as_json_lines(build([runs[at] for at in order])) == in_order()


@cache
def in_order() -> str:
    return as_json_lines(build(logs()))


def test_worlds_pair_by_seed_and_not_by_order():
    easy, hard = [4, 4, 4], [1, 1, 1]
    runs = [
        quick_log("a", easy, seed=1), quick_log("a", hard, seed=2), quick_log("a", easy, seed=3),
        quick_log("b", hard, seed=2), quick_log("b", easy, seed=3), quick_log("b", easy, seed=1),
    ]  # fmt: skip
    a, b = build(runs).rows
    assert a.by_world == b.by_world
    assert a.tied_with == ("b",)


def test_several_runs_of_one_world_count_as_one_world():
    runs = [quick_log("a", [4, 4]), quick_log("a", [2, 2]), quick_log("a", [1, 1], seed=2)]
    (row,) = build(runs).rows
    assert row.worlds == 2
    assert sorted(row.by_world.values()) == [1 / 4, 3 / 4]


def test_no_run_is_no_leaderboard():
    with pytest.raises(ValueError, match="at least one run"):
        build([])


def test_the_first_line_below_the_table_says_who_the_users_were():
    first, second, *_ = notes(build(logs()))
    assert "choice model: no LLM, no people" in first
    assert "Under mind choice, world tiny" in first
    assert "4 worlds" in second


def test_users_of_a_language_model_and_of_unknown_minds_are_not_called_choice_models():
    (log,) = [quick_log("a", [1, 2])]
    llm = replace(log, manifest=dict(log.manifest) | {"mind": {"kind": "llm", "is_llm": True}})
    assert "a language model: no people" in build([llm]).caveat
    unknown = replace(log, manifest={"seed": 1})
    assert "do not name" in build([unknown]).caveat
    both = build([llm, log]).caveat
    assert "language model" in both
    assert "choice model" in both


def test_recommenders_that_are_alike_to_the_last_event_are_named():
    alike = [
        quick_log(name, watched, seed=seed)
        for name in ("one", "two", "other")
        for seed, watched in enumerate(WORLDS["fair" if name != "other" else "same"])
    ]
    board = build(alike)
    assert board.twins == (("one", "two"),)
    assert any(note.startswith("one and two are alike to the last event") for note in notes(board))
    # One event less, in one of the worlds, and they are no twins.
    shorter = alike[0].events.take(np.arange(len(alike[0].events)) > 0)
    assert build([replace(alike[0], events=shorter), *alike[1:]]).twins == ()
    # A world that only one of them played.
    assert build([*alike, quick_log("one", WORLDS["good"][0], seed=9)]).twins == ()


def test_what_makes_a_comparison_weak_is_said():
    one_world = " ".join(notes(build([quick_log("a", [1]), quick_log("b", [2])])))
    assert "One world has no interval" in one_world
    uneven = [quick_log("a", [1]), quick_log("a", [1], seed=2), quick_log("b", [2], rounds=7)]
    said = " ".join(notes(build(uneven)))
    assert "Not every world was played by b" in said
    assert "unequal length, 1 to 7 rounds" in said


@pytest.mark.parametrize("width", [100, 80, 60])
def test_the_table_fits_the_terminal_and_cuts_nothing_off(width: int):
    lines = printed(build(logs()), width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    for name in (*WORLDS, "2–3", "0.854 ±0.127", "watch rate"):
        assert name in text


def test_a_table_of_a_hundred_columns_has_all_that_is_to_be_shown():
    text = "\n".join(printed(build(logs()), 100))
    for heading in ("rating", "Gini", "p95", "failed"):
        assert heading in text


def test_every_json_line_holds_all_metrics_and_what_they_rest_on():
    board = build(logs())
    records = [json.loads(line) for line in as_json_lines(board).splitlines()]
    assert [record["recommender"] for record in records] == ["good", "fair", "same", "poor"]
    rate = records[0]["metrics"]["watch_rate"]
    assert rate["low"] < rate["mean"] < rate["high"]
    assert records[0]["metrics"]["latency_p95_ms"]["mean"] is None
    assert records[0]["under"]["minds"][0]["is_llm"] is False


def test_csv_has_a_row_each_and_three_columns_a_metric():
    rows = list(csv.DictReader(io.StringIO(as_csv(build(logs())))))
    assert [row["recommender"] for row in rows] == ["good", "fair", "same", "poor"]
    low, mean, high = (
        float(rows[0][name]) for name in ("watch_rate_low", "watch_rate", "watch_rate_high")
    )
    assert low < mean < high
    assert rows[0]["latency_p95_ms"] == ""
    assert "choice model" in rows[0]["under"]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name, watched in (("popular", {1: 4.0}), ("random", {})):
        for seed in (1, 2):
            write_run(
                tmp_path / "runs" / f"w{seed}-{name}",
                visit(0, page(0, [0, 1], watched)),
                [work(12)],
                arms={"a": name},
                seed=seed,
            )
    return tmp_path / "runs"


def leaderboard(*arguments: object):
    import typer

    from recarena.evaluation.leaderboard.command import leaderboard_command

    app = typer.Typer()
    app.command()(leaderboard_command)
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_the_command_compares_the_runs_in_a_folder(folders: Path):
    result = leaderboard(folders)
    assert result.exit_code == 0
    assert result.output.index("popular") < result.output.index("random")
    assert "choice model" in result.output


def test_the_command_writes_json_lines_and_csv(folders: Path):
    records = [json.loads(line) for line in leaderboard(folders, "--json").output.splitlines()]
    assert [record["metrics"]["watch_rate"]["mean"] for record in records] == [0.5, 0]
    assert leaderboard(folders, "--csv").output.startswith("recommender,")


def test_the_command_refuses_other_folders_in_one_line(tmp_path: Path):
    result = leaderboard(tmp_path)
    assert result.exit_code == 1
    assert result.output.strip().count("\n") == 0
    assert "no run folder" in result.output
