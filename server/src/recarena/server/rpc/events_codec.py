"""Rounds and their events as messages: in words, and as columns."""

from __future__ import annotations

import json

import numpy as np

from recarena.server.config import Settings
from recarena.server.narration import DEFAULTS, Narrator
from recarena.server.rpc.times import duration, timestamp
from recarena.server.types import (
    NOBODY,
    NOTHING,
    EventColumns,
    EventKind,
    Explained,
    Outcome,
)
from recarena.v1 import run_pb2, types_pb2

COLUMNS: dict[str, str] = {
    "user": "<i4",
    "kind": "<i1",
    "item": "<i4",
    "position": "<i2",
    "value": "<f4",
    "other": "<i4",
    "step": "<i2",
    "surface": "<i1",
    "outcome": "<i1",
}
"""Columns of the log that are sent, and how their numbers are written."""
ROW_BYTES = sum(np.dtype(kind).itemsize for kind in COLUMNS.values())
_SPOKEN = (
    EventKind.WATCH, EventKind.SEARCH, EventKind.CHAT, EventKind.POST, EventKind.CONVERSE,
)  # fmt: skip


def columns_message(events: EventColumns) -> run_pb2.EventColumns:
    """The log of a round, ready to be read by `numpy.frombuffer`."""
    columns = {
        name: np.asarray(getattr(events, name)).astype(kind, copy=False).tobytes()
        for name, kind in COLUMNS.items()
    }
    return run_pb2.EventColumns(rows=len(events), undecided=undecided(events), **columns)


def undecided(events: EventColumns) -> list[int]:
    """Rows, ascending, that tell what nobody decided: no answer of a model could be used. Takes
    time by the words there are, not by the rows."""
    rows = np.fromiter(events.text, np.int64, len(events.text))
    return np.sort(rows[np.isin(events.kind[rows], DEFAULTS)]).tolist()


def event_message(
    narrator: Narrator,
    events: EventColumns,
    row: int,
    *,
    sequence: int | None = None,
    by_person: bool = False,
) -> run_pb2.UserEvent:
    """One event. `sequence`: its place in its round, if that is not `row`; `by_person`: whether a
    person played the user in that round."""
    kind = EventKind(int(events.kind[row]))
    user, item, other = int(events.user[row]), int(events.item[row]), int(events.other[row])
    step, people, catalog = int(events.step[row]), narrator.population, narrator.catalog
    page, shown = kind is EventKind.PAGE, kind is EventKind.SHOWN
    outcome = Outcome(int(events.outcome[row])) if page else Outcome.NONE
    return run_pb2.UserEvent(
        sequence=row if sequence is None else sequence,
        type=run_pb2.UserEvent.Type.ValueType(kind),
        user_id=people.user_ids[user] if user != NOBODY else "",
        user_name=narrator.name(user) if user != NOBODY else "",
        item_id=catalog.item_ids[item] if item != NOTHING else "",
        position=int(events.position[row]) if shown or kind is EventKind.WATCH else None,
        value=float(events.value[row]) if kind is EventKind.WATCH else None,
        other_user_id=people.user_ids[other] if other != NOBODY else "",
        text=narrator.sentence(events, row),
        by_person=by_person,
        round=int(events.round[row]),
        step=step if step >= 0 else None,
        words=_words(narrator, events, row, kind),
        outcome=outcome.name.lower() if outcome else "",
        surface=types_pb2.Surface.ValueType(int(events.surface[row]) if page else 0),
        item_title=narrator.title(item) if item != NOTHING else "",
        other_user_name=narrator.name(other) if other != NOBODY else "",
        explanation_withheld=shown and int(events.code[row]) == Explained.WITHHELD,
        intervention=_number(events, row) if kind is EventKind.INTERVENTION else 0,
        undecided=kind in DEFAULTS and row in events.text,
    )


def _words(narrator: Narrator, events: EventColumns, row: int, kind: EventKind) -> str:
    """What was felt, typed or said; of an item shown its explanation."""
    if kind is EventKind.SHOWN:
        return events.text.get(row, "")
    return narrator.words(events, row) if kind in _SPOKEN else ""


def _number(events: EventColumns, row: int) -> int:
    return int(json.loads(events.text[row])["number"])


def round_message(
    settings: Settings,
    round: int,
    events: EventColumns,
    active: int,
    wall_ms: float,
    people: int = 0,
) -> run_pb2.RoundSummary:
    """Summary of a committed round, in which so many users were played by people."""
    count = np.bincount(events.kind, minlength=max(EventKind) + 1)
    ratings = events.value[(events.kind == EventKind.WATCH) & (events.value > 0)]
    return run_pb2.RoundSummary(
        round=round,
        sim_time=timestamp(settings.time.of_round(round)),
        active_users=active,
        visits=int(count[EventKind.ENTER_RECOMMENDER]),
        pages=int(count[EventKind.PAGE]),
        exposures=int(count[EventKind.SHOWN]),
        watches=int(count[EventKind.WATCH]),
        chats=int(count[EventKind.CHAT]),
        posts=int(count[EventKind.POST]),
        mean_rating=float(ratings.mean(dtype=np.float64)) if len(ratings) else None,
        wall_time=duration(wall_ms / 1000),
        interventions=int(count[EventKind.INTERVENTION]),
        people=people,
    )
