"""Means over users, with their intervals.

Repeats are averaged inside a triple, triples inside a user, and t intervals are over users: who was
asked several times is no more people. Users of one world influence one another, which no interval
of one world shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recarena.evaluation.statistics.clustered import (
    Clustered,
    clustered_mean,
    clustered_ratio,
)
from recarena.evaluation.statistics.clustered import difference_of_ratios as _difference
from recarena.evaluation.statistics.worlds import NAN, Interval

CONFIDENCE = 0.95
TOO_FEW = "one user has no interval"
NOBODY = "nobody watched"
NOT_ASKED = "nobody was asked"
NO_ANSWER = "no answer counts"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over users."""

    mean: float
    """NaN: nobody has a value."""
    low: float
    """NaN: no interval; `reason` says why."""
    high: float
    users: int
    triples: int
    """That have a value."""
    of: int
    """Triples of which it was asked, so that `of` - `triples` have none."""
    confidence: float = CONFIDENCE
    reason: str = ""

    @property
    def bounded(self) -> bool:
        """Whether it has an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def missing(self) -> float:
        """Share of triples without a value; NaN where none was asked."""
        return 1 - self.triples / self.of if self.of else NAN

    @property
    def interval(self) -> Interval:
        """As reports write intervals."""
        return Interval(self.mean, self.low, self.high, self.users, self.confidence, self.reason)

    def as_json(self) -> dict[str, object]:
        """JSON values; null where there is none."""
        return {
            "mean": number(self.mean), "low": number(self.low), "high": number(self.high),
            "confidence": self.confidence, "users": self.users, "triples": self.triples,
            "of": self.of, "missing": number(self.missing), "reason": self.reason,
        }  # fmt: skip


def number(value: float | None) -> float | None:
    """For JSON: to nine places, so that sums in another order give the same bytes; None where
    there is no finite value."""
    return None if value is None or not math.isfinite(value) else round(value, 9) + 0.0


def by_user(values: Mapping[str, float], users: Mapping[str, str]) -> dict[str, float]:
    """The mean of each user's triples, in the order of users' ids."""
    found: dict[str, list[float]] = {}
    for triple, value in values.items():
        found.setdefault(users[triple], []).append(value)
    return {user: math.fsum(found[user]) / len(found[user]) for user in sorted(found)}


def over_users(
    values: Mapping[str, float], users: Mapping[str, str], of: int, confidence: float = CONFIDENCE
) -> Estimate:
    """From values by triple and the triples' users; `of`: how many triples were asked."""
    means = by_user(values, users)
    found = clustered_mean(list(means.values()), list(means), confidence)
    return _estimate(found, len(values), of, NOT_ASKED if not of else NO_ANSWER)


@dataclass(frozen=True, slots=True)
class Parts:
    """Of one triple: how often something was (a share of repeats), and how often it was that and
    more."""

    whole: float
    part: float


def difference_of_ratios(
    one: Mapping[str, Parts],
    other: Mapping[str, Parts],
    users: Mapping[str, str],
    of: int,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """sum(part) / sum(whole) of one, less that of the other, sums being of users' means. No value
    where nobody did the whole."""
    everybody = sorted({users[triple] for triple in (*one, *other)})
    found = _difference(
        _columns(one, users, everybody), _columns(other, users, everybody), everybody, confidence
    )
    return _estimate(found, len({*one, *other}), of, NOBODY)


def ratio(
    parts: Mapping[str, Parts], users: Mapping[str, str], of: int, confidence: float = CONFIDENCE
) -> Estimate:
    """sum(part) / sum(whole), sums being of users' means."""
    everybody = sorted({users[triple] for triple in parts})
    found = clustered_ratio(*_columns(parts, users, everybody), everybody, confidence)
    return _estimate(found, len(parts), of, NOBODY)


def _columns(
    parts: Mapping[str, Parts], users: Mapping[str, str], everybody: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Part and whole by user; NaN for who has none."""
    part = by_user({triple: one.part for triple, one in parts.items()}, users)
    whole = by_user({triple: one.whole for triple, one in parts.items()}, users)
    return [part.get(one, NAN) for one in everybody], [whole.get(one, NAN) for one in everybody]


def _estimate(found: Clustered, triples: int, of: int, without: str) -> Estimate:
    reason = TOO_FEW if found.clusters == 1 else ("" if math.isfinite(found.value) else without)
    return Estimate(
        found.value, found.low, found.high, found.clusters, triples, of, found.confidence, reason
    )


def users_needed(values: Mapping[str, float], users: Mapping[str, str]) -> int | None:
    """About how many users tell a difference as large as this one from 0: one-sided at 5 %, with a
    chance of 80 %. None where there is no difference or no spread to go by.

    (z_.95 + z_.80)^2 (sd / mean)^2 + 2, users' means being as spread as these.
    """
    means = np.array(list(by_user(values, users).values()), np.float64)
    if len(means) < 2 or means.mean() <= 0:
        return None
    return math.ceil(6.1826 * float(means.var(ddof=1)) / float(means.mean()) ** 2 + 2)
