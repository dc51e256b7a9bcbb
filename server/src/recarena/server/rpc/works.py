"""A request cut into works, and the lists of its works put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recarena.server.ports import Lists, RankRequest, SearchRequest
from recarena.server.types import Ints
from recarena.server.visits import merged

Rows: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Work:
    """What a recommender is asked for at once."""

    kind: Literal["rank", "search", "converse"]
    request: RankRequest | SearchRequest
    expected: Ints
    """[users]: items a list must have at least."""

    def __len__(self) -> int:
        return len(self.request.users)

    def spread(self, replicas: int) -> list[tuple[int, Rows]]:
        """The rows of each replica: a user is always the same one's."""
        if replicas == 1:
            return [(0, np.arange(len(self)))]
        of = self.request.users % replicas
        return [(int(one), np.flatnonzero(of == one)) for one in np.unique(of)]

    def rows(self, rows: Rows) -> Work:
        """The work for some of its users."""
        r = self.request
        if isinstance(r, RankRequest):
            request = RankRequest(r.round, r.users[rows], r.offsets[rows], r.count)
        else:
            request = SearchRequest(
                r.round, r.users[rows], r.offsets[rows], r.count,
                r.texts, r.text_of[rows], r.conversation,
            )  # fmt: skip
        return Work(self.kind, request, self.expected[rows])


def cut(rows: Rows, each: int) -> list[Rows]:
    """Rows in pieces of at most so many, in order."""
    return [rows[at : at + each] for at in range(0, len(rows), each)]


def joined(work: Work, parts: Sequence[tuple[Rows, Lists]]) -> Lists:
    """The lists of all parts of a work, in the order of its users."""
    if len(parts) == 1:
        return parts[0][1]
    return merged(len(work), work.request.count, parts)
