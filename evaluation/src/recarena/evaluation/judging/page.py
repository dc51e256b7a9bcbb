"""Findings as one HTML file: no request to anywhere, no script, no date of its making. Its first
lines say whether the gates passed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from recarena.evaluation.judging import drawings, shown
from recarena.evaluation.judging.drawings import ends, signed
from recarena.evaluation.judging.findings import CAVEAT, Findings
from recarena.evaluation.report.blocks import (
    Block,
    Code,
    Facts,
    Figures,
    Folded,
    Points,
    Section,
    Tabled,
    Text,
)
from recarena.evaluation.report.tables import Column, figure, listed, table

if TYPE_CHECKING:
    from jinja2 import Environment

TITLE = "Explanations, judged by simulated users"


def render(findings: Findings, title: str = TITLE) -> str:
    """The HTML; the same findings give the same text. Whatever came from outside (names, texts) is
    escaped and inert."""
    from markupsafe import Markup

    templates = _templates()
    assert templates.loader
    style, _, _ = templates.loader.get_source(templates, "style.css")
    own, _, _ = templates.loader.get_source(templates, "explanations.css")
    return templates.get_template("explanations.html.j2").render(
        title=title,
        verdict=findings["verdict"],
        under=findings["under"]["label"],
        sections=[one for one in _sections(findings) if one.blocks],
        caveat=CAVEAT,
        style=Markup(style + own),
    )


@cache
def _templates() -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([
            PackageLoader("recarena.evaluation.judging"),
            PackageLoader("recarena.evaluation.report"),
        ]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


def _sections(findings: Findings) -> Iterator[Section]:
    judges = findings["judges"]
    yield Section("result", "Whose explanations persuade", tuple(_result(findings)))
    yield Section("gates", "Gates", tuple(_gates(findings)))
    for at, one in enumerate(judges):
        if one["behaviour"] == "passed":
            yield Section(f"effects-{at}", f"What explanations did: {one['judge']}",
                          tuple(shown.effects(one, one["under"])))  # fmt: skip
        if one["questionnaire"] == "passed" and one["behaviour"] == "passed":
            yield Section(f"said-{at}", f"What was said of them: {one['judge']}",
                          tuple(shown.said(one, findings)))  # fmt: skip
        if one["behaviour"] == "passed":
            yield Section(f"pairs-{at}", f"Two at a time: {one['judge']}",
                          tuple(shown.compared(one)))  # fmt: skip
    yield Section("examples", "What users were told", tuple(shown.examples(findings)))
    yield Section("delivery", "What explanations did inside the run",
                  tuple(shown.delivery(findings)))  # fmt: skip
    yield Section("not-to-be-used", "What it would have said, and why it is not to be used",
                  tuple(_not_to_be_used(findings)))  # fmt: skip
    yield Section("agreement", "Agreement between judges", tuple(_agreement(findings)))
    yield Section("sample", "What was asked, of whom", tuple(_about(findings)))


def _result(findings: Findings) -> Iterator[Block]:
    pooled = findings["pooled"]
    if len(findings["judges"]) > 1 and pooled["judges"]:
        yield Text(f"Over the judges whose behaviour passed: {listed(pooled['judges'])}.")
        if pooled["ranking"]["published"]:
            yield Text(pooled["ranking"]["sentence"], "under")
        yield from shown.ranked(pooled["ranking"], pooled["under"])
    for one in findings["judges"]:
        yield Text(f"{one['judge']}: {one['ranking']['sentence']}",
                   "under" if one["ranking"]["published"] else "warned")  # fmt: skip
        if one["ranking"]["published"]:
            yield from shown.ranked(one["ranking"], one["under"])
            methods = one["ranking_of_methods"]
            if one["contrasts"]["by_method"] and methods["published"]:
                yield Text(f"Methods of explanation: {methods['sentence']}")
                yield from shown.ranked(methods, one["under"])
    yield Points(tuple(findings["notes"]), "measure")


def _gates(findings: Findings) -> Iterator[Block]:
    yield Text(
        "A judge passes a family of gates if every gate of it is passed; one that cannot be "
        "assessed is not. Rankings by persuasiveness need the gates of behaviour, rankings by "
        "statements need both families."
    )
    if findings["matrix"]["gates"]:
        yield Figures((drawings.matrix(findings["matrix"]),))
    for one in findings["judges"]:
        yield Text(f"{one['judge']}: behaviour {one['behaviour']}, questionnaire "
                   f"{one['questionnaire']}.", "under" if one["passed"] else "warned")  # fmt: skip
        yield Tabled(shown.gate_table(one))


def _not_to_be_used(findings: Findings) -> Iterator[Block]:
    naive = findings["naive"]
    first, scored = naive["first_by_naive"], naive["first_by_scored"]
    if first:
        yield Text(
            f"Real − none would have ranked the judge {first} first, as the one that explanations "
            f"move most; real − placebo ranks {scored} first."
            if first != scored else
            f"By either contrast explanations move the judge {first} most."
        )  # fmt: skip
        yield Tabled(table(
            f"All explanations by judge, {findings['under']['label']}",
            ("judge", "naive: real − none", Column("interval", words=True), "real − placebo",
             Column("interval", words=True)),
            [(judge, signed(one["naive"]["mean"], 3), ends(one["naive"], 3),
              signed(one["persuasiveness"]["mean"], 3), ends(one["persuasiveness"], 3))
             for judge, one in naive["judges"].items()],
        ))  # fmt: skip
    for one in findings["judges"]:
        yield from _of_judge(one, findings)


def _of_judge(one: Mapping[str, Any], findings: Findings) -> Iterator[Block]:
    raw = one["not_to_be_used"]
    would = (f"would have ranked {raw['naive_first']} first by real − none" if raw["naive_first"]
             else "has nobody to rank")  # fmt: skip
    yield Text(f"{one['judge']} {would}. Not to be used: {raw['why']}.", "warned")
    if one["behaviour"] != "passed":
        yield from shown.effects(one, one["under"], withheld=True)
        yield from shown.compared(one)
    else:
        yield Figures((drawings.contrast(raw["naive"], "Naive, real − none (never ranked on)",
                                         one["under"], greyed=True),))  # fmt: skip
    if one["behaviour"] != "passed" or one["questionnaire"] != "passed":
        yield from shown.said(one, findings)


def _agreement(findings: Findings) -> Iterator[Block]:
    found = findings["agreement"]
    if found is None:
        return
    yield Facts((
        ("Krippendorff’s α, watched", figure(found["watched"])),
        *((f"Krippendorff’s α, {name}", figure(value))
          for name, value in found["statements"].items()),
    ))  # fmt: skip
    yield Folded("Judge by judge", table(
        "Correlation of real − placebo over triples",
        ("judge", Column("and", words=True), "correlation"),
        [(one["a"], one["b"], figure(one["correlation"])) for one in found["persuasion"]],
    ))  # fmt: skip


def _about(findings: Findings) -> Iterator[Block]:
    sample, sheet = findings["sample"], findings["questionnaire"]
    rows = [("all", sample), *sample["by_recommender"].items()]
    yield Tabled(table(
        f"Triples of a user, an item and a moment; data {findings['under']['data']}",
        ("", "triples", "users", "claims that hold", "bad items", "of them extra"),
        [(name, *(str(one[key]) for key in ("triples", "users", "with_claims", "bad", "extra_bad")))
         for name, one in rows],
    ))  # fmt: skip
    yield Facts((
        ("replies", str(sample["replies"])),
        ("questionnaire", f"{sheet['title']} ({sheet['id']} {sheet['version']}, {sheet['source']})"
         if sheet else "none"),
        *((str(name), str(value)) for name, value in findings["about"].items()
          if not isinstance(value, (dict, list))),
    ))  # fmt: skip
    more = {name: value for name, value in findings["about"].items()
            if isinstance(value, (dict, list))}  # fmt: skip
    if more:
        yield Code("About the study", json.dumps(more, ensure_ascii=False, indent=1))
    yield Folded("What measures mean", table(
        "Measures", ("measure", Column("meaning", words=True, long=True)),
        [(shown.WORDS[name], meaning) for name, meaning in findings["meanings"].items()],
    ))  # fmt: skip
