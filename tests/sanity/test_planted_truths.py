"""What is planted in a world is what measures find there, and nothing where nothing is planted."""

from __future__ import annotations

from functools import cache

import pytest

from recarena.evaluation.influence.edges import NoEdges, edge_uplift
from recarena.evaluation.metrics.exposure import exposure_by_merit, planted_groups
from recarena.evaluation.metrics.trajectories import by_round
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.worlds import Interval, paired_difference, world_interval
from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.planting import Planting
from support.in_process import Maker, by_chance, of_genre, oracle, played, popular
from support.thoroughness import thorough

USERS, ITEMS = 200, 200


def runs(
    maker: Maker, planting: Planting, rounds: int, worlds: int, history: int | None = 0, **more
) -> list[RunLog]:
    """A run of one recommender in each of several worlds."""
    return [
        played(
            planted_world(USERS, ITEMS, seed, history_per_user=history, planting=planting),
            {"it": maker}, rounds, seed, **more,
        )
        for seed in range(1, worlds + 1)
    ]  # fmt: skip


# ------------------------------------------------------------------ groups of equal merit


def of_group_a(maker: Maker, history: int | None) -> Interval:
    """Exposure by merit of the famous one of two groups; 1 is fair, 2 has everything."""
    logs = runs(
        maker, Planting(groups=2), rounds=3, worlds=thorough(8, otherwise=4), history=history,
        searching=False,
    )  # fmt: skip
    return world_interval([float(exposure_by_merit(log, planted_groups(log))[0]) for log in logs])


@pytest.mark.parametrize("maker", [oracle, by_chance])
def test_who_does_not_look_at_fame_shows_groups_of_equal_merit_alike(maker: Maker):
    found = of_group_a(maker, history=0)
    assert not found.excludes(1.0)
    assert found.half_width < 0.1


def test_who_shows_the_famous_shows_the_famous_group():
    found = of_group_a(popular, history=None)
    assert found.low > 1.7


# ------------------------------------------------------------------ fatigue


@cache
def changes(fatigue: float) -> list[float]:
    """By world: watch rate of rounds 5 to 8 less that of rounds 1 and 2, where one genre is always
    shown first. Users come often, look at few pages, and are independent of one another."""
    planting = Planting(fatigue=fatigue, influence=0.0)
    logs = runs(
        of_genre(0), planting, rounds=8, worlds=thorough(10, otherwise=5),
        choice={"active": 3.0}, visits={"step_cap": 2},
    )  # fmt: skip
    courses = [by_round(log, None, "watch_rate") for log in logs]
    return [float(one[4:].mean() - one[:2].mean()) for one in courses]


def test_users_who_tire_leave_who_always_shows_the_same_genre():
    assert world_interval(changes(5.0)).high < -0.01
    assert paired_difference(changes(0.0), changes(5.0)).low > 0.01


def test_users_who_do_not_tire_stay():
    assert not world_interval(changes(0.0)).excludes(0.0)


# ------------------------------------------------------------------ edges


def test_hearers_of_planted_edges_watch_what_they_are_told():
    planting = Planting(edges=50, influence=3.0)
    found = edge_uplift(runs(popular, planting, rounds=9, worlds=thorough(8, otherwise=4)))
    assert found.uplift.low > 0.15
    assert found.null.mean < 0.15
    assert found.posts > 60


def test_hearers_whom_nobody_moves_watch_no_more_than_their_controls():
    planting = Planting(edges=50, influence=0.0)
    found = edge_uplift(runs(popular, planting, rounds=9, worlds=thorough(8, otherwise=4)))
    assert not found.uplift.excludes(0.0)


def test_without_planted_edges_there_is_no_uplift_to_estimate():
    with pytest.raises(NoEdges, match="no edges are planted in the world planted-20x10"):
        edge_uplift([played(planted_world(20, 10, 1), {"it": popular}, 1, 1)])
