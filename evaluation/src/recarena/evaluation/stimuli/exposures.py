"""Items that users were shown with an explanation, or would have been had it not been withheld."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import Bools, EventKind, Ints, Surface
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.runs.unreadable import UnreadableRun
from recarena.evaluation.stimuli.triples import Words

SHOWN = 1
WITHHELD = 2
"""Codes of an event that says what was shown: with an explanation, and with one that the user did
not get to see."""
COLUMNS = ("seq", "round", "code", "text")
EVIDENCE = "evidence"


@dataclass(frozen=True)
class Exposures:
    """Explained items on recommenders' own pages, in the order of the log; columns [exposures]."""

    round: Ints
    user: Ints
    step: NDArray[np.int16]
    position: NDArray[np.int16]
    item: Ints
    feed: Bools
    """Whether the page was the feed: neither searched for nor talked about."""
    shown: Bools
    """False: withheld."""
    watched: Bools
    """Whether the item was watched from that page."""
    new: Bools
    """Whether the user had not watched the item before: neither before the run, nor in earlier
    rounds, nor on earlier pages of the visit."""
    texts: Sequence[str]
    evidence: Sequence[str]
    """JSON as the log has it; "" for none."""

    def __len__(self) -> int:
        return len(self.item)

    def words(self, row: int) -> Words:
        """What was sent there."""
        return words(self.texts[row], self.evidence[row])

    @classmethod
    def of(cls, log: RunLog) -> Exposures:
        """Of a run; none where it was played without explanations. UnreadableRun."""
        if cls not in log.kept:
            log.kept[cls] = _read(log)
        return log.kept[cls]


def words(text: str, evidence: str) -> Words:
    """An explanation as the log has it. UnreadableRun for evidence that is none."""
    pieces: list[tuple[str, str]] = []
    told = {"method": "", "locale": ""}
    for kind, reference in _pieces(evidence):
        if kind in told:
            told[kind] = reference
        else:
            pieces.append((kind, reference))
    return Words(text, tuple(pieces), **told)


def _pieces(evidence: str) -> list[tuple[str, str]]:
    try:
        pieces = cast("list[Any]", json.loads(evidence or "[]"))
        return [(str(kind), str(reference)) for kind, reference in pieces]
    except (ValueError, TypeError):
        raise UnreadableRun(
            f"evidence of an explanation cannot be read: {evidence[:60]!r}. Restore the run folder "
            "from a copy"
        ) from None


def _read(log: RunLog) -> Exposures:
    events = log.logged
    table = log.read("events", (*COLUMNS, EVIDENCE))
    has_evidence = table is not None
    if table is None:
        table = log.read("events", COLUMNS)
    if table is None:
        return _none()
    rounds = table["round"].to_numpy()
    order = np.lexsort((table["seq"].to_numpy(), rounds))
    order = order[rounds[order] <= log.rounds]
    if len(order) != len(events):
        raise UnreadableRun(
            f"{log.path}: the run was changed while it was read. Read it again when it stands still"
        )
    code = table["code"].to_numpy()[order]
    explained = (events.kind == EventKind.SHOWN) & np.isin(code, (SHOWN, WITHHELD)) & events.own
    if not log.with_people:
        explained &= ~log.steering.by_people(events)
    rows = np.flatnonzero(explained)
    chosen = table.take(order[rows])
    page = np.maximum.accumulate(
        np.where(events.kind == EventKind.PAGE, np.arange(len(events)), 0)
    )[rows]
    watched, new = _watched(log, rows)
    none = [""] * len(rows)
    return Exposures(
        events.round[rows], events.user[rows], events.step[rows], events.position[rows],
        events.item[rows],
        events.surface[page] == Surface.FEED, code[rows] == SHOWN, watched, new,
        [one or "" for one in chosen["text"].to_pylist()],
        [one or "" for one in chosen[EVIDENCE].to_pylist()] if has_evidence else none,
    )  # fmt: skip


def _watched(log: RunLog, rows: NDArray[np.intp]) -> tuple[Bools, Bools]:
    """[rows]: whether the item shown there was watched from its page, and whether the user had not
    watched it before that page."""
    events, items = log.logged, len(log.item_ids)
    history = log.history
    known = (history.user.astype(np.int64) * items + history.item).tolist()
    first = dict.fromkeys(known, (0, 0))
    """(user, item) -> (round, step) of the first watch."""
    on_page: set[tuple[int, int, int]] = set()
    watches = events.of(EventKind.WATCH)
    pairs = (watches.user.astype(np.int64) * items + watches.item).tolist()
    for pair, round, step in zip(pairs, watches.round.tolist(), watches.step.tolist(), strict=True):
        first.setdefault(pair, (round, step))
        on_page.add((pair, round, step))
    shown = (events.user[rows].astype(np.int64) * items + events.item[rows]).tolist()
    keys = list(zip(shown, events.round[rows].tolist(), events.step[rows].tolist(), strict=True))
    never = (log.rounds + 1, 0)
    return (
        np.array([key in on_page for key in keys], np.bool_),
        np.array([(round, step) <= first.get(pair, never) for pair, round, step in keys], np.bool_),
    )


def _none() -> Exposures:
    ints, shorts = np.empty(0, np.int32), np.empty(0, np.int16)
    no = np.empty(0, np.bool_)
    return Exposures(ints, ints, shorts, shorts, ints, no, no, no, no, [], [])
