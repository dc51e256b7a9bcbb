"""Tastes and traits from what is known of users: their ratings or their profiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.datasets.world_data import History
from recarena.server.population import TRAIT_BOUNDS
from recarena.server.types import Floats, Ints

Column = NDArray[np.float64]

ITEM_SHRINKAGE, USER_SHRINKAGE = 10.0, 5.0
"""Ratings of the average kind added to each item and user. Koren's form (2008); these strengths
predict held-out MovieLens ratings better than his 25 and 10."""

RIDGE = 6.0
"""Noise variance over prior variance of a taste. On MovieLens 100k everything from 6 to 15 predicts
held-out ratings within .001 RMSE of the best; the least of these keeps the most of the taste."""

USUAL_ACTIVITY = 0.4
"""Share of the rounds in which the user with the median number of ratings does something."""

_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimates:
    """What ratings say about users and items; see the function for each."""

    mean_rating: Floats
    quality: Floats
    popularity: Floats
    taste: Floats
    activity: Floats
    conformity: Floats
    diversity: Floats


def estimate_from_ratings(catalog: Catalog, history: History, users: int) -> Estimates:
    """Everything that can be told from ratings; users and items without any get the average."""
    mean_rating, quality = shrunken_means(history, users, len(catalog))
    residual = history.rating - mean_rating[history.user] - quality[history.item]
    single = np.float32
    return Estimates(
        mean_rating=mean_rating.astype(single),
        quality=quality.astype(single),
        popularity=np.bincount(history.item, minlength=len(catalog)).astype(single),
        taste=ridge_tastes(catalog.attributes, history, residual, users).astype(single),
        activity=activity_from_counts(np.bincount(history.user, minlength=users)).astype(single),
        conformity=conformity_from_ratings(history, users, len(catalog)).astype(single),
        diversity=diversity_from_genres(catalog, history, users).astype(single),
    )


def shrunken_means(history: History, users: int, items: int) -> tuple[Column, Column]:
    """(mu_u, q_i): q_i = sum(r - mu) / (10 + n_i), then mu_u = mu + sum(r - mu - q_i) / (5 + n_u).

    The baseline estimates of Koren, "Factorization meets the neighborhood" (KDD 2008), section 2.1.
    """
    mu = float(history.rating.mean()) if len(history) else 3.5
    above = history.rating.astype(np.float64) - mu
    quality = np.bincount(history.item, above, items)
    quality /= ITEM_SHRINKAGE + np.bincount(history.item, minlength=items)
    mean = np.bincount(history.user, above - quality[history.item], users)
    mean /= USER_SHRINKAGE + np.bincount(history.user, minlength=users)
    return mu + mean, quality


def ridge_tastes(x: Floats, history: History, residual: Column, users: int) -> Column:
    """[users, attributes]: theta_u = (X'X + 6 I)^-1 X'e over the user's ratings; 0 without any.

    Ridge regression (Hoerl and Kennard, 1970) of what user mean and item quality leave over. Items
    with equal attributes are counted together, so that X'X is (counts of kinds) x (outer products
    of kinds): two matrix products for thousands of users instead of one outer product a rating.
    """
    kinds, kind_of = np.unique(x, axis=0, return_inverse=True)
    kinds = kinds.astype(np.float64)
    count, width = kinds.shape
    taste = np.zeros((users, width))
    if not len(history) or not width:
        return taste
    upper = np.triu_indices(width)
    outer = kinds[:, upper[0]] * kinds[:, upper[1]]
    order = np.argsort(history.user, kind="stable")
    user = history.user[order]
    kind, rest = kind_of.ravel()[history.item[order]], residual[order]
    ends = np.concatenate([[0], np.cumsum(np.bincount(history.user, minlength=users))])
    step = max(1, _CELLS // max(count, width * width))
    for first in range(0, users, step):
        last = min(first + step, users)
        rows = slice(int(ends[first]), int(ends[last]))
        cell = (user[rows] - first).astype(np.int64) * count + kind[rows]
        shape, cells = (last - first, count), (last - first) * count
        normal = np.empty((last - first, width, width))
        squares = np.bincount(cell, minlength=cells).reshape(shape).astype(np.float64) @ outer
        normal[:, upper[0], upper[1]] = normal[:, upper[1], upper[0]] = squares
        normal += RIDGE * np.eye(width)
        products = np.bincount(cell, rest[rows], cells).reshape(shape) @ kinds
        taste[first:last] = np.linalg.solve(normal, products[:, :, None])[:, :, 0]
    return taste


def activity_from_counts(counts: NDArray[np.integer]) -> Column:
    """a_u = logit(1 - (1 - .4)^(n_u / median n)), with probabilities kept within .02 to .98.

    Who has no ratings counts as usual: a newcomer is unknown, not idle. Rating is taken for a
    Poisson process cut into rounds: twice the ratings is twice the rate. (Agent4Rec, Zhang et al.,
    2024, takes the number of ratings for activity as well.)
    """
    some = counts[counts > 0]
    usual = float(np.median(some)) if len(some) else 1.0
    rate = np.where(counts > 0, counts / usual, 1.0)
    active = np.clip(1 - (1 - USUAL_ACTIVITY) ** rate, 0.02, 0.98)
    return np.log(active / (1 - active))


def conformity_from_ratings(history: History, users: int, items: int) -> Column:
    """c_u = exp(-d_u / mean d), d_u the mean square distance to what the others gave the items.

    Agent4Rec's measure of conformity, put on 0..1: always with the others is 1, the average user
    .37. d_u is shrunken to the mean by 10 ratings; an item's mean leaves the user's own rating out.
    """
    rating = history.rating.astype(np.float64)
    total = np.bincount(history.item, rating, items)[history.item]
    count = np.bincount(history.item, minlength=items)[history.item]
    with_others = count > 1
    if not with_others.any():
        return np.full(users, np.exp(-1.0))
    rating, user = rating[with_others], history.user[with_others]
    others = (total[with_others] - rating) / (count[with_others] - 1)
    distance = (rating - others) ** 2
    usual = max(float(distance.mean()), 1e-6)
    summed = np.bincount(user, distance, users) + 10 * usual
    return np.exp(-summed / (np.bincount(user, minlength=users) + 10) / usual)


def diversity_from_genres(catalog: Catalog, history: History, users: int) -> Column:
    """d_u = sigmoid(z(H_u)), H_u the entropy of the genres in the user's history.

    Shannon's entropy as a measure of diversity (Agent4Rec counts genres, which grows with the
    number of ratings). Five ratings spread like everybody's are added to each history, as a short
    one would look narrow; entropies differ little, hence the standard score.
    """
    genres = len(catalog.genre_names)
    shares = catalog.genres / np.maximum(catalog.genres.sum(axis=1, keepdims=True), 1)
    mass = np.stack(
        [np.bincount(history.user, shares[history.item, g], users) for g in range(genres)], axis=1
    ) if genres else np.ones((users, 1))  # fmt: skip
    everybody = mass.sum(axis=0) + 1e-9
    mass += 5 * everybody / everybody.sum()
    p = mass / mass.sum(axis=1, keepdims=True)
    entropy = -(p * np.log(p)).sum(axis=1)
    score = (entropy - entropy.mean()) / max(float(entropy.std()), 1e-9)
    return 1 / (1 + np.exp(-score))


def taste_communities(taste: Floats, rng: np.random.Generator, count: int = 8) -> Ints:
    """Each user's community: k-means (Lloyd, 12 rounds) over the directions of the tastes.

    Users without any taste are spread over the communities at random.
    """
    lengths = np.linalg.norm(taste, axis=1)
    some = np.flatnonzero(lengths > 0)
    community = rng.integers(0, count, len(taste)).astype(np.int32)
    if len(some) < count:
        return community
    unit = taste[some] / lengths[some, None]
    centres = unit[rng.choice(len(unit), count, replace=False)]
    nearest = np.zeros(len(unit), np.int32)
    for _ in range(12):
        nearest = (unit @ centres.T).argmax(axis=1).astype(np.int32)
        sums = np.stack([np.bincount(nearest, column, count) for column in unit.T], axis=1)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-9), centres).astype(np.float32)
    community[some] = nearest
    return community


INTERESTS: dict[str, dict[str, float]] = {
    "sci-fi": {"Sci-Fi": 1.0},
    "science fiction": {"Sci-Fi": 1.0},
    "romantic": {"Romance": 1.0},
    "romantic comedy": {"Romance": 0.7, "Comedy": 0.7},
    "love": {"Romance": 1.0},
    "family-friendly": {"Children's": 1.0, "Animation": 0.7, "Horror": -0.6, "Crime": -0.3},
    "family": {"Children's": 1.0, "Animation": 0.7, "Horror": -0.6, "Crime": -0.3},
    "kids": {"Children's": 1.0, "Animation": 0.7, "Horror": -0.6},
    "children": {"Children's": 1.0, "Animation": 0.4},
    "animated": {"Animation": 1.0},
    "cartoon": {"Animation": 1.0, "Children's": 0.4},
    "classic": {"Film-Noir": 0.8, "Musical": 0.5, "Western": 0.5, "Drama": 0.4},
    "documentaries": {"Documentary": 1.0},
    "scary": {"Horror": 1.0},
    "suspense": {"Thriller": 0.8, "Mystery": 0.6},
    "detective": {"Mystery": 0.8, "Crime": 0.6},
    "noir": {"Film-Noir": 1.0},
    "superhero": {"Action": 0.8, "Fantasy": 0.4, "Sci-Fi": 0.4},
    "historical": {"War": 0.6, "Drama": 0.5},
    "music": {"Musical": 1.0},
}
"""What a profile calls an interest -> genres (MovieLens' names) with weights."""


def taste_from_interests(
    interests: Sequence[str], genre_names: Sequence[str]
) -> tuple[Floats, Counter[str]]:
    """[users, genres] tastes from texts such as "sci-fi movies, documentaries", and the interests
    that no genre was found for, with their numbers. The scale is for the caller to choose."""
    column_of = {_genre_key(name): number for number, name in enumerate(genre_names)}
    taste = np.zeros((len(interests), len(genre_names)), np.float32)
    unknown: Counter[str] = Counter()
    for user, text in enumerate(interests):
        for phrase in text.replace(";", ",").split(","):
            if not (words := phrase.strip().casefold()):
                continue
            weights = _weights(words)
            known = [(column_of[g], w) for g, w in weights.items() if g in column_of]
            if not known:
                unknown[words] += 1
            for column, weight in known:
                taste[user, column] += weight
    return taste, unknown


def _weights(phrase: str) -> dict[str, float]:
    for end in (" movies", " films", " movie", " film"):
        phrase = phrase.removesuffix(end)
    found = INTERESTS.get(phrase, {phrase: 1.0})
    return {_genre_key(genre): weight for genre, weight in found.items()}


def _genre_key(name: str) -> str:
    key = name.casefold().removesuffix("'s")
    return _PLURALS.get(key, key)


_PLURALS = {
    "animations": "animation",
    "comedies": "comedy",
    "dramas": "drama",
    "musicals": "musical",
    "mysteries": "mystery",
    "thrillers": "thriller",
    "westerns": "western",
}


TRAIT_EFFECTS: dict[str, dict[str, float]] = {
    "watcher": {"activity": 0.8, "sociability": -0.4},
    "explorer": {"diversity": 0.25, "position_bias": -0.2, "activity": 0.2},
    "critic": {"mean_rating": -0.5, "trust": -0.25, "conformity": -0.2},
    "chatter": {"sociability": 0.9, "posting": -0.9, "conformity": 0.15},
    "poster": {"sociability": 0.6, "posting": 1.0},
    "outgoing": {"sociability": 0.4},
    "introspective": {"sociability": -0.4},
    "energetic": {"activity": 0.3},
    "adventurous": {"diversity": 0.12},
    "independent": {"conformity": -0.12},
    "empathetic": {"conformity": 0.06},
    "analytical": {"trust": -0.12},
    "optimistic": {"mean_rating": 0.15},
    "meticulous": {"position_bias": -0.1},
}
"""Word of a profile -> what it adds to the traits.

RecAgent's features (Wang et al., 2023): the Watcher uses the recommender and rates a lot; the
Explorer searches and looks further; the Critic is demanding of films and recommendations; the
Chatter talks with friends and believes them; the Poster shares with everybody. The amounts are
ours: for a feature a half to one standard deviation of the usual spread of the trait, for an
adjective about a third.
"""
CLIPPED = ("mean_rating", "conformity", "diversity", "position_bias", "trust")
"""Traits that words cannot take out of their bounds; logits have none to keep."""


def traits_from_words(
    traits: dict[str, Floats], words: Sequence[Iterable[str]]
) -> dict[str, Floats]:
    """The traits with the effects of each user's words added; other words say nothing."""
    changed = {name: column.copy() for name, column in traits.items()}
    for user, own in enumerate(words):
        for word in own:
            for name, amount in TRAIT_EFFECTS.get(word.strip().casefold(), {}).items():
                changed[name][user] += amount
    for name in CLIPPED:
        np.clip(changed[name], *TRAIT_BOUNDS[name], out=changed[name])
    return changed
