"""Worlds made up from a seed: tastes with communities, traits, profiles, ties and a history.

Everything is drawn in columns: 100,000 users take a few seconds.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.datasets.films import Draw, embedded_catalog, generator
from recarena.server.datasets.names import GIVEN_NAMES, draw_names
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.errors import InputError
from recarena.server.network import Network
from recarena.server.population import Population
from recarena.server.types import Floats, Ints

MEAN_RATING = 3.3
"""Mean of mu_u. What people choose to watch they like better, so ratings average about 3.7."""

RATING_NOISE = 0.5
"""Standard deviation of a rating around mu + theta.x + q in a generated history."""

PULL_OF_FAME, PULL_OF_LIKING = 0.7, 0.35
"""A generated history's choice of items: weight of log(1 + popularity), of a rating point."""

MEAN_DEGREE = 10.0
IN_COMMUNITY = 0.75
"""Share of the drawn ties whose other end is sought in the user's own taste community."""

BY_ACQUAINTANCE = 0.25
"""Share of the ties that close a triangle (the friend of a friend)."""

TIES = {
    "friend": (0.45, 0.65),
    "colleague": (0.22, 0.45),
    "neighbour": (0.15, 0.35),
    "acquaintance": (0.12, 0.25),
    "sibling": (0.06, 0.80),
}
"""Kind of tie -> (share, mean closeness)."""

TRAIT_WORDS = {
    "activity": ("easygoing", "energetic"),
    "conformity": ("independent", "agreeable"),
    "diversity": ("loyal to old favourites", "curious"),
    "sociability": ("introspective", "outgoing"),
    "trust": ("sceptical", "trusting"),
    "posting": ("discreet", "outspoken"),
    "mean_rating": ("demanding", "generous"),
}
"""Trait -> the words for little and much of it."""

OCCUPATIONS = (
    "accountant", "actor", "architect", "artist", "baker", "bus driver", "carpenter", "chef",
    "civil servant", "designer", "doctor", "electrician", "engineer", "entrepreneur", "farmer",
    "firefighter", "gardener", "journalist", "lawyer", "librarian", "mechanic", "musician",
    "nurse", "pharmacist", "photographer", "programmer", "researcher", "sales assistant",
    "social worker", "teacher", "translator", "writer",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TasteShape:
    """How tastes are spread; the shares are shares of the variance of theta.x."""

    communities: int = 0
    """Number of taste communities; 0: 6 to 10, by the seed."""
    spread: float = 1.0
    """Standard deviation of theta.x over all (user, item) pairs, in rating points."""
    shared: float = 0.1
    """What all users have in common."""
    communal: float = 0.7
    """What the users of a community have in common, as a share of what is not shared by all."""
    on_factors: float = 0.5
    """What rests on the catalogue's hidden factors rather than on genres."""


def generate_world(
    users: int,
    seed: int,
    catalog: Catalog | None = None,
    *,
    name: str = "generated",
    history_per_user: int = 10,
    shape: TasteShape | None = None,
) -> WorldData:
    """A world of `users` users over the embedded films or `catalog`, the same for the same seed.

    With a history, the popularity of items is their count in it; without, it stays as planted.
    Takes memory and time in proportion to users x items if there is a history.
    """
    if users < 1:
        raise InputError(f"a world needs users, not {users}", where="users", remedy="Ask for one")
    if seed < 0 or history_per_user < 0:
        raise InputError("seed and history_per_user are 0 or more", where="generate_world")
    shape = shape or TasteShape()
    source = "given" if catalog else "embedded"
    catalog = catalog or embedded_catalog(seed)
    taste, community = draw_tastes(catalog, users, seed, shape)
    traits = draw_traits(users, seed)
    profile = draw_profiles(users, seed)
    profile["traits"] = trait_words(traits)
    profile["interests"] = favourite_genres(catalog, taste)
    population = Population(
        user_ids=[f"u{number:06d}" for number in range(1, users + 1)],
        names=draw_names(profile["gender"], seed),
        taste=taste,
        profile=profile,
        **traits,
    )
    history = sample_history(catalog, population, seed, history_per_user)
    return WorldData(
        name=name,
        catalog=with_watches(catalog, history) if len(history) else catalog,
        population=population,
        network=social_network(community, seed),
        history=history,
        origin={
            "source": "generated",
            "catalogue": source,
            "users": users,
            "seed": seed,
            "history_per_user": history_per_user,
            "communities": int(community.max()) + 1,
            "shape": dataclasses.asdict(shape),
        },
    )


def with_watches(catalog: Catalog, history: History) -> Catalog:
    """The catalogue whose popularity is the number of ratings in the history."""
    counts = np.bincount(history.item, minlength=len(catalog)).astype(np.float32)
    return dataclasses.replace(catalog, popularity=counts)


def draw_tastes(catalog: Catalog, users: int, seed: int, shape: TasteShape) -> tuple[Floats, Ints]:
    """[users, attributes] tastes and each user's community.

    A community likes three genres, dislikes two, and leans to one direction of the factors; a
    user leans a little to a second community and has a will of its own. For every user theta.x
    averages 0 over the items, so that mu_u is the mean.
    """
    rng = generator(seed, Draw.TASTES)
    count = shape.communities or int(rng.integers(6, 11))
    weights = rng.dirichlet(np.full(count, 6.0))
    community = rng.choice(count, users, p=weights).astype(np.int32)
    second = rng.choice(count, users, p=weights)
    lean = rng.beta(2, 6, (users, 1))
    gain = np.exp(rng.normal(0, 0.2, (users, 1)))
    genres = len(catalog.genre_names)
    common = np.sqrt(shape.communal)
    parts: list[NDArray[np.float64]] = []
    for columns, share in _parts(catalog, shape.on_factors):
        width = columns.shape[1]
        centres = rng.normal(0, 1.0 if len(parts) or not genres else 0.3, (count, width))
        if not parts and width == genres:
            ranked = rng.random((count, width)).argsort(axis=1)
            np.put_along_axis(centres, ranked[:, :3], 1.2, axis=1)
            np.put_along_axis(centres, ranked[:, 3:5], -0.8, axis=1)
        mixed = (1 - lean) * centres[community] + lean * centres[second]
        own = rng.normal(size=(users, width))
        everybody = rng.normal(size=(1, width))
        part = common * _scaled(mixed, columns) + np.sqrt(1 - shape.communal) * _scaled(
            own, columns
        )
        part = gain * (part - part.mean(axis=0))
        part = np.sqrt(1 - shape.shared) * _scaled(part, columns)
        part += np.sqrt(shape.shared) * _scaled(everybody, columns)
        parts.append(_scaled(part, columns) * shape.spread * np.sqrt(share))
    return np.concatenate(parts, axis=1).astype(np.float32), community


def fit_spread(catalog: Catalog, taste: NDArray[np.floating], spread: float) -> Floats:
    """The tastes, each centred over the items, with standard deviation `spread` of theta.x."""
    return (_scaled(taste, catalog.attributes) * spread).astype(np.float32)


def _parts(catalog: Catalog, on_factors: float) -> list[tuple[Floats, float]]:
    """The columns of genres and of factors with their shares of the variance."""
    genres = len(catalog.genre_names)
    x = catalog.attributes
    if not genres or x.shape[1] == genres:
        return [(x, 1.0)]
    return [(x[:, :genres], 1 - on_factors), (x[:, genres:], on_factors)]


def _scaled(taste: NDArray[np.floating], columns: Floats) -> NDArray[np.float64]:
    """The tastes with mean 0 of theta.x for every user and variance 1 over all pairs."""
    theta, x = taste.astype(np.float64), columns.astype(np.float64)
    mean = x.mean(axis=0)
    square = float(mean @ mean)
    if square > 0:
        theta -= np.outer(theta @ mean, mean) / square
    second = x.T @ x / len(x)
    variance = float(np.einsum("ua,ua->u", theta @ second, theta).mean())
    return theta / np.sqrt(variance) if variance > 1e-12 else theta


def draw_traits(users: int, seed: int) -> dict[str, Floats]:
    """The columns of TRAITS for users of whom nothing is known.

    Half of the users are active in 40 % of the rounds or more; a third of the visits are to the
    social network; a page's fifth place gets about half of the attention of the first.
    """
    rng = generator(seed, Draw.TRAITS)
    drawn = {
        "mean_rating": np.clip(rng.normal(MEAN_RATING, 0.35, users), 2.0, 4.5),
        "activity": rng.normal(-0.4, 0.9, users),
        "conformity": rng.beta(2, 3, users),
        "diversity": rng.beta(2, 3, users),
        "position_bias": np.exp(rng.normal(np.log(0.45), 0.4, users)),
        "posting": rng.normal(-0.6, 0.8, users),
        "sociability": rng.normal(-0.8, 0.7, users),
        "trust": np.minimum(np.exp(rng.normal(np.log(0.5), 0.5, users)), 3.0),
    }
    return {name: column.astype(np.float32) for name, column in drawn.items()}


def trait_words(traits: dict[str, Floats]) -> list[str]:
    """For each user the words for its three most pronounced traits."""
    names = list(TRAIT_WORDS)
    columns = np.stack([traits[name] for name in names], axis=1)
    scores = (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-6)
    strongest = np.argsort(-np.abs(scores), axis=1)[:, :3]
    much = np.take_along_axis(scores, strongest, axis=1) > 0
    return [
        ", ".join(TRAIT_WORDS[names[n]][m] for n, m in zip(row, signs, strict=True))
        for row, signs in zip(strongest.tolist(), much.tolist(), strict=True)
    ]


def favourite_genres(catalog: Catalog, taste: Floats) -> list[str]:
    """For each user the two or three genres liked best, the best first; "" without any taste.

    The third is named where it is liked more than half as much as the first.
    """
    there = np.flatnonzero(catalog.genres.any(axis=0))
    if not len(there):
        return [""] * len(taste)
    liking = taste[:, there]
    best = np.argsort(-liking, axis=1, kind="stable")[:, :3]
    amount = np.take_along_axis(liking, best, axis=1)
    named = (amount > 0) & (amount > np.where(np.arange(best.shape[1]) == 2, amount[:, :1] / 2, 0))
    names = [catalog.genre_names[g] for g in there]
    return [
        ", ".join(names[g] for g, mention in zip(row, mentions, strict=True) if mention)
        for row, mentions in zip(best.tolist(), named.tolist(), strict=True)
    ]


def draw_profiles(users: int, seed: int) -> dict[str, list[str]]:
    """Ages 14 to 85, genders and occupations that go with the age."""
    rng = generator(seed, Draw.PROFILES)
    age = np.clip(14 + rng.gamma(3.0, 9.0, users), 14, 85).astype(np.int64)
    gender = rng.choice(list(GIVEN_NAMES), users, p=(0.49, 0.49, 0.02))
    occupation = rng.choice(OCCUPATIONS, users).astype("<U20")
    occupation[(age < 25) & (rng.random(users) < 0.7)] = "student"
    occupation[age < 18] = "pupil"
    occupation[age >= 67] = "retired"
    return {"age": [str(a) for a in age.tolist()], "gender": gender.tolist(),
            "occupation": occupation.tolist()}  # fmt: skip


def social_network(community: Ints, seed: int, mean_degree: float = MEAN_DEGREE) -> Network:
    """Ties for users of the given communities, each with a tie back of the same kind.

    A degree-corrected block model (Karrer and Newman, 2011): how sought after a user is follows a
    power law, most ties stay in the community, and a quarter close triangles. Everybody has a tie.
    """
    users = len(community)
    kinds = tuple(TIES)
    if users < 2:
        return dataclasses.replace(Network.empty(users), kinds=kinds)
    rng = generator(seed, Draw.TIES)
    circle = _Circles(community, rng)
    wanted = min(int(mean_degree * users / 2), max(1, int(0.6 * users * (users - 1) / 2)))
    pairs = np.unique(circle.drawn(max(1, int(wanted * (1 - BY_ACQUAINTANCE)))))
    pairs = np.union1d(pairs, circle.closed(pairs, wanted - len(pairs)))
    for _ in range(3):
        pairs = np.union1d(pairs, circle.drawn(wanted - len(pairs)))
    alone = np.setdiff1d(np.arange(users), np.concatenate([pairs // users, pairs % users]))
    pairs = np.union1d(pairs, circle.keys(alone, circle.partners(alone, True)))
    one, two = pairs // users, pairs % users
    shares, closeness = np.array(list(TIES.values())).T
    kind = rng.choice(len(kinds), len(pairs), p=shares / shares.sum())
    mean = closeness[kind]
    base = rng.beta(7 * mean, 7 * (1 - mean))
    sides = np.concatenate([base, base]) + rng.normal(0, 0.06, 2 * len(base))
    return Network.from_ties(
        users,
        np.concatenate([one, two]),
        np.concatenate([two, one]),
        np.clip(sides, 0.02, 1.0),
        np.concatenate([kind, kind]),
        kinds,
    )


class _Circles:
    """Draws pairs of users, as keys (smaller number x users + larger number)."""

    def __init__(self, community: Ints, rng: np.random.Generator) -> None:
        self.rng, self.users = rng, len(community)
        cap = min(60.0, max(2.0, 0.7 * np.sqrt(self.users)))
        weight = np.minimum((1 - rng.random(self.users)) ** (-1 / 1.8), cap)
        self.order = np.argsort(community, kind="stable")
        self.reach = np.concatenate([[0.0], np.cumsum(weight[self.order])])
        sizes = np.bincount(community)
        ends = np.cumsum(sizes)
        self.low, self.high = self.reach[(ends - sizes)[community]], self.reach[ends[community]]

    def drawn(self, count: int) -> NDArray[np.int64]:
        """Both ends drawn by how sought after they are."""
        one = self._at(self.rng.random(count) * self.reach[-1])
        return self.keys(one, self.partners(one, self.rng.random(count) < IN_COMMUNITY))

    def partners(
        self, one: NDArray[np.int64], inside: NDArray[np.bool_] | bool
    ) -> NDArray[np.int64]:
        """Somebody for each, from the own community or from all; the next user if alone in it."""
        low = np.where(inside, self.low[one], 0.0)
        high = np.where(inside, self.high[one], self.reach[-1])
        other = self._at(low + self.rng.random(len(one)) * (high - low))
        return np.where(other == one, (one + 1) % self.users, other)

    def closed(self, pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Users tied to a friend of theirs' friend."""
        ends = np.concatenate([pairs // self.users, pairs % self.users])
        others = np.concatenate([pairs % self.users, pairs // self.users])
        others = others[np.argsort(ends, kind="stable")]
        degree = np.bincount(ends, minlength=self.users)
        start = np.cumsum(degree) - degree
        pair = self.rng.integers(0, len(pairs), count)
        one, via = pairs[pair] // self.users, pairs[pair] % self.users
        return self.keys(
            one, others[start[via] + (self.rng.random(count) * degree[via]).astype(int)]
        )

    def keys(self, one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pairs without those of a user with itself."""
        apart = one != two
        low, high = np.minimum(one, two)[apart], np.maximum(one, two)[apart]
        return low * self.users + high

    def _at(self, where: NDArray[np.float64]) -> NDArray[np.int64]:
        place = np.searchsorted(self.reach, where, side="right") - 1
        return self.order[np.minimum(place, self.users - 1)]


def sample_history(catalog: Catalog, population: Population, seed: int, per_user: int) -> History:
    """Ratings from before the run, in (user, item) order, time unknown.

    Each user rates `per_user` different items (all, if there are fewer), chosen with weights
    exp(.7 log(1 + popularity) + .35 (theta.x + q)); the rating is mu + theta.x + q + N(0, .5),
    rounded and clipped to 1..5.
    """
    rng = generator(seed, Draw.HISTORY)
    items, users = len(catalog), len(population)
    count = min(per_user, items)
    if not count:
        return History.empty()
    fame = PULL_OF_FAME * np.log1p(catalog.popularity)
    chosen = np.empty((users, count), np.int32)
    rating = np.empty((users, count), np.float32)
    step = max(1, 4_000_000 // items)
    for first in range(0, users, step):
        part = slice(first, min(first + step, users))
        liking = population.taste[part] @ catalog.attributes.T + catalog.quality
        # Exponential races: the k smallest of E / w are k draws without replacement.
        race = rng.standard_exponential(liking.shape, dtype=np.float32)
        race *= np.exp(-(PULL_OF_LIKING * liking + fame))
        rows = np.sort(np.argpartition(race, count - 1, axis=1)[:, :count], axis=1)
        chosen[part] = rows
        rating[part] = np.take_along_axis(liking, rows, axis=1)
    rating += population.mean_rating[:, None]
    rating += rng.standard_normal(rating.shape, dtype=np.float32) * RATING_NOISE
    return History(
        user=np.repeat(np.arange(users, dtype=np.int32), count),
        item=chosen.ravel(),
        rating=np.clip(np.round(rating.ravel()), 1, 5).astype(np.float32),
        time=np.zeros(users * count, np.int64),
    )
