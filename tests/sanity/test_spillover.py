"""Where users move one another, arms of one world are not what two worlds would be, and the
estimate says so; where they do not, it says exactly nothing."""

from __future__ import annotations

from functools import cache

import pytest

from recarena.evaluation.competing.spillover import Spillover, spillovers
from recarena.evaluation.statistics.worlds import world_interval
from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.planting import Planting
from support.in_process import oracle, played, worst
from support.thoroughness import thorough

USERS, ITEMS = 200, 150
TALKATIVE = {"choice": {"sociable": 1.0}}
"""Users open the social network more often than by default."""


@cache
def measured(influence: float, worlds: int, rounds: int) -> tuple[Spillover, Spillover]:
    """Of oracle against worst: by users, and by clusters of the social network."""
    alone, shared = [], []
    for seed in range(1, worlds + 1):
        world = planted_world(
            USERS, ITEMS, seed, history_per_user=0, planting=Planting(influence=influence)
        )
        both = {"oracle": oracle, "worst": worst}
        for name, maker in both.items():
            alone.append(played(world, {name: maker}, rounds, seed, **TALKATIVE))
        for by in ("users", "clusters"):
            drawn = {"assignment": {"by": by, "clusters_per_arm": 2}}
            shared.append(played(world, both, rounds, seed, **drawn, **TALKATIVE))
    users, clusters = spillovers(alone, shared)
    assert (users.unit, clusters.unit) == ("users", "clusters")
    return users, clusters


def influenced() -> tuple[Spillover, Spillover]:
    return measured(6.0, thorough(10, otherwise=6), 12)


def independent() -> tuple[Spillover, Spillover]:
    return measured(0.0, 3, 4)


def test_a_user_split_recovers_less_than_the_mirrored_effect_and_says_so(
    capsys: pytest.CaptureFixture[str],
):
    users, _ = influenced()
    with capsys.disabled():
        print(f"\n  {users.sentence}")
    assert users.shown
    assert users.spillover.low > 0
    assert users.plain.low > 0
    assert users.recovered.high < 0.9
    assert users.sentence.startswith("The user split recovers ")
    assert f"{users.recovered.mean:.0%}" in users.sentence
    assert "of the mirrored effect" in users.sentence


def test_a_split_by_clusters_recovers_more(capsys: pytest.CaptureFixture[str]):
    users, clusters = influenced()
    less = world_interval([users.by_world[w] - clusters.by_world[w] for w in users.by_world])
    with capsys.disabled():
        print(f"\n  {clusters.sentence}")
        print(f"  Less spillover by clusters: {less.mean:.3f} ± {less.half_width:.3f}")
    assert less.low > 0
    assert clusters.recovered.mean > users.recovered.mean + 0.05
    assert clusters.ties_within_arms > 0.7 > 0.6 > users.ties_within_arms


def test_intervals_over_users_miss_the_mirrored_effect_and_are_labelled():
    users, _ = influenced()
    assert users.user_level
    assert users.user_level.covers < 0.7
    assert "not independent" in users.user_level.label
    assert users.user_level.half_width_cuped < users.user_level.half_width
    assert 0.1 < users.user_level.variance_reduction < 0.9


def test_where_nobody_moves_anybody_the_spillover_is_nothing_to_the_last_bit():
    for one in independent():
        assert list(one.by_world.values()) == [0.0] * 3
        assert not one.shown
        assert one.recovered.mean == 1.0
        assert "shows no spillover" in one.sentence
        # Chance in who is in which arm is still there, and is not taken for spillover.
        assert one.plain.mean != 0.0
        assert not one.plain.excludes(0.0)
