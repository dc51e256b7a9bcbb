"""Worlds in disguise: the same people and items under other names.

For competitions with hidden worlds, where ids must not lead back to public data, and for studies of
what a language model knows by title or by id rather than by what the items are.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.datasets.names import draw_names
from recarena.server.datasets.planting import KEY, truth_of
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.errors import InputError
from recarena.server.network import Network
from recarena.server.population import Population

Order = NDArray[np.int64]
"""[new rows]: the old row that stands there."""
T = TypeVar("T", Catalog, Population)

ID_BYTES = 10
"""80 bits of hash an id: among a million ids two are alike with probability 4e-13."""


class Ids(StrEnum):
    """What becomes of the ids of users and items, and of the places where they stand."""

    OPAQUE = "opaque"
    """Keyed hashes; users and items stand in the order of these, and users get other names."""
    KEEP = "keep"
    """As they were, in the order in which they were."""


class Titles(StrEnum):
    """What becomes of the words about items."""

    KEEP = "keep"
    NUMBERS = "numbers"
    """"Item 0001" and so on; no director, description or year. The numbers follow from the seed
    and say nothing about the order in the source."""
    IDS = "ids"
    """The source's ids, such as "318"; no director, description or year."""


@dataclass(frozen=True, slots=True)
class Disguise:
    """How a world is disguised. Whoever has the seed and the source can undo it."""

    seed: int
    ids: Ids = Ids.OPAQUE
    titles: Titles = Titles.KEEP
    users: int | None = None
    """So many users, drawn by the seed; without: all."""


def disguised(world: WorldData, disguise: Disguise) -> WorldData:
    """The world under the disguise: a function of the world and of the disguise, nothing else.

    Opaque ids are BLAKE2b of the source's ids, keyed by the seed: who does not know the seed cannot
    compute them, and a seed that can be guessed is no secret (take 18 digits at random). What
    items and users are is untouched (genres, counts, tastes, qualities, profiles, ties, ratings and
    their times, what is planted): content may still tell which item is which, and titles that are
    kept do.
    With fewer users the ties and ratings of the others are gone, but `popularity`, what was
    watched before the run, still counts everybody.

    InputError for more users than there are, or fewer than one.
    """
    users = _users(world, disguise)
    items = np.arange(len(world.catalog), dtype=np.int64)
    if disguise.ids is Ids.OPAQUE:
        items = _shuffled(_hashes(world.catalog.item_ids, disguise.seed, "item"), items)
        users = _shuffled(_hashes(world.population.user_ids, disguise.seed, "user"), users)
    at_user = _places(users, len(world.population))
    at_item = _places(items, len(world.catalog))
    return WorldData(
        name="disguised",
        catalog=_catalog(world.catalog, disguise, items),
        population=_population(world.population, disguise, users),
        network=_network(world.network, at_user, len(users)),
        history=_history(world.history, at_user, at_item),
        origin={
            **_origin(world.origin, disguise, len(users) < len(world.population)),
            **_planted(truth_of(world), at_user, items),
        },
        later=_history(world.later, at_user, at_item),
    )


def _users(world: WorldData, disguise: Disguise) -> Order:
    """The rows of the users who take part, ascending: those whose hashes are the smallest."""
    everybody = np.arange(len(world.population), dtype=np.int64)
    if disguise.users is None:
        return everybody
    if not 1 <= disguise.users <= len(everybody):
        raise InputError(
            f"{disguise.users} users of {len(everybody)}", where="users",
            remedy=f"Ask for 1 to {len(everybody)}, or leave it out for all",
        )  # fmt: skip
    drawn = _shuffled(_hashes(world.population.user_ids, disguise.seed, "draw"), everybody)
    return np.sort(drawn[: disguise.users])


def _hashes(ids: Sequence[str], seed: int, purpose: str) -> list[str]:
    """Ids that tell nothing without the seed: lowercase base32."""
    key = hashlib.blake2b(str(seed).encode(), digest_size=32, person=b"disguise").digest()
    person = purpose.encode()
    digests = (
        hashlib.blake2b(one.encode(), digest_size=ID_BYTES, key=key, person=person).digest()
        for one in ids
    )
    return [base64.b32encode(digest).decode().lower() for digest in digests]


def _shuffled(hashes: Sequence[str], rows: Order) -> Order:
    """The rows in the order of their hashes."""
    return np.array(sorted(rows.tolist(), key=hashes.__getitem__), np.int64)


def _places(order: Order, size: int) -> Order:
    """[old rows]: where each stands now, -1: nowhere."""
    places = np.full(size, -1, np.int64)
    places[order] = np.arange(len(order))
    return places


def _rows(table: T, order: Order, **changed: Any) -> T:
    """The rows of all columns of a catalogue or population, in another order."""
    size = len(table)
    columns: dict[str, Any] = {}
    for one in (field for field in dataclasses.fields(table) if field.init):
        column: Any = getattr(table, one.name)
        if isinstance(column, list):
            columns[one.name] = [column[row] for row in order.tolist()]
        elif isinstance(column, np.ndarray) and len(column) == size:
            columns[one.name] = column[order]
    return dataclasses.replace(table, **{**columns, **changed})


def _catalog(catalog: Catalog, disguise: Disguise, items: Order) -> Catalog:
    changed: dict[str, Any] = {}
    if disguise.ids is Ids.OPAQUE:
        hashes = _hashes(catalog.item_ids, disguise.seed, "item")
        changed["item_ids"] = [f"i{hashes[item]}" for item in items.tolist()]
    if disguise.titles is not Titles.KEEP:
        count = len(catalog)
        nothing = [""] * count
        changed |= {
            "titles": _titles(catalog, disguise, items),
            "years": np.zeros(count, np.int32), "directors": nothing, "descriptions": nothing,
        }  # fmt: skip
    return _rows(catalog, items, **changed)


def _titles(catalog: Catalog, disguise: Disguise, items: Order) -> list[str]:
    if disguise.titles is Titles.IDS:
        return [catalog.item_ids[item] for item in items.tolist()]
    everything = np.arange(len(catalog), dtype=np.int64)
    order = _shuffled(_hashes(catalog.item_ids, disguise.seed, "title"), everything)
    number = _places(order, len(catalog))[items] + 1
    width = max(4, len(str(len(catalog))))
    return [f"Item {one:0{width}d}" for one in number.tolist()]


def _population(population: Population, disguise: Disguise, users: Order) -> Population:
    profile = {
        name: [column[user] for user in users.tolist()]
        for name, column in population.profile.items()
    }
    if disguise.ids is Ids.KEEP:
        return _rows(population, users, profile=profile)
    hashes = _hashes(population.user_ids, disguise.seed, "user")
    genders = profile.get("gender", ["unknown"] * len(users))
    (name_seed,) = _hashes(["names"], disguise.seed, "names")
    return _rows(
        population,
        users,
        profile=profile,
        user_ids=[f"u{hashes[user]}" for user in users.tolist()],
        names=draw_names(genders, int.from_bytes(name_seed.encode()[:7])),
    )


def _network(network: Network, at_user: Order, users: int) -> Network:
    source = at_user[np.repeat(np.arange(network.users), network.degrees())]
    other = at_user[network.other]
    both = (source >= 0) & (other >= 0)
    return Network.from_ties(
        users, source[both], other[both], network.closeness[both], network.kind[both],
        network.kinds,
    )  # fmt: skip


def _history(history: History, at_user: Order, at_item: Order) -> History:
    """The ratings of those who are left, in the order of time, user, item. (Ratings of one moment
    may so come in another order than in the source.)"""
    user, item = at_user[history.user], at_item[history.item]
    rows = np.flatnonzero(user >= 0)
    rows = rows[np.lexsort((item[rows], user[rows], history.time[rows]))]
    return History(
        user[rows].astype(np.int32),
        item[rows].astype(np.int32),
        history.rating[rows],
        history.time[rows],
    )


def _planted(truth: Mapping[str, Any], at_user: Order, items: Order) -> dict[str, object]:
    """What is planted, with the new numbers; an edge is gone with either of its users."""
    if not truth:
        return {}
    told = dict(truth)
    if groups := truth.get("groups"):
        columns = {
            name: [groups[name][item] for item in items.tolist()]
            for name in ("of_item", "merit_of_item")
        }
        told["groups"] = {**groups, **columns}
    if edges := truth.get("edges"):
        pairs = {
            kind: at_user[np.array(edges[kind], np.int64).reshape(-1, 2)]
            for kind in ("planted", "null")
        }
        left = {kind: both[(both >= 0).all(axis=1)].tolist() for kind, both in pairs.items()}
        told["edges"] = {**edges, **left}
    return {KEY: told}


def _origin(origin: Mapping[str, object], disguise: Disguise, drawn: bool) -> dict[str, object]:
    """That, and how, the world is disguised; neither the seed nor what the source was made from."""
    what = {
        Titles.KEEP: "titles are the source's",
        Titles.NUMBERS: "titles are numbers; years, directors and descriptions are left out",
        Titles.IDS: "titles are the source's ids; years, directors and descriptions are left out",
    }
    notes = [what[disguise.titles]]
    if disguise.ids is Ids.OPAQUE:
        notes.append("ids, order and names of users are others than in the source")
    if drawn:
        notes.append("some of the source's users; popularity counts all of them")
    kind = {name: origin[name] for name in ("source", "layout") if name in origin}
    return {
        "source": "disguised",
        "of": kind,
        "ids": str(disguise.ids),
        "titles": str(disguise.titles),
        "notes": notes,
    }
