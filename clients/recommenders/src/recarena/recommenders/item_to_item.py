"""What item-knn, ease and content share: what is personal = affinities . relations.

    personal_ui = gain * w_u * sum over j watched by u of a_uj R_ji

a_uj is how much better than usual user u found item j (see `personal`), R how items go together
(the part that the three differ in), and w_u draws users with few watches toward the common order;
see each recommender.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recarena.recommenders.explanations import because_watched
from recarena.recommenders.personal import CELLS, Doubles, Personal
from recarena.recommenders.ranking import best
from recarena.recommenders.watched import Floats, Ints, Longs
from recarena.v1.types_pb2 import Explanation

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    Matrix = csr_array[Any, tuple[int, int]]


class ItemToItem(Personal):
    """Scores by the items a user has watched. Write `relate`; see the module for the formula."""

    GAIN: float = 3.0
    method = "item-to-item"
    """Name of the explanations' method."""
    follows = False
    """Whether R follows from the catalogue alone, so that it need not be saved."""
    kept: Ints | None = None
    """The items that relations are about, ascending; None: all."""

    @abstractmethod
    def relate(self, affinities: Matrix) -> NDArray[np.float32] | Matrix:
        """[items, items] R for the affinities [users, items] so far; with `kept` set, for those
        items alone. Called again when there is much more feedback."""

    def trust(self, counts: Longs) -> Floats:
        """w_u for users with so many watches: 1 for all unless overridden."""
        return np.ones(len(counts), np.float32)

    def fit(self, affinities: Doubles, due: bool) -> None:
        """Relates items where it is due, and weighs what users watched."""
        items = self.watched.items
        if due:
            matrix = self._matrix(items, affinities)
            self.kept = self.keep()
            self._relations = self.relate(matrix[:, self.kept] if self.kept is not None else matrix)
        weighted = self._matrix(items, affinities * self.weights())
        self._affinities = weighted[:, self.kept] if self.kept is not None else weighted

    def weights(self) -> Floats:
        """gain * w_u beside the keys of `watched`."""
        return (self.GAIN * self.trust(np.diff(self.watched.starts)))[self.watched.rows]

    def keep(self) -> Ints | None:
        """The items to relate, ascending; None: all."""
        return None

    def personal(self, users: Ints) -> Floats:
        """Sums of relations, one user after the other."""
        scores: Any = self._affinities[users] @ self._relations
        if not isinstance(scores, np.ndarray):
            scores = scores.toarray()
        if self.kept is None:
            return scores
        whole = np.zeros((len(users), self.item_count), np.float32)
        whole[:, self.kept] = scores
        return whole

    def learned(self) -> dict[str, NDArray[Any]]:
        """The relations besides, where there are some yet."""
        learned = super().learned()
        if self._trained_on and not self.follows:
            learned |= to_arrays(self._relations)
        if self.kept is not None:
            learned["kept"] = self.kept
        return learned

    def recall(self, learned: Mapping[str, NDArray[Any]]) -> None:
        """Takes them too."""
        super().recall(learned)
        if self._trained_on:
            nothing = np.zeros(len(self.watched))
            self._relations = (
                self.relate(self._matrix(self.watched.items, nothing))
                if self.follows
                else from_arrays(learned)
            )
        self.kept = learned.get("kept")

    def _forget(self) -> None:
        super()._forget()
        self.kept = None

    def reasons(self, user: int, items: Ints) -> list[Explanation | None]:
        """Names the watched item that adds most to each score."""
        if user < 0 or not len(items):
            return [None] * len(items)
        mine = self._affinities[[user]].tocsr()
        places = items if self.kept is None else np.searchsorted(self.kept, items)
        inside = places < (self._relations.shape[1])
        if self.kept is not None:
            inside &= self.kept[np.minimum(places, len(self.kept) - 1)] == items
        relations: Any = self._relations[mine.indices]
        reasons: list[Explanation | None] = []
        for item, place, known in zip(items, places, inside, strict=True):
            if not known or not len(mine.indices):
                reasons.append(None)
                continue
            column = relations[:, [place]]
            column = column if isinstance(column, np.ndarray) else column.toarray()
            reasons.append(self._because(int(item), mine.indices, mine.data * column.ravel()))
        return reasons

    def in_common(self, watched: int, item: int) -> list[tuple[str, float]]:
        """Features ("genre=Comedy") on which R of the two rests, each with its share of it, the
        largest first; none unless overridden."""
        return []

    def _because(self, item: int, watched: Ints, adds: Floats) -> Explanation | None:
        most = int(np.argmax(adds))
        if adds[most] <= 0:
            return None
        number = int(watched[most] if self.kept is None else self.kept[watched[most]])
        share = float(adds[most]) / float(adds[adds > 0].sum())
        common = [(name, share * part) for name, part in self.in_common(number, item)]
        return because_watched(self.run.catalog.items[number], share, self.method, common)


def to_arrays(relations: NDArray[np.float32] | Matrix) -> dict[str, NDArray[Any]]:
    """Relations of either kind, as `from_arrays` takes them."""
    if isinstance(relations, np.ndarray):
        return {"relations": relations}
    return {
        "relations.data": relations.data,
        "relations.indices": relations.indices,
        "relations.indptr": relations.indptr,
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32] | Matrix:
    """The inverse of `to_arrays`."""
    from scipy.sparse import csr_array

    if "relations" in arrays:
        return arrays["relations"]
    parts = [arrays[f"relations.{name}"] for name in ("data", "indices", "indptr")]
    size = len(parts[2]) - 1
    return csr_array((parts[0], parts[1], parts[2]), shape=(size, size))


def gram(affinities: Matrix) -> NDArray[np.float64]:
    """[items, items]: affinities' transpose times affinities, by the cheaper of two ways."""
    users, items = affinities.shape
    per_user = np.diff(affinities.indptr).astype(np.float64)
    if (per_user**2).sum() * 10 < float(users) * items**2 / 25:  # about 10 ns and 1/25 ns a step
        product: Any = (affinities.T @ affinities).toarray()
        return product.astype(np.float64)
    total = np.zeros((items, items), np.float64)
    step = max((1 << 24) // max(items, 1), 1)
    for at in range(0, users, step):
        block = affinities[at : at + step].toarray()
        total += block.T @ block
    return total


def nearest(similar: Any, item_count: int, count: int) -> Matrix:
    """[items, items] sparse: in each column the `count` items most similar to that item, ties to
    the earlier. `similar(begin, end)` gives rows begin .. end - 1 of the similarities, 0 for an
    item with itself; only similarities above 0 are kept."""
    from scipy.sparse import csr_array, vstack

    step = max(CELLS * 4 // max(item_count, 1), 1)
    nobody = (np.empty(0, np.int64), np.empty(0, np.int32))
    blocks: list[Any] = []
    for begin in range(0, item_count, step):
        block = np.asarray(similar(begin, min(begin + step, item_count)), np.float32)
        rows = len(block)
        items = best(block, nobody, np.zeros(rows, np.int32), min(count, item_count))
        values = np.take_along_axis(block, items.astype(np.int64), axis=1)
        starts = np.arange(0, items.size + 1, items.shape[1])
        part = csr_array(
            (np.maximum(values, 0).ravel(), items.ravel(), starts), shape=(rows, item_count)
        )
        part.eliminate_zeros()
        blocks.append(part)
    if not blocks:
        return csr_array(np.zeros((0, 0), np.float32))
    stacked: Any = vstack(blocks, format="csr")
    return stacked.T.tocsr()
