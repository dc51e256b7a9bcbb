"""Tables as the page shows them, and how figures are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recarena.evaluation.statistics.worlds import Interval

NOTHING = "–"
"""Where there is no value."""


@dataclass(frozen=True, slots=True)
class Column:
    """Its heading; figures stand at the right, words at the left, and long ones are broken."""

    heading: str
    words: bool = False
    long: bool = False

    @property
    def style(self) -> str:
        """A class of the style sheet; empty for figures."""
        return ("words long" if self.long else "words") if self.words else ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first cell of a row is its heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def table(caption: str, headings: Sequence[str | Column], rows: Iterable[Sequence[str]]) -> Table:
    """A table whose first column holds words and whose others hold figures, unless they are
    given as a Column. ValueError where a row has another number of cells."""
    columns = tuple(
        one if isinstance(one, Column) else Column(one, words=number == 0)
        for number, one in enumerate(headings)
    )
    taken = tuple(tuple(row) for row in rows)
    if any(len(row) != len(columns) for row in taken):
        raise ValueError(f"the table {caption!r} has rows of another length than its head")
    return Table(caption, columns, taken)


def figure(value: float | None, decimals: int = 2) -> str:
    """With a true minus and a comma for thousands; a dash where there is no finite value."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:,.{decimals}f}"
    if text.startswith("-"):
        text = text.removeprefix("-")
        return text if not text.strip("0.,") else f"−{text}"
    return text


def share(value: float | None, decimals: int = 1) -> str:
    """A share in percent."""
    return NOTHING if value is None or not math.isfinite(value) else (
        f"{figure(100 * value, decimals)} %"
    )  # fmt: skip


def plus_minus(one: Interval, decimals: int) -> str:
    """`0.186 ±0.011`; the mean alone where there is no interval."""
    mean = figure(one.mean, decimals)
    return mean if not math.isfinite(one.half_width) else (
        f"{mean} ±{figure(one.half_width, decimals)}"
    )  # fmt: skip


def ends_of(one: Interval, decimals: int) -> str:
    """`0.175 to 0.197`, or why there is none."""
    if not (math.isfinite(one.low) and math.isfinite(one.high)):
        return one.reason or NOTHING
    return f"{figure(one.low, decimals)} to {figure(one.high, decimals)}"


def probability(value: float) -> str:
    """A p-value to three places."""
    return "< 0.001" if value < 0.001 else figure(value, 3)


def titled(heading: str) -> str:
    """With a capital, unless a digit follows (p95)."""
    return heading if heading[1:2].isdigit() else heading[:1].upper() + heading[1:]


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
