"""Randomness keyed by meaning: (seed, purpose, round, user, item or slot).

Counter-based: a number depends on its key alone, not on what was drawn before, by whom or in which
batch. So mirrored worlds do not drift apart where behaviour differs, and a run is the same at any
concurrency. The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recarena.server.types import Floats

Keys = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_STEP = np.uint64(_GOLDEN)


class Purpose(IntEnum):
    """What a draw is for. Part of the key: never reuse a number."""

    ARM = 1
    ACTIVATE = 2
    ACTIVATION_RATE = 3
    ENTER = 4
    GO_SOCIAL = 5
    LIKE_ITEM = 6
    EXIT_PAGE = 7
    RATING_NOISE = 8
    RATING_STEP = 9
    FEELING_WORDS = 10
    SEARCH_GENRE = 11
    POST_OR_CHAT = 12
    CHAT_PARTNER = 13
    CHAT_WORDS = 14
    POST_WORDS = 15
    ANSWER_POST = 16
    TASTE_DRIFT = 17
    CONVERSE = 18
    EXPLAIN = 19
    FORGET = 20
    LLM_USER = 21
    NEAR_FRIEND = 22
    ARM_OF_CLUSTER = 23
    CLUSTER_MOVE = 24
    INQUIRY = 25
    BELIEF = 26
    CHARACTER = 27
    ANSWER = 28


def _mix(z: Keys) -> Keys:
    z ^= z >> _S30
    z *= _M1
    z ^= z >> _S27
    z *= _M2
    z ^= z >> _S31
    return z


def _mix_number(z: int) -> int:
    z &= _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def keys(seed: int, purpose: Purpose, round: int, *parts: ArrayLike) -> Keys:
    """Keys of broadcast parts (numbers of users, items, steps ...), -1 and above.

    The shape is that of the parts broadcast together, from left to right.
    """
    start = _mix_number(seed * _GOLDEN + int(purpose))
    start = _mix_number(start + (round + 1) * _GOLDEN)
    key: Keys | np.uint64 = np.uint64(start)
    for part in parts:
        number = np.atleast_1d(np.asarray(part)).astype(np.int64).astype(np.uint64)
        key = _mix(np.atleast_1d((number + np.uint64(2)) * _STEP + key))
    return np.atleast_1d(key)


def uniform(key: Keys) -> Floats:
    """One number in the open interval (0, 1) a key, with 23 random bits."""
    return ((key >> np.uint64(41)).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23)


def gumbel(key: Keys) -> Floats:
    """One standard Gumbel number a key: the largest of utility + Gumbel is a logit choice."""
    return -np.log(-np.log(uniform(key)))


def normal(key: Keys) -> Floats:
    """One standard normal number a key (Box and Muller, from two halves of the key)."""
    first = uniform(key)
    second = (key & np.uint64(0x7FFFFF)).astype(np.float32) * np.float32(2.0**-23)
    return np.sqrt(np.float32(-2) * np.log(first)) * np.cos(np.float32(2 * np.pi) * second)


def logistic(key: Keys) -> Floats:
    """One standard logistic number a key."""
    u = uniform(key)
    return np.log(u) - np.log1p(-u)
