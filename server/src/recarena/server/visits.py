"""Visits to the recommender: a cohort of users of one arm pages, searches, watches and leaves.

A cohort takes its steps together: one request for all who want a page, one decision for all who
have one. What users do here touches nothing but the events that come out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recarena.server.ports import (
    Lists,
    Mind,
    PageDecision,
    PageView,
    RankRequest,
    Recommender,
    SearchRequest,
    WorldView,
)
from recarena.server.types import (
    NOTHING,
    EventColumns,
    EventKind,
    Explained,
    Ints,
    Surface,
    WorkRecord,
)
from recarena.server.wording import search_text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VisitRules:
    """What a visit may be."""

    page_size: int = 5
    step_cap: int = 10
    """Pages a user sees in one visit at the most; then the visit ends with LEAVE."""


@dataclass(slots=True)
class _Wanted:
    """The page that each user still in the cohort wants next. Columns [users]."""

    users: Ints
    page: NDArray[np.int16]
    surface: NDArray[np.int8]
    sought: Ints
    code: NDArray[np.int16]
    """Genre searched for + 1, 0: none."""
    words: dict[int, str]
    """Row -> own search words."""
    watched: Ints
    """[users, n]: items watched so far in the visit, -1: none."""

    def take(self, rows: NDArray[np.intp]) -> _Wanted:
        words = {}
        if self.words:
            words = {n: self.words[o] for n, o in enumerate(rows.tolist()) if o in self.words}
        return _Wanted(
            self.users[rows], self.page[rows], self.surface[rows], self.sought[rows],
            self.code[rows], words, self.watched[rows],
        )  # fmt: skip


async def visit(
    world: WorldView,
    mind: Mind,
    recommender: Recommender,
    rules: VisitRules,
    round: int,
    users: Ints,
) -> tuple[EventColumns, list[WorkRecord]]:
    """Plays the visits of a cohort (ascending user numbers). Returns its events in (step, user)
    order, each user's own in the order of doing, and how the works went."""
    parts = [
        EventColumns.make(len(users), round=round, user=users, kind=EventKind.ENTER_RECOMMENDER)
    ]
    works: list[WorkRecord] = []
    wanted = await _first_pages(world, mind, recommender, round, users)
    if recommender.can_converse:
        parts.append(_openings(round, wanted))
    for step in range(rules.step_cap):
        last = step == rules.step_cap - 1
        lists = await _fetch(world, recommender, rules, round, wanted)
        works.extend(lists.works)
        view = PageView(
            round=round,
            step=step,
            users=wanted.users,
            items=lists.items,
            page=wanted.page,
            surface=wanted.surface,
            sought=wanted.sought,
            can_search=recommender.can_search,
            watched_now=wanted.watched,
            claims=_shown(lists.claims, lists),
            explanations=_shown(lists.explanations, lists),
            last=last,
        )
        decision = await mind.act(world, view)
        parts.extend(_page_events(view, lists))
        parts.extend(_decision_events(view, decision, last))
        if last:
            break
        wanted = _next_pages(view, wanted, decision)
        if not len(wanted.users):
            break
    return EventColumns.concat(parts), works


async def _first_pages(
    world: WorldView,
    mind: Mind,
    recommender: Recommender,
    round: int,
    users: Ints,
) -> _Wanted:
    """The home page, or the answer to the words that the visit opens with."""
    n = len(users)
    wanted = _Wanted(
        users,
        np.zeros(n, np.int16),
        np.full(n, Surface.FEED, np.int8),
        np.full(n, NOTHING, np.int32),
        np.zeros(n, np.int16),
        {},
        np.empty((n, 0), np.int32),
    )
    if recommender.can_converse:
        openings = await mind.opens_with_words(world, round, users)
        wanted.code, wanted.words = openings.code, dict(openings.words)
        wanted.surface[wanted.code > 0] = Surface.CONVERSATION
        wanted.surface[list(wanted.words)] = Surface.CONVERSATION
    return wanted


def _openings(round: int, wanted: _Wanted) -> EventColumns:
    """CONVERSE of those whose visit opens with words."""
    talking = np.flatnonzero(wanted.surface == Surface.CONVERSATION)
    return EventColumns.make(
        len(talking),
        round=round,
        user=wanted.users[talking],
        step=0,
        kind=EventKind.CONVERSE,
        code=wanted.code[talking],
        text=wanted.take(talking).words,
    )


async def _fetch(
    world: WorldView, recommender: Recommender, rules: VisitRules, round: int, wanted: _Wanted
) -> Lists:
    """The pages that a cohort wants, from feed, search and conversation at once."""
    tasks: list[tuple[NDArray[np.intp], asyncio.Task[Lists]]] = []
    async with asyncio.TaskGroup() as group:
        for surface in (Surface.FEED, Surface.SEARCH, Surface.CONVERSATION):
            rows = np.flatnonzero(wanted.surface == surface)
            if not len(rows):
                continue
            offsets = wanted.page[rows].astype(np.int32) * rules.page_size
            if surface == Surface.FEED:
                request = RankRequest(round, wanted.users[rows], offsets, rules.page_size)
                answer = recommender.rank(request)
            else:
                texts, text_of = _texts(world, wanted.take(rows))
                answer = recommender.search(
                    SearchRequest(
                        round,
                        wanted.users[rows],
                        offsets,
                        rules.page_size,
                        texts,
                        text_of,
                        conversation=surface == Surface.CONVERSATION,
                    )
                )
            tasks.append((rows, group.create_task(answer)))
    if len(tasks) == 1:
        return tasks[0][1].result()
    return merged(len(wanted.users), rules.page_size, [(r, t.result()) for r, t in tasks])


def merged(size: int, count: int, parts: Sequence[tuple[NDArray[np.intp], Lists]]) -> Lists:
    """Lists for some rows each, put together in the order of the rows."""
    items = np.full((size, count), NOTHING, np.int32)
    outcome = np.zeros(size, np.int8)
    tokens: dict[int, str] = {}
    explanations: dict[tuple[int, int], str] = {}
    claims: dict[tuple[int, int], tuple[int, ...]] = {}
    evidence: dict[tuple[int, int], str] = {}
    withheld: set[tuple[int, int]] = set()
    works: list[WorkRecord] = []
    for rows, lists in parts:
        items[rows], outcome[rows] = lists.items, lists.outcome
        tokens.update({int(rows[r]): token for r, token in lists.tokens.items()})
        explanations.update({(int(rows[r]), p): w for (r, p), w in lists.explanations.items()})
        claims.update({(int(rows[r]), p): c for (r, p), c in lists.claims.items()})
        evidence.update({(int(rows[r]), p): e for (r, p), e in lists.evidence.items()})
        withheld.update((int(rows[r]), p) for r, p in lists.withheld)
        works.extend(lists.works)
    said = tokens, explanations, claims, evidence, withheld
    return Lists(items, outcome, *said, works=tuple(works))


def _shown(said: dict[tuple[int, int], T], lists: Lists) -> dict[tuple[int, int], T]:
    """What was said by (row, position), without what is withheld."""
    if not lists.withheld:
        return said
    return {at: one for at, one in said.items() if at not in lists.withheld}


def _texts(world: WorldView, wanted: _Wanted) -> tuple[list[str], Ints]:
    """Distinct search words, and which each user types."""
    number: dict[str, int] = {}
    text_of = np.empty(len(wanted.users), np.int32)
    rows = zip(wanted.sought.tolist(), wanted.code.tolist(), strict=True)
    for row, (item, code) in enumerate(rows):
        words = wanted.words.get(row) or search_text(world.catalog, item, code)
        text_of[row] = number.setdefault(words, len(number))
    return list(number), text_of


def _page_events(view: PageView, lists: Lists) -> list[EventColumns]:
    """PAGE, then SHOWN for each item on it."""
    n = len(view.users)
    shown = view.items >= 0
    row, position = np.nonzero(shown)
    step = view.step
    page = EventColumns.make(
        n,
        round=view.round,
        user=view.users,
        step=step,
        kind=EventKind.PAGE,
        position=shown.sum(axis=1),
        surface=view.surface,
        outcome=lists.outcome,
        text=dict(lists.tokens),
    )
    text: dict[int, str] = {}
    evidence: dict[int, str] = {}
    code = np.zeros(len(row), np.int16)
    if lists.explanations:
        number = np.full(view.items.shape, -1, np.int64)
        number[row, position] = np.arange(len(row))
        text = {int(number[at]): words for at, words in lists.explanations.items()}
        evidence = {int(number[at]): pieces for at, pieces in lists.evidence.items()}
        code[list(text)] = Explained.SHOWN
        code[[int(number[at]) for at in lists.withheld]] = Explained.WITHHELD
    items = EventColumns.make(
        len(row),
        round=view.round,
        user=view.users[row],
        step=step,
        kind=EventKind.SHOWN,
        item=view.items[row, position],
        position=position,
        code=code,
        text=text,
        evidence=evidence,
    )
    return [page, items]


def _decision_events(view: PageView, decision: PageDecision, last: bool) -> list[EventColumns]:
    """WATCH in the order of watching, then NEXT, SEARCH or LEAVE (always LEAVE at the cap)."""
    row, column = np.nonzero(decision.watched >= 0)
    position = decision.watched[row, column]
    text: dict[int, str] = {}
    if decision.words:
        at = {pair: n for n, pair in enumerate(zip(row.tolist(), column.tolist(), strict=True))}
        text = {at[pair]: words for pair, words in decision.words.items()}
    watches = EventColumns.make(
        len(row),
        round=view.round,
        user=view.users[row],
        step=view.step,
        kind=EventKind.WATCH,
        item=view.items[row, position],
        position=position,
        value=decision.rating[row, column],
        appraisal=decision.appraisal[row, column],
        code=decision.code[row, column],
        text=text,
    )
    action = np.full(len(view.users), EventKind.LEAVE, np.int8) if last else decision.action
    searching = action == EventKind.SEARCH
    actions = EventColumns.make(
        len(view.users),
        round=view.round,
        user=view.users,
        step=view.step,
        kind=action,
        item=np.where(searching, decision.sought, NOTHING),
        code=np.where(searching, decision.sought_code, 0),
        text={**decision.failed, **({} if last else decision.query)},
    )
    return [watches, actions]


def _next_pages(view: PageView, wanted: _Wanted, decision: PageDecision) -> _Wanted:
    """Who stays, and for which page: the next of the same list, or the first of a search. What
    follows an offer in a conversation is the home page."""
    position = np.maximum(decision.watched, 0)
    just = np.where(
        decision.watched >= 0, np.take_along_axis(view.items, position, axis=1), NOTHING
    )
    used = (just >= 0).any(axis=0)
    stay = np.flatnonzero(decision.action != EventKind.LEAVE)
    searches = decision.action == EventKind.SEARCH
    talked = view.surface == Surface.CONVERSATION
    following = _Wanted(
        view.users,
        np.where(searches | talked, 0, view.page + 1).astype(np.int16),
        np.where(searches, Surface.SEARCH, np.where(talked, Surface.FEED, view.surface)).astype(
            np.int8
        ),
        np.where(searches, decision.sought, wanted.sought).astype(np.int32),
        np.where(searches, decision.sought_code, wanted.code).astype(np.int16),
        {
            **{r: w for r, w in wanted.words.items() if not searches[r] and not talked[r]},
            **decision.query,
        },
        np.concatenate([wanted.watched, just[:, used]], axis=1).astype(np.int32),
    )
    return following.take(stay)
