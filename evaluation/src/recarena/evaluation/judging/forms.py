"""Findings as files: JSON, JSON lines and CSV. The same findings give the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from recarena.evaluation.judging.findings import Findings

COLUMNS = (
    "judge", "group", "name", "measure", "condition", "mean", "low", "high", "users", "triples",
    "of", "missing", "gates_passed", "under",
)  # fmt: skip
GROUPS = ("by_recommender", "by_method")


def as_json(findings: Findings) -> str:
    """The whole of it."""
    return json.dumps(findings, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def as_json_lines(findings: Findings) -> str:
    """`records`, one to a line."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records(findings))


def as_csv(findings: Findings) -> str:
    """`records` with a head; empty where there is no value. A cell that a spreadsheet would take
    for a formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in records(findings):
        writer.writerow([_cell(one[name]) for name in COLUMNS])
    return text.getvalue()


def records(findings: Findings) -> Iterator[dict[str, object]]:
    """Every estimate, flat: of which judge, of all, of a recommender or a method, and whether the
    judge passed the gates that the estimate needs. They are in no order of merit."""
    for judge in findings["judges"]:
        behaviour = judge["behaviour"] == "passed"
        for group, name, one in _groups(judge["contrasts"]):
            head = {"judge": judge["judge"], "group": group, "name": name}
            tail = {"gates_passed": behaviour, "under": judge["under"]}
            for measure, condition, estimate in _estimates(one):
                yield _record(head, measure, condition, estimate, tail)
        sheet = judge["questionnaire_scales"]
        if sheet is None:
            continue
        both = behaviour and judge["questionnaire"] == "passed"
        tail = {"gates_passed": both, "under": judge["under"]}
        named = [("all", "all", sheet["constructs"])]
        named += [("by_recommender", *one) for one in sheet["by_recommender"].items()]
        for group, name, constructs in named:
            head = {"judge": judge["judge"], "group": group, "name": name}
            for one in constructs:
                measure = f"statements:{one['construct']}"
                for condition, estimate in one["by_condition"].items():
                    yield _record(head, measure, condition, estimate, tail)
                difference = one["real_less_placebo"]
                yield _record(head, measure, "real − placebo", difference, tail)


def _groups(contrasts: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    yield "all", "all", contrasts["all"]
    for group in GROUPS:
        for name, one in contrasts[group].items():
            yield group, name, one


def _estimates(one: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for measure, estimate in one["measures"].items():
        yield measure, "", estimate
    for condition, estimate in one["watch_rates"].items():
        yield "watch_rate", condition, estimate
    for condition, oversold in one["oversold"].items():
        yield "expected_less_found", condition, oversold["gap"]
        yield "expected_above_placebo", condition, oversold["above_placebo"]
    for measure, by_condition in one["quiz"].items():
        for condition, estimate in by_condition.items():
            yield f"quiz_{measure}", condition, estimate


def _record(
    head: Mapping[str, object], measure: str, condition: str, estimate: Mapping[str, Any],
    tail: Mapping[str, object],
) -> dict[str, object]:  # fmt: skip
    kept = {name: estimate[name] for name in ("mean", "low", "high", "users", "triples", "of",
                                              "missing")}  # fmt: skip
    return {**head, "measure": measure, "condition": condition, **kept, **tail}


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
