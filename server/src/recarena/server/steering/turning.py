"""What interventions do to the data of a world: catalogue, people and ties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from recarena.server.catalog import NewItem
from recarena.server.datasets.world_data import WorldData
from recarena.server.interventions import Intervention
from recarena.server.network import Network
from recarena.server.types import InterventionKind

STRANGER_BECOMES = "acquaintance"
"""What a tie of no kind is called that was not there before."""
OF_PEOPLE = (
    InterventionKind.EDIT_PROFILE,
    InterventionKind.SET_RELATION,
    InterventionKind.REMOVE_RELATION,
)
"""Those after which users or ties look otherwise."""
OF_ITEMS = (InterventionKind.ADD_ITEM, InterventionKind.WITHDRAW_ITEM)
"""Those after which the catalogue is another."""


def turn(data: WorldData, one: Intervention) -> None:
    """Makes a change in the data of a world, once, after all those with lower numbers."""
    values = one.values
    match one.kind:
        case InterventionKind.EDIT_PROFILE:
            people, genres = data.population, data.catalog.genre_names
            if values["name"]:
                people.rename(one.user, values["name"])
            people.describe(one.user, values["profile"])
            tastes = {genres.index(name): taste for name, taste in values["tastes"].items()}
            people.endow(one.user, values["traits"], tastes)
        case InterventionKind.SET_RELATION:
            for user, other in _pairs(data, one):
                kind = values["kind"] or _kind_of(data.network, user, other)
                data.network.tie(user, other, kind, values["closeness"])
        case InterventionKind.REMOVE_RELATION:
            for user, other in _pairs(data, one):
                data.network.untie(user, other)
        case InterventionKind.ADD_ITEM:
            data.catalog.add(new_item(values))
        case InterventionKind.WITHDRAW_ITEM:
            data.catalog.withdraw(one.item)
        case _:
            pass


def turned(data: WorldData, interventions: Iterable[Intervention]) -> WorldData:
    """The world after some interventions, in their order; `data` itself, changed."""
    for one in interventions:
        turn(data, one)
    return data


def new_item(values: Any) -> NewItem:
    """The item that an ADD_ITEM speaks of."""
    item = values["item"]
    return NewItem(
        item["item_id"],
        item["title"],
        tuple(item["categories"]),
        item["attributes"]["year"],
        item["attributes"]["director"],
        item["description"],
        values["quality"],
    )


def _pairs(data: WorldData, one: Intervention) -> list[tuple[int, int]]:
    """The ties that an intervention is about, as (from, to)."""
    other = data.population.number_of[one.values["other_user_id"]]
    back = [(other, one.user)] if one.values["both_ways"] else []
    return [(one.user, other), *back]


def _kind_of(network: Network, user: int, other: int) -> str:
    at = network.find(user, other)
    return STRANGER_BECOMES if at is None else network.kinds[int(network.kind[at])]
