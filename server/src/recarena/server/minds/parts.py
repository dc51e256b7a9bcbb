"""Decisions of two kinds of minds for one batch of users, put together. Cohorts are of one kind;
this is for batches that are not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recarena.server.ports import Activities, Openings, PageDecision, PageView, SocialDecision
from recarena.server.types import Bools, Ints

D = TypeVar("D", Activities, Openings, PageDecision, SocialDecision)
Rows = NDArray[np.intp]


async def merged_pages(
    view: PageView,
    first: Bools,
    of_first: Callable[[PageView], Awaitable[PageDecision]],
    of_others: Callable[[PageView], Awaitable[PageDecision]],
) -> PageDecision:
    """Decisions for a page view, some rows of which belong to the first kind."""
    parts = [
        (rows, await decide(rows_of_view(view, rows)))
        for rows, decide in ((np.flatnonzero(first), of_first), (np.flatnonzero(~first), of_others))
        if len(rows)
    ]
    return put_together(PageDecision, len(first), parts)


async def merged_talk(
    users: Ints,
    first: Bools,
    of_first: Callable[[Ints], Awaitable[SocialDecision]],
    of_others: Callable[[Ints], Awaitable[SocialDecision]],
) -> SocialDecision:
    """The same for the social network."""
    parts = [
        (rows, await decide(users[rows]))
        for rows, decide in ((np.flatnonzero(first), of_first), (np.flatnonzero(~first), of_others))
        if len(rows)
    ]
    return put_together(SocialDecision, len(first), parts)


def rows_of_view(view: PageView, rows: Rows) -> PageView:
    """What some of the users see."""
    new = {old: at for at, old in enumerate(rows.tolist())}
    return replace(
        view,
        users=view.users[rows], items=view.items[rows], page=view.page[rows],
        surface=view.surface[rows], sought=view.sought[rows], watched_now=view.watched_now[rows],
        claims={(new[row], at): one for (row, at), one in view.claims.items() if row in new},
        explanations={
            (new[row], at): one for (row, at), one in view.explanations.items() if row in new
        },
    )  # fmt: skip


def put_together(kind: type[D], size: int, parts: Sequence[tuple[Rows, D]]) -> D:
    """Columns and sparse words of the parts, each at its rows; every row is in one of them."""
    made: dict[str, Any] = {}
    for field in fields(kind):
        values = [getattr(part, field.name) for _, part in parts]
        if isinstance(values[0], Mapping):
            words: dict[Any, str] = {}
            for (rows, _), value in zip(parts, values, strict=True):
                words |= {_moved(key, rows): one for key, one in value.items()}
            made[field.name] = words
        else:
            column = np.zeros((size, *values[0].shape[1:]), values[0].dtype)
            for (rows, _), value in zip(parts, values, strict=True):
                column[rows] = value
            made[field.name] = column
    return kind(**made)


def _moved(key: Any, rows: Rows) -> Any:
    return (int(rows[key[0]]), key[1]) if isinstance(key, tuple) else int(rows[key])
