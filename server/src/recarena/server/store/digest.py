"""The canonical hash of an event log: equal logs, and only those, have equal digests."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

import numpy as np

from recarena.server.types import EVENT_COLUMNS, EventColumns

BEFORE_ROUND_1 = ""
"""Digest of a log without rounds."""


def round_digest(previous: str, events: EventColumns) -> str:
    """Digest (64 hex digits) of a log that had the digest `previous`, after one more round.

    BLAKE2b-256 of `previous` in ASCII, the number of rows, each column of EVENT_COLUMNS in that
    order (name, NUL, little-endian values; -0.0 as 0.0 and every NaN as the quiet one), the number
    of texts, and each text in order of its row (row, length in bytes, UTF-8). Only where there is
    any evidence: `evidence`, NUL, the number of its rows and each of them as a text, so that a log
    without evidence has the digest that it had before evidence was kept. Counts, rows and lengths
    are unsigned 64-bit little-endian. The same on every platform.
    """
    digest = hashlib.blake2b(previous.encode("ascii"), digest_size=32)
    digest.update(struct.pack("<Q", len(events)))
    for name, (dtype, _) in EVENT_COLUMNS.items():
        column = np.asarray(getattr(events, name), dtype)
        if issubclass(dtype, np.floating):
            column = np.where(column == 0, dtype(0), column)
            column = np.where(np.isnan(column), dtype(np.nan), column)
        digest.update(name.encode("ascii") + b"\0")
        digest.update(np.ascontiguousarray(column, column.dtype.newbyteorder("<")).data)
    digest.update(_sparse(events.text))
    if events.evidence:
        digest.update(b"evidence\0" + _sparse(events.evidence))
    return digest.hexdigest()


def _sparse(words: Mapping[int, str]) -> bytes:
    """The number of rows that have words, and of each row its number, length and words."""
    parts = [struct.pack("<Q", len(words))]
    for row, one in sorted(words.items()):
        encoded = one.encode()
        parts += [struct.pack("<QQ", row, len(encoded)), encoded]
    return b"".join(parts)
