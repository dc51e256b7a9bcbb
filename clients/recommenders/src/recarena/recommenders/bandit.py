"""Bandit: learns what is taken of what is shown, and tries what it knows little of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.client import RunInfo
from recarena.recommenders.explanations import because_of_genre
from recarena.recommenders.factors import products
from recarena.recommenders.keyed import normals, user_keys
from recarena.recommenders.numeric import NumericRecommender, Wanted
from recarena.recommenders.passed_over import PassedOver
from recarena.recommenders.personal import CELLS, Doubles
from recarena.recommenders.ranking import best
from recarena.recommenders.signals import Signals
from recarena.recommenders.state import packed, unpacked
from recarena.recommenders.watched import Floats, Ints, Longs
from recarena.v1.types_pb2 import Explanation

RIDGE = 10.0
"""lambda: A before anything was shown is lambda I."""
DARING = 0.3
"""v: how far from the mean the weights are drawn."""
SHRINK = 5.0
"""What means of users and items start with at the common value: so many ratings, or showings."""
USUAL_RATING, USUAL_TAKE = 3.5, 0.1
"""The common values before anything is known."""
EXAMPLES = 1 << 16
"""Showings learned from at once."""
ITEM_FEATURES = 4
"""Features of an item before its genres: see Bandit."""


class Bandit(NumericRecommender):
    """Thompson sampling with linear payoffs (Agrawal and Goyal, "Thompson sampling for contextual
    bandits with linear payoffs", ICML 2013) in the setting of Li, Chu, Langford and Schapire ("A
    contextual-bandit approach to personalized news article recommendation", WWW 2010): what was
    shown and watched is a reward of 1, what was shown and passed over one of 0.

    Features z_ui of showing item i to user u are, of the item, [1, fame, mean rating, share of
    showings that were taken, genres], then the genres times the user's profile, then log(1 + times
    u passed i over of late). The reward is taken for theta . z_ui plus noise: with
    A = lambda I + sum z z' and b = sum r z over all that was shown, theta has mean A^-1 b and
    covariance v^2 A^-1. Each user and round draws weights of its own, from (seed, round, user)
    alone, and gets the items of the highest theta . z_ui.

    Genres are 1 / sqrt(their number) each; a user's profile is the mean of the genres of what was
    watched, each times how much better than usual it was found, plus WATCHED. All features are as
    they were when the item was shown. History tells of profiles, fame and ratings, not of rewards:
    it does not say what was passed over.
    """

    method = "bandit"
    explains = True
    WATCHED = 0.3

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def start(self, run: RunInfo) -> None:
        """Starts from nothing."""
        super().start(run)
        self._read_genres()
        self._tally: Doubles = np.zeros((4, self.item_count))
        """[4, items]: sum of ratings, ratings, showings, showings that were taken."""
        self._passed = PassedOver(self.item_count)
        self._forget()
        self._settle()

    def items_moved(self, number: Ints) -> None:
        """Items keep their counts. What was learned of genres, and so of users, stays where the
        catalogue has the same genres, and else is learned anew."""
        super().items_moved(number)
        names, tally = self._names, self._tally
        self._read_genres()
        left = number >= 0
        self._tally = np.zeros((4, self.item_count))
        self._tally[:, number[left]] = tally[:, left]
        self._passed = PassedOver(self.item_count)
        if names != self._names:
            self._forget()
        self._settle()

    def learn(self, signals: Signals) -> None:
        """Learns the rewards with features as they were, then brings the features up to date."""
        taken = ~np.isnan(signals.ratings)
        if signals.round:
            for at in range(0, len(signals), EXAMPLES):
                cut = slice(at, at + EXAMPLES)
                shown = self._examples(signals.users[cut], signals.items[cut])
                self._precision += shown.T @ shown
                self._rewards += taken[cut] @ shown
            self._tally[2] += np.bincount(signals.items, minlength=self.item_count)
            self._tally[3] += np.bincount(signals.items[taken], minlength=self.item_count)
        self._passed.add(signals.users[~taken], signals.items[~taken])
        self._remember(signals.users[taken], signals.items[taken], signals.ratings[taken])
        self._settle()

    def learned(self) -> dict[str, NDArray[Any]]:
        """The rewards, the counts and the profiles besides."""
        own: dict[str, NDArray[Any]] = {
            "genres": packed(self._names),
            "tally": self._tally,
            "precision": self._precision,
            "rewards": self._rewards,
            "tastes": self._tastes,
            "found": self._found,
        }
        return {**super().learned(), **self._passed.learned(), **own}

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes them too; what was learned of genres only where the catalogue has the same."""
        super().recall(learned)
        self._passed.recall(learned)
        self._tally = learned["tally"]
        if unpacked(learned["genres"]) == self._names:
            self._precision, self._rewards = learned["precision"], learned["rewards"]
            self._tastes, self._found = learned["tastes"], learned["found"]
        else:
            self._forget()
        self._settle()

    def train(self) -> None:
        """Finds mean and spread of the weights."""
        self._mean: Floats = np.linalg.solve(self._precision, self._rewards).astype(np.float32)
        spread = DARING * np.linalg.inv(np.linalg.cholesky(self._precision))
        self._spread: Floats = spread.astype(np.float32)

    def top(self, wanted: Wanted) -> Ints:
        """The best by the weights drawn for each user, watched items after the others."""
        step = max(CELLS // max(self.item_count, 1), 1)
        parts: list[Ints] = []
        for part in (wanted.part(at, at + step) for at in range(0, len(wanted), step)):
            with np.errstate(over="ignore"):
                keys = user_keys(self._seed, self.round, part.numbers)
            weights = self._mean + products(normals(keys, len(self._mean)), self._spread)
            scores = products(self._of_items(part.users, weights), self._across)
            lists, items, times = self._passed.of(part.users)
            scores[lists, items] += weights[lists, -1] * np.log1p(times)
            parts.append(best(scores, self.watched.of(part.users), part.offsets, part.count))
        return np.concatenate(parts) if parts else np.empty((0, wanted.count), np.int32)

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Names the genre that adds most to the mean score, with its share of all that adds; the
        part that was drawn has no reason."""
        weights = self._of_items(np.array([user]), self._mean[None])[0]
        reasons: list[Explanation | None] = []
        for adds in (weights * self._features[items])[:, 1:]:
            of_genres = adds[ITEM_FEATURES - 1 :]
            most = int(np.argmax(of_genres)) if len(of_genres) else -1
            if most < 0 or of_genres[most] <= 0:
                reasons.append(None)
                continue
            share = float(of_genres[most] / adds[adds > 0].sum())
            reasons.append(because_of_genre(self._names[most], share, self.method))
        return reasons

    # ------------------------------------------------------------------ features

    def _read_genres(self) -> None:
        listed = [sorted(set(item.categories)) for item in self.run.catalog.items]
        self._names = sorted({name for names in listed for name in names})
        column = {name: place for place, name in enumerate(self._names)}
        self._genres: Floats = np.zeros((len(listed), len(self._names)), np.float32)
        for row, names in enumerate(listed):
            for name in names:
                self._genres[row, column[name]] = 1 / np.sqrt(len(names))

    def _forget(self) -> None:
        width = ITEM_FEATURES + 2 * len(self._names) + 1
        self._precision: Doubles = RIDGE * np.eye(width)
        self._rewards: Doubles = np.zeros(width)
        self._tastes: Doubles = np.zeros((self.row_count, len(self._names)))
        """[users, genres]: sums of genres of what was watched, times how it was found."""
        self._found: Longs = np.zeros(self.row_count, np.int64)
        """[users]: what was watched, in numbers."""

    def _remember(self, users: Ints, items: Ints, ratings: Floats) -> None:
        """Takes watches into the tally and the profiles."""
        rated = ratings > 0
        self._tally[0] += np.bincount(items[rated], ratings[rated], self.item_count)
        self._tally[1] += np.bincount(items[rated], minlength=self.item_count)
        total = SHRINK + self._tally[1].sum()
        usual = (SHRINK * USUAL_RATING + self._tally[0].sum()) / total
        better = np.where(rated, ratings - usual, 0) + self.WATCHED
        more = self.row_count - len(self._found)
        self._found = np.pad(self._found, (0, more))
        self._tastes = np.pad(self._tastes, ((0, more), (0, 0)))
        np.add.at(self._tastes, users, better[:, None] * self._genres[items])
        self._found += np.bincount(users, minlength=len(self._found))

    def _settle(self) -> None:
        """Computes the features from what is known."""
        self._passed.settle(self.row_count, self.item_count)
        ratings, rated, shown, taken = self._tally
        fame = np.log1p(self.watches)
        known = [
            np.ones(self.item_count),
            (fame - fame.mean()) / max(float(fame.std()), 1e-9) if len(fame) else fame,
            (ratings - USUAL_RATING * rated) / (rated + SHRINK),
            (taken - USUAL_TAKE * shown) / (shown + SHRINK),
        ]
        self._features: Floats = np.column_stack([*known, self._genres]).astype(np.float32)
        self._across = np.ascontiguousarray(self._features.T)
        profiles = self._tastes / (self._found + SHRINK)[:, None]
        self._profiles: Floats = np.pad(profiles, ((0, 1), (0, 0))).astype(np.float32)
        """[users + 1, genres], the last row empty: it is read for row -1."""

    def _examples(self, users: Ints, items: Ints) -> Doubles:
        """z of each pair."""
        known = np.where(users < len(self._profiles) - 1, users, -1)
        features = self._features[items]
        crossed = features[:, ITEM_FEATURES:] * self._profiles[known]
        again = np.log1p(self._passed.times(users, items))
        return np.column_stack([features, crossed, again]).astype(np.float64)

    def _of_items(self, users: Ints, weights: Floats) -> Floats:
        """[users, features of items]: the weights with each user's profile worked in."""
        width = self._features.shape[1]
        merged = weights[:, :width].copy()
        merged[:, ITEM_FEATURES:] += weights[:, width:-1] * self._profiles[users]
        return merged
