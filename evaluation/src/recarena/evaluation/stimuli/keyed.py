"""Chance that follows from what it is for: the same whatever else is drawn, and on any machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def drawn(*key: str | int) -> int:
    """64 bits that the key alone decides."""
    digest = hashlib.blake2b(json.dumps(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest)


def shuffled(things: Iterable[T], *key: str | int) -> list[T]:
    """In an order that the key decides."""
    places = list(things)
    return [places[at] for at in sorted(range(len(places)), key=lambda at: drawn(*key, at))]
