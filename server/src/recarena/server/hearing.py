"""Word of mouth: what chats and posts carry from user to user, and what is still ringing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.server.network import Network
from recarena.server.types import NOBODY, NOTHING, Bools, EventColumns, EventKind, Floats, Ints

CLOSENESS_OF_STRANGERS = np.float32(0.3)
"""Of a chat partner who is no acquaintance (an answered post of somebody not tied back)."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Words that reach somebody, one row per recipient, in the order of the events."""

    recipient: Ints
    sender: Ints
    item: Ints
    sentiment: Floats
    """-2..2."""
    closeness: Floats
    """0..1, of the sender to the recipient."""
    is_post: Bools
    """True: a post was read. False: said in a chat."""
    event: NDArray[np.int64]
    """Row of the event that carried them."""

    def __len__(self) -> int:
        return len(self.recipient)


def deliver(events: EventColumns, network: Network) -> Deliveries:
    """Who hears what: a chat reaches its partner, a post all acquaintances of the author."""
    chats = np.flatnonzero((events.kind == EventKind.CHAT) & (events.other != NOBODY))
    posts = np.flatnonzero(events.kind == EventKind.POST)
    row, tie = network.expand(events.user[posts])
    event = np.concatenate([chats, posts[row]])
    recipient = np.concatenate([events.other[chats], network.other[tie]])
    closeness = np.concatenate(
        [_closeness_back(network, events.user[chats], events.other[chats]), network.closeness[tie]]
    )
    order = np.argsort(event, kind="stable")
    event = event[order]
    return Deliveries(
        recipient[order],
        events.user[event],
        events.item[event],
        events.value[event],
        closeness[order],
        events.kind[event] == EventKind.POST,
        event,
    )


def _closeness_back(network: Network, source: Ints, other: Ints) -> Floats:
    """Closeness of each tie source -> other, a constant where there is none."""
    row, tie = network.expand(source)
    match = network.other[tie] == other[row]
    closeness = np.full(len(source), CLOSENESS_OF_STRANGERS, np.float32)
    closeness[row[match]] = network.closeness[tie[match]]
    return closeness


class Hearsay:
    """The last few things each user has heard of, as rings of columns [users, slots]."""

    SLOTS = 6

    def __init__(self, users: int) -> None:
        shape = (users, self.SLOTS)
        self.item = np.full(shape, NOTHING, np.int32)
        self.strength = np.zeros(shape, np.float32)
        """Closeness x sentiment of each mention."""
        self.sender = np.full(shape, NOBODY, np.int32)
        self.round = np.zeros(shape, np.int32)
        self._next = np.zeros(users, np.int8)

    def add(self, round: int, heard: Deliveries) -> None:
        """Keeps the newest mentions of each recipient, the oldest make room."""
        about = heard.item != NOTHING
        order = np.argsort(heard.recipient[about], kind="stable")
        rows = np.flatnonzero(about)[order]
        who = heard.recipient[rows]
        _, first, count = np.unique(who, return_index=True, return_counts=True)
        rank = np.arange(len(who)) - np.repeat(first, count)
        newest = rank >= np.repeat(count, count) - self.SLOTS
        rows, who, rank = rows[newest], who[newest], rank[newest]
        slot = (self._next[who] + rank) % self.SLOTS
        self.item[who, slot] = heard.item[rows]
        self.strength[who, slot] = heard.closeness[rows] * heard.sentiment[rows]
        self.sender[who, slot] = heard.sender[rows]
        self.round[who, slot] = round
        people = who[np.flatnonzero(np.diff(who, prepend=-1))]
        self._next[people] = (self._next[people] + count) % self.SLOTS

    def faded(self, users: Ints, round: int, half_life: float) -> Floats:
        """[users, slots]: strength x 2^(-(rounds ago) / half_life), 0 in empty slots."""
        ago = (round - self.round[users]).astype(np.float32)
        return self.strength[users] * np.exp2(ago * np.float32(-1 / half_life))
