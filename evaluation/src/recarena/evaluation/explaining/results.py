"""What came of a study, beside it in its folder: findings, tables and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recarena.evaluation.explaining.folder import Study
from recarena.evaluation.judging.findings import Findings, findings
from recarena.evaluation.judging.forms import as_csv, as_json, as_json_lines
from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.page import render

JSON, LINES, CSV, PAGE = "findings.json", "findings.jsonl", "findings.csv", "report.html"


@dataclass(frozen=True, slots=True)
class Results:
    """What was found, and where its page is."""

    findings: Findings
    page: Path


def write_results(study: Study) -> Results:
    """Works everything out from the study's folder alone and writes it there. The same folder gives
    the same bytes."""
    found = findings(material_of(study))
    for name, text in (
        (JSON, as_json(found)),
        (LINES, as_json_lines(found)),
        (CSV, as_csv(found)),
        (PAGE, render(found)),
    ):
        (study.path / name).write_text(text, "utf-8")
    return Results(found, study.path / PAGE)


def material_of(study: Study) -> Material:
    """The study as findings are made from it."""
    manifest: Mapping[str, Any] = study.manifest
    worlds = list(dict.fromkeys(str(run["world"]) for run in manifest["runs"]))
    return Material(
        study.triples,
        study.replies,
        study.questionnaire,
        study.claims,
        data=", ".join(worlds),
        about={
            name: manifest[name]
            for name in (
                "code_version", "seed", "texts", "triples", "delivery", "examples", "runs",
                "judges",
            )
            if name in manifest
        },
    )  # fmt: skip
