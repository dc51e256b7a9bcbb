"""The social network: directed ties in compressed rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.server.types import Floats, Ints

MOST_KINDS = 127


@dataclass
class Network:
    """Ties between users. Row u holds the ties from u, sorted by the other's number.

    A tie is what v is to u; the tie back may differ in kind and closeness, or be missing. Between
    two rounds ties may be made, changed and ended, by `World` alone: whoever holds the network sees
    it.
    """

    start: NDArray[np.int64]
    """[users + 1]: ties of u are start[u]:start[u + 1]."""
    other: Ints
    closeness: Floats
    """w_uv in 0..1."""
    kind: NDArray[np.int8]
    """Index into kinds."""
    kinds: tuple[str, ...]

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.start) - 1

    def __len__(self) -> int:
        return len(self.other)

    @classmethod
    def from_ties(
        cls,
        users: int,
        source: NDArray[np.integer],
        other: NDArray[np.integer],
        closeness: NDArray[np.floating],
        kind: NDArray[np.integer],
        kinds: tuple[str, ...],
    ) -> Network:
        """Ties in any order. ValueError for a number out of range, a tie to oneself or twice."""
        if len(source) and (
            min(source.min(), other.min()) < 0 or max(source.max(), other.max()) >= users
        ):
            raise ValueError(f"relations: a user number is not in 0..{users - 1}")
        if (source == other).any():
            raise ValueError(f"relations: user {int(source[source == other][0])} is tied to itself")
        order = np.lexsort((other, source))
        source, other = source[order], other[order]
        twice = (source[1:] == source[:-1]) & (other[1:] == other[:-1])
        if twice.any():
            at = int(np.flatnonzero(twice)[0])
            raise ValueError(f"relations: the tie {source[at]} -> {other[at]} is there twice")
        start = np.zeros(users + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=users), out=start[1:])
        return cls(
            start,
            other.astype(np.int32),
            closeness[order].astype(np.float32),
            kind[order].astype(np.int8),
            kinds,
        )

    @classmethod
    def empty(cls, users: int) -> Network:
        """Nobody knows anybody."""
        none = np.empty(0, np.int64)
        return cls.from_ties(users, none, none, np.empty(0, np.float32), none, ("acquaintance",))

    def find(self, user: int, other: int) -> int | None:
        """Where the tie from a user to another stands in the columns, if there is one."""
        ties = self.ties_of(user)
        at = ties.start + int(np.searchsorted(self.other[ties], other))
        return at if at < ties.stop and self.other[at] == other else None

    def tie(self, user: int, other: int, kind: str, closeness: float) -> None:
        """Makes a tie, or changes the one that is there. ValueError for a tie to oneself, or one
        kind too many."""
        if user == other:
            raise ValueError(f"relations: user {user} is tied to itself")
        if kind not in self.kinds:
            if len(self.kinds) == MOST_KINDS:
                raise ValueError(f"relations: there are {MOST_KINDS} kinds already")
            self.kinds = (*self.kinds, kind)
        number, near = np.int8(self.kinds.index(kind)), np.float32(closeness)
        if (at := self.find(user, other)) is not None:
            self.kind, self.closeness = self.kind.copy(), self.closeness.copy()
            self.kind[at], self.closeness[at] = number, near
            return
        ties = self.ties_of(user)
        at = ties.start + int(np.searchsorted(self.other[ties], other))
        self.other = np.insert(self.other, at, other)
        self.kind = np.insert(self.kind, at, number)
        self.closeness = np.insert(self.closeness, at, near)
        self.start = self.start + (np.arange(len(self.start)) > user)

    def untie(self, user: int, other: int) -> None:
        """Ends a tie; nothing where there is none."""
        if (at := self.find(user, other)) is None:
            return
        for name in ("other", "kind", "closeness"):
            setattr(self, name, np.delete(getattr(self, name), at))
        self.start = self.start - (np.arange(len(self.start)) > user)

    def degrees(self) -> NDArray[np.int64]:
        """[users]: number of ties from each user."""
        return np.diff(self.start)

    def ties_of(self, user: int) -> slice:
        """Where the ties of one user stand in the columns."""
        return slice(int(self.start[user]), int(self.start[user + 1]))

    def expand(self, users: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All ties of several users: (row in `users`, position of the tie), in that order."""
        counts = self.start[users + 1] - self.start[users]
        row = np.repeat(np.arange(len(users)), counts)
        first = np.repeat(self.start[users] - (np.cumsum(counts) - counts), counts)
        return row, first + np.arange(len(row))
