"""The best items of each row of scores, exactly: ties go to the earlier item of the catalogue."""

from __future__ import annotations

import numpy as np

from recarena.recommenders.watched import Floats, Ints, Longs


def best(scores: Floats, watched: tuple[Longs, Ints], offsets: Ints, count: int) -> Ints:
    """[rows, count]: item numbers at ranks offset .. offset + count - 1 of each row.

    `scores` is [rows, items], finite, and is not changed; `watched` are (row, item) pairs that
    come after all others, in the order of their scores; -1 beyond the last item.
    """
    rows, items = scores.shape
    result = np.full((rows, count), -1, np.int32)
    depth = min(int(offsets.max(initial=0)) + count, items)
    if not rows or not depth:
        return result
    open_scores = scores.copy()
    open_scores[watched] = -np.inf
    bar = np.partition(open_scores, items - depth, axis=1)[:, items - depth]
    row, item = np.nonzero(open_scores >= bar[:, None])  # by row, then item
    seen = open_scores[row, item] == -np.inf
    order = np.lexsort((-scores[row, item], seen, row))  # stable: ties stay in catalogue order
    row, item = row[order], item[order]
    starts = np.searchsorted(row, np.arange(rows + 1))
    places = starts[:-1, None] + offsets[:, None] + np.arange(count)
    inside = places < np.minimum(starts[1:], starts[:-1] + items)[:, None]
    result[inside] = item[places[inside]]
    return result
