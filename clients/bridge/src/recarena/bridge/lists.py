"""Lists in answers of the service: read, turned into our ids, filtered and cut."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from recarena.bridge.counts import Counts
from recarena.bridge.errors import ServiceFailed
from recarena.bridge.ids import ItemIdMap
from recarena.bridge.mapping import Answer, Paged
from recarena.client import Explanation, Ranked, RankedItem

METHOD = "http"
"""Explanation.method of what came from a service."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list as the service gave it."""

    service_id: str
    score: float | None = None
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A list as the service gave it."""

    entries: list[Entry]
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one query wants."""

    count: int
    offset: int
    excluded: frozenset[str] = field(default_factory=frozenset[str])
    explained: bool = False

    @property
    def end(self) -> int:
        """The rank after the last one wanted."""
        return self.offset + self.count

    def asked(self, paged: Paged) -> int:
        """How many items to ask the service for, so that enough is left."""
        dropped = len(self.excluded) if paged.exclusions == "bridge" else 0
        needed = self.end if paged.paging == "bridge" else self.count
        return min(paged.most, needed + dropped + paged.extra)


def looked_up(path: ParsedResult, value: Any, what: str) -> Any:
    """What a JMESPath finds.

    Raises:
        ServiceFailed: the answer is of another shape than the path can be used on.
    """
    try:
        return path.search(value)
    except JMESPathError as error:
        why = str(error).splitlines()[0]
        raise ServiceFailed(
            f"the answer does not fit {what} = {path.expression!r}: {why}"
        ) from None


def read(answer: Answer, value: Any) -> Found:
    """The list in an answer.

    Raises:
        ServiceFailed: there is none where the mapping says, or an entry has no id.
    """
    entries = looked_up(answer.items, value, "items")
    if not isinstance(entries, list):
        raise ServiceFailed(
            f"items = {answer.items.expression!r} finds {kind(entries)} in the answer, not a list"
        )
    token = None if answer.token is None else looked_up(answer.token, value, "token")
    return Found([entry(answer, one) for one in entries], "" if token is None else str(token))


def entry(answer: Answer, value: Any) -> Entry:
    """One entry of a list."""
    found = looked_up(answer.id, value, "id")
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        raise ServiceFailed(f"id = {answer.id.expression!r} finds {kind(found)}, not an id")
    score = None if answer.score is None else looked_up(answer.score, value, "score")
    text = None if answer.explanation is None else looked_up(answer.explanation, value, "text")
    return Entry(str(found), finite(score), text if isinstance(text, str) else "")


def finite(score: Any) -> float | None:
    """A score that is a number, None where it is none: RecArena refuses lists for NaN."""
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        return None
    return float(score) if math.isfinite(score) else None


def kind(value: Any) -> str:
    """What sort of JSON a value is."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return "nothing" if value is None else names.get(type(value), "a number")


def answered(found: Found, wanted: Wanted, paged: Paged, ids: ItemIdMap, counts: Counts) -> Ranked:
    """The list as it goes to RecArena.

    Unknown items and repeated ones are dropped, excluded ones where the bridge is to, and counted.
    """
    kept: list[RankedItem] = []
    seen: set[str] = set()
    drops = wanted.excluded if paged.exclusions == "bridge" else frozenset[str]()
    start = wanted.offset if paged.paging == "bridge" else 0
    for one in found.entries:
        if len(kept) == start + wanted.count:
            break
        item_id = ids.item(one.service_id)
        if item_id is None:
            counts.unknown_items += 1
        elif item_id in seen:
            counts.repeated_items += 1
        elif item_id in drops:
            counts.excluded_items += 1
        else:
            seen.add(item_id)
            kept.append(ranked(item_id, one, explained=wanted.explained))
    page = kept[start:]
    counts.short_lists += len(page) < wanted.count
    return Ranked(page, found.token)


def ranked(item_id: str, one: Entry, *, explained: bool) -> RankedItem:
    """An entry as a message."""
    item = RankedItem(item_id=item_id, score=one.score)
    if explained and one.explanation:
        item.explanation.CopyFrom(Explanation(text=one.explanation, method=METHOD))
    return item


def by_user(found: Any, users: Iterable[str], user: ParsedResult | None) -> list[Any]:
    """The lists of a batch in the order of the users.

    Raises:
        ServiceFailed: one is missing.
    """
    names = list(users)
    if user is not None and isinstance(found, list):
        found = {str(looked_up(user, one, "user")): one for one in found}
    if isinstance(found, dict):
        missing = next((name for name in names if name not in found), None)
        if missing is not None:
            raise ServiceFailed(f"the answer has no list for user {missing}")
        return [found[name] for name in names]
    if not isinstance(found, list) or len(found) != len(names):
        size = f" of {len(found)}" if isinstance(found, list) else ""
        raise ServiceFailed(f"lists finds {kind(found)}{size}, not one list for each user")
    return found
