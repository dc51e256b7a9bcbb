"""`recarena power`: a plan from a standard deviation, or from a pilot's runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from recarena.evaluation.metrics.measures import PRIMARY
from recarena.evaluation.planning.command import command
from recarena.evaluation.planning.pilot import pairs_of
from recarena.evaluation.planning.plan import WORLDS, Plan, curve
from recarena.evaluation.statistics.power import power, worlds_needed
from support.run_logs import page, quick_log, visit, write_run


def plan(*words: object) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(word) for word in words])


def events(*words: object) -> dict[str, list[dict[str, Any]]]:
    result = plan(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, list[dict[str, Any]]] = {}
    for line in result.output.splitlines():
        found.setdefault(json.loads(line)["event"], []).append(json.loads(line))
    return found


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pilot") / "runs"
    watched = {"a": (2, 2, 1), "b": (1, 0, 1), "c": (0, 0, 0)}
    for name, worlds in watched.items():
        for seed, count in enumerate(worlds):
            seen = page(0, [0, 1, 2, 3], dict.fromkeys(range(count), 4.0))
            write_run(folder / f"w{seed}-{name}", visit(0, seen), arms={"a": name}, seed=seed,
                      arm_of_user=["a"])  # fmt: skip
    return folder


def test_a_given_standard_deviation_makes_a_plan_by_hand():
    found = events("--sd", 0.02, "--effect", 0.01, "--worlds", 7)
    (told,) = found["plan"]
    assert told["worlds_needed"] == 34  # as Cohen's table for d = 0.5
    assert told["approximately"] == pytest.approx(7.85 * 4 + 2, abs=0.1)
    assert [one["worlds"] for one in found["power"]] == sorted([*WORLDS, 7, 34])
    assert "pair" not in found


def test_without_an_effect_it_says_what_worlds_can_find():
    found = events("--sd", 0.02)
    assert found["plan"][0]["worlds_needed"] is None
    effects = [one["minimum_detectable_effect"] for one in found["power"]]
    assert effects == sorted(effects, reverse=True)
    assert {one["power"] for one in found["power"]} == {None}


def test_a_pilots_pairs_are_measured_over_the_worlds_that_both_played(pilot: Path):
    found = events(pilot, "--effect", 0.1)
    pairs = {(one["a"], one["b"]): one for one in found["pair"]}
    assert set(pairs) == {("a", "b"), ("a", "c"), ("b", "c")}
    # a - b over worlds: 1/4, 2/4, 0; sample sd 1/4
    assert pairs["a", "b"]["difference"] == pytest.approx(0.25)
    assert pairs["a", "b"]["sd"] == pytest.approx(0.25)
    assert pairs["a", "b"]["worlds_needed"] == worlds_needed(0.1, 0.25)
    # The plan serves the widest pair.
    assert (
        found["plan"][0]["sd"] == max(one["sd"] for one in found["pair"]) == found["pair"][0]["sd"]
    )


def test_people_are_told_the_same_in_sentences(pilot: Path):
    said = plan(pilot, "--effect", 0.1).output
    assert "watch_rate in the pilot" in said
    assert f"{worlds_needed(0.1, 0.25)} worlds where the standard deviation is 0.25" in " ".join(
        said.split()
    )
    assert "each of the 3 pairs" in said
    assert max(map(len, said.splitlines())) <= 100


def test_more_comparisons_share_the_five_percent():
    one, ten = (Plan(1.0, 1.0, 0.5, comparisons=count) for count in (1, 10))
    few, many = one.worlds(1.0), ten.worlds(1.0)
    assert few is not None
    assert many is not None
    assert many > few
    by_worlds = {step.worlds: step for step in curve(ten)}
    assert by_worlds[20].power == power(0.5, 1.0, 20, 0.005)


def test_runs_of_one_world_count_once_and_lone_worlds_not_at_all():
    logs = [quick_log("a", [4], seed=1), quick_log("a", [2], seed=1), quick_log("a", [1], seed=2),
            quick_log("b", [1], seed=1), quick_log("b", [1], seed=2), quick_log("b", [1], seed=3),
            quick_log("c", [1], seed=3)]  # fmt: skip
    (pair,) = pairs_of(logs, PRIMARY)
    assert (pair.a, pair.b, pair.spread.worlds) == ("a", "b", 2)
    assert pair.difference == pytest.approx((3 / 4 - 1 / 4) / 2)


WRONG: Sequence[tuple[tuple[object, ...], int, str]] = (
    ((), 2, "Give either run folders"),
    (("--sd", 1, "runs"), 2, "Give either run folders"),
    (("--sd", 1, "--effect", 0), 2, "--effect 0: an effect is a number above 0"),
    (("--sd", "inf"), 2, "--sd inf"),
    (("--sd", 1, "--power", 1), 2, "--power 1: a power is between 0 and 1"),
    (("no-such-folder",), 1, "there is no folder no-such-folder"),
)


@pytest.mark.parametrize(("words", "code", "said"), WRONG)
def test_what_makes_no_plan_is_refused_in_one_line(words: tuple[object, ...], code: int, said: str):
    result = plan(*words)
    assert (result.exit_code, result.output.strip().count("\n")) == (code, 0)
    assert result.output.startswith(said)


def test_a_pilot_that_says_nothing_is_refused(pilot: Path):
    assert (
        "there is no 'watchrate'; there are watch_rate"
        in plan(pilot, "--metric", "watchrate").output
    )
    alone = plan(pilot / "w0-a")
    assert alone.exit_code == 1
    assert "no two recommenders have watch_rate in two worlds" in alone.output
