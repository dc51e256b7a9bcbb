"""Chance that follows from what it is for: no state, the same in any order of asking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recarena.recommenders.watched import Floats, Ints

Keys = NDArray[np.uint64]


def user_keys(seed: int, round: int, numbers: Ints) -> Keys:
    """A key for each user number in this round. Call it where overflow is no error."""
    keys = mixed(np.uint64(seed % 2**64))
    keys = mixed(keys ^ np.uint64(round))
    return mixed(keys ^ numbers.astype(np.uint64))


def normals(keys: Keys, count: int) -> Floats:
    """[keys, count]: independent standard normal numbers of each key (Box and Muller, 1958)."""
    places = np.arange(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        words = [mixed(mixed(keys + np.uint64(half))[:, None] + places) for half in (1, 2)]
    one, two = ((word >> np.uint64(11)).astype(np.float64) + 0.5 for word in words)
    return (np.sqrt(-2 * np.log(one / 2**53)) * np.cos(2 * np.pi * two / 2**53)).astype(np.float32)


def mixed(keys: Keys | np.uint64) -> Keys:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014) after its increment."""
    word = np.asarray(keys, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
