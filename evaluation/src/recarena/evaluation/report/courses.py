"""How metrics went over the rounds, over worlds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from recarena.evaluation.metrics.trajectories import TRAJECTORIES, by_round
from recarena.evaluation.report.shown import Doubles
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.worlds import Interval, world_interval

Course: TypeAlias = tuple[Interval, ...]
"""[rounds] of the longest run: mean over the worlds that have a value, with its interval."""
Courses: TypeAlias = Mapping[str, Mapping[str, Course]]
"""By metric, by recommender."""


def courses(logs: Iterable[RunLog]) -> Courses:
    """Of every metric of TRAJECTORIES. A recommender that played a world more than once has the
    mean of its runs there; a run that is shorter than others has no value in the rounds it lacks.
    """
    found: dict[str, dict[str, dict[tuple[str, int], list[Doubles]]]] = {
        name: {} for name in TRAJECTORIES
    }
    for log in logs:
        for arm, metric in itertools.product(log.arms, TRAJECTORIES):
            of_it = found[metric].setdefault(arm.recommender, {})
            world = (log.world, log.seed)
            of_it.setdefault(world, []).append(by_round(log, arm.arm_id, metric))
        log.shared.clear()
    return {
        metric: {name: _over_worlds(list(worlds.values())) for name, worlds in of_it.items()}
        for metric, of_it in found.items()
    }


def _over_worlds(worlds: Sequence[Sequence[Doubles]]) -> Course:
    rounds = max(len(run) for runs in worlds for run in runs)
    columns = np.stack([_mean(runs, rounds) for runs in worlds])
    return tuple(world_interval(columns[:, at].tolist()) for at in range(rounds))


def _mean(runs: Sequence[Doubles], rounds: int) -> Doubles:
    """[rounds]: over the runs that have a value there; NaN without one."""
    values = np.full((len(runs), rounds), np.nan)
    for number, run in enumerate(runs):
        values[number, : len(run)] = run
    there = np.isfinite(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
