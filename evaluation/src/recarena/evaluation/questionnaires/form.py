"""A questionnaire as it was read from its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Construct:
    """Something that several items measure together."""

    id: str
    """necessity, informativeness, persuasiveness, transparency ..."""
    title: str
    source: str
    """Where it is from."""
    note: str = ""
    """What a reader of its numbers should know, such as why it has a single item."""


@dataclass(frozen=True, slots=True)
class Item:
    """One statement, in one or more wordings that mean the same."""

    id: str
    construct: str
    """Id of its construct; "" for an attention check."""
    reversed: bool
    """Whether agreeing speaks against the construct."""
    texts: tuple[str, ...]
    """Wordings: the first, then its paraphrases."""
    asked_for: int = 0
    """The answer that an attention check asks for; 0: the item is none."""


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """Items on one scale. No two texts are the same."""

    id: str
    version: str
    title: str
    source: str
    verbatim: bool | None
    """Whether the texts are those of the source word by word; None: they are our own."""
    lowest: int
    highest: int
    labels: tuple[str, ...]
    """From lowest to highest."""
    constructs: tuple[Construct, ...]
    items: tuple[Item, ...]
    hash: str
    """Of the file, for reports."""

    def of(self, construct: str) -> tuple[Item, ...]:
        """The items of a construct, without attention checks."""
        return tuple(one for one in self.items if one.construct == construct)

    @property
    def checks(self) -> tuple[Item, ...]:
        """The attention checks."""
        return tuple(one for one in self.items if one.asked_for)

    @property
    def by_id(self) -> Mapping[str, Item]:
        """Items by their ids."""
        return {one.id: one for one in self.items}

    def recoding(self, item: Item) -> tuple[int, int]:
        """(start, sign): start + sign * answer is more where there is more of the construct."""
        return (self.lowest + self.highest, -1) if item.reversed else (0, 1)

    def recoded(self, item: Item, answer: float) -> float:
        """An answer so that more is more of the construct."""
        start, sign = self.recoding(item)
        return start + sign * answer
