"""The world as it will be when what waits has taken effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from recarena.server.catalog import Catalog
from recarena.server.interventions import Intervention
from recarena.server.network import Network
from recarena.server.population import Population
from recarena.server.steering.turning import STRANGER_BECOMES
from recarena.server.types import Bools, InterventionKind


class Steered(Protocol):
    """What interventions change of a world, as far as it has to be known beforehand."""

    catalog: Catalog
    population: Population
    network: Network
    by_person: Bools
    """[users]: whether a person plays the user."""


class Prospect:
    """A world, and over it what interventions will change that wait for the next round."""

    def __init__(self, world: Steered, pending: Iterable[Intervention] = ()) -> None:
        self.world = world
        self.titles: dict[int, str] = {}
        """Number -> title of the items that come."""
        self._items: dict[str, int] = {}
        self._withdrawn: set[int] = set()
        self._ties: dict[tuple[int, int], bool] = {}
        self._kinds: set[str] = set(world.network.kinds)
        self._by_person: dict[int, bool] = {}
        for one in pending:
            self._foresee(one)

    def _foresee(self, one: Intervention) -> None:
        match one.kind:
            case InterventionKind.ADD_ITEM:
                self._items[one.values["item"]["item_id"]] = one.item
                self.titles[one.item] = one.values["item"]["title"]
            case InterventionKind.WITHDRAW_ITEM:
                self._withdrawn.add(one.item)
            case InterventionKind.SET_RELATION | InterventionKind.REMOVE_RELATION:
                other = self.world.population.number_of[one.values["other_user_id"]]
                there = one.kind is InterventionKind.SET_RELATION
                pairs = [(one.user, other), (other, one.user)][: 1 + one.values["both_ways"]]
                if there and (one.values["kind"] or not all(self.tied(*pair) for pair in pairs)):
                    self._kinds.add(one.values["kind"] or STRANGER_BECOMES)
                self._ties |= dict.fromkeys(pairs, there)
            case InterventionKind.TAKE_OVER:
                self._by_person[one.user] = True
            case InterventionKind.HAND_BACK:
                self._by_person[one.user] = False
            case _:
                pass

    @property
    def items(self) -> int:
        """How many items there will be."""
        return len(self.world.catalog) + len(self._items)

    def item(self, item_id: str) -> int | None:
        """The number of an item; None where there will be none with this id."""
        return self.world.catalog.number_of.get(item_id, self._items.get(item_id))

    def available(self, item: int) -> bool:
        """Whether an item can be shown."""
        if item in self._withdrawn:
            return False
        return item >= len(self.world.catalog) or bool(self.world.catalog.available[item])

    @property
    def available_items(self) -> int:
        """How many items can be shown."""
        return int(self.world.catalog.available.sum()) + len(self._items) - len(self._withdrawn)

    def tied(self, user: int, other: int) -> bool:
        """Whether there is a tie from a user to another."""
        known = self._ties.get((user, other))
        return self.world.network.find(user, other) is not None if known is None else known

    def kinds(self) -> set[str]:
        """What people are to each other."""
        return self._kinds

    def by_person(self, user: int) -> bool:
        """Whether a person plays a user."""
        return self._by_person.get(user, bool(self.world.by_person[user]))
