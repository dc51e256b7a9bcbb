from __future__ import annotations

import numpy as np
import pytest

from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError


def neighbours_scores(world: WorldData) -> np.ndarray:
    """Item-based collaborative filtering on the history alone."""
    history, items = world.history, len(world.catalog)
    ratings = np.zeros((len(world.population), items))
    seen = np.zeros_like(ratings)
    seen[history.user, history.item] = 1
    mean = np.bincount(history.user, history.rating) / np.bincount(history.user)
    above = np.bincount(history.item, history.rating - mean[history.user], items) / (
        5 + seen.sum(axis=0)
    )
    ratings[history.user, history.item] = history.rating - mean[history.user] - above[history.item]
    norms = (ratings**2).T @ seen
    alike = ratings.T @ ratings / np.sqrt(np.maximum(norms * norms.T, 1e-9))
    together = seen.T @ seen
    alike *= together / (together + 5)
    np.fill_diagonal(alike, 0)
    return above + ratings @ alike / np.maximum(seen @ np.abs(alike), 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_oracle_beats_personalised_beats_popular_beats_random(seed: int) -> None:
    world = planted_world(200, 150, seed)
    catalog, population, history = world.catalog, world.population, world.history
    truth = population.taste @ catalog.attributes.T + catalog.quality
    truth += population.mean_rating[:, None]

    def true_rating_of_top_ten(scores: np.ndarray) -> float:
        free = np.broadcast_to(scores, truth.shape).copy()
        free[history.user, history.item] = -np.inf
        top = np.argsort(-free, axis=1)[:, :10]
        return float(np.take_along_axis(truth, top, axis=1).mean())

    oracle = true_rating_of_top_ten(truth)
    personalised = true_rating_of_top_ten(neighbours_scores(world))
    popular = true_rating_of_top_ten(catalog.popularity)
    chance = true_rating_of_top_ten(np.random.default_rng(0).random(truth.shape))
    assert oracle > personalised + 0.3
    assert personalised > popular + 0.3
    assert popular > chance + 0.05


def test_a_planted_world_has_no_words_of_films() -> None:
    world = planted_world(10, 12, seed=0, communities=2)
    assert world.catalog.titles[0] == "Item 0001"
    assert world.catalog.genre_names[:2] == ("G1", "G2")
    assert world.origin["source"] == "planted"


def test_a_planted_world_needs_items() -> None:
    with pytest.raises(InputError, match="needs items"):
        planted_world(10, 0, seed=0)
