"""How arms are compared: by hand on few users, against scipy, and with people left out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from recarena.evaluation.metrics.users import kaplan_meier
from recarena.evaluation.statistics.multiplicity import holm as reference_holm
from recarena.observatory import standings
from recarena.observatory.columns import Columns, Kind
from recarena.observatory.standings import Estimate, estimates, mean, places, ratio, welch
from recarena.observatory.tally import Tally
from recarena.v1.run_pb2 import EventColumns

NOBODY = np.zeros(0, np.int64)


def columns(*rows: tuple[int, Kind, int, float]) -> Columns:
    """Rows of (user, kind, outcome, value)."""
    users, kinds, outcomes, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    size = len(rows)

    def same(dtype: str, value: int) -> bytes:
        return np.full(size, value, dtype).tobytes()

    return Columns.of(
        EventColumns(
            rows=size, user=np.array(users, "<i4").tobytes(), kind=np.array(kinds, "<i1").tobytes(),
            item=same("<i4", -1), position=same("<i2", -1), value=np.array(values, "<f4").tobytes(),
            other=same("<i4", -1), step=same("<i2", -1), surface=same("<i1", 0),
            outcome=np.array(outcomes, "<i1").tobytes(),
        )
    )  # fmt: skip


def visit(user: int, shown: int, watched: int, *, outcome: int = 1, rating: float = 4):
    """A visit of one page."""
    return [
        (user, Kind.ENTER_RECOMMENDER, 0, 0),
        (user, Kind.PAGE, outcome, 0),
        *[(user, Kind.SHOWN, 0, 0)] * shown,
        *[(user, Kind.WATCH, 0, rating)] * watched,
        (user, Kind.LEAVE, 0, 0),
    ]


ALL = np.ones(3, np.bool_)


def test_six_visits_by_hand():
    tally = Tally(3)
    tally.add(columns(*visit(0, 4, 2), *visit(1, 5, 0)), NOBODY, with_people=False)
    tally.add(
        columns(*visit(0, 4, 1, rating=1), *visit(2, 2, 2, outcome=4)), NOBODY, with_people=False
    )
    found = estimates(tally, ALL)
    # User 2's page was late: what it was shown is nobody's, and it stays among those asked.
    assert found["watch_rate"].value == pytest.approx((3 / 8 + 0 + 0) / 3)
    assert found["watches_per_user_round"].value == pytest.approx(3 / 6)
    assert found["satisfaction"].value == pytest.approx((4 + 4 + 1) / 3)
    assert found["exit_depth"].value == pytest.approx(3 / 4)
    assert found["retention"].value == pytest.approx(1 / 2)
    assert found["unusable_rate"].value == pytest.approx(1 / 4)
    assert found["searches_per_visit"].value == 0
    assert found["watch_rate"].n == 3


def test_rounds_that_a_person_played_are_left_out_unless_asked_for():
    first, second = columns(*visit(0, 4, 4), *visit(1, 4, 1)), columns(*visit(0, 4, 0))
    without, with_them = Tally(3), Tally(3)
    for tally, asked in ((without, False), (with_them, True)):
        tally.add(first, np.array([0]), with_people=asked)
        tally.add(second, NOBODY, with_people=asked)
        assert tally.user_rounds_by_people == 1
    assert estimates(without, ALL)["watch_rate"].value == pytest.approx((0 + 1 / 4) / 2)
    assert estimates(without, ALL)["watches_per_user_round"].value == pytest.approx(1 / 5)
    assert estimates(with_them, ALL)["watches_per_user_round"].value == pytest.approx(5 / 6)
    # Who was a person's in one of two rounds cannot have come back in them.
    assert estimates(without, ALL)["retention"].value == 0
    assert estimates(with_them, ALL)["retention"].value == pytest.approx(1 / 2)


def test_depths_of_visits_that_were_cut_are_estimated_as_the_report_does():
    rng = np.random.default_rng(2)
    tally, depths, cuts = Tally(3), [], []
    for _ in range(60):
        rows: list[tuple[int, Kind, int, float]] = []
        for user in range(3):
            depth, cut = int(rng.integers(1, 6)), bool(rng.random() < 0.3)
            rows.append((user, Kind.ENTER_RECOMMENDER, 0, 0))
            rows += [(user, Kind.PAGE, 1, 0)] * depth
            if not cut:
                rows.append((user, Kind.LEAVE, 0, 0))
            depths.append(depth)
            cuts.append(cut)
        tally.add(columns(*rows), NOBODY, with_people=False)
    expected = kaplan_meier(np.array(depths), np.array(cuts)).sum()
    assert tally.exit_depth(ALL) == pytest.approx(expected)


def test_a_round_without_events_is_a_round():
    tally = Tally(3)
    tally.add(columns(), NOBODY, with_people=False)
    found = estimates(tally, ALL)
    assert found["watches_per_user_round"].value == 0
    assert math.isnan(found["watch_rate"].value)
    assert found["watch_rate"].as_json() == {"value": None, "low": None, "high": None, "n": 0}


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(1).random(17)
    found = mean(values)
    low, high = stats.t.interval(0.95, 16, values.mean(), stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_the_interval_of_a_ratio_covers_it_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        whole = rng.poisson(6, 80)
        part = rng.binomial(whole, 0.3)
        found = ratio(part.astype(float), whole.astype(float))
        covered += found.low <= 0.3 <= found.high
    assert 0.91 < covered / 400 < 0.985


def test_welchs_p_value_is_scipys():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 12), rng.normal(0.7, 3, 30)
    expected = stats.ttest_ind(a, b, equal_var=False).pvalue
    assert welch(mean(a), mean(b)) == pytest.approx(float(expected))


@pytest.mark.parametrize("seed", range(5))
def test_holms_correction_is_the_one_of_the_report(seed):
    p_values = (np.random.default_rng(seed).random(8) ** 4).tolist()
    p_values[2] = math.nan
    assert standings.holm(p_values) == reference_holm(p_values)


def test_arms_that_are_not_separated_share_a_place():
    rng = np.random.default_rng(4)
    arms = [mean(rng.normal(centre, 1, 200)) for centre in (3.0, 3.02, 1.0)]
    found = places([*arms, Estimate(math.nan, math.nan, math.nan, 0)])
    assert [one.rank for one in found] == [1, 1, 3, 0]
    assert [one.ties for one in found] == [[1], [0], [], []]


def test_one_arm_alone_is_first():
    assert places([mean(np.array([1.0, 2.0]))])[0].rank == 1
