"""All pairs of recommenders on all metrics: what was claimed beforehand (Holm), and what is only
explored (Benjamini-Hochberg)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from recarena.evaluation.metrics.measures import METRICS, Metric
from recarena.evaluation.statistics.bootstrap import Matrix
from recarena.evaluation.statistics.multiplicity import benjamini_hochberg, holm_adjusted
from recarena.evaluation.statistics.stopping import StoppingRule, decide
from recarena.evaluation.statistics.worlds import Interval, paired_difference, paired_p_value

NAN = float("nan")
BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}
PRIMARY_ROLE, EXPLORATORY_ROLE = "primary", "exploratory"


@dataclass(frozen=True, order=True, slots=True)
class WorldKey:
    """What two runs share that played copies of the same world."""

    name: str
    seed: int
    users: int
    items: int


Measured = Mapping[str, Mapping[WorldKey, Mapping[str, float]]]
"""Recommender -> world -> metric -> value."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two recommenders on one metric, over the worlds that both have played."""

    metric: str
    role: str
    """`primary` or `exploratory`."""
    a: str
    b: str
    difference: Interval
    """a - b, for itself: not adjusted for there being other comparisons. After looks at every
    world it is that of the confidence sequence, which is."""
    p_value: float
    """Of the paired t test; NaN where fewer than two worlds have a value."""
    adjusted_p: float
    """Primary: after Holm over pairs x primaries. Exploratory: after Benjamini-Hochberg over all
    exploratory ones. NaN after looks at every world."""
    separated: bool
    """adjusted_p <= 1 - confidence; after looks at every world: the interval leaves out 0. Never
    where the better one has no value in a world in which the other has one: who breaks off where it
    falls behind would win by it."""

    @property
    def leader(self) -> str | None:
        """Who is better, where they are separated and the metric says which way is better."""
        better = better_of(self.metric)
        if not self.separated or better == 0:
            return None
        return self.a if self.difference.mean * better > 0 else self.b

    def other(self, recommender: str) -> str:
        """The one that it is compared with."""
        return self.b if recommender == self.a else self.a

    def as_json(self) -> dict[str, object]:
        """JSON values; null where there is none."""
        numbers = {
            "difference": self.difference.mean, "low": self.difference.low,
            "high": self.difference.high, "p_value": self.p_value, "adjusted_p": self.adjusted_p,
        }  # fmt: skip
        return {
            "metric": self.metric, "role": self.role, "a": self.a, "b": self.b,
            "worlds": self.difference.worlds, "separated": self.separated, "leader": self.leader,
            **{name: None if math.isnan(value) else value for name, value in numbers.items()},
        }  # fmt: skip


def better_of(metric: str) -> int:
    """1: higher is better, -1: lower is, 0: neither."""
    return {"higher": 1, "lower": -1, "neither": 0}[BY_NAME[metric].better]


def checked_primaries(primary: str | Sequence[str]) -> tuple[str, ...]:
    """Names of metrics that one may rank by, each once. ValueError for none, an unknown one (with
    those that are made for it), one of operations, or one that is neither good nor bad."""
    names = tuple(dict.fromkeys([primary] if isinstance(primary, str) else primary))
    if not names:
        raise ValueError("a leaderboard needs a primary metric")
    for name in names:
        if name not in BY_NAME:
            known = ", ".join(one.name for one in METRICS if one.kind == "primary-able")
            raise ValueError(f"there is no metric {name!r} to rank by; made for it are {known}")
        if BY_NAME[name].kind == "operations":
            raise ValueError(f"{name} is for the gate beside the ranking: it is never ranked by")
        if not better_of(name):
            raise ValueError(f"{name} is neither good nor bad: it is shown, never ranked by")
    return names


def compare(
    measured: Measured, primaries: Sequence[str], confidence: float
) -> tuple[Comparison, ...]:
    """Every pair on every metric: first the primaries, in their order, then the others."""
    others = [metric.name for metric in METRICS if metric.name not in primaries]
    found: list[Comparison] = []
    for role, names, adjust in (
        (PRIMARY_ROLE, primaries, holm_adjusted),
        (EXPLORATORY_ROLE, others, benjamini_hochberg),
    ):
        bare = [_plain(measured, a, b, name, confidence) for name in names
                for a, b in combinations(measured, 2)]  # fmt: skip
        adjusted = adjust([p for *_, p in bare])
        found += [
            Comparison(
                metric,
                role,
                a,
                b,
                difference,
                p,
                q,
                q <= _level(confidence) and not _flattered(measured, metric, a, b, difference.mean),
            )
            for (metric, a, b, difference, p), q in zip(bare, adjusted, strict=True)
        ]
    return tuple(found)


def compare_at_any_look(
    measured: Measured, primaries: Sequence[str], rule: StoppingRule
) -> tuple[Comparison, ...]:
    """Every pair on the primaries, where the competition was looked at after each world.

    Separated is what the confidence sequence's interval leaves 0 out of; alpha is shared among
    pairs and primaries, however many of them the rule was made for. There is no adjusted p-value.
    """
    pairs = [(name, a, b) for name in primaries for a, b in combinations(measured, 2)]
    shared = dataclasses.replace(rule, comparisons=max(rule.comparisons, len(pairs)))
    found: list[Comparison] = []
    for name, a, b in pairs:
        metric, _, _, plain, p_value = _plain(measured, a, b, name, rule.confidence)
        common = sorted(measured[a].keys() & measured[b].keys())
        gaps = [measured[a][world][metric] - measured[b][world][metric] for world in common]
        finite = [one for one in gaps if math.isfinite(one)]
        difference = decide(finite, shared).interval if finite else plain
        apart = difference.excludes(0.0) and not _flattered(measured, metric, a, b, difference.mean)
        found.append(Comparison(metric, PRIMARY_ROLE, a, b, difference, p_value, NAN, apart))
    return tuple(found)


def in_common(measured: Measured, metric: str) -> Matrix:
    """[recommenders, worlds]: the metric in every world that any of them played, in the order of
    the worlds, higher being better; NaN where one has no value."""
    worlds = sorted({world for played in measured.values() for world in played})
    sign = better_of(metric) or 1
    rows = [
        [sign * played[world][metric] if world in played else NAN for world in worlds]
        for played in measured.values()
    ]
    return np.array(rows, np.float64).reshape(len(rows), len(worlds))


def _plain(
    measured: Measured, a: str, b: str, metric: str, confidence: float
) -> tuple[str, str, str, Interval, float]:
    common = sorted(measured[a].keys() & measured[b].keys())
    of_a, of_b = ([measured[one][world][metric] for world in common] for one in (a, b))
    difference = paired_difference(of_a, of_b, confidence)
    p_value = paired_p_value(of_a, of_b) if difference.worlds > 1 else NAN
    return metric, a, b, difference, p_value


def _flattered(measured: Measured, metric: str, a: str, b: str, difference: float) -> bool:
    """Whether the better one lacks a world that the other has a value in."""
    better, other = (a, b) if difference * better_of(metric) > 0 else (b, a)
    there, there_of_other = (
        {world for world, values in measured[one].items() if math.isfinite(values[metric])}
        for one in (better, other)
    )
    return better_of(metric) != 0 and not there_of_other <= there


def _level(confidence: float) -> float:
    """1 - confidence without what binary fractions add to it."""
    return round(1 - confidence, 12)
