"""Interventions: what an operator changes in the world between two rounds, as the log keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recarena.server.types import (
    NOBODY,
    NOTHING,
    EventColumns,
    EventKind,
    InterventionKind,
)


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
    found: list[Intervention] = []
    rows = (events.kind == EventKind.INTERVENTION).nonzero()[0]
    for row in rows.tolist():
        values = json.loads(events.text[row])
        number = int(values.pop("number"))
        kind = InterventionKind(int(events.code[row]))
        found.append(
            Intervention(number, kind, int(events.other[row]), int(events.item[row]), values)
        )
    return found
