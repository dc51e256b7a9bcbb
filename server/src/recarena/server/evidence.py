"""Evidence of explanations: what a recommender offers for an item beside its words.

The event log keeps it as text, and what users make of it follows from that text alone, so that a
run that is played again from its log has the same claims.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice

from recarena.server.catalog import Catalog

MAX_PIECES = 8
MAX_REFERENCE_CHARS = 128

FEATURE = "feature"
"""Kind of the evidence that claims something of the item itself: "genre=Comedy"."""


def written(pieces: Iterable[tuple[str, str]]) -> str:
    """(kind, reference) pairs as the log has them: compact JSON of the first MAX_PIECES, each
    reference cut at MAX_REFERENCE_CHARS; "" without any."""
    first = islice(pieces, MAX_PIECES)
    kept = [[kind, reference[:MAX_REFERENCE_CHARS]] for kind, reference in first]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else ""


def read(text: str) -> list[tuple[str, str]]:
    """The inverse of `written`. ValueError for text that it cannot have made."""
    pieces = json.loads(text) if text else []
    if not isinstance(pieces, list):
        raise ValueError("evidence is a list of pairs")
    found: list[tuple[str, str]] = []
    for piece in pieces:
        match piece:
            case [str(kind), str(reference)]:
                found.append((kind, reference))
            case _:
                raise ValueError("a piece of evidence is a kind and a reference")
    return found


def claims(text: str, catalog: Catalog) -> tuple[int, ...]:
    """Genres that evidence claims for its item ("genre=Comedy"), -1 for a genre that the catalogue
    does not have. Other evidence claims nothing that a user can check. ValueError as `read`."""
    claimed: list[int] = []
    for kind, reference in read(text):
        name, _, value = reference.partition("=")
        if kind == FEATURE and name.strip().lower() == "genre":
            claimed.append(catalog.genre_number.get(value.strip().lower(), -1))
    return tuple(claimed)
