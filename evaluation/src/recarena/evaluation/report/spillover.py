"""What sharing a world did to differences, from the records of results.json."""

from __future__ import annotations

from typing import Any

from recarena.evaluation.report import plots
from recarena.evaluation.report.blocks import Figure, Figures, Panel, Points, Section, Text
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.loose import bounded, listing, number, part
from recarena.evaluation.report.plots import Mark
from recarena.evaluation.report.tables import Column, figure, table


def spillover(content: Content) -> Section:
    """Empty where no world was shared."""
    records = listing(content.results.get("spillover"))
    if not records:
        return Section("spillover", "Spillover", ())
    # Where no mirrored world is in the ranking, places rest on shared ones.
    rest = " Places rest on mirrored worlds." if content.manifest.get("design") == "both" else ""
    sentences = tuple(str(one.get("sentence")) for one in records if one.get("sentence"))
    return Section(
        "spillover",
        "Spillover",
        (
            Text(
                "Arms that share a world influence one another. Spillover is the difference "
                "between two recommenders in mirrored worlds, less their difference as arms of one "
                f"world.{rest}"
            ),
            Points(sentences, "measure"),
            Figures((_figure(records),)),
        ),
    )


def _figure(records: list[dict[str, Any]]) -> Figure:
    marks: list[Mark] = []
    for one in records:
        value = part(one, "spillover")
        mean, low, high = (number(value.get(name)) for name in ("mean", "low", "high"))
        label = f"{one.get('a')} − {one.get('b')}"
        marks.append(Mark(label, mean, low, high, figure(mean, 3), filled=one.get("shown") is True))
    said = "; ".join(f"{mark.label} {mark.figures}" for mark in marks)
    parts = ("mirrored", "split", "adjusted", "spillover", "recovered")
    return Figure(
        "Spillover: mirrored less adjusted split difference; hollow: not shown (Holm)",
        (Panel("", plots.forest(marks, f"Spillover: {said}", 0.0)),),
        table(
            "Differences in mirrored worlds and between arms of one world",
            ("pair", Column("metric", words=True), Column("arms by", words=True), "worlds",
             *(Column(name, words=True) for name in parts)),
            [
                (f"{one.get('a')} − {one.get('b')}", str(one.get("metric")), str(one.get("unit")),
                 str(one.get("worlds")), *(bounded(one.get(name)) for name in parts))
                for one in records
            ],
        ),
    )  # fmt: skip
