"""Who wakes up: rates of the policies, and that they depend on the keys alone."""

from __future__ import annotations

import numpy as np
import pytest

from recarena.server.activation import Activation, ActivationPolicy, activate

USERS = 20_000
FRESH = np.zeros(USERS, np.int32)
EVERY_POLICY = pytest.mark.parametrize("policy", ActivationPolicy)


def shares(activation: Activation, rounds: int = 20, users: int = USERS) -> np.ndarray:
    """[users]: share of the rounds in which each was active."""
    active = np.zeros(users)
    for round in range(1, rounds + 1):
        active[activate(activation, 5, round, np.zeros(users, np.int32))] += 1
    return active / rounds


def test_all_means_everybody_in_order():
    assert activate(Activation(), 1, 1, FRESH).tolist() == list(range(USERS))


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9, 1.0])
def test_bernoulli_wakes_each_with_its_rate(rate):
    share = shares(Activation(ActivationPolicy.BERNOULLI, rate))
    assert share.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / USERS / 20))
    assert share.var() == pytest.approx(rate * (1 - rate) / 20, rel=0.1, abs=1e-12)


@pytest.mark.parametrize(("rate", "shape"), [(0.05, 1.5), (0.3, 1.5), (0.3, 3.0)])
def test_pareto_rates_have_the_mean_asked_for_less_what_is_cut_at_1(rate, shape):
    share = shares(Activation(ActivationPolicy.PARETO, rate, shape))
    mean = shape / (shape - 1)
    cut = (mean / rate) ** (1 - shape) / (shape - 1) * rate / mean
    assert share.mean() == pytest.approx(rate - cut, rel=0.03)


def test_pareto_rates_belong_to_the_users_for_good():
    activation = Activation(ActivationPolicy.PARETO, 0.3)
    assert shares(activation).var() > 3 * 0.3 * 0.7 / 20
    few = shares(activation, 60)
    assert (few == 1).any()
    assert np.median(few) < few.mean()


def test_pareto_copes_with_a_shape_that_has_no_mean():
    share = shares(Activation(ActivationPolicy.PARETO, 0.2, 0.8))
    assert 0 < share.mean() < 0.2


def test_marginal_grows_with_the_time_away():
    activation = Activation(ActivationPolicy.MARGINAL, 0.2)
    for gap in (0, 1, 5, 30):
        active = np.mean(
            [len(activate(activation, 5, r, FRESH + gap)) / USERS for r in range(1, 11)]
        )
        assert active == pytest.approx(1 - 0.8 ** (1 + gap), abs=0.006)


@EVERY_POLICY
def test_the_active_are_ascending_and_of_the_right_type(policy):
    active = activate(Activation(policy, 0.4), 3, 2, FRESH)
    assert active.dtype == np.int32
    assert (np.diff(active) > 0).all()


@EVERY_POLICY
def test_a_user_wakes_whatever_the_number_of_others(policy):
    activation = Activation(policy, 0.4)
    all_users, few = activate(activation, 3, 2, FRESH), activate(activation, 3, 2, FRESH[:500])
    assert all_users[all_users < 500].tolist() == few.tolist()


@pytest.mark.parametrize(
    "policy", [one for one in ActivationPolicy if one is not ActivationPolicy.ALL]
)
def test_rounds_and_seeds_wake_others(policy):
    activation = Activation(policy, 0.4)
    one = activate(activation, 3, 2, FRESH).tolist()
    assert one == activate(activation, 3, 2, FRESH).tolist()
    assert one != activate(activation, 3, 3, FRESH).tolist()
    assert one != activate(activation, 4, 2, FRESH).tolist()


@EVERY_POLICY
def test_nobody_wakes_in_an_empty_world(policy):
    assert len(activate(Activation(policy), 1, 1, FRESH[:0])) == 0
