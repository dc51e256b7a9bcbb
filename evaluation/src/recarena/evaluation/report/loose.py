"""Values of JSON files that others wrote: what is missing or of another kind shows as nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recarena.evaluation.report.tables import NOTHING, figure


def part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object in it; empty where it is null, missing or none."""
    found = of.get(name)
    return found if isinstance(found, Mapping) else {}


def listing(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; empty for anything else."""
    if not isinstance(value, list):
        return []
    return [one for one in value if isinstance(one, dict)]


def sentences(value: Any) -> tuple[str, ...]:
    """The texts of a list; empty for anything else."""
    return tuple(map(str, value)) if isinstance(value, list) else ()


def number(value: Any) -> float:
    """NaN for what is no number."""
    return float(value) if isinstance(value, int | float) else math.nan


def count(value: Any) -> str:
    """A whole number, or a dash."""
    return f"{value:,}" if isinstance(value, int) else NOTHING


def bounded(one: Any, decimals: int = 3) -> str:
    """`0.61 (0.60 to 0.62)`; a number by itself; a dash for what was not measured."""
    if not isinstance(one, Mapping):
        return figure(number(one), decimals)
    mean, low, high = (number(one.get(name)) for name in ("mean", "low", "high"))
    if not math.isfinite(low):
        return figure(mean, decimals)
    return f"{figure(mean, decimals)} ({figure(low, decimals)} to {figure(high, decimals)})"
