"""Figures that a test measured, for the end of pytest's output: one JSON object a line."""

from __future__ import annotations

import json

PROPERTY = "figure"
_said: list[str] = []


def report(row: str, **figures: object) -> None:
    """Says what was measured: `row` is what it is about, figures are numbers or short texts."""
    _said.append(json.dumps({"row": row, **figures}, default=str))


def taken() -> list[tuple[str, object]]:
    """What was said since it was asked for last, as properties of the test that said it."""
    taken, _said[:] = [(PROPERTY, line) for line in _said], []
    return taken
