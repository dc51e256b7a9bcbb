"""Whether the worlds of a plan are enough, by a pilot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recarena.evaluation.competing.advice import advice
from recarena.evaluation.competing.plan import Plan, worlds_of
from recarena.evaluation.playing.contenders import contender
from recarena.evaluation.statistics.power import spread_of, worlds_needed
from support.run_logs import page, visit, write_run

WATCHED = {"a": (2, 2, 1), "b": (1, 0, 1), "c": (1, 0, 0)}
"""Of four items, by world: b - c varies less than a - b."""


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pilot")
    for name, worlds in WATCHED.items():
        for seed, count in enumerate(worlds):
            seen = page(0, [0, 1, 2, 3], dict.fromkeys(range(count), 4.0))
            write_run(folder / "runs" / f"w{seed}-{name}", visit(0, seen), arms={"a": name},
                      seed=seed, arm_of_user=["a"])  # fmt: skip
    return folder


def plan(names: Sequence[str], **more: Any) -> Plan:
    return Plan(
        name="n", recommenders=tuple(map(contender, names)), rounds=1,
        worlds=worlds_of(["new:users=2"], 10, 1), **more,
    )  # fmt: skip


TWO, THREE = ("popular", "ease"), ("popular", "ease", "random")


@pytest.mark.parametrize(("names", "pairs"), [(TWO, 1), (THREE, 3)])
def test_worlds_are_reckoned_for_all_pairs_that_are_claimed(
    pilot: Path, names: Sequence[str], pairs: int
):
    upper = spread_of([0.25, 0.5, 0.0]).upper  # a - b, the widest
    needed = worlds_needed(0.5, upper, alpha=0.05 / pairs)
    told = advice(plan(names, minimum_effect=0.5), pilot)
    assert f"sd of a and b up to {upper:.2g}" in told
    assert f"needs {needed} worlds for 80 % power" in told
    assert ("among 3 pairs" in told) == (pairs == 3)
    assert told.endswith("10 are enough." if needed and needed <= 10 else "10 are too few.")


def test_what_is_not_known_is_said(pilot: Path, tmp_path: Path):
    assert "No smallest difference that matters is stated" in advice(plan(TWO), None)
    assert "recarena power says so from a pilot" in advice(plan(TWO, minimum_effect=0.1), None)
    write_run(tmp_path / "a", visit(0, page(0, [0])), arms={"a": "a"})
    assert "no two recommenders" in advice(plan(TWO, minimum_effect=0.1), tmp_path)
