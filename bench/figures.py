"""What a measurement says: a figure, the baseline taken beside it, and its target."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for a figure's value, or for its ratio to the baseline."""

    of: Literal["value", "ratio"]
    must: Literal["at least", "at most", "below"]
    bound: float

    def met(self, number: float) -> bool:
        """Whether the number keeps to it."""
        if self.must == "at least":
            return number >= self.bound
        return number < self.bound if self.must == "below" else number <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the bench, in the same run as the baseline that it is held against."""

    name: str
    value: float
    unit: str
    baseline: float
    detail: dict[str, Any] = field(default_factory=dict)
    target: Target | None = None

    @property
    def ratio(self) -> float:
        """Value over baseline."""
        return self.value / self.baseline

    def line(self) -> str:
        """The figure as one line of JSON, numbers with four digits that count."""
        number = self.ratio if self.target and self.target.of == "ratio" else self.value
        said = {"target_is": f"{self.target.of} {self.target.must}"} if self.target else {}
        line = {
            "figure": self.name,
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "target": self.target.bound if self.target else None,
            "met": self.target.met(number) if self.target else None,
            "detail": {**said, **self.detail},
        }
        return json.dumps(rounded(line), ensure_ascii=False)


def rounded(value: Any) -> Any:
    """The same tree with floats cut to four digits that count."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    if isinstance(value, float):
        short = float(f"{value:.4g}")
        return int(short) if abs(short) >= 1000 else short
    return value


def median(samples: Sequence[float]) -> float:
    """The median of some repetitions."""
    return statistics.median(samples)


def spread(samples: Sequence[float]) -> list[float]:
    """The least and the greatest of some repetitions."""
    return [min(samples), max(samples)]


def seconds(act: Callable[[], object]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def alternately(repetitions: int, *acts: Callable[[], float]) -> list[list[float]]:
    """What each act returns, so many times, in turns: noise that comes and goes hits them alike."""
    taken: list[list[float]] = [[] for _ in acts]
    for _ in range(repetitions):
        for samples, act in zip(taken, acts, strict=True):
            samples.append(act())
    return taken


async def alternately_async(
    repetitions: int, *acts: Callable[[], Awaitable[float]]
) -> list[list[float]]:
    """The same for acts that are awaited."""
    taken: list[list[float]] = [[] for _ in acts]
    for _ in range(repetitions):
        for samples, act in zip(taken, acts, strict=True):
            samples.append(await act())
    return taken


def say(text: str) -> None:
    """A line of progress for people."""
    print(text, file=sys.stderr, flush=True)
