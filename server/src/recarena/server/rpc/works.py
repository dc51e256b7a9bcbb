"""A request cut into works, and the lists of its works put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recarena.server.ports import Lists, RankRequest, SearchRequest
from recarena.server.types import Ints


@dataclass(frozen=True, slots=True)
class Work:
    """What a recommender is asked for at once."""

    kind: Literal["rank", "search", "converse"]
    request: RankRequest | SearchRequest
    expected: Ints
    """[users]: items a list must have at least."""

    def cut(self, each: int) -> list[Work]:
        """Works of at most so many users, in order."""
        size = len(self.request.users)
        return [self._rows(slice(at, min(at + each, size))) for at in range(0, size, each)]

    def _rows(self, rows: slice) -> Work:
        r = self.request
        if isinstance(r, RankRequest):
            request = RankRequest(r.round, r.users[rows], r.offsets[rows], r.count)
        else:
            request = SearchRequest(
                r.round, r.users[rows], r.offsets[rows], r.count,
                r.texts, r.text_of[rows], r.conversation,
            )  # fmt: skip
        return Work(self.kind, request, self.expected[rows])


def joined(parts: Sequence[Lists]) -> Lists:
    """The lists of all parts, one after another."""
    if len(parts) == 1:
        return parts[0]
    tokens: dict[int, str] = {}
    explanations: dict[tuple[int, int], str] = {}
    claims: dict[tuple[int, int], tuple[int, ...]] = {}
    at = 0
    for part in parts:
        tokens.update({at + row: token for row, token in part.tokens.items()})
        explanations.update({(at + r, p): words for (r, p), words in part.explanations.items()})
        claims.update({(at + r, p): claim for (r, p), claim in part.claims.items()})
        at += len(part.items)
    return Lists(
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.outcome for part in parts]),
        tokens, explanations, claims,
        tuple(work for part in parts for work in part.works),
    )  # fmt: skip
