"""Recommenders between which users saw no difference at all."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from recarena.evaluation.runs.events import Events
from recarena.evaluation.runs.run_log import RunLog


def fingerprint(events: Events) -> bytes:
    """32 bytes that two logs share where every event is the same: who was shown what, at which
    place, and did what. Words are left out."""
    hashed = hashlib.blake2b(digest_size=32)
    for column in fields(events):
        hashed.update(np.ascontiguousarray(getattr(events, column.name)).tobytes())
        hashed.update(column.name.encode())
    return hashed.digest()


def twins(logs: Iterable[RunLog]) -> tuple[tuple[str, ...], ...]:
    """Groups of recommenders that played the same worlds, with the same events in each of them.

    Runs of several arms are left out: their users are others.
    """
    played: dict[str, set[tuple[str, int, int, bytes]]] = defaultdict(set)
    for log in logs:
        if len(log.arms) == 1:
            world = log.world, log.seed, log.rounds, fingerprint(log.logged)
            played[log.arms[0].recommender].add(world)
    groups: dict[frozenset[tuple[str, int, int, bytes]], list[str]] = defaultdict(list)
    for name, worlds in played.items():
        groups[frozenset(worlds)].append(name)
    return tuple(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def sentence(group: tuple[str, ...]) -> str:
    """Says it to people."""
    names = f"{', '.join(group[:-1])} and {group[-1]}"
    return f"{names} are alike to the last event: users were shown, and did, exactly the same."
