"""Memories that a round leaves behind, made from its events alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from recarena.server.hearing import deliver
from recarena.server.network import Network
from recarena.server.types import (
    MEMORY_COLUMNS,
    NOBODY,
    EventColumns,
    EventKind,
    MemoryColumns,
    MemoryKind,
)


def remember(events: EventColumns, network: Network) -> MemoryColumns:
    """One memory per watch, per thing said and per thing heard or read, in (user, event) order.

    Importance: |rating - 3| / 2 of a watch (at least 0.1), |sentiment| / 2 of words, half of that
    for a post read (a post speaks to many), times the closeness of who spoke.
    """
    watched = np.flatnonzero(events.kind == EventKind.WATCH)
    said = np.flatnonzero((events.kind == EventKind.CHAT) | (events.kind == EventKind.POST))
    heard = deliver(events, network)
    words = np.abs(events.value[said]) / 2
    row = np.concatenate([watched, said, heard.event])
    user = np.concatenate([events.user[watched], events.user[said], heard.recipient])
    kind = np.concatenate(
        [
            np.full(len(watched), MemoryKind.WATCHED, np.int8),
            np.where(
                events.kind[said] == EventKind.POST, MemoryKind.POSTED, MemoryKind.SAID
            ).astype(np.int8),
            np.where(heard.is_post, MemoryKind.READ, MemoryKind.HEARD).astype(np.int8),
        ]
    )
    source = np.concatenate([np.full(len(watched) + len(said), NOBODY, np.int32), heard.sender])
    weight = np.where(heard.is_post, np.float32(0.5), np.float32(1)) * heard.closeness
    importance = np.concatenate(
        [np.abs(events.value[watched] - 3) / 2, words, np.abs(heard.sentiment) / 2 * weight]
    )
    order = np.lexsort((row, user))
    row = row[order]
    columns = {
        "round": events.round[row],
        "user": user[order],
        "kind": kind[order],
        "item": events.item[row],
        "source": source[order],
        "importance": np.maximum(importance[order], np.float32(0.1)),
        "value": events.value[row],
        "code": events.code[row],
    }
    made: dict[str, Any] = {
        name: columns[name].astype(dtype) for name, dtype in MEMORY_COLUMNS.items()
    }
    text: dict[int, str] = {}
    if events.text:
        of_event = {old: events.text[old] for old in np.unique(row).tolist() if old in events.text}
        text = {new: of_event[old] for new, old in enumerate(row.tolist()) if old in of_event}
    return MemoryColumns(**made, text=text)
