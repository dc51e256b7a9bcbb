from __future__ import annotations

import numpy as np
import pytest

from recarena.server.datasets import estimate
from recarena.server.datasets.estimate import (
    activity_from_counts,
    conformity_from_ratings,
    diversity_from_genres,
    estimate_from_ratings,
    ridge_tastes,
    shrunken_means,
    taste_communities,
    taste_from_interests,
    traits_from_words,
)
from recarena.server.datasets.films import FILM_GENRES, embedded_catalog
from recarena.server.datasets.generate import TasteShape, draw_traits, generate_world
from recarena.server.datasets.world_data import History


def history_of(*ratings: tuple[int, int, float]) -> History:
    user, item, rating = zip(*ratings, strict=True)
    return History(
        np.array(user, np.int32),
        np.array(item, np.int32),
        np.array(rating, np.float32),
        np.zeros(len(user), np.int64),
    )


def test_shrunken_means_by_hand() -> None:
    mean, quality = shrunken_means(history_of((0, 0, 5), (1, 0, 5), (0, 1, 2)), users=3, items=3)
    assert quality == pytest.approx([2 * 1 / 12, -2 / 11, 0])
    first = (1 - 2 / 12 + -2 + 2 / 11) / 7
    assert mean == pytest.approx([4 + first, 4 + (1 - 2 / 12) / 6, 4])


def test_tastes_are_the_ridge_regression_of_each_user(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = embedded_catalog(0, factors=0).attributes
    users, count = 23, 400
    history = history_of(
        *((int(rng.integers(users - 1)), int(rng.integers(len(x))), 3.0) for _ in range(count))
    )
    residual = rng.normal(size=count)
    for cells in (1, 5_000, 4_000_000):
        monkeypatch.setattr(estimate, "_CELLS", cells)
        taste = ridge_tastes(x, history, residual, users)
        for user in range(users):
            own = history.user == user
            rows = x[history.item[own]].astype(np.float64)
            normal = rows.T @ rows + estimate.RIDGE * np.eye(x.shape[1])
            assert taste[user] == pytest.approx(np.linalg.solve(normal, rows.T @ residual[own]))
        assert not taste[users - 1].any()


def test_planted_tastes_and_qualities_are_found_again() -> None:
    shape = TasteShape(shared=0.0)
    catalog = embedded_catalog(0, factors=0)
    world = generate_world(400, 0, catalog, history_per_user=150, shape=shape)
    found = estimate_from_ratings(world.catalog, world.history, 400)
    x = world.catalog.attributes
    true, told = world.population.taste @ x.T, found.taste @ x.T
    assert np.corrcoef(true.ravel(), told.ravel())[0, 1] > 0.75
    assert np.corrcoef(world.catalog.quality, found.quality)[0, 1] > 0.75
    assert np.corrcoef(world.population.mean_rating, found.mean_rating)[0, 1] > 0.75


def test_twice_the_ratings_is_twice_the_rate_of_being_active() -> None:
    activity = activity_from_counts(np.array([0, 50, 100, 100, 200, 10_000]))
    active = 1 / (1 + np.exp(-activity))
    assert active[0] == active[2] == pytest.approx(0.4)
    assert np.log(1 - active[4]) == pytest.approx(2 * np.log(1 - active[2]))
    assert np.log(1 - active[1]) == pytest.approx(0.5 * np.log(1 - active[2]))
    assert active[5] == pytest.approx(0.98)


def test_who_rates_like_the_others_conforms() -> None:
    rows = [(user, item, float(1 + item % 5)) for user in range(9) for item in range(30)]
    rows += [(9, item, float(5 - item % 5)) for item in range(30)]
    conformity = conformity_from_ratings(history_of(*rows), users=11, items=30)
    assert conformity[:9].min() > 0.6
    assert conformity[9] < 0.05
    assert conformity[10] == pytest.approx(np.exp(-1))


def test_who_watches_many_genres_is_diverse() -> None:
    catalog = embedded_catalog(0)
    western = np.flatnonzero(catalog.main_genre == catalog.genre_names.index("Western"))[:8]
    rows = [(0, int(item), 4.0) for item in western]
    rows += [(user, item, 4.0) for user in (1, 2) for item in range(0, len(catalog), 40)]
    diversity = diversity_from_genres(catalog, history_of(*rows), users=3)
    assert diversity[0] < 0.3 < diversity[1]
    assert ((diversity >= 0) & (diversity <= 1)).all()


def test_communities_gather_users_of_one_taste() -> None:
    rng = np.random.default_rng(0)
    planted = np.repeat([0, 1, 2], 40)
    taste = (3 * np.eye(3)[planted] + rng.normal(0, 0.3, (120, 3))).astype(np.float32)
    taste[0] = 0
    community = taste_communities(taste, rng, count=3)
    for one in range(3):
        found = community[1:][planted[1:] == one]
        assert (found == np.bincount(found).argmax()).mean() > 0.95


@pytest.mark.parametrize(
    ("text", "liked"),
    [
        (" sci-fi movies,  comedy movies", {"Sci-Fi", "Comedy"}),
        ("documentaries", {"Documentary"}),
        ("romantic movies; thriller movies", {"Romance", "Thriller"}),
        ("family-friendly movies", {"Children's", "Animation"}),
        ("classic movies", {"Film-Noir", "Musical", "Western", "Drama"}),
        ("Horror, Children's", {"Horror", "Children's"}),
        ("", set[str]()),
    ],
)
def test_interests_become_tastes(text: str, liked: set[str]) -> None:
    taste, unknown = taste_from_interests([text], FILM_GENRES)
    assert {FILM_GENRES[g] for g in np.flatnonzero(taste[0] > 0)} == liked
    assert not unknown


def test_interests_that_nobody_understands_are_counted() -> None:
    taste, unknown = taste_from_interests(["bird-watching, war films", "Bird-watching"], ("War",))
    assert unknown == {"bird-watching": 2}
    assert taste.tolist() == [[1.0], [0.0]]


def test_children_and_childrens_are_one_genre() -> None:
    taste, _ = taste_from_interests(["family movies"], ("Children", "Horror"))
    assert taste[0, 0] > 0 > taste[0, 1]


def test_features_move_traits_within_their_bounds() -> None:
    usual = draw_traits(3, seed=0)
    told = traits_from_words(usual, [["Watcher", "Poster"], ["Critic"] * 9, ["nonsense"]])
    assert told["activity"][0] > usual["activity"][0]
    assert told["posting"][0] > usual["posting"][0]
    assert told["mean_rating"][1] == 1
    assert told["conformity"][1] == told["trust"][1] == 0
    assert all(told[name][2] == usual[name][2] for name in usual)
