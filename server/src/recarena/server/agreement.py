"""How alike two ranked lists are: formulas on batches of pairs of lists.

A batch of lists is [lists, ranks] of item numbers (one rank or more), best first, packed to the
left, NOTHING beyond the end, no item twice in a list. Where both lists of a pair are empty there is
nothing to compare, and every measure is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.server.types import NOTHING, Bools, Ints

PERSISTENCE = 0.9
"""p of rank-biased overlap: the chance that a reader looks at one rank more."""
CELLS_AT_ONCE = 4_000_000
"""Pairs of ranks that are compared in one step; it bounds memory and changes no result."""

Measure = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike the lists of each pair are. Columns [pairs]."""

    overlap: Measure
    """Jaccard: items in both over items in either, 0..1."""
    rbo: Measure
    """Rank-biased overlap, 0..1: as overlap, and the first ranks weigh more."""
    kendall: Measure
    """Kendall's tau of the items in both, -1..1; NaN where there are fewer than two."""
    identical: Bools
    """Whether the lists have the same items in the same order; also where both are empty."""


def agreement(one: Ints, other: Ints, persistence: float = PERSISTENCE) -> Agreement:
    """All measures of the pairs (one[i], other[i]); each is symmetric."""
    made = [_agreement(one[rows], other[rows], persistence) for rows in _steps(one, other)]
    return Agreement(
        np.concatenate([part.overlap for part in made]),
        np.concatenate([part.rbo for part in made]),
        np.concatenate([part.kendall for part in made]),
        np.concatenate([part.identical for part in made]),
    )


def contains(lists: Ints, items: Ints) -> Bools:
    """[lists, any]: whether each item (beside its list; NOTHING: never) stands in the list."""
    found = np.zeros(items.shape, np.bool_)
    for column in range(items.shape[1]):
        found[:, column] = (lists == items[:, column, None]).any(axis=1)
    return found & (items != NOTHING)


def _steps(one: Ints, other: Ints) -> Iterator[slice]:
    each = max(1, CELLS_AT_ONCE // max(1, one.shape[1] * other.shape[1]))
    for first in range(0, max(1, len(one)), each):
        yield slice(first, first + each)


def _agreement(one: Ints, other: Ints, persistence: float) -> Agreement:
    same = (one[:, :, None] == other[:, None, :]) & (one != NOTHING)[:, :, None]
    sizes = (one != NOTHING).sum(axis=1), (other != NOTHING).sum(axis=1)
    common = same.sum(axis=(1, 2))
    either = sizes[0] + sizes[1] - common
    with np.errstate(invalid="ignore"):
        overlap = np.where(either > 0, common / np.maximum(either, 1), np.nan)
    width = max(one.shape[1], other.shape[1])
    return Agreement(
        overlap,
        rank_biased(_agreed(same, width), *sizes, persistence),
        _tau(same),
        _identical(one, other, width),
    )


def _agreed(same: Bools, width: int) -> NDArray[np.int64]:
    """[pairs, width]: items that both lists have among their first 1, 2, ... width ranks."""
    new = np.zeros((len(same), width), np.int64)
    for depth in range(width):
        new[:, depth] = same[:, depth : depth + 1, : depth + 1].sum(axis=(1, 2))
        new[:, depth] += same[:, :depth, depth : depth + 1].sum(axis=(1, 2))
    return new.cumsum(axis=1)


def rank_biased(
    agreed: NDArray[np.int64],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    persistence: float = PERSISTENCE,
) -> Measure:
    """Rank-biased overlap, extrapolated, for lists of uneven length: equation 32 of Webber, Moffat
    and Zobel, "A similarity measure for indefinite rankings", TOIS 28(4), 2010.

    `agreed` [pairs, ranks]: items in both lists up to each rank. `one`, `other` [pairs]: lengths of
    the lists. 1 for equal lists, 0 where one of the two is empty or nothing is in both.
    """
    p = persistence
    short, long = np.minimum(one, other), np.maximum(one, other)
    depth = np.arange(1, agreed.shape[1] + 1)
    weight = p**depth
    inside = depth <= long[:, None]
    beyond = inside & (depth > short[:, None])
    rows = np.arange(len(agreed))
    at_short = agreed[rows, np.maximum(short, 1) - 1]
    at_long = agreed[rows, np.maximum(long, 1) - 1]
    some = np.maximum(short, 1)
    # Summed row by row: a product of matrices would hang on what else is in the batch.
    seen = (np.where(inside, agreed / depth, 0) * weight).sum(axis=1)
    # What the shorter list does not say is taken to agree as much as what it says.
    ahead = (depth - short[:, None]) / (some[:, None] * depth)
    seen += at_short * (np.where(beyond, ahead, 0) * weight).sum(axis=1)
    rest = (at_long - at_short) / np.maximum(long, 1) + at_short / some
    found = (1 - p) / p * seen + rest * p**long
    return np.where(long == 0, np.nan, np.where(short == 0, 0.0, np.clip(found, 0, 1)))


def _tau(same: Bools) -> Measure:
    """Concordant less discordant pairs of common items, over all of them. There are no ties."""
    common: Bools = np.any(same, axis=2)
    place = same.argmax(axis=2)
    total = np.zeros(len(same))
    pairs = np.zeros(len(same))
    for rank in range(same.shape[1]):
        both = np.logical_and(common[:, rank, None], common[:, rank + 1 :])
        later = np.sign(place[:, rank + 1 :] - place[:, rank, None])
        total += (later * both).sum(axis=1)
        pairs += both.sum(axis=1)
    return np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan)


def _identical(one: Ints, other: Ints, width: int) -> Bools:
    return np.all(np.equal(_wide(one, width), _wide(other, width)), axis=1)


def _wide(lists: Ints, width: int) -> Ints:
    return np.pad(lists, ((0, 0), (0, width - lists.shape[1])), constant_values=NOTHING)
