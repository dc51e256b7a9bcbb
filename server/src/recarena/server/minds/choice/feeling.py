"""Feelings and talk as numbers: what a template of words is chosen by, packed into 16 bits.

The event log keeps the number; the words are made from it when somebody reads them (`words.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.server.types import Bools, Floats

Codes = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Feeling:
    """A WATCH event's code, taken apart."""

    reason: int
    """Index into utility.REASONS."""
    valence: int
    """0: disliked, 1: so-so, 2: liked, 3: loved."""
    variant: int
    genre: int
    """-1: none."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A CHAT or POST event's code, taken apart."""

    answers: bool
    """It answers a post."""
    own: bool
    """About something the speaker has watched (else: heard of)."""
    mood: int
    """0: bad, 1: neutral, 2: good."""
    partner_saw: bool
    variant: int


def valence(stars: NDArray[np.int8]) -> Codes:
    """1, 2 stars: 0; 3: 1; 4: 2; 5: 3."""
    return np.maximum(stars.astype(np.int16) - 2, 0)


def mood(sentiment: Floats) -> Codes:
    """Sentiment below -1/2: 0, above 1/2: 2, else 1."""
    return (1 + (sentiment > 0.5) - (sentiment < -0.5).astype(np.int16)).astype(np.int16)


def encode(reason: Codes, valence: Codes, variant: Codes, genre: Codes) -> Codes:
    """Packs feelings; never 0. Genres above 62 are packed as none."""
    genre = np.where(genre > 62, -1, genre)
    return ((reason + 1) | (valence << 3) | (variant << 5) | ((genre + 1) << 7)).astype(np.int16)


def decode(code: int) -> Feeling:
    """The inverse of `encode`."""
    return Feeling((code & 7) - 1, (code >> 3) & 3, (code >> 5) & 3, (code >> 7) - 1)


def encode_talk(
    answers: Bools, own: Bools, mood: Codes, partner_saw: Bools, variant: Codes
) -> Codes:
    """Packs talk; never 0."""
    flags = 1 | (answers.astype(np.int16) << 1) | (own.astype(np.int16) << 2)
    return (flags | (partner_saw.astype(np.int16) << 3) | (mood << 4) | (variant << 6)).astype(
        np.int16
    )


def decode_talk(code: int) -> Talk:
    """The inverse of `encode_talk`."""
    return Talk(bool(code & 2), bool(code & 4), (code >> 4) & 3, bool(code & 8), (code >> 6) & 3)
