"""How well ratings after watching are those that people gave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recarena.evaluation.believability.asking import Answers
from recarena.evaluation.believability.card import Interval, ratio_interval
from recarena.evaluation.believability.people import Numbers, People, Rows
from recarena.evaluation.believability.slates import Draw, Slates, dice

MOST_RATED = 20
"""Held-out items of a user that are rated, at most; drawn by the seed."""
LEAKAGE_RMSE = 0.55
"""People who rate the same films again differ from themselves by more (RMSE .557 to .816; Amatriain
et al., "I like it... I like it not", UMAP 2009): what is nearer has seen the answers."""
RULES = ("constant", "user-mean", "item-mean")
DRAWS = 400


@dataclass(frozen=True)
class Pairs:
    """Ratings by people beside those by the mind; columns [pairs]."""

    user: Numbers
    item: Numbers
    person: Rows
    mind: Rows
    """What the mind gave: an item rated in several repeats is as many pairs."""


def rated_slates(people: People, users: Numbers, seed: int) -> Slates:
    """The held-out items of each user, MOST_RATED at most."""
    rows = [
        dice(seed, Draw.RATED, user).permutation(people.later.item[people.later.user == user])
        for user in users.tolist()
    ]
    width = min(max(map(len, rows), default=1), MOST_RATED)
    items = np.full((len(users), width), -1, np.int64)
    for row, own in enumerate(rows):
        items[row, : len(own[:width])] = own[:width]
    return Slates(users, items, items >= 0)


def rated_pairs(people: People, answers: Sequence[Answers]) -> Pairs:
    """All held-out items that the mind rated, each repeat a pair of its own."""
    later = people.later.user * len(people.item_ids) + people.later.item
    order = np.argsort(later)
    users: list[Numbers] = []
    items: list[Numbers] = []
    minds: list[Rows] = []
    for one in answers:
        rated = ~np.isnan(one.rating) & one.slates.held_out
        _, row, column = np.nonzero(rated)
        users.append(one.slates.users[row])
        items.append(one.slates.items[row, column])
        minds.append(one.rating[rated])
    user, item = np.concatenate(users), np.concatenate(items)
    at = order[np.searchsorted(later, user * len(people.item_ids) + item, sorter=order)]
    return Pairs(user, item, people.later.rating[at], np.concatenate(minds))


@dataclass(frozen=True)
class Rated:
    """What the ratings are worth."""

    ratings: int
    users: int
    mind: Mapping[str, Interval]
    """mae, rmse, bias (mind minus people), wasserstein, sd_ratio."""
    rules: Mapping[str, Mapping[str, Interval]]
    """RULES -> mae, rmse."""
    skill: Mapping[str, Interval]
    """RULES -> 1 - MAE of the mind / MAE of the rule."""
    shares: Mapping[str, Mapping[str, float]]
    """people, mind -> rating -> share."""

    @property
    def leaks(self) -> bool:
        """Whether it is nearer to people than people are to themselves."""
        rmse = self.mind["rmse"].mean
        return not math.isnan(rmse) and rmse < LEAKAGE_RMSE


def compare(people: People, pairs: Pairs, seed: int) -> Rated | None:
    """Errors are means over pairs, with intervals over users, who each have several pairs. None
    without a pair.

    skill = 1 - MAE / MAE of a rule that knows the ratings before the split alone: their mean
    (constant), the user's, the item's, the latter two shrunken by 5 ratings. wasserstein: area
    between the two distributions of ratings (Wasserstein-1). sd_ratio: standard deviation of the
    mind's ratings over that of the people's; below 1: too much alike. The intervals of these two
    are percentiles over 400 draws of users with replacement (Efron, 1979).
    """
    if not len(pairs.person):
        return None
    found, user = np.unique(pairs.user, return_inverse=True)
    count = np.bincount(user).astype(np.float64)

    def per_user(values: Rows) -> Rows:
        return np.bincount(user, values, len(found)).astype(np.float64)

    def errors(guess: Rows) -> dict[str, Interval]:
        off = guess - pairs.person
        squares = ratio_interval(per_user(off**2), count)
        low, mean, high = (
            math.sqrt(max(one, 0)) for one in (squares.low, squares.mean, squares.high)
        )
        root = Interval(mean, low, high, squares.n)
        return {"mae": ratio_interval(per_user(abs(off)), count), "rmse": root}

    guesses = {
        "constant": np.full(len(pairs.person), people.overall),
        "user-mean": people.user_means[pairs.user],
        "item-mean": people.item_means[pairs.item],
    }
    own = per_user(abs(pairs.mind - pairs.person))
    skill: dict[str, Interval] = {}
    for name, guess in guesses.items():
        rule = per_user(abs(guess - pairs.person))
        skill[name] = ratio_interval(rule - own, rule)
    spread = _shapes(pairs, user, len(found), seed)
    bias = ratio_interval(per_user(pairs.mind - pairs.person), count)
    return Rated(
        ratings=len(pairs.person),
        users=len(found),
        mind={**errors(pairs.mind), "bias": bias, **spread},
        rules={name: errors(guess) for name, guess in guesses.items()},
        skill=skill,
        shares={"people": _shares(pairs.person), "mind": _shares(pairs.mind)},
    )


def _shapes(pairs: Pairs, user: Numbers, users: int, seed: int) -> dict[str, Interval]:
    grid = np.unique(np.concatenate([pairs.person, pairs.mind]))
    counts = np.stack([_table(user, values, grid, users) for values in (pairs.person, pairs.mind)])
    draws = dice(seed, Draw.RATED).multinomial(users, np.full(users, 1 / users), DRAWS)
    whole, drawn = counts.sum(axis=1)[:, None], np.stack([draws @ part for part in counts])
    found: dict[str, Interval] = {}
    for name, measure in (("wasserstein", wasserstein), ("sd_ratio", sd_ratio)):
        mean = float(measure(grid, *whole)[0])
        if users < 2:
            found[name] = Interval(mean, math.nan, math.nan, users)
            continue
        low, high = np.quantile(measure(grid, *drawn), [0.025, 0.975])
        found[name] = Interval(mean, float(low), float(high), users)
    return found


def _table(user: Numbers, values: Rows, grid: Rows, users: int) -> Rows:
    cell = user * len(grid) + np.searchsorted(grid, values)
    return np.bincount(cell, minlength=users * len(grid)).reshape(users, len(grid)).astype(float)


def wasserstein(grid: Rows, people: Rows, mind: Rows) -> Rows:
    """[rows]: area between two distributions, given as counts [rows, values of the grid]."""
    apart = np.cumsum(people, 1) / people.sum(1, keepdims=True)
    apart -= np.cumsum(mind, 1) / mind.sum(1, keepdims=True)
    return (abs(apart[:, :-1]) * np.diff(grid)).sum(axis=1)


def sd_ratio(grid: Rows, people: Rows, mind: Rows) -> Rows:
    """[rows]: standard deviation of the second over that of the first; NaN where the first has
    none."""

    def spread(counts: Rows) -> Rows:
        total = counts.sum(axis=1)
        mean = counts @ grid / total
        return np.sqrt(np.maximum(counts @ grid**2 / total - mean**2, 0))

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread(people) > 0, spread(mind) / spread(people), np.nan)


def _shares(values: Rows) -> dict[str, float]:
    known, count = np.unique(values, return_counts=True)
    return {f"{one:g}": float(n / len(values)) for one, n in zip(known, count, strict=True)}
