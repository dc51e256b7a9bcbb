"""The service's ids of the items, and back."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recarena.bridge.mapping import ItemIds


def read_pairs(path: Path) -> dict[str, str]:
    """Pairs of RecArena's id and the service's.

    Raises:
        OSError: the file cannot be read.
        ValueError: it does not hold such pairs, or an id twice.
    """
    text = path.read_text("utf-8-sig")
    pairs = from_json(text) if path.suffix.lower() == ".json" else from_csv(text)
    ours: dict[str, str] = {}
    theirs: set[str] = set()
    for mine, other in pairs:
        if mine in ours:
            raise ValueError(f"{mine!r} stands there twice")
        if other in theirs:
            raise ValueError(f"{other!r} stands for two items")
        ours[mine] = other
        theirs.add(other)
    if not ours:
        raise ValueError("it holds no ids")
    return ours


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it is written."""


def from_json(text: str) -> list[tuple[str, str]]:
    """The pairs of a JSON object; of a key that stands there twice, both."""
    try:
        tree: Any = json.loads(text, object_pairs_hook=Pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(tree, Pairs) or not all(isinstance(one, (str, int)) for _, one in tree):
        raise ValueError('not a JSON object of ids, such as {"m1": "4711"}')
    return [(key, str(value)) for key, value in tree]


def from_csv(text: str) -> list[tuple[str, str]]:
    """The pairs of the lines that are not empty."""
    rows = [row for row in csv.reader(text.splitlines()) if row]
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or not all(row):
            raise ValueError(f"line {number} has not two columns: {','.join(row)!r}")
    return [(row[0], row[1]) for row in rows]


class ItemIdMap:
    """Turns ids over, once `of_catalog` has told the items of the run.

    Before it nothing is known, and `item` takes every id as it would be by the rules.
    """

    def __init__(self, rules: ItemIds, pairs: dict[str, str] | None) -> None:
        self._rules, self._pairs = rules, pairs
        self._theirs: dict[str, str] = {}
        self._ours: dict[str, str] | None = None

    def of_catalog(self, item_ids: Iterable[str]) -> ItemIdMap:
        """The map for a run's catalogue."""
        found = ItemIdMap(self._rules, self._pairs)
        found._ours = {}
        for ours in item_ids:
            theirs = self._by_rule(ours)
            if theirs is not None and theirs not in found._ours:
                found._theirs[ours] = theirs
                found._ours[theirs] = ours
        return found

    def __len__(self) -> int:
        """Items of the catalogue that have an id there."""
        return len(self._theirs)

    def service(self, item_id: str) -> str | None:
        """The service's id of an item, None where it has none."""
        return self._theirs.get(item_id)

    def item(self, service_id: str) -> str | None:
        """The item of a service's id, None where the catalogue has none."""
        return service_id if self._ours is None else self._ours.get(service_id)

    def _by_rule(self, ours: str) -> str | None:
        if self._pairs is not None:
            return self._pairs.get(ours)
        rules = self._rules
        bare = ours.removeprefix(rules.strip_prefix).removesuffix(rules.strip_suffix)
        return f"{rules.add_prefix}{bare}{rules.add_suffix}"
