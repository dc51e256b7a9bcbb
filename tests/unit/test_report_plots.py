"""Plots and tables of the report: axes that hold what they show, drawings that are well formed."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recarena.evaluation.report import plots
from recarena.evaluation.report.plots import Axis, Line, Mark
from recarena.evaluation.report.tables import figure, listed, plus_minus, table, titled
from recarena.evaluation.statistics.worlds import Interval

NAN = math.nan
finite = st.floats(-1e9, 1e9)
numbers = st.one_of(finite, st.just(NAN), st.just(0.0))
names = st.text(max_size=80)


def parsed(drawing: str) -> ET.Element:
    """What the drawing holds, as XML (which knows no control characters)."""
    return ET.fromstring("".join(one for one in drawing if one >= " "))


@given(st.lists(numbers, max_size=20), st.integers(1, 6))
@example([0.0, 5e-324], 2)
@example([0.0, 1e-301], 1)
@example([1e9, math.nextafter(1e9, 2e9)], 6)
@example([-1e9, 1e9 - 1e-7], 3)
@example([1e-300, 1.1e-300], 3)
def test_an_axis_holds_all_values_between_ticks_that_rise(values: list[float], ticks: int):
    axis = plots.axis(values, ticks)
    there = [one for one in values if math.isfinite(one)]
    room = (axis.high - axis.low) * 1e-6
    assert all(axis.low - room <= one <= axis.high + room for one in there)
    at = [value for value, _ in axis.ticks]
    assert at == sorted(set(at))
    assert 2 <= len(at) <= ticks + 3


def test_ticks_are_round_and_tell_each_other_apart():
    assert plots.axis([0.03, 0.21], 3).ticks == (
        (0.0, "0.0"), (0.1, "0.1"), (0.2, "0.2"), (pytest.approx(0.3), "0.3"),
    )  # fmt: skip
    assert [word for _, word in plots.axis([-2, 3], 3).ticks] == ["−2", "0", "2", "4"]


@given(st.lists(st.tuples(names, numbers, numbers, numbers), min_size=1, max_size=8), names)
def test_a_forest_plot_is_well_formed_and_has_a_row_a_mark(
    rows: list[tuple[str, float, float, float]], alternative: str
):
    marks = [Mark(name, mean, low, high, "1 ±2") for name, mean, low, high in rows]
    drawing = parsed(plots.forest(marks, alternative, 0.0))
    assert len(drawing.findall("text[@class='name']")) == len(rows)
    assert len(drawing.findall("circle")) == sum(math.isfinite(mark.mean) for mark in marks)
    assert drawing.get("role") == "img"
    for one in drawing.iter():
        assert not any("nan" in value for key, value in one.attrib.items() if key != "aria-label")


def test_a_mark_that_cannot_be_told_from_the_reference_is_hollow():
    drawing = plots.forest([Mark("a", 1, 0, 2, "1"), Mark("b", 1, 0, 2, "1", False)], "words")
    assert [one.get("class") for one in parsed(drawing).findall("circle")] == ["dot", "dot hollow"]


def test_a_missing_value_breaks_the_line_and_its_band():
    y = [1.0, 2.0, NAN, 2.0, 1.0, NAN, 1.0]
    line = Line(range(7), y, [one - 1 for one in y], [one + 1 for one in y])
    drawing = parsed(plots.panel(line, [], Axis(0, 6, ()), Axis(0, 3, ()), "words"))
    assert len(drawing.findall("polyline[@class='line']")) == 2
    assert len(drawing.findall("circle[@class='line alone']")) == 1
    assert len(drawing.findall("polygon[@class='band']")) == 2


def test_a_wide_band_leaves_the_lines_legible():
    narrow = Line([1, 2], [0.1, 0.2], [-9, -9], [9, 9])
    axis = plots.course_axis([narrow])
    assert axis.high - axis.low < 0.7


def test_ticks_that_would_run_into_one_another_are_left_out_but_zero_stays():
    marks = [Mark("a", -1234.5, -2000, 1000, "x")]
    words = [
        one.text for one in parsed(plots.forest(marks, "words", 0.0)).findall("text[@class]")
        if one.get("class") == "tick middle"
    ]  # fmt: skip
    assert "0" in words


def test_the_same_drawing_has_the_same_bytes():
    marks = [Mark("a", 1 / 3, 0.1, 0.7, "x")]
    assert plots.forest(marks, "words") == plots.forest(marks, "words")


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0.1864, 3, "0.186"), (-0.5, 1, "−0.5"), (-0.0001, 2, "0.00"), (12345.6, 0, "12,346"),
     (NAN, 2, "–"), (math.inf, 2, "–"), (None, 2, "–")],
)  # fmt: skip
def test_figures_are_written_alike(value: float | None, decimals: int, text: str):
    assert figure(value, decimals) == text


def test_a_mean_without_an_interval_stands_alone():
    assert plus_minus(Interval(0.5, 0.4, 0.6, 3, 0.95), 2) == "0.50 ±0.10"
    assert plus_minus(Interval(0.5, NAN, NAN, 1, 0.95), 2) == "0.50"


def test_a_table_whose_rows_do_not_fit_its_head_is_refused():
    with pytest.raises(ValueError, match="'Wrong' has rows of another length"):
        table("Wrong", ("a", "b"), [("1", "2"), ("1",)])


def test_words_for_people():
    assert [listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b",
                                                                        "a, b and c"]  # fmt: skip
    assert [titled(one) for one in ("watch rate", "p95 ms", "Gini")] == ["Watch rate", "p95 ms",
                                                                         "Gini"]  # fmt: skip
