"""Plots as inline SVG whose colours and fonts come from the page's style sheet.

Drawn small, so that a phone shows them at full size; wider screens set several beside each other.
The same input gives the same bytes. Text stays text, and everything from outside is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 340
"""Of a plot, in units that are pixels on a phone of 360."""
NAMES = 102
"""Room for names on the left of a forest plot."""
FIGURES = 98
"""Room for figures on its right."""
ROW = 22
LETTERS = 13
"""Of a name; the table has it in full."""
LETTER = 7.2
"""Width of a letter of a tick, in the widest of the fonts that a system may have."""
PANEL_WIDTH, PANEL_HEIGHT = 164, 124
INSIDE = (41.0, PANEL_WIDTH - 6.0, 7.0, PANEL_HEIGHT - 20.0)
"""Left, right, top and bottom of what a panel plots."""
TINY = 1e-12
ALIKE = 1e-9
"""Values that differ by this part of themselves, or less, stand at one place of an axis."""
NOTHING = 1e-300
"""A size below this is none: a tenth of it cannot be told from 0."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A row of a forest plot. NaN: no value, or no interval."""

    label: str
    mean: float
    low: float
    high: float
    figures: str
    """What stands beside it."""
    filled: bool = True
    """Hollow marks are those that cannot be told from the reference."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through (x, y); `low` and `high`, where they are given, bound a band around it.

    NaN breaks it.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`, with ticks at values and the words beside them."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float, begin: float, end: float) -> float:
        """Where a value stands between two places."""
        return begin + (value - self.low) / (self.high - self.low) * (end - begin)


def axis(values: Sequence[float], ticks: int = 4, including: Sequence[float] = ()) -> Axis:
    """An axis over the finite values, with about so many round ticks; 0 to 1 without any."""
    finite = [value for value in (*values, *including) if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    size = max(abs(low), abs(high))
    if high - low <= size * ALIKE or size < NOTHING:
        room = size * 0.1 if size >= NOTHING else 0.5
        low, high = low - room, high + room
    step = _round_step((high - low) / ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    at = [number * step for number in range(first, last + 1)]
    return Axis(at[0], at[-1], tuple((one, _tick(one, decimals)) for one in at))


def course_axis(lines: Sequence[Line], ticks: int = 3) -> Axis:
    """An axis for lines in their bands. A band may take up as much room again as the lines do, on
    either side; where it is wider it is cut off, so that the lines can be read."""
    means = [y for line in lines for y in line.y if math.isfinite(y)]
    ends = [y for line in lines for y in (*line.low, *line.high) if math.isfinite(y)]
    if not means:
        return axis(())
    room = max(means) - min(means)
    if room:
        ends = [min(max(y, min(means) - room), max(means) + room) for y in ends]
    return axis([*means, *ends], ticks)


def milliseconds(values: Sequence[float]) -> Axis:
    """An axis of log10 over the positive values, in milliseconds, with ticks at powers of ten."""
    logs = [math.log10(value) for value in values if math.isfinite(value) and value > 0]
    first = math.floor(min(logs)) if logs else 0
    last = max(first + 1, math.ceil(max(logs))) if logs else 1
    words = {
        at: f"{10**at:g}" if at < 3 else f"{10 ** (at - 3):g} s" for at in range(first, last + 1)
    }
    return Axis(first, last, tuple((float(at), word) for at, word in words.items()))


def forest(marks: Sequence[Mark], alternative: str, reference: float | None = None) -> Markup:
    """A row a mark: its name, a dot with its interval, its figures. `reference` draws a line."""
    height = len(marks) * ROW + 26
    left, right = NAMES, WIDTH - FIGURES
    across = axis(
        [value for mark in marks for value in (mark.mean, mark.low, mark.high)],
        3,
        () if reference is None else (reference,),
    )
    parts = [
        _line("grid", x, 4, x, height - 20)
        for value, _ in across.ticks
        for x in (across.at(value, left, right),)
    ]
    parts += _words_across(across, left, right, height - 6)
    if reference is not None:
        x = across.at(reference, left, right)
        parts.append(_line("reference", x, 2, x, height - 20))
    for number, mark in enumerate(marks):
        y = number * ROW + 14
        parts.append(_text("name", 0, y + 4, shortened(mark.label), title=mark.label))
        parts.append(_text("figure end", WIDTH, y + 4, mark.figures))
        if math.isfinite(mark.low) and math.isfinite(mark.high):
            ends = [across.at(one, left, right) for one in (mark.low, mark.high)]
            parts.append(_line("interval", ends[0], y, ends[1], y))
            parts += [_line("interval", x, y - 5, x, y + 5) for x in ends]
        if math.isfinite(mark.mean):
            kind = "dot" if mark.filled else "dot hollow"
            parts.append(
                f'<circle class="{kind}" cx="{_n(across.at(mark.mean, left, right))}" '
                f'cy="{_n(y)}" r="3.5"/>'
            )
    return _svg(WIDTH, height, alternative, parts, "forest")


def panel(
    line: Line,
    others: Sequence[Line],
    across: Axis,
    up: Axis,
    alternative: str,
    *,
    reference: Line | None = None,
) -> Markup:
    """One line before the faint lines of all others: a small multiple."""
    left, right, top, bottom = INSIDE
    parts = _grid(across, up, left, right, top, bottom)

    def place(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
        return [
            (across.at(x, left, right), up.at(min(max(y, up.low), up.high), bottom, top))
            for x, y in zip(xs, ys, strict=True)
        ]

    for other in others:
        parts += _polylines("other", place(other.x, other.y))
    if reference is not None:
        parts += _polylines("reference", place(reference.x, reference.y))
    parts += _band(place(line.x, line.low), place(line.x, line.high)) if line.low else []
    parts += _polylines("line", place(line.x, line.y))
    return _svg(PANEL_WIDTH, PANEL_HEIGHT, alternative, parts, "panel")


def bars(
    heights: Sequence[float], words: Sequence[str], up: Axis, alternative: str, reference: float
) -> Markup:
    """A bar a value, and a dashed line at `reference`."""
    left, right, top, bottom = INSIDE
    wide = (right - left) / max(1, len(heights))
    ends = (0, len(heights) - 1)
    across = Axis(0.0, float(len(heights)), tuple((at + 0.5, words[at]) for at in ends))
    parts = _grid(Axis(across.low, across.high, ()), up, left, right, top, bottom)
    for number, height in enumerate(heights):
        if not math.isfinite(height):
            continue
        y = up.at(height, bottom, top)
        parts.append(
            f'<rect class="bar" x="{_n(left + number * wide + 1)}" y="{_n(y)}" '
            f'width="{_n(wide - 2)}" height="{_n(bottom - y)}"/>'
        )
    y = up.at(reference, bottom, top)
    parts.append(_line("reference", left, y, right, y))
    parts.append(_text("tick", left, PANEL_HEIGHT - 4, words[0]))
    parts.append(_text("tick end", right, PANEL_HEIGHT - 4, words[-1]))
    return _svg(PANEL_WIDTH, PANEL_HEIGHT, alternative, parts, "panel")


def shortened(name: str, letters: int = LETTERS) -> str:
    """The name, or its beginning and an ellipsis."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _grid(
    across: Axis, up: Axis, left: float, right: float, top: float, bottom: float
) -> list[str]:
    parts: list[str] = []
    for value, word in up.ticks:
        y = up.at(value, bottom, top)
        parts.append(_line("grid", left, y, right, y))
        parts.append(_text("tick end", left - 4, y + 3.5, word))
    return parts + _words_across(across, left, right, bottom + 16, PANEL_WIDTH)


def _words_across(
    across: Axis, left: float, right: float, y: float, width: float = WIDTH
) -> list[str]:
    """Every tick, or every second, third... that there is room for, with 0 among them; all inside
    the drawing."""
    if not across.ticks:
        return []
    room = [(len(word) + 1) * LETTER for _, word in across.ticks]
    between = (right - left) / max(1, len(across.ticks) - 1)
    every = max(1, math.ceil(max(room) / between))
    zero = next((at for at, (value, _) in enumerate(across.ticks) if abs(value) < TINY), 0)
    return [
        _text(
            "tick middle",
            min(across.at(value, left, right), width - len(word) * LETTER / 2),
            y,
            word,
        )
        for value, word in across.ticks[zero % every :: every]
    ]


def _polylines(kind: str, points: Sequence[tuple[float, float]]) -> list[str]:
    """A line through the points, broken where one is missing; a single point is a dot."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            pieces[-1].append((x, y))
        elif pieces[-1]:
            pieces.append([])
    drawn: list[str] = []
    for piece in pieces:
        if len(piece) == 1:
            ((x, y),) = piece
            drawn.append(f'<circle class="{kind} alone" cx="{_n(x)}" cy="{_n(y)}" r="2"/>')
        elif piece:
            drawn.append(f'<polyline class="{kind}" points="{_points(piece)}"/>')
    return drawn


def _band(low: Sequence[tuple[float, float]], high: Sequence[tuple[float, float]]) -> list[str]:
    pieces: list[tuple[list[tuple[float, float]], list[tuple[float, float]]]] = [([], [])]
    for below, above in zip(low, high, strict=True):
        if math.isfinite(below[1]) and math.isfinite(above[1]):
            pieces[-1][0].append(below)
            pieces[-1][1].append(above)
        elif pieces[-1][0]:
            pieces.append(([], []))
    return [
        f'<polygon class="band" points="{_points([*above, *reversed(below)])}"/>'
        for below, above in pieces
        if len(below) > 1
    ]


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>'


def _text(kind: str, x: float, y: float, words: str, title: str = "") -> str:
    hint = f"<title>{escape(title)}</title>" if title and title != words else ""
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}">{hint}{escape(words)}</text>'


def _svg(width: float, height: float, alternative: str, parts: Sequence[str], kind: str) -> Markup:
    return Markup(
        f'<svg class="{kind}" role="img" viewBox="0 0 {_n(width)} {_n(height)}" '
        f'aria-label="{escape(alternative)}">{"".join(parts)}</svg>'
    )


def _n(value: float) -> str:
    """A coordinate to a tenth."""
    return f"{value + 0.0:.1f}".removesuffix(".0")


def _tick(value: float, decimals: int) -> str:
    return f"{value + 0.0:,.{decimals}f}".replace("-", "−")


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(least))
    for factor in (1.0, 2.0, 5.0):
        if factor * power >= least * (1 - 1e-9):
            return factor * power
    return 10 * power
