"""Our metrics against rectools and scipy, our strengths against choix, where `make crosscheck` has
installed them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.bradley_terry import bradley_terry, wins_by_world
from support.made_logs import made_log, random_rows

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-crosscheck" / "bin" / "python"
COMPARED = (
    "intra_list_diversity", "novelty", "average_popularity", "coverage", "gini", "genre_entropy",
    "calibration_divergence",
)  # fmt: skip
MEASURES = {metric.name: metric.measure for metric in METRICS}
SEEDS = range(12)
ONE_GENRE = 6
"""Logs with seeds below have items of one genre each."""

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(),
    reason="rectools and choix are not installed: `make crosscheck` does that and runs this",
)


def log_of(seed: int) -> RunLog:
    """Thirty users and twenty-five items over four rounds."""
    rng = np.random.default_rng(seed)
    one = seed < ONE_GENRE
    genres = [[name for name in "ABCDE" if rng.random() < 0.4] for _ in range(25)]
    if one:
        genres = [[str(rng.choice(list("ABCDE")))] for _ in range(25)]
    history = [(int(rng.integers(30)), int(rng.integers(25)), 4.0) for _ in range(200)]
    return made_log(
        random_rows(rng, users=30, rounds=4, items=25),
        rounds=4,
        arm_of_user=["a"] * 30,
        popularity=rng.integers(0, 20, 25).tolist(),
        genres=genres,
        history=history,
    )


def as_asked(log: RunLog) -> dict[str, Any]:
    """The recommender's own lists, one after another, and what else the reference needs."""
    lists: list[list[int]] = []
    users: list[int] = []
    events = log.events
    for user, kind, item, own in zip(
        events.user.tolist(), events.kind.tolist(), events.item.tolist(), events.own.tolist(),
        strict=True,
    ):  # fmt: skip
        if own and kind == Kind.PAGE:
            lists.append([])
            users.append(user)
        elif own and kind == Kind.SHOWN:
            lists[-1].append(item)
    return {
        "lists": lists,
        "users": users,
        "popularity": log.popularity.astype(int).tolist(),
        "genres": [np.flatnonzero(row).tolist() for row in log.genres],
        "genre_count": len(log.genre_names),
        "history": np.stack([log.history.user, log.history.item], axis=1).tolist(),
    }


def played(seed: int) -> np.ndarray:
    """[recommenders, worlds]: values, some of them equal, some missing."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(np.arange(5)[:, None] * 0.3, 1.0, (5, 12)), 1)
    return np.where(rng.random(values.shape) < 0.1, np.nan, values)


def wins_with_prior(values: np.ndarray) -> np.ndarray:
    """[i, j]: worlds in which i beat j, ties one half, and the tie that each pair is given."""
    wins = wins_by_world(values).sum(axis=0)
    return wins + 0.5 * (wins + wins.T > 0)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    asked = {
        "logs": [as_asked(log_of(seed)) for seed in SEEDS],
        "wins": [wins_with_prior(played(seed)).tolist() for seed in SEEDS],
    }
    told = subprocess.run(
        [PYTHON, HERE / "reference.py"], input=json.dumps(asked), text=True, capture_output=True,
        timeout=110,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@pytest.mark.parametrize("metric", COMPARED)
def test_a_metric_is_what_the_library_says(found: dict[str, Any], metric: str):
    ours = [MEASURES[metric](log_of(seed), None) for seed in SEEDS]
    assert ours == pytest.approx([one[metric] for one in found["logs"]], rel=1e-9)


def test_with_one_genre_an_item_diversity_is_half_the_librarys_own_distance(found: dict[str, Any]):
    # Two items of different genres differ in two flags.
    ours = [MEASURES["intra_list_diversity"](log_of(seed), None) for seed in range(ONE_GENRE)]
    theirs = [one["hamming_diversity"] / 2 for one in found["logs"][:ONE_GENRE]]
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_strengths_are_those_of_choix(found: dict[str, Any]):
    for seed in SEEDS:
        ours = [one.interval.mean for one in bradley_terry(played(seed))]
        assert ours == pytest.approx(found["strengths"][seed], abs=1e-6)
