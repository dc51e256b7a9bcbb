"""Memories that a round leaves behind, made from its events alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.server.hearing import deliver
from recarena.server.interventions import of_row
from recarena.server.network import Network
from recarena.server.types import (
    MEMORY_COLUMNS,
    NOBODY,
    EventColumns,
    EventKind,
    Explained,
    InterventionKind,
    MemoryColumns,
    MemoryKind,
)

Rows = NDArray[np.intp]
TALK_IMPORTANCE = 0.5
"""Of a talk with somebody from outside of the world: as of a watch rated 2 or 4."""
TOLD_IMPORTANCE = 0.2
"""The least that users with LLM minds keep by default: what a recommender says is no experience."""


def remember(events: EventColumns, network: Network) -> MemoryColumns:
    """One memory per watch, per thing said and per thing heard or read, in (user, event) order;
    after a watch of something that was shown with an explanation, one of the recommender's words;
    before all of them, one per talk that an intervention says the user had.

    Importance: |rating - 3| / 2 of a watch (at least 0.1), |sentiment| / 2 of words, half of that
    for a post read (a post speaks to many), times the closeness of who spoke; TOLD_IMPORTANCE of
    the recommender's words; TALK_IMPORTANCE of a talk.
    """
    talks = np.flatnonzero(
        (events.kind == EventKind.INTERVENTION) & (events.code == InterventionKind.TELL_USER)
    )
    watched = np.flatnonzero(events.kind == EventKind.WATCH)
    convinced, shown = _told(events, watched)
    said = np.flatnonzero((events.kind == EventKind.CHAT) | (events.kind == EventKind.POST))
    heard = deliver(events, network)
    words = np.abs(events.value[said]) / 2
    row = np.concatenate([talks, watched, convinced, said, heard.event])
    words_of = np.concatenate([talks, watched, shown, said, heard.event])
    own = events.user[row[len(talks) : len(row) - len(heard.event)]]
    user = np.concatenate([events.other[talks], own, heard.recipient])
    kind = np.concatenate(
        [
            np.full(len(talks), MemoryKind.OBSERVED, np.int8),
            np.full(len(watched), MemoryKind.WATCHED, np.int8),
            np.full(len(convinced), MemoryKind.TOLD, np.int8),
            np.where(
                events.kind[said] == EventKind.POST, MemoryKind.POSTED, MemoryKind.SAID
            ).astype(np.int8),
            np.where(heard.is_post, MemoryKind.READ, MemoryKind.HEARD).astype(np.int8),
        ]
    )
    source = np.concatenate([np.full(len(row) - len(heard.event), NOBODY, np.int32), heard.sender])
    weight = np.where(heard.is_post, np.float32(0.5), np.float32(1)) * heard.closeness
    importance = np.concatenate(
        [
            np.full(len(talks), TALK_IMPORTANCE, np.float32),
            np.abs(events.value[watched] - 3) / 2,
            np.full(len(convinced), TOLD_IMPORTANCE, np.float32),
            words,
            np.abs(heard.sentiment) / 2 * weight,
        ]
    )
    is_talk, is_told = kind == MemoryKind.OBSERVED, kind == MemoryKind.TOLD
    order = np.lexsort((is_told, row, user))
    row, words_of = row[order], words_of[order]
    is_talk, is_told = is_talk[order], is_told[order]
    columns = {
        "round": events.round[row],
        "user": user[order],
        "kind": kind[order],
        "item": events.item[row],
        "source": source[order],
        "importance": np.maximum(importance[order], np.float32(0.1)),
        "value": np.where(is_told, np.float32(0), events.value[row]),
        "code": np.where(is_talk | is_told, np.int16(0), events.code[row]),
    }
    made: dict[str, Any] = {
        name: columns[name].astype(dtype) for name, dtype in MEMORY_COLUMNS.items()
    }
    text: dict[int, str] = {}
    if events.text:
        numbers = words_of.tolist()
        text = {new: events.text[old] for new, old in enumerate(numbers) if old in events.text}
    for at in np.flatnonzero(is_talk).tolist():
        text[at] = _talk(events, int(row[at]))
    return MemoryColumns(**made, text=text)


def _talk(events: EventColumns, row: int) -> str:
    """A talk that an intervention speaks of, as the user would remember it."""
    values = of_row(events, row).values
    asked = f"Somebody asked me: “{values['said']}”"
    return f"{asked} I answered: “{values['answer']}”" if values["answer"] else asked


def _told(events: EventColumns, watched: Rows) -> tuple[Rows, Rows]:
    """Rows of those watches of something that was shown with an explanation in words, and rows of
    what was shown."""
    explained = (events.kind == EventKind.SHOWN) & (events.code == Explained.SHOWN)
    rows = [row for row in np.flatnonzero(explained).tolist() if events.text.get(row)]
    shown = np.array(rows, np.intp)
    if not rows:
        return shown, shown
    key = (events.user.astype(np.int64) << 32) + (events.step.astype(np.int64) << 16)
    key += events.position
    order = np.argsort(key[shown], kind="stable")
    at = np.searchsorted(key[shown[order]], key[watched])
    found = np.append(shown[order], -1)[at]
    same = (
        (found >= 0) & (key[found] == key[watched]) & (events.round[found] == events.round[watched])
    )
    return watched[same], found[same]
