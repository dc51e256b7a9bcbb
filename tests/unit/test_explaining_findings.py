"""Findings and their forms: what is said first, what is withheld, and that nothing else leaks."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from recarena.evaluation.judging.answers import Answers
from recarena.evaluation.judging.findings import Findings, by_recommender, findings, ranking
from recarena.evaluation.judging.forms import as_csv, as_json, as_json_lines, records
from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.page import render
from recarena.evaluation.judging.replies import Asked, Reply
from recarena.evaluation.judging.sentences import notes
from recarena.evaluation.judging.terminal import show
from recarena.evaluation.stimuli.triples import Triple, Words
from support.explained import (
    CHATTY,
    FAITHFUL,
    HALO,
    HONEST,
    JUDGES,
    RANDOM,
    SYCOPHANT,
    Study,
    material,
)

SMALL = Study(users=24, per_user=2, draws=4, repeats=2)
CAVEAT = "simulated preference is not human preference"


@pytest.fixture(scope="module")
def made() -> Material:
    return material(*JUDGES, study=SMALL)


@pytest.fixture(scope="module")
def found(made: Material) -> Findings:
    return findings(made, 0)


@pytest.fixture(scope="module")
def page(found: Findings) -> str:
    return render(found)


def of(found: Findings, judge: str) -> Mapping[str, Any]:
    return next(one for one in found["judges"] if one["judge"] == judge)


def words_of(page: str) -> str:
    """Text of the body, as it is read."""

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.parts: list[str] = []
            self.silent = 0

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.silent += tag in ("style", "head")

        def handle_endtag(self, tag: str) -> None:
            self.silent -= tag in ("style", "head")

        def handle_data(self, data: str) -> None:
            if not self.silent and data.strip():
                self.parts.append(data.strip())

    reader = Reader()
    reader.feed(page)
    return "\n".join(reader.parts)


def keys_of(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield str(key)
            yield from keys_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from keys_of(one)


def test_the_first_entry_says_whether_the_gates_passed(found: Findings) -> None:
    assert next(iter(found)) == "verdict"
    assert {one["judge"]: one["passed"] for one in found["verdict"]["judges"]} == {
        HONEST: True, SYCOPHANT: False, HALO: False, RANDOM: False,
    }  # fmt: skip
    assert not found["verdict"]["passed"]
    assert "NOT passed by scripted:sycophant" in found["verdict"]["sentence"]


def test_the_naive_contrast_ranks_the_sycophant_first_and_the_scored_one_does_not(
    found: Findings,
) -> None:
    assert found["naive"]["first_by_naive"] == SYCOPHANT
    assert found["naive"]["first_by_scored"] != SYCOPHANT


def test_the_naive_contrast_ranks_the_sycophants_favourite_first_and_the_scored_one_does_not(
    found: Findings,
) -> None:
    raw = of(found, SYCOPHANT)["not_to_be_used"]
    assert raw["naive_first"] == CHATTY
    assert raw["naive"][CHATTY]["mean"] > raw["naive"][FAITHFUL]["mean"]
    assert raw["scored"][FAITHFUL]["mean"] > raw["scored"][CHATTY]["mean"]
    assert of(found, HONEST)["ranking"]["places"][0]["name"] == FAITHFUL


def test_who_is_separated_has_a_place_of_its_own(found: Findings) -> None:
    ranking = of(found, HONEST)["ranking"]
    assert ranking["published"]
    assert [(one["name"], one["place"]) for one in ranking["places"]] == [
        (FAITHFUL, "1"), (CHATTY, "2"),
    ]  # fmt: skip


def test_a_ranking_is_said_in_a_sentence() -> None:
    def sentence(**moved: float) -> str:
        """Of recommenders whose explanations move users by so much."""
        triples = [Triple(f"{name}{at}", name, name, f"u{at}", "i", 1, 0, 0, Words("x"))
                   for name in moved for at in range(6)]  # fmt: skip
        replies = [
            Reply("j", one.id, under, Asked.CHOOSE, value if under == "real" else 0.0)
            for number, one in enumerate(triples)
            for value in [moved[one.recommender] + number % 2 / 10]
            for under in ("real", "placebo")
        ]
        made = Material(triples, replies)
        return ranking(Answers.of("j", replies), made, by_recommender, ())["sentence"]

    assert sentence(a=0.5, b=0.1) == "a persuades most."
    assert sentence(a=0.5, b=0.5) == "a and b cannot be told apart."
    assert sentence(a=0.1, b=0.5, c=0.5).startswith("b and c share the first places;")
    assert sentence(a=0.1) == "Nothing to rank: one alone has a value."
    assert sentence() == "Nobody has a value."


def test_a_ranking_by_statements_is_of_what_was_answered_under_both(
    made: Material, found: Findings
) -> None:
    ranked = of(found, HONEST)["questionnaire_scales"]["rankings"]["constructs"]["transparency"]
    assert [one["name"] for one in ranked["places"]] == [FAITHFUL, CHATTY]
    assert ranked["places"][0]["mean"] > 0.2
    by_name = of(found, HONEST)["questionnaire_scales"]["by_recommender"]
    scale = next(one for one in by_name[FAITHFUL] if one["construct"] == "transparency")
    assert ranked["places"][0]["mean"] == pytest.approx(scale["real_less_placebo"]["mean"])


def test_what_is_not_known_is_noted(made: Material) -> None:
    assert not [one for one in notes(made) if "bad" in one]
    without = sum(one.recommender == CHATTY for one in made.triples)
    assert any(one.startswith(f"{without} of the explanations carry no claim") for one in
               notes(made))  # fmt: skip
    claiming = [replace(one, bad=False) for one in made.triples if one.recommender == FAITHFUL]
    found = notes(replace(made, triples=claiming))
    assert any("No item is known to be bad" in one for one in found)
    assert not [one for one in found if "carry no claim" in one]


def test_what_failed_is_withheld_and_no_place_of_it_is_anywhere(found: Findings) -> None:
    for name in (SYCOPHANT, RANDOM):
        judge = of(found, name)
        assert judge["ranking"]["withheld"]
        assert judge["ranking"]["sentence"].startswith("withheld: ")
        assert not {"places", "pairs", "leader", "place"} & {*keys_of(judge)}
        assert judge["not_to_be_used"]["scored"]


def test_a_halo_judge_ranks_by_what_it_does_and_not_by_what_it_says(found: Findings) -> None:
    judge = of(found, HALO)
    assert judge["ranking"]["published"]
    assert judge["questionnaire_scales"]["rankings"] == {
        "by": "real − placebo of a construct", "published": False, "withheld": ["halo"],
        "sentence": "withheld: halo",
    }  # fmt: skip
    assert of(found, HONEST)["questionnaire_scales"]["rankings"]["published"]


def test_judges_together_are_those_that_passed(found: Findings) -> None:
    assert found["pooled"]["judges"] == [HONEST, HALO]
    assert found["pooled"]["ranking"]["places"][0]["name"] == FAITHFUL


def test_where_nobody_passed_nothing_is_ranked() -> None:
    alone = findings(material(RANDOM, study=SMALL), 0)
    assert alone["pooled"]["judges"] == []
    assert not {"places", "pairs"} & {*keys_of(dict(alone))}
    assert "NOT passed" in words_of(render(alone)).splitlines()[1]


def test_one_family_of_judges_is_said_to_be_few(made: Material, found: Findings) -> None:
    assert any("two families" in note for note in found["notes"])
    assert not any(
        "two families" in note for note in notes(replace(made, families={HONEST: "llm"}))
    )


def test_the_matrix_has_every_judge_and_gate(found: Findings) -> None:
    matrix = found["matrix"]
    assert list(matrix["judges"]) == list(JUDGES)
    assert all(list(one) == matrix["gates"] for one in matrix["judges"].values())
    assert matrix["judges"][HALO]["halo"] == "failed"


def test_judges_that_behave_alike_agree_more(found: Findings) -> None:
    related = {(one["a"], one["b"]): one["correlation"] for one in found["agreement"]["persuasion"]}
    assert related[HONEST, HALO] > related[HONEST, RANDOM]


def test_every_number_says_under_which_judge_and_data(found: Findings) -> None:
    for judge in found["judges"]:
        assert judge["under"] == f"under judge {judge['judge']}, data made-up: {CAVEAT}"
    for record in records(found):
        assert record["under"] == f"under judge {record['judge']}, data made-up: {CAVEAT}"


def test_no_reply_at_all_passes_nothing() -> None:
    nothing = findings(Material([], []), 0)
    assert not nothing["verdict"]["passed"]
    assert "Nobody was asked" in words_of(render(nothing))
    show(nothing, Console(file=io.StringIO()))


def test_the_same_input_gives_the_same_bytes(made: Material, found: Findings, page: str) -> None:
    again = findings(made, 0)
    assert as_json(again) == as_json(found)
    assert as_csv(again) == as_csv(found)
    assert render(again) == page


def test_the_order_of_replies_changes_nothing(made: Material, found: Findings) -> None:
    mixed = [one for one in made.replies if one.judge == HONEST]
    alone = findings(replace(made, replies=mixed), 0)
    random.Random(3).shuffle(mixed)
    assert as_json(findings(replace(made, replies=mixed), 0)) == as_json(alone)


def test_a_missing_answer_moves_denominators_only() -> None:
    made = material(HONEST, study=replace(SMALL, statements=False))
    gone = {one.id for one in made.triples[:6]}
    kept = [one for one in made.replies if one.triple not in gone]
    lost = [
        one._replace(value=None, missing="TRUNCATED")
        if one.triple in gone and one.asked == Asked.CHOOSE else one
        for one in made.replies
    ]  # fmt: skip
    without, missing = (
        of(findings(replace(made, replies=rows), 0), HONEST)["contrasts"]["all"]
        for rows in (kept, lost)
    )
    scored = missing["measures"]["persuasiveness"]
    assert scored["mean"] == without["measures"]["persuasiveness"]["mean"]
    assert scored["of"] - scored["triples"] == 6
    assert missing["missing"]["choose"]["real"]["reasons"] == {"TRUNCATED": 6 * SMALL.draws}


# ------------------------------------------------------------------ forms


def test_json_is_strict_and_has_no_number_that_is_none(found: Findings) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    assert json.loads(as_json(found), parse_constant=refuse)["format"] == 1


def test_lines_and_rows_hold_the_same_estimates(found: Findings) -> None:
    lines = [json.loads(line) for line in as_json_lines(found).splitlines()]
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert len(lines) == len(rows) > 100
    for line, row in zip(lines, rows, strict=True):
        assert row["judge"] == line["judge"]
        assert row["mean"] == ("" if line["mean"] is None else str(line["mean"]))
    assert {row["gates_passed"] for row in rows if row["judge"] == SYCOPHANT} == {"false"}
    assert {row["gates_passed"] for row in rows if row["judge"] == HONEST} == {"true"}


NASTY = '=1+1<script>alert("x")</script>[bold]'


def named(made: Material, name: str) -> Material:
    return replace(
        made, triples=[replace(one, recommender=name) if one.recommender == CHATTY else one
                       for one in made.triples],
        about={name: name}, data=name,
    )  # fmt: skip


def test_names_from_outside_are_text_everywhere() -> None:
    made = named(material(HONEST, study=Study(users=12, draws=2)), NASTY)
    hostile = findings(made, 0)
    page = render(hostile)
    assert "<script" not in page.lower()
    assert "&lt;script&gt;" in page
    rows = csv.DictReader(io.StringIO(as_csv(hostile)))
    assert {row["name"] for row in rows if row["name"].startswith(("=", "'="))} == {f"'{NASTY}"}
    stream = io.StringIO()
    show(hostile, Console(file=stream, width=400))
    assert NASTY in stream.getvalue()


def test_the_page_begins_with_whether_the_gates_passed(page: str) -> None:
    lines = words_of(page).splitlines()
    assert lines[0] == "Skip to the result"
    assert lines[1].startswith("Gates passed by scripted:honest, NOT passed by")
    assert [line[:2] for line in lines[2:6]] == ["✓ ", "✗ ", "✗ ", "✗ "]
    assert CAVEAT in lines[6]


def test_the_page_asks_nobody_for_anything(page: str) -> None:
    assert not re.search(r"<script|src=|https?://|@import|url\(", page)
    assert "default-src 'none'" in page
    targets = re.findall(r'href="([^"]+)"', page)
    idents = set(re.findall(r' id="([^"]+)"', page))
    assert {one.removeprefix("#") for one in targets if one != "data:,"} <= idents


def test_every_table_and_drawing_has_words(page: str) -> None:
    assert page.count("<table>") == page.count("<caption>") > 10
    drawings = re.findall(r"<svg[^>]*>", page)
    assert drawings
    assert all('role="img"' in one and 'aria-label="' in one for one in drawings)
    for caption in re.findall(r"<caption>(.*?)</caption>", page):
        if caption.startswith(("Measures,", "Places", "Watch", "Overselling", "Constructs,")):
            assert CAVEAT in caption


def test_a_withheld_ranking_is_said_to_be_and_is_not_on_the_page() -> None:
    page = words_of(render(findings(material(SYCOPHANT, study=SMALL), 0)))
    assert "scripted:sycophant: withheld: placebo-is-nothing" in page
    assert "Places by" not in page
    assert "persuades most" not in page
    after = page.rpartition("What it would have said, and why it is not to be used")[2]
    assert f"would have ranked {CHATTY} first by real − none" in after


def test_what_withholding_did_inside_the_run_is_shown_where_some_were(made: Material) -> None:
    row = {
        "recommender": FAITHFUL, "shown": 310, "withheld": 290, "rate_shown": 0.25,
        "rate_withheld": 0.15, "effect": 0.1, "low": 0.08, "high": 0.12, "users": 40, "reason": "",
    }  # fmt: skip
    alone = replace(made, replies=[one for one in made.replies if one.judge == HONEST])
    found = findings(replace(alone, about={"delivery": [row]}), 0)
    page = words_of(render(found))
    section = page.partition("by a draw for the user")[2].partition("not to be used")[0]
    for one in (FAITHFUL, "310", "25.0 %", "290", "15.0 %", "+0.100", "+0.080 to +0.120"):
        assert one in section.splitlines()
    stream = io.StringIO()
    show(found, Console(file=stream, width=300))
    assert ("faithful: 25.0 % watched of 310 items shown with their explanation, 15.0 % of 290 "
            "shown without: +0.100 (+0.080 to +0.120).") in stream.getvalue()  # fmt: skip
    for none in ({}, {"delivery": []}):
        found = findings(replace(alone, about=none), 0)
        assert "inside the run" not in words_of(render(found))
        stream = io.StringIO()
        show(found, Console(file=stream, width=300))
        assert "Inside the run" not in stream.getvalue()


def test_the_naive_contrast_is_grey_beside_the_scored_one(page: str) -> None:
    assert page.count('class="forest greyed"') >= len(JUDGES)


def test_a_terminal_shows_the_verdict_first(found: Findings) -> None:
    stream = io.StringIO()
    show(found, Console(file=stream, width=100))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("✓ scripted:honest: every gate passed")
    assert "withheld: placebo-is-nothing" in stream.getvalue()
    assert CAVEAT in " ".join(stream.getvalue().split())


def test_on_a_terminal_of_80_columns_no_word_of_a_table_or_of_a_gate_is_broken(
    found: Findings,
) -> None:
    stream = io.StringIO()
    show(found, Console(file=stream, width=80))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    heads = [line for line in lines if "recommender" in line and "faithful" in line]
    for line in heads:
        assert " ".join(line.split()) == (
            "recommender real − placebo, interval − none − shuffled quiz faithful"
        )
    assert len(heads) == len(found["judges"])
    for name in found["judges"][0]["contrasts"]["by_recommender"]:
        rows = [line for line in lines if name in line.split() and line.count("(") == 1]
        assert len(rows) == len(found["judges"])
        assert all(
            " to " in row and len(row.split(")")[1].replace(" %", "%").split()) == 4 for row in rows
        )
    failed = [one for judge in found["judges"] for one in judge["gates"]
              if one["outcome"] == "failed"]  # fmt: skip
    assert failed
    for one in failed:
        assert any(line.startswith(f"  ✗ {one['id']} ") and "needed:" in line for line in lines)
