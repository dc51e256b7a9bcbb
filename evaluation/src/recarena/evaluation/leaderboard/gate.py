"""The operations gate: whether a recommender answers fast and validly enough, passed or failed.

It stands beside the ranking and is never blended into it: a fast recommender is not a better one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits for the means over worlds; None: no limit. ValueError for a negative one."""

    max_p95_ms: float | None = None
    """Of `latency_p95_ms`."""
    max_unusable_rate: float | None = None
    """Of `unusable_rate`, 0..1: pages without the recommender's own list."""
    max_violations_per_list: float | None = None
    """Of `violations_per_list`: items dropped and short lists, a list."""

    def __post_init__(self) -> None:
        for one in fields(self):
            limit = getattr(self, one.name)
            if limit is not None and not limit >= 0:
                raise ValueError(f"gate.{one.name} is 0 or more, got {limit}")

    @classmethod
    def of(cls, values: Mapping[str, float | None]) -> Gate:
        """From the `gate` table of a manifest. ValueError names an unknown key, with those that
        there are."""
        known = [one.name for one in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(f"gate.{name} is not known; known are {', '.join(known)}")
        return cls(**values)

    @property
    def has_limits(self) -> bool:
        """Whether there is anything to pass."""
        return any(value is not None for value in self.as_json().values())

    def as_json(self) -> dict[str, float | None]:
        """As in a manifest."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def judge(self, means: Mapping[str, float]) -> Verdict:
        """The verdict on means over worlds, by name of the metric.

        At the limit is within it. What has a limit and was not measured (NaN, or missing) does not
        pass: nobody knows.
        """
        reasons: list[str] = []
        for limit, metric, words, factor, unit in _LIMITS:
            most = getattr(self, limit)
            if most is None:
                continue
            value = means.get(metric, math.nan)
            if math.isnan(value):
                reasons.append(f"{words} not measured")
            elif value > most:
                shown = [f"{part * factor:,.4g}{unit}" for part in (value, most)]
                reasons.append(f"{words} {shown[0]}, limit {shown[1]}")
        return Verdict(not reasons, tuple(reasons))


_LIMITS = (
    ("max_p95_ms", "latency_p95_ms", "p95 latency", 1, " ms"),
    ("max_unusable_rate", "unusable_rate", "unusable pages", 100, " %"),
    ("max_violations_per_list", "violations_per_list", "violations a list", 1, ""),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a recommender passes the gate, and everything that speaks against it."""

    passed: bool
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {"passed": self.passed, "reasons": list(self.reasons)}
