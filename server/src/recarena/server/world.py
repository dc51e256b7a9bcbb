"""The world as it stands at the start of a round: columns, and the only writer of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.server.datasets.world_data import WorldData
from recarena.server.hearing import Deliveries, Hearsay, deliver
from recarena.server.interventions import Intervention, doings, of_events
from recarena.server.randomness import Purpose, keys, uniform
from recarena.server.steering.turning import OF_ITEMS, OF_PEOPLE, turn
from recarena.server.types import (
    NOBODY,
    NOTHING,
    EventColumns,
    EventKind,
    Floats,
    InterventionKind,
    Ints,
    RoundResult,
)
from recarena.server.watched import Watched


@dataclass(frozen=True, slots=True)
class Dynamics:
    """How doings change the world. Rates per round unless said otherwise."""

    satisfaction_memory: float = 0.85
    """rho: what of the net positive experience is left at the next one."""
    satisfaction_slope: float = 0.6
    """tau: satisfaction = sigmoid(tau x net positive experience)."""
    empty_visit: float = -0.6
    """Appraisal of a visit in which nothing was watched, in rating points."""
    fatigue_memory: float = 0.7
    """lambda: what of a genre's fatigue is left after a round."""
    drift: float = 0.02
    """Step of a taste towards (or away from) what was watched."""


class World:
    """Users, items and ties of one run. Minds read it; `take_up` and `apply` alone change it, and
    with it the data that it was made of, where interventions say so."""

    def __init__(self, data: WorldData, seed: int, dynamics: Dynamics | None = None) -> None:
        """`data` is the world's own from now on (`WorldData.own`)."""
        self.data = data
        self.seed = seed
        self.dynamics = dynamics or Dynamics()
        self.catalog, self.population = data.catalog, data.population
        self.network = data.network
        users, items = len(self.population), len(self.catalog)
        self.round = 0
        self.taste = self.population.taste.astype(np.float32, copy=True)
        """[users, attributes]; drifts."""
        self.taste_scale = _taste_scale(self.taste, self.catalog.attributes)
        self.experience = np.zeros(users, np.float32)
        """Net positive experience."""
        self.fatigue = np.zeros((users, len(self.catalog.genre_names)), np.float32)
        self.gap = np.zeros(users, np.int32)
        """Rounds since the user was last active."""
        self.last_item = np.full(users, NOTHING, np.int32)
        self.last_rating = np.zeros(users, np.float32)
        self.unshared = np.zeros(users, bool)
        """Whether the last watch was not talked about yet."""
        self.unread = np.zeros(users, np.int16)
        self.unread_author = np.full(users, NOBODY, np.int32)
        self.unread_item = np.full(users, NOTHING, np.int32)
        self.watches = np.zeros(users, np.int32)
        self.by_person = np.zeros(users, bool)
        """Whether a person plays the user."""
        self.turn_time_s = np.full(users, np.nan, np.float32)
        """[users]: what a person has for a decision, of those who are played by one."""
        self.taken_up = 0
        """Number of the last intervention that the world has taken up."""
        self.scene = 0
        """The same of the last that changed users or ties."""
        self.round_of: dict[int, int] = {}
        """Number of an intervention -> the round that was applied with it."""
        self.heard = Hearsay(users)
        self.watched = Watched(users, items)
        self.item_watches = self.catalog.popularity.astype(np.float64)
        self.item_ratings = np.zeros(items, np.int64)
        self.item_rating_sum = np.zeros(items, np.float64)
        history = data.history
        self.watched.add(history.user, history.item)
        self.watches += np.bincount(history.user, minlength=users).astype(np.int32)
        self.last_item[history.user] = history.item
        self.last_rating[history.user] = history.rating
        self._count_ratings(history.item, history.rating)
        self._publish()

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.population)

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.catalog)

    def satisfaction(self, users: Ints) -> Floats:
        """In 0..1, one half where nothing has happened yet (RecSim's long-term satisfaction)."""
        slope = np.float32(-self.dynamics.satisfaction_slope)
        one = np.float32(1)
        return one / (one + np.exp(slope * self.experience[users]))

    def take_up(self, interventions: Iterable[Intervention]) -> Ints:
        """Makes changes, in their order, before the next round is played; one that was made already
        is passed over. Returns the items that are new or withdrawn, ascending."""
        items: set[int] = set()
        for one in interventions:
            if one.number <= self.taken_up:
                continue
            turn(self.data, one)
            self.taken_up = one.number
            if one.kind in OF_PEOPLE:
                self.scene = one.number
            if one.kind in OF_ITEMS:
                items.add(one.item)
            self._turn(one)
        if items:
            self._make_room()
        return np.array(sorted(items), np.int32)

    def apply(self, result: RoundResult) -> None:
        """Takes over a round, its interventions first. It needs the round's events alone:
        re-applying the log of a run to the world it began with gives the world it ended with."""
        if result.round != self.round + 1:
            raise ValueError(f"round {result.round} does not follow round {self.round}")
        interventions = of_events(result.events)
        self.take_up(interventions)
        self.round = result.round
        self.round_of |= {one.number: result.round for one in interventions}
        heard = deliver(result.events, self.network)
        events = doings(result.events)
        watches = events.of(EventKind.WATCH)
        self.watched.add(watches.user, watches.item)
        self.watches += np.bincount(watches.user, minlength=self.users).astype(np.int32)
        self.item_watches += np.bincount(watches.item, minlength=self.items)
        rated = watches.take(watches.value > 0)
        self._count_ratings(rated.item, rated.value)
        self._tire(watches)
        self._please(events, watches)
        self._drift(watches)
        self._share(events, watches)
        self._hear(events, heard)
        active = np.zeros(self.users, bool)
        active[events.user[events.kind != EventKind.IDLE]] = True
        self.gap = np.where(active, 0, self.gap + 1).astype(np.int32)
        self._publish()

    def _turn(self, one: Intervention) -> None:
        """What a change does beside the data."""
        match one.kind:
            case InterventionKind.EDIT_PROFILE:
                for name, taste in one.values["tastes"].items():
                    self.taste[one.user, self.catalog.genre_names.index(name)] = taste
            case InterventionKind.TAKE_OVER:
                self.by_person[one.user] = True
                self.turn_time_s[one.user] = one.values["turn_time_s"]
            case InterventionKind.HAND_BACK:
                self.by_person[one.user] = False
                self.turn_time_s[one.user] = np.nan
            case _:
                pass

    def _make_room(self) -> None:
        """Columns of items that are as long as the catalogue; nobody knows of the new ones yet."""
        missing = (0, self.items - len(self.item_watches))
        self.watched.grow(self.items)
        self.item_watches = np.pad(self.item_watches, missing)
        self.item_ratings = np.pad(self.item_ratings, missing)
        self.item_rating_sum = np.pad(self.item_rating_sum, missing)
        self._publish()

    def _publish(self) -> None:
        """What everybody can see of the items: how often watched (log, standardised) and the mean
        rating, shrunk to the overall mean by 5 ratings."""
        logs = np.log1p(self.item_watches)
        spread = max(float(logs.std()), 1e-6)
        self.popularity = ((logs - logs.mean()) / spread).astype(np.float32)
        total = self.item_ratings.sum()
        overall = self.item_rating_sum.sum() / total if total else 3.5
        shrunk = (self.item_rating_sum + 5 * overall) / (self.item_ratings + 5)
        self.displayed_rating = shrunk.astype(np.float32)

    def _count_ratings(self, items: Ints, ratings: Floats) -> None:
        self.item_ratings += np.bincount(items, minlength=self.items)
        self.item_rating_sum += np.bincount(items, weights=ratings, minlength=self.items)

    def _tire(self, watches: EventColumns) -> None:
        """f <- lambda f + 1 on consuming the genre (shared among the item's genres)."""
        self.fatigue *= np.float32(self.dynamics.fatigue_memory)
        genres = self.catalog.genres[watches.item]
        row, genre = np.nonzero(genres)
        share = (1.0 / np.maximum(genres.sum(axis=1), 1))[row].astype(np.float32)
        np.add.at(self.fatigue, (watches.user[row], genre), share)

    def _please(self, events: EventColumns, watches: EventColumns) -> None:
        """NPE <- rho NPE + (r* - expected), watch by watch; a visit without one disappoints."""
        rho = np.float32(self.dynamics.satisfaction_memory)
        for rows in _turns(watches.user):
            who = watches.user[rows]
            self.experience[who] = rho * self.experience[who] + watches.appraisal[rows]
        visitors = events.user[events.kind == EventKind.ENTER_RECOMMENDER]
        content = np.zeros(self.users, bool)
        content[watches.user] = True
        disappointed = visitors[~content[visitors]]
        self.experience[disappointed] = rho * self.experience[disappointed] + np.float32(
            self.dynamics.empty_visit
        )

    def _drift(self, watches: EventColumns) -> None:
        """theta moves towards x with probability (cos(theta, x) + 1) / 2, else away from it
        (RecSim's interest evolution), keeping its length."""
        if not self.dynamics.drift:
            return
        u = uniform(keys(self.seed, Purpose.TASTE_DRIFT, self.round, watches.user, watches.item))
        for rows in _turns(watches.user):
            who = watches.user[rows]
            x, theta = self.catalog.attributes[watches.item[rows]], self.taste[who]
            length = np.sqrt((theta * theta).sum(axis=1))
            norm = np.maximum(length * np.sqrt((x * x).sum(axis=1)), np.float32(1e-6))
            towards = u[rows] < ((theta * x).sum(axis=1) / norm + 1) / 2
            sign = np.where(towards, np.float32(1), np.float32(-1))
            moved = theta + (sign * np.float32(self.dynamics.drift))[:, None] * x
            new_length = np.sqrt((moved * moved).sum(axis=1))
            self.taste[who] = moved * (length / np.maximum(new_length, np.float32(1e-6)))[:, None]

    def _share(self, events: EventColumns, watches: EventColumns) -> None:
        """The last watch waits to be talked about until its user chats or posts."""
        self.last_item[watches.user] = watches.item
        self.last_rating[watches.user] = watches.value
        self.unshared[watches.user] = True
        told = (events.kind == EventKind.CHAT) | (events.kind == EventKind.POST)
        self.unshared[events.user[told]] = False

    def _hear(self, events: EventColumns, heard: Deliveries) -> None:
        """Whoever opened the social network has read its posts; what was said now is news."""
        readers = events.user[events.kind == EventKind.ENTER_SOCIAL]
        self.unread[readers] = 0
        posts = heard.is_post
        new = np.bincount(heard.recipient[posts], minlength=self.users)
        self.unread = np.minimum(self.unread + new, 1000).astype(np.int16)
        self.unread_author[heard.recipient[posts]] = heard.sender[posts]
        self.unread_item[heard.recipient[posts]] = heard.item[posts]
        self.heard.add(self.round, heard)


def _turns(users: Ints) -> list[NDArray[np.int64]]:
    """Rows cut into turns: the first row of each user, the second of each, and so on. Within a
    turn no user appears twice, so columns can be updated at once and still in order."""
    order = np.argsort(users, kind="stable")
    ordered = users[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    turn = np.arange(len(users)) - np.repeat(starts, np.diff(starts, append=len(users)))
    return [order[turn == t] for t in range(int(turn.max()) + 1)] if len(users) else []


def _taste_scale(taste: Floats, attributes: Floats) -> np.float32:
    """1 / standard deviation of theta.x over a fixed sample of pairs."""
    number = np.arange(4096, dtype=np.int64)
    pairs = taste[number * 7919 % len(taste)] * attributes[number * 104729 % len(attributes)]
    return np.float32(1 / max(float(pairs.sum(axis=1).std(dtype=np.float64)), 1e-3))
