"""From a round's events and diary to memories, and from stored memories to the bank."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from recarena.server.interventions import doings
from recarena.server.memory.bank import MemoryBank, Recollection
from recarena.server.memory.embedders import CachedEmbedder
from recarena.server.memory.remember import remember
from recarena.server.minds.llm.diary import Diary, Note
from recarena.server.minds.llm.quoting import clean
from recarena.server.ports import WorldView
from recarena.server.together import at_most
from recarena.server.types import (
    MEMORY_COLUMNS,
    NOBODY,
    NOTHING,
    REFLECTED,
    Bools,
    EventColumns,
    EventKind,
    MemoryColumns,
    MemoryKind,
)

INSIGHT_IMPORTANCE = 0.8
TO_REFLECT_ON = 20
"""Memories that a user looks back on at a time."""
AT_ONCE = 100_000
Importance = Callable[[Diary, int, str], Awaitable[float | None]]
Reflect = Callable[
    [Diary, int, Sequence[Recollection]], Awaitable[list[tuple[str, tuple[int, ...]]]]
]


@dataclass(frozen=True, slots=True)
class _Extra:
    """A memory that is no event's."""

    user: int
    kind: MemoryKind
    text: str
    importance: float
    rests_on: tuple[int, ...] = ()


class Remembering:
    """Makes the memories of rounds, and keeps the bank of those who have one."""

    def __init__(
        self, bank: MemoryBank, embedder: CachedEmbedder, mine: Bools,
        words: Callable[[MemoryColumns, int], str],
    ) -> None:  # fmt: skip
        """`words`: a memory in words, where a template says it."""
        self.bank, self.embedder, self._mine, self._words = bank, embedder, mine, words

    async def of_round(
        self, world: WorldView, diary: Diary, events: EventColumns, importance: Importance,
        reflect: Reflect,
    ) -> MemoryColumns:  # fmt: skip
        """All users' memories of a round, those of `mine` with their notes."""
        base = self._noted(remember(events, world.network), diary)
        base = await self._rated(base, diary, importance)
        done = doings(events)
        active = np.unique(done.user[done.kind != EventKind.IDLE])
        extras, recalled = await self._reflections(
            active[self._mine[active]].tolist(), diary, reflect
        )
        for user, notes in sorted(diary.observed.items()):
            extras += [_Extra(user, MemoryKind.OBSERVED, n.text, n.importance) for n in notes]
        made = _with(base, extras, diary.round)
        for user, ids in diary.recalled.items():
            if ids:
                recalled.setdefault(user, set()).update(ids)
        vectors = await self.embedder.embed(self._texts(made))
        ids = {user: tuple(sorted(found)) for user, found in sorted(recalled.items())}
        return replace(made, recalled=ids, vector=vectors if len(made) else None)

    def take_over(self, round: int, memories: MemoryColumns) -> None:
        """Brings the bank to the end of a committed round."""
        texts = self._texts(memories)
        vectors = self.embedder.embed_now(texts)
        self.bank.apply(round, memories, texts, vectors, self._mine)

    def _texts(self, memories: MemoryColumns) -> list[str]:
        """Words of each memory; "" of those that nobody here keeps."""
        mine = self._mine[memories.user].tolist()
        return [self._words(memories, row) if kept else "" for row, kept in enumerate(mine)]

    def _noted(self, base: MemoryColumns, diary: Diary) -> MemoryColumns:
        """What their users wrote down of things watched, said and heard."""
        text, importance = dict(base.text), base.importance.copy()
        spoke: set[int] = set()
        for row, (user, kind, item, source) in enumerate(
            zip(base.user.tolist(), base.kind.tolist(), base.item.tolist(), base.source.tolist(),
                strict=True)
        ):  # fmt: skip
            note: Note | None = None
            if kind == MemoryKind.WATCHED and (user, item) in diary.watched:
                importance[row] = max(float(importance[row]), diary.watched[user, item])
            elif kind in (MemoryKind.SAID, MemoryKind.POSTED):
                # A second thing said in a round was put into the user's mouth (interventions).
                note = None if user in spoke else diary.said.get(user)
                spoke.add(user)
            elif kind == MemoryKind.HEARD:
                note = diary.heard.get(source)
            if note:
                text[row], importance[row] = note.text, note.importance
            elif row in text:
                posted = "I posted: " if kind == MemoryKind.POSTED else ""
                text[row] = clean(posted + text[row], "memory")
        return replace(base, text=text, importance=importance)

    async def _rated(
        self, base: MemoryColumns, diary: Diary, importance: Importance
    ) -> MemoryColumns:
        """Importance as the users themselves say it, where they are asked; of posts that were only
        read and of the recommender's words, as the formula has it."""
        passed_on = np.isin(base.kind, (MemoryKind.READ, MemoryKind.TOLD))
        rows = np.flatnonzero(self._mine[base.user] & ~passed_on)

        async def rate(user: int, rows: Sequence[int]) -> list[float | None]:
            return [await importance(diary, user, self._words(base, row)) for row in rows]

        by_user: dict[int, list[int]] = {}
        for row in rows.tolist():
            by_user.setdefault(int(base.user[row]), []).append(row)
        answers = await at_most(AT_ONCE, [partial(rate, *one) for one in by_user.items()])
        rated = base.importance.copy()
        for found, said in zip(by_user.values(), answers, strict=True):
            for row, value in zip(found, said, strict=True):
                if value is not None:
                    rated[row] = value
        return replace(base, importance=rated)

    async def _reflections(
        self, users: Sequence[int], diary: Diary, reflect: Reflect
    ) -> tuple[list[_Extra], dict[int, set[int]]]:
        """Conclusions of those who want to reflect on what was committed before this round."""
        looking = [
            (user, found)
            for user in users
            if self.bank.wants_to_reflect(user, diary.round)
            and (found := self.bank.to_reflect_on(user, diary.round, TO_REFLECT_ON))
        ]
        answers = await at_most(AT_ONCE, [partial(reflect, diary, *one) for one in looking])
        extras: list[_Extra] = []
        recalled: dict[int, set[int]] = {}
        for (user, _), insights in zip(looking, answers, strict=True):
            recalled[user] = {REFLECTED}
            extras += [
                _Extra(user, MemoryKind.INSIGHT, text, INSIGHT_IMPORTANCE, ids)
                for text, ids in insights
                if text
            ]
        return extras, recalled


def _with(base: MemoryColumns, extras: Sequence[_Extra], round: int) -> MemoryColumns:
    """The memories with the extras after each user's own."""
    if not extras:
        return base
    size, count = len(base), len(extras)
    given: dict[str, Any] = {
        "round": round, "user": [one.user for one in extras],
        "kind": [one.kind for one in extras], "item": NOTHING, "source": NOBODY,
        "importance": [one.importance for one in extras], "value": 0, "code": 0,
    }  # fmt: skip
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate(
            [getattr(base, name), np.broadcast_to(np.asarray(given[name], dtype), (count,))]
        )
        for name, dtype in MEMORY_COLUMNS.items()
    }
    order = np.argsort(columns["user"], kind="stable")
    new = {old: at for at, old in enumerate(order.tolist())}
    text = {new[row]: words for row, words in base.text.items()}
    text |= {new[size + at]: one.text for at, one in enumerate(extras)}
    rests_on = {new[size + at]: one.rests_on for at, one in enumerate(extras) if one.rests_on}
    made = {name: column[order] for name, column in columns.items()}
    return MemoryColumns(**cast(Any, made), text=text, rests_on=rests_on)
