"""What holds for every metric and every log."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.evaluation.metrics.exposure import Groups, exposure_by_merit
from recarena.evaluation.metrics.measures import METRICS, measure_all
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Outcome
from recarena.evaluation.runs.run_log import RunLog
from support.made_logs import made_log, random_log, random_rows
from support.thoroughness import thorough

many = settings(deadline=None, max_examples=thorough(150, otherwise=30))
SEEDS = st.integers(0, 2**32)
SHARES = (
    "retention", "search_after_page_rate", "intra_list_diversity", "coverage", "gini",
    "exposure_fairness", "unusable_rate", "late_rate",
)  # fmt: skip


@many
@given(SEEDS)
def test_values_stay_within_their_bounds(seed: int):
    log = random_log(seed)
    values = {name: value for name, value in measure_all(log).items() if not math.isnan(value)}
    for name in SHARES:
        assert -1e-12 <= values.get(name, 0) <= 1 + 1e-12
    # An item is watched once at most on a page here, so that no more is watched than shown.
    assert 0 <= values.get("watch_rate", 0) <= 1
    assert 1 <= values.get("satisfaction", 1) <= 5
    assert 0 <= values.get("exit_depth", 0) <= 3
    assert 0 <= values.get("genre_entropy", 0) <= math.log2(3) + 1e-12
    assert 0 <= values.get("calibration_divergence", 0) <= math.log(100) + 1e-12
    assert 0 <= values.get("novelty", 0) <= math.log2((log.popularity + 1).sum()) + 1e-12
    assert 0 <= values.get("average_popularity", 0) <= log.popularity.max()
    assert 1 <= values.get("mean_popularity_rank", 1) <= len(log.item_ids)
    assert all(value >= 0 for value in values.values())


@many
@given(SEEDS)
def test_names_of_users_and_items_change_nothing(seed: int):
    log = random_log(seed)
    rng = np.random.default_rng(seed)
    user, item = rng.permutation(len(log.user_ids)), rng.permutation(len(log.item_ids))
    events, past = log.events, log.history
    renamed = made_log(
        [],
        rounds=log.rounds,
        arm_of_user=["a"] * len(user),
        popularity=log.popularity[np.argsort(item)].tolist(),
        genres=[
            [name for name, has in zip(log.genre_names, log.genres[old], strict=True) if has]
            for old in np.argsort(item)
        ],
        history=[
            (int(user[u]), int(item[i]), float(r))
            for u, i, r in zip(past.user, past.item, past.rating, strict=True)
        ],
    )
    renamed = replace(
        renamed,
        events=replace(
            events,
            user=user[events.user].astype(np.int32),
            item=np.where(events.item >= 0, item[events.item], -1).astype(np.int32),
        ),
    )
    assert measure_all(renamed) == pytest.approx(measure_all(log), nan_ok=True)


@many
@given(SEEDS)
def test_equal_logs_have_equal_values_to_the_last_bit(seed: int):
    one, other = measure_all(random_log(seed)), measure_all(random_log(seed))
    assert list(one) == [metric.name for metric in METRICS]
    np.testing.assert_array_equal(list(one.values()), list(other.values()))


@many
@given(SEEDS)
def test_an_arm_with_all_users_is_the_run(seed: int):
    log = random_log(seed)
    np.testing.assert_array_equal(
        list(measure_all(log).values()), list(measure_all(log, "a").values())
    )


@many
@given(SEEDS)
def test_the_arms_of_a_run_do_not_see_each_other(seed: int):
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, users=4, rounds=3, items=4)
    arms = ("a", "b", "a", "b")
    both = made_log(rows, rounds=3, arm_of_user=arms)
    mine = [row for row in rows if arms[int(str(row["user"]))] == "a"]
    alone = made_log(mine, rounds=3, arm_of_user=("a", "", "a", ""))
    assert measure_all(both, "a") == pytest.approx(measure_all(alone, "a"), nan_ok=True)


@many
@given(SEEDS)
def test_what_fails_gains_nothing_by_it(seed: int):
    whole = random_log(seed, failing=0)
    before = measure_all(whole)
    after = measure_all(failing_in_part(whole, seed))
    for name in ("watches_per_user_round", "exit_depth", "coverage"):
        assert math.isnan(before[name]) or after[name] <= before[name] + 1e-12
    for name in ("retention", "searches_per_visit", "search_after_page_rate"):
        assert after[name] == pytest.approx(before[name], nan_ok=True)


def failing_in_part(log: RunLog, seed: int) -> RunLog:
    """The same log in which half of the lists came late."""
    events = log.events
    pages = np.flatnonzero(events.kind == Kind.PAGE)
    late = np.random.default_rng(seed).random(len(pages)) < 0.5
    outcome, own = events.outcome.copy(), events.own.copy()
    outcome[pages[late]] = Outcome.LATE
    page_of = np.searchsorted(pages, np.arange(len(events)), side="right") - 1
    own &= ~late[page_of] if len(pages) else True
    return replace(log, events=replace(events, outcome=outcome, own=own))


@many
@given(SEEDS, st.floats(0.1, 10))
def test_exposure_by_merit_knows_no_unit_and_weighs_to_one(seed: int, unit: float):
    log = random_log(seed)
    groups = Groups(("A", "B"), np.arange(len(log.item_ids)) % 2, np.array([1.0, 3.0]))
    found = exposure_by_merit(log, groups)
    in_other_units = replace(groups, merit=groups.merit * unit)
    assert exposure_by_merit(log, in_other_units) == pytest.approx(found, nan_ok=True)
    assert np.isnan(found).all() or found @ np.array([1 / 4, 3 / 4]) == pytest.approx(1)
