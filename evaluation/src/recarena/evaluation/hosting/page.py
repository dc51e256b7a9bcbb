"""The public page: HTML without a script, and without a request to anywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from recarena.evaluation.metrics.measures import METRICS

COLUMNS = ("satisfaction", "coverage", "latency_p95_ms", "unusable_rate")
"""Metrics beside the primary one."""


class Pages:
    """Templates, read once."""

    def __init__(self) -> None:
        import jinja2

        folder = resources.files("recarena.evaluation.hosting") / "templates"
        self.style = (folder / "style.css").read_text("utf-8")
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("recarena.evaluation.hosting"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        filters: dict[str, Any] = environment.filters
        filters |= {"measured": measured, "moment": moment}
        self._index = environment.get_template("index.html.j2")

    def index(
        self,
        about: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        notes: Sequence[str],
        submissions: Sequence[Mapping[str, Any]],
    ) -> str:
        """The page."""
        by_name = {metric.name: metric for metric in METRICS}
        primary = by_name[about["primary"]]
        columns = [by_name[name] for name in COLUMNS if name != primary.name]
        return self._index.render(
            about=about, rows=rows, notes=notes, submissions=submissions, primary=primary,
            columns=columns,
        )  # fmt: skip


def measured(value: Mapping[str, Any] | None, decimals: int, with_interval: bool = False) -> str:
    """A metric of a row: its mean, and half the width of its interval."""
    if value is None or value["mean"] is None:
        return "–"
    mean = f"{value['mean']:,.{decimals}f}"
    if not with_interval or value["high"] is None:
        return mean
    return f"{mean} ±{value['high'] - value['mean']:.{decimals}f}"


def moment(time: str | None) -> str:
    """A time of the ledger to the minute, in UTC."""
    return f"{time[:10]} {time[11:16]}" if time else "–"
