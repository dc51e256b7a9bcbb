"""What a recorded recommender showed beside what another would have shown: pages, and sums of how
far they agree. The sums of rounds add up to those of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.server.agreement import Agreement, agreement, contains
from recarena.server.types import NOTHING, Bools, Floats, Ints, Outcome, Surface

Milliseconds = NDArray[np.float64]
SURFACES = (Surface.FEED, Surface.SEARCH, Surface.CONVERSATION)
ASKED = tuple(outcome for outcome in Outcome if outcome is not Outcome.NONE)
NOT_OFFERED = Outcome.NONE
"""Of a shadow's list: it was not asked, since it does not do searches, or conversations."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one arm in one round, in (user, step) order: what users saw, and what the shadow
    answered to the same requests."""

    user: Ints
    step: NDArray[np.int16]
    surface: NDArray[np.int8]
    offset: Ints
    """Ranks skipped: 0 on the first page of a list."""
    text: Ints
    """Which words were typed, -1: none."""
    recorded: Ints
    """[pages, page size]: items shown, NOTHING beyond the end."""
    recorded_outcome: NDArray[np.int8]
    watched: Bools
    """Beside `recorded`: what the user watched."""
    shadow: Ints
    """[pages, page size]: items that the shadow answered."""
    shadow_outcome: NDArray[np.int8]
    """NOT_OFFERED where it was not asked."""

    def __len__(self) -> int:
        return len(self.user)

    @property
    def both(self) -> Bools:
        """[pages]: whether recorded recommender and shadow each have a usable list."""
        return _usable(self.recorded_outcome) & _usable(self.shadow_outcome)

    @property
    def compared(self) -> Bools:
        """[pages]: those of `both` on which there is something to compare: not both are empty."""
        some = (self.recorded != NOTHING).any(axis=1) | (self.shadow != NOTHING).any(axis=1)
        return self.both & some

    def agreement(self) -> Agreement:
        """How alike the lists are, page by page, whether they are compared or not."""
        return agreement(self.recorded, self.shadow)

    def hits(self) -> Bools:
        """Beside `recorded`: watched items that stand on the shadow's page, too."""
        return contains(self.shadow, np.where(self.watched, self.recorded, NOTHING))


def _usable(outcome: NDArray[np.int8]) -> Bools:
    return np.isin(outcome, (Outcome.ACCEPTED, Outcome.VIOLATIONS))


@dataclass(frozen=True, slots=True)
class Times:
    """How long works took, and getting ready for rounds."""

    works: Milliseconds = field(default_factory=lambda: np.empty(0))
    ready: Milliseconds = field(default_factory=lambda: np.empty(0))

    def __add__(self, other: Times) -> Times:
        return Times(
            np.concatenate([self.works, other.works]), np.concatenate([self.ready, other.ready])
        )

    def as_json(self) -> dict[str, Any]:
        """Quantiles of the works in ms (None without works), and the mean time to get ready."""
        return {
            "works": len(self.works),
            **{
                f"{name}_ms": float(np.quantile(self.works, share)) if len(self.works) else None
                for name, share in QUANTILES.items()
            },
            "ready_ms": float(self.ready.mean()) if len(self.ready) else None,
        }


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the pages of one arm in some rounds."""

    shadow_outcomes: NDArray[np.int64]
    """[surfaces, outcomes]: lists by SURFACES and Outcome."""
    recorded_outcomes: NDArray[np.int64]
    pages: NDArray[np.int64]
    """compared, identical, both empty, with a Kendall's tau; watches, hits."""
    measures: NDArray[np.float64]
    """overlap, rbo, kendall, over the compared pages."""
    shown: Bools
    """[2, items]: whether an item is on a compared page of the recorded recommender, the shadow."""
    novelty: NDArray[np.float64]
    """Bits of the items on compared pages: recorded, shadow."""
    items: NDArray[np.int64]
    """Number of those items: recorded, shadow."""

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.shadow_outcomes + other.shadow_outcomes,
            self.recorded_outcomes + other.recorded_outcomes,
            self.pages + other.pages,
            self.measures + other.measures,
            self.shown | other.shown,
            self.novelty + other.novelty,
            self.items + other.items,
        )

    @property
    def asked(self) -> int:
        """Lists that the shadow was asked for."""
        return int(self.shadow_outcomes[:, list(ASKED)].sum())

    @property
    def answered(self) -> int:
        """Lists of the shadow that could have been shown."""
        return int(self.shadow_outcomes[:, [Outcome.ACCEPTED, Outcome.VIOLATIONS]].sum())

    def as_json(self) -> dict[str, Any]:
        """Counts, rates and means by their documented names; None where there is nothing to divide
        by."""
        compared, identical, empty, ordered, watches, hits = self.pages.tolist()
        overlap, rbo, kendall = self.measures.tolist()
        coverage = self.shown.mean(axis=1).tolist()
        return {
            "lists": int(self.shadow_outcomes.sum()),
            "asked": self.asked,
            "answered": self.answered,
            "not_offered": int(self.shadow_outcomes[:, NOT_OFFERED].sum()),
            "outcomes": _named(self.shadow_outcomes.sum(axis=0)),
            "surfaces": {
                surface.name.lower(): _named(self.shadow_outcomes[row])
                for row, surface in enumerate(SURFACES)
                if self.shadow_outcomes[row].any()
            },
            "recorded_outcomes": _named(self.recorded_outcomes.sum(axis=0)),
            "compared": compared,
            "both_empty": empty,
            "overlap": _ratio(overlap, compared),
            "rbo": _ratio(rbo, compared),
            "kendall": _ratio(kendall, ordered),
            "kendall_lists": ordered,
            "identical": _ratio(identical, compared),
            "watches": watches,
            "hits": hits,
            "hit_rate": _ratio(hits, watches),
            **_sides("coverage", coverage if compared else [None, None]),
            **_sides("novelty_bits", map(_ratio, self.novelty.tolist(), self.items.tolist())),
        }


def sums_of(pages: Pages, novelty: Floats) -> Sums:
    """The sums of one round. `novelty` [items]: bits of each item, see `bits`."""
    rows = np.flatnonzero(pages.compared)
    found, hits = pages.agreement(), pages.hits()
    tau = found.kendall[rows]
    empty = int(pages.both.sum()) - len(rows)
    sides = [pages.recorded[rows], pages.shadow[rows]]
    there = [side[side != NOTHING] for side in sides]
    shown = np.zeros((2, len(novelty)), np.bool_)
    for side, items in enumerate(there):
        shown[side, items] = True
    return Sums(
        _outcomes(pages.surface, pages.shadow_outcome),
        _outcomes(pages.surface, pages.recorded_outcome),
        np.array(
            [len(rows), found.identical[rows].sum(), empty, (~np.isnan(tau)).sum(),
             pages.watched[rows].sum(), hits[rows].sum()], np.int64,
        ),
        np.array([found.overlap[rows].sum(), found.rbo[rows].sum(), np.nansum(tau)]),
        shown,
        np.array([novelty[items].sum(dtype=np.float64) for items in there]),
        np.array([len(items) for items in there], np.int64),
    )  # fmt: skip


def bits(watches: NDArray[np.float64]) -> Floats:
    """[items]: -log2 of each item's share of all watches so far, each item counted once more than
    it was watched: how surprising it is to be shown it."""
    counts = watches + 1
    return -np.log2(counts / counts.sum()).astype(np.float32)


def _outcomes(surface: NDArray[np.int8], outcome: NDArray[np.int8]) -> NDArray[np.int64]:
    counts = np.zeros((len(SURFACES), len(Outcome)), np.int64)
    np.add.at(counts, (np.searchsorted(SURFACES, surface), outcome), 1)
    return counts


def _named(counts: NDArray[np.int64]) -> dict[str, int]:
    return {outcome.name.lower(): int(counts[outcome]) for outcome in ASKED}


def _sides(name: str, values: Any) -> dict[str, Any]:
    recorded, shadow = values
    return {f"recorded_{name}": recorded, f"shadow_{name}": shadow}


def _ratio(total: float, count: int) -> float | None:
    return total / count if count else None


@dataclass(frozen=True, slots=True)
class ArmRound:
    """One arm in one round: the sums of its pages, and the times of both sides."""

    arm: str
    round: int
    sums: Sums
    recorded_times: Times
    shadow_times: Times
    pages: Pages

    def as_json(self) -> dict[str, Any]:
        """The round by its documented names."""
        return {"arm": self.arm, **told(self.sums, self.recorded_times, self.shadow_times)}


@dataclass(slots=True)
class Comparison:
    """How one arm of a run and its shadow compare over the rounds so far."""

    arm: str
    recommender: str
    """The recorded one."""
    sums: Sums | None = None
    recorded_times: Times = field(default_factory=Times)
    shadow_times: Times = field(default_factory=Times)

    def add(self, part: ArmRound) -> None:
        """One more round."""
        self.sums = part.sums if self.sums is None else self.sums + part.sums
        self.recorded_times += part.recorded_times
        self.shadow_times += part.shadow_times

    def as_json(self) -> dict[str, Any]:
        """The rounds so far as one; without rounds only the names."""
        named = {"arm": self.arm, "recommender": self.recommender}
        if self.sums is None:
            return named
        return named | told(self.sums, self.recorded_times, self.shadow_times)


def told(sums: Sums, recorded: Times, shadow: Times) -> dict[str, Any]:
    """Sums and times by their documented names; `latency` is all that time decides."""
    latency = {"recorded": recorded.as_json(), "shadow": shadow.as_json()}
    return {**sums.as_json(), "latency": latency}


def merged_rows(parts: Sequence[Pages]) -> Pages:
    """The pages of all parts in (user, step) order."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Pages.__dataclass_fields__
    }
    order = np.lexsort((columns["step"], columns["user"]))
    return Pages(**{name: column[order] for name, column in columns.items()})
