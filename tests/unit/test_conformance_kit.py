"""The parts of the conformance kit that need no program: catalogues, picking, reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from rich.console import Console

from recarena.conformance import reporting
from recarena.conformance.case import Case, Outcome, Script, Verdict
from recarena.conformance.catalog import BadCatalog, built_in, load
from recarena.conformance.cli import WrongUse, picked
from recarena.conformance.findings import LONGEST, Unmet, expect
from recarena.conformance.probe.cases import CASES as PROBE
from recarena.conformance.wire.cases import CASES as WIRE

README = Path(__file__).parents[2] / "clients/conformance/README.md"


async def nothing(_: Any) -> None:
    """A scene."""


def case(**further: Any) -> Case:
    return Case("area", "name", "what must be", "what to do", nothing, **further)


def failed(**further: Any) -> Outcome:
    return Outcome(case(**further), Verdict.FAILED, "seen", "required", "fix")


# ------------------------------------------------------------------------------ catalogues
def test_the_built_in_catalogue_has_sixty_items_with_titles_categories_and_years():
    items = built_in()
    assert len({item.item_id for item in items}) == len({item.title for item in items}) == 60
    assert all(item.categories for item in items)
    assert all(1950 <= item.attributes["year"] <= 2025 for item in items)


def rows(count: int = 12) -> list[str]:
    return [f"{number},Film {number},A|B,19{number:02d}" for number in range(count)]


def test_a_csv_file_is_a_catalogue(tmp_path: Path):
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["item_id,title,categories,year", *rows()]), "utf-8")
    items = load(path)
    assert [item.item_id for item in items] == [str(number) for number in range(12)]
    assert list(items[3].categories) == ["A", "B"]
    assert items[3].attributes["year"] == 1903


def test_json_lines_are_a_catalogue(tmp_path: Path):
    path = tmp_path / "own.jsonl"
    line = '{{"item_id": "é{0}", "title": "T", "categories": ["A"], "year": 1999, "stars": [1]}}'
    path.write_text("\n".join(line.format(number) for number in range(12)) + "\n\n", "utf-8")
    items = load(path)
    assert items[11].item_id == "é11"
    assert list(items[0].categories) == ["A"]
    assert items[0].attributes["year"] == 1999


BAD = {
    "no header": ("a,b\n1,2\n", "the header has no item_id and no title"),
    "too few": ("item_id,title\n1,2\n", "1 items, the cases need 12 or more"),
    "no id": ("item_id,title\n,x\n", "line 2: item_id is missing"),
    "the same id": ("item_id,title\n1,x\n2,y\n1,z\n", "line 4: item_id '1' stands in line 2 too"),
    "a long id": (f"item_id,title\n{'é' * 65},x\n", "line 2: item_id has more than 128 bytes"),
    "cells too many": ("item_id,title\n1,x,y\n", "line 2: more cells than the header has"),
    "no JSON": ('{"item_id": "1"}\n{nothing}\n', "line 2: no JSON"),
    "no object": ('{"item_id": "1"}\n[1]\n', "line 2: a JSON object is wanted"),
    "categories": ('{"item_id": "1", "categories": 3}\n', "line 1: categories must be a list"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_catalogue_is_told_with_file_and_line(what: str, tmp_path: Path):
    text, told = BAD[what]
    path = tmp_path / "own"
    path.write_text(text, "utf-8")
    with pytest.raises(BadCatalog) as raised:
        load(path)
    assert str(raised.value).startswith(str(path))
    assert told in str(raised.value)


def test_a_file_that_is_not_text_is_told(tmp_path: Path):
    path = tmp_path / "own.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadCatalog, match="not UTF-8"):
        load(path)


# ------------------------------------------------------------------------------ cases
def test_words_pick_cases_by_area_and_name():
    assert {one.area for one in picked(list(WIRE.values()), "search")} == {"search"}
    names = [one.name for one in picked(list(WIRE.values()), "no_item_twice, LOBBY")]
    assert names == ["waits_in_the_lobby", "lists_no_item_twice", "says_goodbye_in_the_lobby"]
    with pytest.raises(WrongUse, match="picks none"):
        picked(list(WIRE.values()), "nosuch")


def test_no_two_cases_have_the_same_name():
    script = Script("area")
    script.add("one", "", "", nothing)
    with pytest.raises(ValueError, match="two cases are called one"):
        script.add("one", "", "", nothing)
    assert (len(WIRE), len(PROBE)) == (79, 99)


def test_every_case_of_the_wire_suite_says_what_is_required_and_how_to_fix_it():
    for one in WIRE.values():
        assert one.required, one.name
        assert one.fix, one.name
        assert "\n" not in one.required + one.fix


def test_the_readme_has_every_case_of_the_wire_suite_with_what_it_requires():
    text = README.read_text("utf-8")
    for one in WIRE.values():
        mark = "optional: " if one.optional else ""
        assert f"| `{one.name}` | {mark}{one.required} |" in text, one.name


def test_what_was_seen_and_is_required_can_both_be_read():
    with pytest.raises(Unmet) as raised:
        expect([1, 2], [2, 1])
    assert (raised.value.seen, raised.value.required) == ("[1, 2]", "[2, 1]")
    assert len(Unmet("x" * 10_000).seen) < LONGEST + 10


# ------------------------------------------------------------------------------ reports
def test_only_a_required_case_that_failed_is_a_failure():
    assert failed().is_failure
    assert not failed(optional=True).is_failure
    for verdict in (Verdict.PASSED, Verdict.NOT_OFFERED, Verdict.NOT_PLAYED):
        assert not Outcome(case(), verdict).is_failure


def test_the_last_line_counts():
    outcomes = [failed(), failed(optional=True), Outcome(case(), Verdict.PASSED),
                Outcome(case(), Verdict.NOT_OFFERED)]  # fmt: skip
    said = reporting.summary(outcomes, 1.23)
    assert said == "1 passed, 1 failed, 1 failed that is optional, 1 not offered, in 1.2 s"


def test_what_a_program_says_cannot_move_the_terminals_cursor_or_mark_up_the_table():
    lines = ("\x1b[31mred", "[bold]not bold[/bold]")
    hostile = Outcome(case(), Verdict.FAILED, "\x1b[2J[red]seen[/red]\nmore", "r", "f", 0, lines)
    console = Console(width=200, record=True, highlight=False, force_terminal=False)
    with console.capture() as shown:
        reporting.show(console, [hostile], 1.0, logs=False)
    assert "\x1b" not in shown.get()
    assert "[red]seen[/red]" in shown.get()
    assert "[bold]not bold[/bold]" in shown.get()


def test_the_junit_report_can_be_read_whatever_the_program_says():
    lines = ("\x00\x1b\ud800 & <b>",)
    outcomes = [
        Outcome(case(), Verdict.FAILED, "seen \x08 <&>", "required", "fix", 1.5, lines),
        failed(optional=True),
        Outcome(case(), Verdict.NOT_OFFERED, "SEARCH is not in force"),
        Outcome(case(), Verdict.PASSED, seconds=0.5),
    ]
    root = Xml.fromstring(reporting.as_junit("wire", outcomes, 2.0))
    (suite,) = root.findall("testsuite")
    counts = {name: suite.get(name) for name in ("tests", "failures", "skipped", "errors")}
    assert counts == {"tests": "4", "failures": "1", "skipped": "2", "errors": "0"}
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "seen � <&>"
    assert failure.text == "required: required\nseen: seen � <&>\nfix: fix"
    seconds = [one.get("time") for one in suite.iter("testcase")]
    assert seconds == ["1.500", "0.000", "0.000", "0.500"]


def test_the_json_form_has_all_that_the_table_has():
    value = reporting.as_json("wire", ["run", "me"], [failed(), Outcome(case(), Verdict.PASSED)], 2)
    assert (value["suite"], value["command"], value["passed"]) == ("wire", ["run", "me"], False)
    assert [one["verdict"] for one in value["cases"]] == ["failed", "passed"]
    assert value["cases"][0]["required"] == "required"
    assert value["cases"][1]["required"] == "what must be"
