"""Who gets which arm, by users and by clusters of the social network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.server.allocation import (
    allocate_clusters,
    allocate_users,
    social_clusters,
    ties_within,
)
from recarena.server.config import Settings, parse_settings
from recarena.server.datasets.generate import generate_world
from recarena.server.datasets.specs import open_world
from recarena.server.founding import assign_arms, create_run
from recarena.server.house import fork_run
from recarena.server.network import Network

SMALL = generate_world(150, 1, history_per_user=0).network


def network(users: int, pairs: list[tuple[int, int]]) -> Network:
    """Ties in both directions, all as close."""
    one, two = np.array(pairs, np.int64).reshape(-1, 2).T
    source, other = np.concatenate([one, two]), np.concatenate([two, one])
    return Network.from_ties(
        users, source, other, np.full(len(source), 0.5), np.zeros(len(source), int), ("friend",)
    )


def cliques(count: int, size: int) -> Network:
    """Groups in which everybody knows everybody, in a ring of one tie each."""
    inside = [
        (group * size + a, group * size + b)
        for group in range(count)
        for a in range(size)
        for b in range(a)
    ]
    ring = [(g * size, (g + 1) % count * size + 1) for g in range(count)]
    return network(count * size, inside + ring)


def by(what: str, weights: tuple[int, ...] = (1, 1), seed: int = 7) -> Settings:
    arms = [{"recommender": f"r{n}", "weight": weight} for n, weight in enumerate(weights)]
    return parse_settings({"seed": seed, "arms": arms, "assignment": {"by": what}}, "test")


@settings(max_examples=40)
@given(
    users=st.integers(1, 40),
    largest=st.integers(1, 12),
    seed=st.integers(0, 2**40),
    ties=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=120),
)
def test_every_user_is_in_one_cluster_and_none_is_too_large(users, largest, seed, ties):
    pairs = sorted({(a, b) for a, b in ties if b < a < users})
    known = network(users, pairs)
    cluster = social_clusters(known, largest, seed)
    sizes = np.bincount(cluster, minlength=1)
    assert len(cluster) == users
    assert sizes.min() > 0
    assert sizes.max() <= largest
    first = [int(np.flatnonzero(cluster == one)[0]) for one in range(len(sizes))]
    assert first == sorted(first)
    alone = known.degrees() == 0
    assert (sizes[cluster[alone]] == 1).all()


@pytest.mark.parametrize("seed", range(5))
def test_groups_that_are_there_are_found(seed: int):
    cluster = social_clusters(cliques(12, 6), 8, seed)
    assert cluster.tolist() == np.repeat(np.arange(12), 6).tolist()


@pytest.mark.parametrize(("weights", "share"), [((1, 1), 0.5), ((3, 1), 0.25)])
def test_each_users_chance_of_an_arm_is_its_share_of_the_weights(weights, share):
    draws = 200
    friends = cliques(10, 4)
    arms = np.stack([allocate_clusters(weights, n, friends, 2).arm_of_user for n in range(draws)])
    chance = (arms == 1).mean(axis=0)
    # Five standard errors: forty users, of whom four share a draw.
    assert np.abs(chance - share).max() < 5 * np.sqrt(share * (1 - share) / draws)
    counts = (arms == 1).sum(axis=1)
    assert np.abs(counts - share * 40).max() <= 4


def test_clusters_keep_more_ties_within_arms_than_users_do():
    for seed in range(5):
        users = ties_within(SMALL, allocate_users((1, 1), seed, 150).arm_of_user)
        clusters = ties_within(SMALL, allocate_clusters((1, 1), seed, SMALL, 4).arm_of_user)
        larger = ties_within(SMALL, allocate_clusters((1, 1), seed, SMALL, 2).arm_of_user)
        assert users is not None
        assert clusters is not None
        assert larger is not None
        assert 0.4 < users < 0.56
        assert clusters > users + 0.08
        assert larger > users + 0.15


def test_an_allocation_follows_from_the_seed():
    one, again, other = (assign_arms(by("clusters", seed=s), SMALL).arm_of_user for s in (7, 7, 8))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


def test_by_default_users_are_drawn_as_they_always_were():
    # Written down before there was a choice: runs of before must come out the same.
    arms = parse_settings({"seed": 7, "arms": by("users").model_dump()["arms"]}, "test")
    known = [1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0]
    assert assign_arms(arms, SMALL).arm_of_user[:24].tolist() == known


def test_a_run_keeps_what_was_drawn_in_its_manifest(tmp_path: Path):
    folder = create_run(
        tmp_path / "run", by("clusters", (2, 1)), open_world("new:users=90,seed=2,history=0")
    )
    try:
        about = folder.manifest["assignment"]
        arms = folder.arm_of_user()
    finally:
        folder.close()
    assert about["by"] == "clusters"
    assert about["users"] == {"r0": int((arms == 0).sum()), "r1": int((arms == 1).sum())}
    assert abs(about["users"]["r1"] - 30) <= about["cluster_sizes"]["largest"]
    assert about["cluster_sizes"]["largest"] <= 30 / 4
    assert 0 < about["ties_within_clusters"] < about["ties_within_arms"] < 1


def test_a_fork_keeps_everybodys_arm_under_the_new_names(tmp_path: Path):
    chosen = by("clusters")
    source = create_run(tmp_path / "run", chosen, open_world("new:users=40,seed=2,history=0"))
    others = {**chosen.model_dump(mode="json"), "arms": [{"recommender": n} for n in "xyz"]}
    fork = fork_run(source, tmp_path / "fork", 0, others)
    try:
        assert fork.arm_of_user().tolist() == source.arm_of_user().tolist()
        kept, made = source.manifest["assignment"], fork.manifest["assignment"]
        assert list(made["users"].items()) == [
            ("x", kept["users"]["r0"]), ("y", kept["users"]["r1"]), ("z", 0),
        ]  # fmt: skip
        assert {**made, "users": 0} == {**kept, "users": 0}
    finally:
        source.close()
        fork.close()


def test_nobody_knows_anybody():
    alone = allocate_clusters((1, 1), 3, Network.empty(9), 4)
    assert sorted(np.bincount(alone.arm_of_user, minlength=2).tolist()) == [4, 5]
    assert ties_within(Network.empty(9), alone.arm_of_user) is None
