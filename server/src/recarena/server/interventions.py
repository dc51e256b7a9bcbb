"""Interventions: what an operator changes in the world between two rounds, as the log keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recarena.server.types import (
    NOBODY,
    NOTHING,
    Bools,
    EventColumns,
    EventKind,
    InterventionKind,
)


@dataclass(frozen=True, slots=True)
class Change:
    """What an operator asks for."""

    kind: InterventionKind
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The fields of the message of that kind (steering.proto) by their names, as JSON values; users
    and items by their ids, times in seconds (`turn_time_s`). A field that is missing has its
    default."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """One change. Who asked for it and when is in the journal, not here: the same changes make the
    same log."""

    number: int
    """Position among the interventions of the run's epoch, from 1."""
    kind: InterventionKind
    user: int = NOBODY
    """Whom it is about."""
    item: int = NOTHING
    """What it is about; of ADD_ITEM the number that the item gets."""
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The rest, as JSON values: the fields of the message of that kind (steering.proto) but the
    user and the item that stand above; other users and items by their ids."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An intervention that was accepted."""

    number: int
    """Position among the interventions of the run's epoch, from 1."""
    change: Change
    """As it was accepted: every field is there."""
    round: int
    """The round that it takes effect in: of one that waits, the next that begins."""
    applied: bool
    """Whether that round is committed."""
    by: str
    """Who asked for it."""
    time: datetime
    """When it came in."""
    text: str
    """In a sentence."""


def as_events(round: int, interventions: Sequence[Intervention]) -> EventColumns:
    """The rows that interventions are in the log of the round that they take effect in."""
    return EventColumns.make(
        len(interventions),
        round=round,
        user=NOBODY,
        kind=EventKind.INTERVENTION,
        item=[one.item for one in interventions],
        other=[one.user for one in interventions],
        code=[one.kind for one in interventions],
        text={
            row: json.dumps(
                {"number": one.number, **one.values},
                ensure_ascii=False,
                sort_keys=True,
                separators=(",", ":"),
            )
            for row, one in enumerate(interventions)
        },
    )


def of_events(events: EventColumns) -> list[Intervention]:
    """The interventions among some events, in order. ValueError where the log has none like it."""
    rows = (events.kind == EventKind.INTERVENTION).nonzero()[0]
    return [of_row(events, row) for row in rows.tolist()]


def of_row(events: EventColumns, row: int) -> Intervention:
    """The intervention in a row of some events. ValueError where there is none like it."""
    values = json.loads(events.text[row])
    number = int(values.pop("number"))
    kind = InterventionKind(int(events.code[row]))
    return Intervention(number, kind, int(events.other[row]), int(events.item[row]), values)


def posts_of(round: int, interventions: Iterable[Intervention]) -> EventColumns:
    """The posts that interventions put into users' mouths, in their order. Such a POST has the row
    of its intervention for a position: a user's own has none."""
    rows = [
        (row, one)
        for row, one in enumerate(interventions)
        if one.kind is InterventionKind.INJECT_POST
    ]
    return EventColumns.make(
        len(rows),
        round=round,
        user=[one.user for _, one in rows],
        kind=EventKind.POST,
        item=[one.item for _, one in rows],
        position=[row for row, _ in rows],
        value=[one.values["sentiment"] for _, one in rows],
        text={at: one.values["text"] for at, (_, one) in enumerate(rows)},
    )


def is_injected(events: EventColumns) -> Bools:
    """[events]: whether each is a post that an intervention put into the user's mouth."""
    return (events.kind == EventKind.POST) & (events.position >= 0)


def doings(events: EventColumns) -> EventColumns:
    """The events without interventions and what these put into users' mouths: what users did."""
    foreign = (events.kind == EventKind.INTERVENTION) | is_injected(events)
    return events.take(~foreign) if foreign.any() else events
