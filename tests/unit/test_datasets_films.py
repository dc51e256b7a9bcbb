from __future__ import annotations

import numpy as np

from recarena.server.datasets.films import FILM_GENRES, embedded_catalog, film_catalog
from recarena.server.datasets.movielens import year_of


def test_the_embedded_films_are_complete() -> None:
    films = film_catalog()
    assert len(films) >= 400
    assert all(films.titles)
    assert all(films.directors)
    assert all(films.descriptions)
    assert films.genres.any(axis=1).all()
    assert set(FILM_GENRES) == set(films.genre_names)
    assert (films.genres.sum(axis=0) > 0).all()
    assert (films.years >= 1890).all()
    assert not any(year_of(title) for title in films.titles)


def test_the_same_seed_plants_the_same_truth() -> None:
    one, again, other = embedded_catalog(1), embedded_catalog(1), embedded_catalog(2)
    for column in ("quality", "popularity", "factors"):
        assert np.array_equal(getattr(one, column), getattr(again, column))
        assert not np.array_equal(getattr(one, column), getattr(other, column))
    assert one.version == other.version == film_catalog().version


def test_popularity_has_a_long_tail_and_follows_quality() -> None:
    catalog = embedded_catalog(3)
    in_order = np.sort(catalog.popularity)[::-1]
    assert in_order[: len(catalog) // 10].sum() > 0.5 * in_order.sum()
    assert np.corrcoef(catalog.quality, np.log1p(catalog.popularity))[0, 1] > 0.35
    assert abs(float(catalog.quality.std()) - 0.45) < 0.06


def test_factors_are_directions_of_length_one_or_so() -> None:
    lengths = np.linalg.norm(embedded_catalog(4, factors=5).factors, axis=1)
    assert lengths.min() >= 0.79
    assert lengths.max() <= 1.21
    assert embedded_catalog(4, factors=0).factors.shape[1] == 0
