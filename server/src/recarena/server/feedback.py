"""What a recommender is told of a round: pages as shown, and what was done with each item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recarena.server.datasets.world_data import History
from recarena.server.ports import Feedback, RoundTally
from recarena.server.types import EventColumns, EventKind, Explained, Outcome


def feedback_of(events: EventColumns, in_arm: np.ndarray, round: int) -> Feedback:
    """Feedback for the users of one arm (`in_arm`: bool per user), from a round's events."""
    kinds = np.array([EventKind.PAGE, EventKind.SHOWN, EventKind.WATCH], np.int8)
    rows = np.isin(events.kind, kinds)
    if not in_arm.all():
        rows &= in_arm[events.user]
    events = events.take(rows)
    is_page = events.kind == EventKind.PAGE
    page = (np.cumsum(is_page) - 1).astype(np.int32)
    shown = np.flatnonzero(events.kind == EventKind.SHOWN)
    watch = np.flatnonzero(events.kind == EventKind.WATCH)
    width = int(events.position[shown].max(initial=0)) + 1
    rating = np.full((int(is_page.sum()), width), np.nan, np.float32)
    rating[page[watch], events.position[watch]] = events.value[watch]
    pages = events.take(is_page)
    explained = events.code[shown] == Explained.SHOWN
    return Feedback(
        round=round,
        user=events.user[shown],
        item=events.item[shown],
        position=events.position[shown],
        rating=rating[page[shown], events.position[shown]],
        page=page[shown],
        page_user=pages.user,
        page_step=pages.step,
        page_surface=pages.surface,
        page_fallback=pages.outcome > Outcome.VIOLATIONS,
        tokens=pages.text,
        explained=explained if explained.any() else None,
    )


def history_feedback(history: History, in_arm: np.ndarray) -> Feedback:
    """Round 0: the ratings known before the run, in order of time, of the users of one arm."""
    rows = np.flatnonzero(in_arm[history.user]) if len(history) else np.empty(0, np.int64)
    none = np.empty(0, np.int32)
    return Feedback(
        round=0,
        user=history.user[rows],
        item=history.item[rows],
        position=np.zeros(len(rows), np.int16),
        rating=history.rating[rows],
        page=np.full(len(rows), -1, np.int32),
        page_user=none,
        page_step=none.astype(np.int16),
        page_surface=none.astype(np.int8),
        page_fallback=none.astype(bool),
    )


def part(feedback: Feedback, first_page: int, last_page: int) -> Feedback:
    """The rows of pages first..last (exclusive); of history, the rows first..last."""
    if feedback.round == 0:
        rows = slice(first_page, last_page)
        pages = slice(0, 0)
    else:
        bounds = np.searchsorted(feedback.page, [first_page, last_page])
        rows, pages = slice(int(bounds[0]), int(bounds[1])), slice(first_page, last_page)
    return Feedback(
        round=feedback.round,
        user=feedback.user[rows],
        item=feedback.item[rows],
        position=feedback.position[rows],
        rating=feedback.rating[rows],
        page=feedback.page[rows] - first_page if feedback.round else feedback.page[rows],
        page_user=feedback.page_user[pages],
        page_step=feedback.page_step[pages],
        page_surface=feedback.page_surface[pages],
        page_fallback=feedback.page_fallback[pages],
        tokens={
            page - first_page: token
            for page, token in feedback.tokens.items()
            if first_page <= page < last_page
        },
        explained=None if feedback.explained is None else feedback.explained[rows],
    )


def parts(feedback: Feedback, pages_each: int, first: int = 0) -> list[tuple[int, int]]:
    """Bounds of the parts a round's feedback is sent in, from page `first` on: so many pages (of
    history: rows, five times as many)."""
    size = pages_each if feedback.round else pages_each * 5
    total = len(feedback.page_user) if feedback.round else len(feedback)
    return [(at, min(at + size, total)) for at in range(first, total, size)]


def tally(outcomes: NDArray[np.int8]) -> RoundTally:
    """How the lists behind pages fared."""
    usable = int((outcomes <= Outcome.VIOLATIONS).sum())
    return RoundTally(usable, len(outcomes) - usable)
