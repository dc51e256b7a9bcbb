"""Leaderboards by several primaries, with rank intervals, strengths, a gate and all comparisons."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from recarena.evaluation.leaderboard.board import Entrant, Leaderboard, build, looked_at
from recarena.evaluation.leaderboard.forms import (
    as_csv,
    as_json_lines,
    as_records,
    as_table,
    comparison_records,
    notes,
)
from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.multiplicity import benjamini_hochberg, holm_adjusted
from recarena.evaluation.statistics.stopping import StoppingRule
from recarena.evaluation.statistics.worlds import paired_p_value
from support.run_logs import page, quick_log, run_log, visit, work, write_run

WATCHED = {
    "good": ([4, 3, 4], [3, 3, 3], [4, 4, 3], [4, 3, 3]),
    "fair": ([2, 1, 2], [1, 1, 1], [2, 2, 1], [1, 2, 1]),
    "same": ([2, 1, 2], [1, 1, 1], [2, 2, 1], [2, 1, 1]),
    "poor": ([0, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]),
}
TWO = ("watch_rate", "watches_per_user_round")


@pytest.fixture(scope="module")
def logs() -> list[RunLog]:
    return [
        quick_log(name, watched, seed=seed)
        for name, worlds in WATCHED.items()
        for seed, watched in enumerate(worlds)
    ]


def printed(board: Leaderboard, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(as_table(board, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_holm_runs_over_pairs_and_primaries_and_the_rest_is_explored(logs: list[RunLog]):
    board = build(logs, primary=TWO)
    for role, adjust in (("primary", holm_adjusted), ("exploratory", benjamini_hochberg)):
        of_role = [one for one in board.comparisons if one.role == role]
        metrics = 2 if role == "primary" else len(METRICS) - 2
        assert len(of_role) == metrics * len(list(combinations(WATCHED, 2)))
        assert [one.adjusted_p for one in of_role] == adjust([one.p_value for one in of_role])
        assert all(one.separated == (one.adjusted_p <= 0.05) for one in of_role)
    first = board.comparisons[0]
    values = [[row.by_world[world] for world in board.played]
              for name in (first.a, first.b)
              for row in board.rows if row.recommender == name]  # fmt: skip
    assert first.p_value == paired_p_value(*values)
    assert board.primaries == TWO
    for row in board.rows:
        assert list(row.places) == list(TWO)
        assert row.place is row.places["watch_rate"]


def test_a_second_primary_can_cost_the_first_one_a_separation():
    # One pair alone: p = .03 to .05 is separated; of two hypotheses it must be below .025.
    runs = [quick_log(name, [count], seed=seed, shown=20)
            for name, counts in {"a": [11, 11, 11, 12], "b": [10, 10, 10, 9]}.items()
            for seed, count in enumerate(counts)]  # fmt: skip
    alone = build(runs)
    (pair,) = [one for one in alone.comparisons if one.role == "primary"]
    assert 0.025 < pair.p_value < 0.1
    both = build(runs, primary=("watch_rate", "satisfaction"))
    (shared,) = [one for one in both.comparisons if one.metric == "watch_rate"]
    assert (pair.adjusted_p, shared.adjusted_p) == (pair.p_value, 2 * pair.p_value)


def test_rows_are_sorted_by_the_first_primary_and_the_better_way():
    shown = [quick_log("wide", [0, 0], seed=seed, shown=8) for seed in (1, 2, 3)]
    shown += [one_item_log("narrow", seed) for seed in (1, 2, 3)]
    by_gini = build(shown, primary=("gini", "watch_rate"))
    assert by_gini.rows[0].primary == "gini"
    assert [row.recommender for row in by_gini.rows] == ["wide", "narrow"]
    assert [row.first_place for row in by_gini.rows] == [1, 2]
    assert by_gini.rows[0].place.strength.interval.mean > 0


def one_item_log(name: str, seed: int) -> RunLog:
    """Everybody is shown the first of eight items alone."""
    wide = quick_log(name, [0, 0], seed=seed, shown=8)
    first = wide.events.take((wide.events.item < 1) | (wide.events.kind == 4))
    return replace(wide, events=first)


@pytest.mark.parametrize(
    ("primary", "said"),
    [
        ("watchrate", "there is no metric 'watchrate' to rank by; made for it are watch_rate"),
        ("searches_per_visit", "neither good nor bad"),
        ("latency_p95_ms", "for the gate beside the ranking"),
        ((), "needs a primary"),
    ],
)
def test_what_cannot_be_ranked_by_is_refused(
    logs: list[RunLog], primary: str | tuple[str, ...], said: str
):
    with pytest.raises(ValueError, match=said):
        build(logs, primary=primary)


def test_ranks_and_strengths_stand_beside_the_places(logs: list[RunLog]):
    rows = {row.recommender: row.place for row in build(logs).rows}
    ranks = {name: place.rank for name, place in rows.items()}
    assert ranks["good"] is not None
    assert (ranks["good"].low, ranks["good"].high) == (1, 1)
    assert ranks["fair"] is not None
    assert (ranks["fair"].low, ranks["fair"].high) == (2, 3)
    strengths = [rows[name].strength.interval.mean for name in ("good", "fair", "poor")]
    assert strengths == sorted(strengths, reverse=True)
    fair, same = (rows[name].strength.interval for name in ("fair", "same"))
    assert (fair.low, fair.high) == pytest.approx((same.low, same.high))
    one_world = build([quick_log("a", [1]), quick_log("b", [2])])
    assert one_world.rows[0].place.rank is None


def test_the_seed_of_resampling_decides_and_is_told(logs: list[RunLog]):
    assert as_json_lines(build(logs, seed=5)) == as_json_lines(build(logs, seed=5))
    (row, *_) = as_records(build(logs, seed=5))
    assert row["places"]["watch_rate"]["rank"]["seed"] == 5
    assert any("seed 5" in note for note in notes(build(logs, seed=5)))


# ------------------------------------------------------------------ the gate


@pytest.fixture(scope="module")
def slow_and_fast(tmp_path_factory: pytest.TempPathFactory) -> list[RunLog]:
    folder = tmp_path_factory.mktemp("runs")
    seen = visit(0, page(0, [0, 1], {1: 4.0}))
    return [
        run_log(folder / f"{name}-{seed}", seen, [work(ms, violations=dropped)],
                arms={"a": name}, seed=seed)
        for name, ms, dropped in (("slow", 300, 2), ("fast", 20, 0))
        for seed in (1, 2)
    ]  # fmt: skip


def test_the_gate_passes_or_fails_with_reasons_and_moves_no_place(slow_and_fast: list[RunLog]):
    gate = Gate(max_p95_ms=250, max_unusable_rate=0.1, max_violations_per_list=1)
    board = build(slow_and_fast, gate=gate)
    verdicts = {row.recommender: row.verdict for row in board.rows}
    assert verdicts["fast"] is not None
    assert verdicts["fast"].passed
    assert verdicts["slow"] is not None
    assert verdicts["slow"].reasons == (
        "p95 latency 300 ms, limit 250 ms",
        "violations a list 2, limit 1",
    )
    without = build(slow_and_fast)
    assert [(r.recommender, r.first_place) for r in without.rows] == [
        (r.recommender, r.first_place) for r in board.rows
    ]
    assert all(row.verdict is None for row in without.rows)
    assert "slow does not pass the gate: p95 latency 300 ms" in " ".join(notes(board))
    assert "FAIL" in "\n".join(printed(board, 70))


def test_a_limit_is_within_and_what_was_not_measured_does_not_pass():
    assert Gate(max_p95_ms=20).judge({"latency_p95_ms": 20.0}).passed
    unknown = Gate(max_p95_ms=20).judge({})
    assert unknown.reasons == ("p95 latency not measured",)
    assert Gate().judge({}).passed
    assert Gate.of({"max_p95_ms": 5}).as_json()["max_p95_ms"] == 5
    with pytest.raises(ValueError, match="known are max_p95_ms"):
        Gate.of({"max_p59_ms": 5})
    with pytest.raises(ValueError, match="0 or more"):
        Gate(max_p95_ms=float("nan"))


def test_a_gate_without_limits_is_none(logs: list[RunLog]):
    assert build(logs, gate=Gate()).gate is None


# ------------------------------------------------------------------ looks after every world


def test_where_one_looked_after_every_world_places_rest_on_the_sequence(logs: list[RunLog]):
    few = looked_at(build(logs), StoppingRule(10))
    # Holm separates four of them after four worlds; a sequence says nothing before the tenth.
    assert {row.first_place for row in build(logs).rows} == {1, 2, 4}
    assert {(row.first_place, row.last_place) for row in few.rows} == {(1, 4)}
    said = " ".join(notes(few))
    assert "confidence sequence" in said
    assert "Holm" not in said
    runs = [quick_log(name, [count + seed % 2], seed=seed, shown=20)
            for name, count in {"a": 15, "b": 5, "c": 5}.items() for seed in range(12)]  # fmt: skip
    runs[-1] = quick_log("c", [8], seed=11, shown=20)
    many = looked_at(build(runs), StoppingRule(12))
    assert [(row.recommender, row.first_place, row.last_place) for row in many.rows] == [
        ("a", 1, 1), ("c", 2, 3), ("b", 2, 3),
    ]  # fmt: skip
    assert [one.separated for one in many.comparisons[:3]] == [True, True, False]
    assert many.comparisons[0].difference.confidence == pytest.approx(1 - 0.05 / 3)
    assert many.comparisons[3:] == tuple(
        one for one in build(runs).comparisons if one.role == "exploratory"
    )


# ------------------------------------------------------------------ worlds that one breaks off


@pytest.mark.parametrize("early", [False, True])
def test_who_breaks_off_where_it_falls_behind_is_not_called_better(early: bool):
    def board(of_b: int) -> Leaderboard:
        runs = [quick_log("a", [8 + seed % 2], seed=seed, shown=20) for seed in range(14)]
        runs += [quick_log("b", [of_b + seed % 3], seed=seed, shown=20) for seed in range(12)]
        made = build(runs)
        return looked_at(made, StoppingRule(14)) if early else made

    for better, places in ((14, {(1, 2)}), (2, {(1, 1), (2, 2)})):
        made = board(better)
        assert made.comparisons[0].difference.excludes(0)
        assert {(row.first_place, row.last_place) for row in made.rows} == places
        assert "Not every world was played by b" in " ".join(notes(made))


def test_a_world_in_which_nothing_could_be_rated_is_one_that_it_lacks():
    runs = [quick_log("a", [2], seed=seed) for seed in range(6)]
    silent, *others = [quick_log("b", [2 if seed else 0], seed=seed) for seed in range(6)]
    liked = [
        replace(log, events=replace(log.events, value=log.events.value * (1.5 + seed / 90)))
        for seed, log in enumerate(others)
    ]
    found = {one.metric: one for one in build([*runs, silent, *liked], "satisfaction").comparisons}
    assert found["satisfaction"].adjusted_p < 0.001
    assert not found["satisfaction"].separated


# ------------------------------------------------------------------ how it is shown


@pytest.mark.parametrize("width", [100, 70])
def test_a_table_with_all_there_is_fits_and_keeps_primaries_and_gate(
    slow_and_fast: list[RunLog], width: int
):
    board = build(slow_and_fast, primary=("watch_rate", "satisfaction"), gate=Gate(max_p95_ms=9))
    lines = printed(board, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for heading in ("watch rate", "rating", "gate"):
        assert heading in text
    assert "…" not in text


def test_a_table_of_a_hundred_columns_shows_ranks_and_strengths(logs: list[RunLog]):
    text = "\n".join(printed(build(logs), 100))
    assert "rank" in text
    assert "strength" in text
    assert "2–3" in text
    assert "-0.0" not in text


def test_a_record_holds_what_a_published_row_needs(slow_and_fast: list[RunLog]):
    board = build(
        slow_and_fast, primary=("watch_rate", "satisfaction"), gate=Gate(max_p95_ms=100),
        entrants={"slow": Entrant("1.2", 3)},
    )  # fmt: skip
    records = {json.loads(line)["recommender"]: json.loads(line)
               for line in as_json_lines(board).splitlines()}  # fmt: skip
    slow, fast = records["slow"], records["fast"]
    assert (slow["version"], slow["submissions"]) == ("1.2", 3)
    assert (fast["version"], fast["submissions"]) == (None, None)
    assert slow["primary"] == ["watch_rate", "satisfaction"]
    assert slow["places"]["satisfaction"]["strength"]["mean"] == 0
    assert slow["metrics"]["watch_rate"]["role"] == "primary"
    assert slow["metrics"]["coverage"]["role"] == "exploratory"
    assert slow["metrics"]["latency_p95_ms"]["separated_from"] == ["fast"]
    assert slow["gate"] == {"passed": False, "reasons": ["p95 latency 300 ms, limit 100 ms"]}
    assert slow["operations"]["latency_p95_ms"] == 300
    assert slow["llm"] is None
    found = {(one["metric"], one["role"]): one for one in comparison_records(board)}
    assert found["latency_p95_ms", "exploratory"]["leader"] == "fast"
    assert json.dumps(list(comparison_records(board)), allow_nan=False)


def test_csv_has_the_same_in_columns(slow_and_fast: list[RunLog]):
    board = build(slow_and_fast, gate=Gate(max_p95_ms=100), entrants={"slow": Entrant("1.2", 3)})
    rows = {row["recommender"]: row for row in csv.DictReader(io.StringIO(as_csv(board)))}
    assert (rows["slow"]["version"], rows["slow"]["submissions"]) == ("1.2", "3")
    assert (rows["slow"]["gate"], rows["fast"]["gate"]) == ("fail", "pass")
    assert rows["slow"]["rank_low"] == "1"
    assert float(rows["slow"]["strength"]) == 0
    assert rows["fast"]["submissions"] == rows["fast"]["llm_cost_per_user_round"] == ""


def test_the_command_takes_primaries_and_limits_and_refuses_others_in_one_line(tmp_path: Path):
    from recarena.evaluation.leaderboard.command import leaderboard_command

    for name in ("popular", "random"):
        write_run(tmp_path / "runs" / name, visit(0, page(0, [0, 1], {1: 4.0})), [work(12)],
                  arms={"a": name})  # fmt: skip
    app = typer.Typer()
    app.command()(leaderboard_command)

    def run(*options: str):
        return CliRunner().invoke(app, [str(tmp_path / "runs"), *options])

    told = run("--primary", "satisfaction", "--max-p95-ms", "5", "--json")
    record = json.loads(told.output.splitlines()[0])
    assert (record["primary"], record["gate"]["passed"]) == (["satisfaction"], False)
    wrong = run("--primary", "watchrate")
    assert wrong.exit_code == 1
    assert wrong.output.startswith("--primary: there is no metric 'watchrate'")
    assert wrong.output.strip().count("\n") == 0
    assert run("--max-p95-ms", "nan").exit_code in (1, 2)


def test_values_that_are_all_alike_make_equals_of_everybody():
    equal = [quick_log(name, [2, 2], seed=seed) for name in "abc" for seed in (1, 2, 3)]
    board = build(equal)
    for row in board.rows:
        assert (row.first_place, row.last_place) == (1, 3)
        assert row.place.rank is not None
        assert (row.place.rank.low, row.place.rank.high) == (1, 3)
        assert row.place.strength.interval.mean == pytest.approx(0, abs=1e-12)
    assert np.all([one.adjusted_p == 1 for one in board.comparisons])
