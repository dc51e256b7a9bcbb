from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.statistics.ratios import ratio_of_means
from recarena.evaluation.statistics.worlds import paired_difference

WHOLE = [0.30, 0.26, 0.34, 0.30]
PART = [0.16, 0.12, 0.18, 0.14]


def test_the_ratio_is_that_of_the_means():
    assert ratio_of_means(PART, WHOLE).mean == pytest.approx(0.60 / 1.20)


@given(
    st.lists(st.tuples(st.floats(0.5, 1.5), st.floats(-1, 1)), min_size=3, max_size=12),
    st.sampled_from([0.8, 0.95]),
)
def test_the_interval_holds_the_ratios_that_the_paired_t_test_does_not_refuse(pairs, confidence):
    whole, part = np.array(pairs).T
    found = ratio_of_means(part.tolist(), whole.tolist(), confidence)
    if not math.isfinite(found.low):
        assert not paired_difference(whole.tolist(), [0.0] * len(whole), confidence).excludes(0)
        return
    width = found.high - found.low
    for ratio, held in (
        (found.low - 0.05 * width, False), (found.low + 0.05 * width, True),
        (found.high - 0.05 * width, True), (found.high + 0.05 * width, False),
    ):  # fmt: skip
        if width > 1e-6:
            difference = paired_difference(part.tolist(), (ratio * whole).tolist(), confidence)
            assert difference.excludes(0.0) is not held


def test_without_a_whole_there_are_no_bounds():
    found = ratio_of_means([0.1, 0.2, 0.1], [0.3, -0.3, 0.1])
    assert found.mean == pytest.approx(4.0)
    assert math.isnan(found.low)
    assert "not separated from 0" in found.reason


def test_too_little_for_an_interval_is_said():
    assert ratio_of_means([0.1], [0.2]).mean == 0.5
    assert ratio_of_means([0.1], [0.2]).reason == "one world has no interval"
    nothing = ratio_of_means([float("nan"), 0.1], [0.2, float("nan")])
    assert (nothing.worlds, nothing.reason) == (0, "there is nothing to divide by")
    with pytest.raises(ValueError, match="1 values against 2"):
        ratio_of_means([0.1], [0.2, 0.3])
