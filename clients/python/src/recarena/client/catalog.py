"""The catalogue of a run, as the recommender sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from recarena.v1.types_pb2 import Item


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """All items at one version. Read it, never change it: mirrored runs share it."""

    version: str
    # By item number. An item keeps its number for the whole run; one that was withdrawn has
    # `withdrawn` set, and must be in no list any more.
    items: list[Item]
    # The same order: item_ids[number] is the id of items[number].
    item_ids: list[str] = field(init=False)
    # The number of an id: the columnar form speaks in numbers.
    number_of: dict[str, int] = field(init=False)
    # Ids of the items that lists may have, in the same order: of all but those withdrawn.
    available_ids: list[str] = field(init=False)

    def __post_init__(self) -> None:
        ids = [item.item_id for item in self.items]
        object.__setattr__(self, "item_ids", ids)
        object.__setattr__(self, "number_of", {name: number for number, name in enumerate(ids)})
        available = [item.item_id for item in self.items if not item.withdrawn]
        object.__setattr__(self, "available_ids", available)

    @classmethod
    def of(cls, version: str, items: Iterable[Item]) -> Catalog:
        """A catalogue of these items, numbered in their order."""
        return cls(version, list(items))

    def __len__(self) -> int:
        return len(self.items)
