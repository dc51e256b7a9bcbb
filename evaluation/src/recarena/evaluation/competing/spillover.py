"""What sharing a world does to a difference: mirrored worlds against arms inside one world.

Where users of one recommender influence users of the other, arms of one world are no longer what
two worlds would be, and their difference is not the effect of choosing the one or the other for
everybody. (A recommender that learns has fewer users to learn from there, too.) Both designs played
in the same worlds tell by how much: spillover = mirrored - split.
Source: Halloran and Struchiner (1995) for direct and total effects under interference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from recarena.evaluation.leaderboard.comparing import BY_NAME, WorldKey
from recarena.evaluation.metrics.figures import Doubles, figures, per_user
from recarena.evaluation.metrics.measures import PRIMARY, Metric
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.cuped import UNIT, Arm, cuped
from recarena.evaluation.statistics.multiplicity import holm
from recarena.evaluation.statistics.ratios import ratio_of_means
from recarena.evaluation.statistics.worlds import (
    Interval,
    paired_difference,
    paired_p_value,
    world_interval,
)

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class UserLevel:
    """What one would say of a split who takes its users for independent. Means over worlds."""

    half_width: float
    """Of the interval of the difference of the arms, its unit being the user."""
    half_width_cuped: float
    """The same, adjusted by what these users did in the mirrored worlds."""
    variance_reduction: float
    """Of that adjustment, in 0..1."""
    covers: float
    """Share of the worlds whose unadjusted interval holds the world's own mirrored effect."""
    label: str = UNIT


@dataclass(frozen=True, slots=True)
class Spillover:
    """Two recommenders on one metric. All differences are a - b; all intervals are over worlds."""

    a: str
    b: str
    metric: str
    unit: str
    """What was drawn an arm in the shared worlds: users or clusters."""
    mirrored: Interval
    """Each recommender in its own copy of the world: what choosing it for everybody does."""
    split: Interval
    """Arms that share a world."""
    adjusted: Interval
    """The split, less what the users of the two arms differ by in mirrored worlds beyond the
    mirrored effect: the same expectation over draws of arms, and less chance in it."""
    spillover: Interval
    """mirrored - adjusted."""
    plain: Interval
    """mirrored - split."""
    recovered: Interval
    """adjusted / mirrored."""
    shown: bool
    """Whether the spillover is separated from 0, over all pairs of the same metric and unit
    together (Holm)."""
    ties_within_arms: float
    """Mean over the shared worlds; NaN where the runs do not say."""
    user_level: UserLevel | None
    """None for a metric that is no mean over users."""
    by_world: Mapping[WorldKey, float]
    """The spillover in each world."""

    @property
    def sentence(self) -> str:
        """What it says, for people."""
        return _sentence(self)

    def as_json(self) -> dict[str, Any]:
        """A record of results.json; null where there is no number."""
        intervals = {
            name: _bounds(getattr(self, name))
            for name in ("mirrored", "split", "adjusted", "spillover", "plain", "recovered")
        }
        users = self.user_level
        return {
            "a": self.a,
            "b": self.b,
            "metric": self.metric,
            "unit": self.unit,
            "worlds": self.spillover.worlds,
            "confidence": self.spillover.confidence,
            **intervals,
            "shown": self.shown,
            "ties_within_arms": _number(self.ties_within_arms),
            "user_level": None
            if users is None
            else {
                "half_width": _number(users.half_width),
                "half_width_cuped": _number(users.half_width_cuped),
                "variance_reduction": _number(users.variance_reduction),
                "covers": _number(users.covers),
                "label": users.label,
            },
            "sentence": self.sentence,
        }


def spillovers(
    mirrored: Iterable[RunLog],
    split: Iterable[RunLog],
    metrics: Sequence[str] = (PRIMARY.name,),
    confidence: float = 0.95,
) -> list[Spillover]:
    """Every pair of recommenders that share worlds, on every metric, and for every way in which
    arms were drawn, over the worlds that both designs have played.

    Mirrored runs have one arm, split ones several. Runs of a world are told by its name, seed and
    size. KeyError for a metric that is none.
    """
    alone: dict[tuple[str, WorldKey], RunLog] = {}
    for log in mirrored:
        alone[log.arms[0].recommender, world_of(log)] = log
    shared: dict[str, list[RunLog]] = {}
    for log in split:
        shared.setdefault(_unit(log), []).append(log)
    found: list[Spillover] = []
    for unit, logs in shared.items():
        names = list(dict.fromkeys(arm.recommender for log in logs for arm in log.arms))
        for metric in metrics:
            pairs = [
                (a, b, _worlds(alone, logs, a, b, BY_NAME[metric]))
                for a, b in combinations(names, 2)
            ]
            pairs = [(a, b, worlds) for a, b, worlds in pairs if worlds]
            told = holm([_p_value(worlds) for *_, worlds in pairs], 1 - confidence)
            found += [
                _estimate(a, b, metric, unit, worlds, shown, confidence)
                for (a, b, worlds), shown in zip(pairs, told, strict=True)
            ]
    return found


def world_of(log: RunLog) -> WorldKey:
    """What runs share that played copies of the same world."""
    return WorldKey(log.world, log.seed, len(log.user_ids), len(log.item_ids))


@dataclass(frozen=True, slots=True)
class _World:
    """One world, two recommenders, both designs."""

    key: WorldKey
    mirrored: float
    split: float
    lost: float
    """What the same users differ by in mirrored worlds, less the split: exactly 0 where nobody
    made a difference to anybody."""
    ties: float
    users: tuple[Arm, Arm] | None
    """Of the shared world's arms: what each user did, and did on average in the mirrored runs."""

    @property
    def adjusted(self) -> float:
        """The split difference that users as alike as those of mirrored worlds would show."""
        return self.mirrored - self.lost


def _worlds(
    alone: Mapping[tuple[str, WorldKey], RunLog],
    shared: Iterable[RunLog],
    a: str,
    b: str,
    metric: Metric,
) -> list[_World]:
    found: list[_World] = []
    for log in shared:
        arms = {arm.recommender: arm.arm_id for arm in log.arms}
        runs = [alone.get((name, world_of(log))) for name in (a, b)]
        if a not in arms or b not in arms or runs[0] is None or runs[1] is None:
            continue
        if {run.rounds for run in runs if run} != {log.rounds}:
            continue
        found.append(_of_world((runs[0], runs[1]), log, (arms[a], arms[b]), metric))
    return found


def _of_world(
    alone: tuple[RunLog, RunLog], log: RunLog, arms: tuple[str, str], metric: Metric
) -> _World:
    measure = metric.measure
    mirrored = measure(alone[0], None) - measure(alone[1], None)
    split = measure(log, arms[0]) - measure(log, arms[1])
    # The same users, each with their own recommender, in worlds that nobody shares.
    parted = [_parted_as(log, run) for run in alone]
    same_users = measure(parted[0], arms[0]) - measure(parted[1], arms[1])
    users = None
    if values := BY_USER.get(metric.name):
        before = (values(alone[0]) + values(alone[1])) / 2
        outcome = values(log)
        chosen = [log.users_of(arm) for arm in arms]
        of_arms = [Arm(outcome[one], before[one]) for one in chosen]
        users = (of_arms[0], of_arms[1])
    told = log.manifest.get("assignment")
    ties = told.get("ties_within_arms") if isinstance(told, Mapping) else None
    return _World(
        world_of(log),
        mirrored,
        split,
        same_users - split,
        NAN if ties is None else float(ties),
        users,
    )


def _parted_as(shared: RunLog, run: RunLog) -> RunLog:
    """A run whose users are told apart by the arms that they have in another run of the world. (Its
    works stay those of its own arms, and are not asked for here.)"""
    return replace(run, arms=shared.arms, arm_of_user=shared.arm_of_user)


def _p_value(worlds: Sequence[_World]) -> float:
    return paired_p_value([one.lost for one in worlds], [0.0] * len(worlds))


def _estimate(
    a: str,
    b: str,
    metric: str,
    unit: str,
    worlds: Sequence[_World],
    shown: bool,
    confidence: float,
) -> Spillover:
    mirrored, split, adjusted = (
        [getattr(one, name) for one in worlds] for name in ("mirrored", "split", "adjusted")
    )
    ties = [one.ties for one in worlds if math.isfinite(one.ties)]
    return Spillover(
        a=a,
        b=b,
        metric=metric,
        unit=unit,
        mirrored=world_interval(mirrored, confidence),
        split=world_interval(split, confidence),
        adjusted=world_interval(adjusted, confidence),
        spillover=world_interval([one.lost for one in worlds], confidence),
        plain=paired_difference(mirrored, split, confidence),
        recovered=ratio_of_means(adjusted, mirrored, confidence),
        shown=shown,
        ties_within_arms=float(np.mean(ties)) if ties else NAN,
        user_level=_user_level(worlds, confidence),
        by_world={one.key: one.lost for one in worlds},
    )


def _user_level(worlds: Sequence[_World], confidence: float) -> UserLevel | None:
    """None also where an arm has fewer than two users with values."""
    found: list[tuple[float, float, float, bool]] = []
    for one in worlds:
        if one.users is None or min(_complete(arm) for arm in one.users) < 2:
            continue
        of_users = cuped(*one.users, confidence)
        found.append(
            (
                of_users.plain.half_width,
                of_users.adjusted.half_width,
                of_users.variance_reduction,
                not of_users.plain.excludes(one.mirrored),
            )
        )
    if not found:
        return None
    half, of_cuped, reduction, covers = np.array(found, np.float64).mean(axis=0).tolist()
    return UserLevel(half, of_cuped, reduction, covers)


def _complete(arm: Arm) -> int:
    return int((np.isfinite(arm.outcome) & np.isfinite(arm.before)).sum())


def _unit(log: RunLog) -> str:
    told = log.manifest.get("assignment")
    return str(told.get("by", "users")) if isinstance(told, Mapping) else "users"


# ------------------------------------------------------------------ values of single users


def _watch_rates(log: RunLog) -> Doubles:
    """[users]: watches / exposures; NaN for one who asked for no page. Their mean over those who
    did is the metric."""
    f = figures(log, None)
    shown, watched = per_user(f.shown, f.users), per_user(f.watches, f.users)
    asked = per_user(f.pages, f.users) > 0
    return np.where(asked, watched / np.maximum(shown, 1), NAN)


def _watches(log: RunLog) -> Doubles:
    """[users]: watches a round."""
    f = figures(log, None)
    return per_user(f.watches, f.users) / max(f.rounds, 1)


BY_USER: Mapping[str, Callable[[RunLog], Doubles]] = {
    "watch_rate": _watch_rates,
    "watches_per_user_round": _watches,
}
"""Metrics that are means over users."""


# ------------------------------------------------------------------ for people


WHY = (
    "In a shared world users reach one another across arms, and a recommender learns from its own "
    "arm alone."
)


def _sentence(one: Spillover) -> str:
    metric = BY_NAME[one.metric]
    better, other, sign = (one.a, one.b, 1) if one.mirrored.mean >= 0 else (one.b, one.a, -1)
    d = metric.decimals
    mirrored, adjusted, lost = (
        sign * value for value in (one.mirrored.mean, one.adjusted.mean, one.spillover.mean)
    )
    name = {"users": "user split", "clusters": "cluster split"}.get(one.unit, "split")
    whole = f"on {metric.heading} {better} is {mirrored:.{d}f} above {other} in mirrored worlds"
    if one.spillover.worlds < 2:
        return (
            f"The {name} shows {adjusted:.{d}f}, and {whole}: one world cannot tell spillover "
            "from chance."
        )
    spread = f"{lost:.{d}f} ± {one.spillover.half_width:.{d}f}"
    if not one.shown:
        return (
            f"The {name} shows no spillover between {better} and {other}: {whole}, and "
            f"{adjusted:.{d}f} above as arms of one (difference {spread})."
        )
    share = f"{one.recovered.mean:.0%}"
    if math.isfinite(one.recovered.low):
        share += f" [{one.recovered.low:.0%}, {one.recovered.high:.0%}]"
    if not one.mirrored.excludes(0.0):
        return (
            f"The {name} misleads: {whole}, which may be chance, and {adjusted:.{d}f} as arms of "
            f"one (spillover {spread})."
        )
    if lost > 0:
        return (
            f"The {name} recovers {share} of the mirrored effect: {whole}, and only "
            f"{adjusted:.{d}f} as arms of one (spillover {spread}). {WHY}"
        )
    return (
        f"The {name} shows {share} of the mirrored effect, more than there is: {whole}, and "
        f"{adjusted:.{d}f} as arms of one (spillover {spread}). {WHY}"
    )


def _bounds(one: Interval) -> dict[str, Any]:
    return {"mean": _number(one.mean), "low": _number(one.low), "high": _number(one.high)}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
