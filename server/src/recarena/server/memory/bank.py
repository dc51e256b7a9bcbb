"""What users with a memory remember: one bank of columns for all of them.

After RecAgent (Wang et al., 2023): sensory memory is what a round leaves, short-term memory holds
the last few of it, long-term memory the rest until it is forgotten. A memory that is met again and
again is consolidated. The state follows from the memories and recalls of the committed rounds
alone, so that a run that is opened again remembers the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.server.memory.settings import MemoryModel, MemorySettings
from recarena.server.randomness import Purpose, keys, uniform
from recarena.server.types import (
    REFLECTED,
    Bools,
    Floats,
    MemoryColumns,
    MemoryKind,
    memory_id,
)

FACTS = (MemoryKind.WATCHED, MemoryKind.HEARD, MemoryKind.READ)
"""Kinds that stay as exact facts, whatever becomes of the words."""


class Layer(IntEnum):
    """Where a memory is."""

    SENSORY = 0
    """Not important enough: gone with the round."""
    SHORT = 1
    LONG = 2
    CONSOLIDATED = 3
    """Long-term memory, after many similar observations."""
    FORGOTTEN = 4


@dataclass(frozen=True, slots=True)
class Recollection:
    """A memory as it comes to mind."""

    id: int
    round: int
    kind: MemoryKind
    source: int
    importance: float
    text: str


_COLUMNS: dict[str, Any] = {
    "id": np.int64, "round": np.int32, "user": np.int32, "kind": np.int8, "item": np.int32,
    "source": np.int32, "importance": np.float32, "value": np.float32, "last_access": np.int32,
    "recalls": np.int16, "enhanced": np.int16, "layer": np.int8,
}  # fmt: skip


class MemoryBank:
    """Memories of the users who have any. Read while a round is decided, changed by `apply`."""

    def __init__(
        self, settings: MemorySettings, seed: int, dimension: int, similar_above: float
    ) -> None:
        self.settings, self._seed = settings, seed
        self._similar = similar_above if settings.similar_above is None else settings.similar_above
        self.size = 0
        self._grown: dict[str, NDArray[Any]] = {n: np.empty(64, d) for n, d in _COLUMNS.items()}
        self._vectors = np.zeros((64, dimension), np.float32)
        self.texts: list[str] = []
        self._rows: dict[int, list[int]] = {}
        self._row_of: dict[int, int] = {}
        self._importance: dict[int, float] = {}
        """User -> importance summed since the last reflection."""
        self._reflected: dict[int, int] = {}

    @property
    def remembers(self) -> bool:
        """Whether users have a memory at all."""
        return self.settings.model is not MemoryModel.NONE

    def column(self, name: str) -> NDArray[Any]:
        """One of the columns, a row a memory."""
        return self._grown[name][: self.size]

    def rows_of(self, user: int) -> list[int]:
        """Rows of one user, oldest first."""
        return self._rows.get(user, [])

    # ------------------------------------------------------------------ reading

    def alive(self, user: int, round: int) -> NDArray[np.int64]:
        """Rows of what the user still remembers in words, oldest first."""
        rows = np.array(self.rows_of(user), np.int64)
        if self.settings.model is MemoryModel.NONE or not len(rows):
            return rows[:0]
        if self.settings.model is MemoryModel.SIMPLE:
            last = self.settings.recent + self.settings.recall
            return rows[max(len(rows) - last, 0) :]
        layer = self.column("layer")[rows]
        rows = rows[(layer != Layer.SENSORY) & (layer != Layer.FORGOTTEN)]
        return rows[~self._fades(rows, round)]

    def recent(self, user: int, round: int) -> list[Recollection]:
        """The newest memories, oldest first."""
        count = self.settings.recent
        rows = self.alive(user, round)
        return self._recollections(rows[max(len(rows) - count, 0) :] if count else rows[:0])

    def recall(self, user: int, round: int, cues: Floats) -> list[Recollection]:
        """What comes to mind, best first, beside the newest: the k highest sums of recency,
        importance and weighted relevance, each scaled to 0..1 over what there is (Park et al.,
        2023, whose recency decays since the last access). `cues`: [cues, dimension], relevance is
        the nearest cue's cosine."""
        s = self.settings
        rows = self.alive(user, round)
        rows = rows[: max(len(rows) - s.recent, 0)]
        if not len(rows) or not s.recall:
            return []
        if s.model is MemoryModel.SIMPLE:
            return self._recollections(rows[::-1])
        age = round - self.column("last_access")[rows].astype(np.float32)
        score = _scaled(np.exp2(-age / np.float32(s.recency_half_life)))
        score += _scaled(self.column("importance")[rows])
        if len(cues):
            near = _scaled((self._vectors[rows] @ cues.T).max(axis=1))
            score += np.float32(s.relevance_weight) * near
        # Rounded: the last digits of sums of products differ from machine to machine.
        order = np.lexsort((-rows, -np.round(score.astype(np.float64), 4)))
        return self._recollections(rows[order[: s.recall]])

    def of_kinds(self, user: int, kinds: Sequence[MemoryKind], count: int) -> list[int]:
        """The newest rows of some kinds, newest first, whether in words remembered or not."""
        if self.settings.model is MemoryModel.NONE:
            return []
        kind = self.column("kind")
        found: list[int] = []
        for row in reversed(self.rows_of(user)):
            if kind[row] in kinds:
                found.append(row)
                if len(found) == count:
                    break
        return found

    def wants_to_reflect(self, user: int, round: int) -> bool:
        """Whether enough has happened to the user since the last reflection."""
        s = self.settings
        if not s.reflection or s.model is not MemoryModel.LAYERS:
            return False
        long_ago = round - self._reflected.get(user, 0) >= s.reflect_every
        return long_ago and self._importance.get(user, 0.0) >= s.reflect_above

    def to_reflect_on(self, user: int, round: int, count: int) -> list[Recollection]:
        """The most important of what was remembered since the last reflection, oldest first."""
        rows = self.alive(user, round)
        # A round's own memories come after what was reflected on in it.
        rows = rows[self.column("round")[rows] >= self._reflected.get(user, 0)]
        order = np.lexsort((-rows, -self.column("importance")[rows]))[:count]
        return self._recollections(np.sort(rows[order]))

    def recollection(self, row: int) -> Recollection:
        """One memory."""
        return Recollection(
            int(self.column("id")[row]),
            int(self.column("round")[row]),
            MemoryKind(int(self.column("kind")[row])),
            int(self.column("source")[row]),
            float(self.column("importance")[row]),
            self.texts[row],
        )

    def _recollections(self, rows: NDArray[np.int64]) -> list[Recollection]:
        return [self.recollection(row) for row in rows.tolist()]

    # ------------------------------------------------------------------ forgetting

    def strength(self, rows: NDArray[np.int64]) -> Floats:
        """[rows]: S in rounds."""
        s = self.settings
        made = np.float32(s.strength) * (1 + 2 * self.column("importance")[rows])
        with np.errstate(over="ignore"):  # what was recalled for ever is there for ever
            made *= np.float32(s.recall_strengthens) ** self.column("recalls")[rows]
        firm = self.column("layer")[rows] == Layer.CONSOLIDATED
        firm |= self.column("kind")[rows] == MemoryKind.INSIGHT
        return made * np.where(firm, np.float32(s.consolidated), np.float32(1))

    def retention(self, rows: NDArray[np.int64], round: int) -> Floats:
        """[rows]: R = e^(-t/S), the share of such memories that is still there t rounds after they
        last came to mind (Ebbinghaus, 1885)."""
        t = (round - self.column("last_access")[rows]).astype(np.float32)
        return np.exp(-t / self.strength(rows))

    def _fades(self, rows: NDArray[np.int64], round: int) -> Bools:
        """A memory is forgotten when its retention falls below a number drawn for it when it last
        came to mind: at every age the share R is left, and nothing comes back by itself. What is
        in short-term memory stays."""
        if not self.settings.forgetting or not len(rows):
            return np.zeros(len(rows), bool)
        drawn = np.empty(len(rows), np.float32)
        users, access = self.column("user")[rows], self.column("last_access")[rows]
        ids = self.column("id")[rows]
        for when in np.unique(access):
            at = access == when
            drawn[at] = uniform(keys(self._seed, Purpose.FORGET, int(when), users[at], ids[at]))
        fades = self.retention(rows, round) < drawn
        return fades & (self.column("layer")[rows] != Layer.SHORT)

    # ------------------------------------------------------------------ changing

    def apply(
        self, round: int, memories: MemoryColumns, texts: Sequence[str], vectors: Floats,
        mine: Bools,
    ) -> None:  # fmt: skip
        """Takes over the memories of a committed round. `texts`, `vectors`: one a memory, of the
        users of `mine`; others have no memory here."""
        self._access(round, memories.recalled)
        kept = np.flatnonzero(mine[memories.user])
        first = self.size
        self._grow(len(kept))
        new = {
            "id": memory_id(round, 0) + kept, "round": memories.round[kept],
            "user": memories.user[kept], "kind": memories.kind[kept], "item": memories.item[kept],
            "source": memories.source[kept], "importance": memories.importance[kept],
            "value": memories.value[kept], "last_access": round, "recalls": 0, "enhanced": 0,
            "layer": Layer.SENSORY,
        }  # fmt: skip
        self.size += len(kept)
        for name, values in new.items():
            self.column(name)[first:] = values
        self._vectors[first : self.size] = vectors[kept]
        self.texts += [texts[row] for row in kept.tolist()]
        by_user: dict[int, list[int]] = {}
        for row, user in enumerate(memories.user[kept].tolist(), first):
            by_user.setdefault(user, []).append(row)
            self._row_of[int(self.column("id")[row])] = row
        for user, rows in by_user.items():
            self._rows.setdefault(user, []).extend(rows)
            self._take_in(user, round, rows)

    def _access(self, round: int, recalled: dict[int, tuple[int, ...]]) -> None:
        for user, ids in recalled.items():
            for one in ids:
                if one == REFLECTED:
                    self._reflected[user] = round
                    self._importance[user] = 0.0
                elif (row := self._row_of.get(one)) is not None:
                    self.column("last_access")[row] = round
                    self.column("recalls")[row] += 1

    def _take_in(self, user: int, round: int, rows: Sequence[int]) -> None:
        """Sensory memory to short-term memory, and from there on."""
        if self.settings.model is not MemoryModel.LAYERS:
            return
        layer, importance = self.column("layer"), self.column("importance")
        for row in rows:
            if self.column("kind")[row] == MemoryKind.INSIGHT:
                layer[row] = Layer.LONG
                continue
            self._importance[user] = self._importance.get(user, 0.0) + float(importance[row])
            if importance[row] < self.settings.keep_above or not self.texts[row]:
                continue
            self._enhance(user, round, row)
            layer[row] = Layer.SHORT
            self._make_room(user, round)

    def _short(self, user: int) -> NDArray[np.int64]:
        rows = np.array(self.rows_of(user), np.int64)
        return rows[self.column("layer")[rows] == Layer.SHORT]

    def _enhance(self, user: int, round: int, row: int) -> None:
        """A memory in short-term memory that the new one is similar to grows stronger; after K of
        them it is consolidated."""
        short = self._short(user)
        if not len(short):
            return
        cosine = np.round((self._vectors[short] @ self._vectors[row]).astype(np.float64), 4)
        best = int(cosine.argmax())
        if cosine[best] < self._similar:
            return
        met = int(short[best])
        self.column("enhanced")[met] += 1
        self.column("last_access")[met] = round
        if self.column("enhanced")[met] >= self.settings.enhance_to_keep:
            self.column("layer")[met] = Layer.CONSOLIDATED

    def _make_room(self, user: int, round: int) -> None:
        """What short-term memory cannot hold goes on to long-term memory: the one whose importance,
        halved every few rounds since it was last in mind, is least; never the newest."""
        short = self._short(user)
        if len(short) <= self.settings.short_term:
            return
        older = short[: max(len(short) - 1, 1)]
        age = (round - self.column("last_access")[older]).astype(np.float32)
        fresh = np.exp2(-age / np.float32(self.settings.recency_half_life))
        weakest = older[int((self.column("importance")[older] * fresh).argmin())]
        self.column("layer")[weakest] = Layer.LONG
        self.column("last_access")[weakest] = round

    def _grow(self, more: int) -> None:
        needed = self.size + more
        room = len(self._vectors)
        if needed <= room:
            return
        room = max(needed, 2 * room)
        for name, column in self._grown.items():
            self._grown[name] = np.resize(column, room)
        vectors = np.zeros((room, self._vectors.shape[1]), np.float32)
        vectors[: self.size] = self._vectors[: self.size]
        self._vectors = vectors


def _scaled(values: Floats) -> Floats:
    """To 0..1 over the values; all 0 where they are the same."""
    low, high = values.min(), values.max()
    if high - low < 1e-6:
        return np.zeros_like(values)
    return (values - low) / (high - low)
