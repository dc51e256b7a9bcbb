"""Asking a mind by ordinary runs: who is shown which slate, and what they chose from it.

A condition is played as a run of one round for each repeat. Everybody opens the recommender once;
those who are asked get one page, their slate, and the others an empty one. What they watch on it is
what they chose.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.believability.people import Numbers, Rows
from recarena.evaluation.believability.probe import NAME, Probe, lists_file
from recarena.evaluation.believability.slates import Slates
from recarena.evaluation.playing.contenders import Contender
from recarena.evaluation.playing.mirrored import Bout
from recarena.evaluation.runs.events import EventKind
from recarena.evaluation.runs.run_log import RunLog

EVERYBODY_COMES = {"active": 1000.0, "sociable": -1000.0, "conversation": -1000.0}
"""Coefficients of the choice mind with which every user opens the recommender, in silence."""
WATCHES_ALL = {"item": 1000.0}
"""With this, users of the choice mind watch whatever is on the page, and so rate it."""


@dataclass(frozen=True)
class Condition:
    """Slates that some users are shown, so many times, each time in another order."""

    name: str
    """Of its runs, with the number of the repeat; small letters and dashes."""
    slates: Slates
    viewers: Numbers
    """[users]: who is shown each row; mostly its owner."""
    repeats: int
    world: Path
    seed: int
    draws: str = ""
    """Conditions with the same word here share everything random; default: the name."""
    choice: Mapping[str, float] = field(default_factory=dict[str, float])
    """Further coefficients of the choice mind."""

    def run_seed(self, repeat: int) -> int:
        """Seed of a repeat's run: what users decide in it is independent of the other repeats."""
        text = f"{self.seed}/{self.draws or self.name}/{repeat}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) >> 1

    def bouts(self, settings: Mapping[str, Any], lists: Path) -> list[Bout]:
        """Its runs, with their lists written to the folder `lists`. `settings`: of the mind."""
        users = self.users_of_world
        made: list[Bout] = []
        for repeat in range(self.repeats):
            run_id = f"{self.name}-{repeat}"
            shown = self.slates.in_order(self.run_seed(repeat), repeat)
            np.save(lists_file(lists, run_id), shown.shown_to(self.viewers, users))
            whole = merged(settings, {
                # One place more than any slate has: nobody is offered a next page.
                "visits": {"page_size": self.slates.items.shape[1] + 1, "step_cap": 1,
                           "repeats": "allow"},
                "choice": {**EVERYBODY_COMES, **self.choice},
            })  # fmt: skip
            world = str(self.world.absolute())
            made.append(Bout(run_id, (NAME,), world, self.run_seed(repeat), whole))
        return made

    @property
    def users_of_world(self) -> int:
        """How many the world has."""
        import pyarrow.parquet as pq

        return pq.ParquetFile(self.world / "users.parquet").metadata.num_rows


@dataclass(frozen=True)
class Answers:
    """What came of a condition; columns [repeats, users, places], in the order of its slates."""

    slates: Slates
    shown: NDArray[np.bool_]
    """The item was on the user's page. False throughout where the page failed."""
    selected: NDArray[np.bool_]
    rating: Rows
    """1 to 5, NaN where there is none."""
    place: NDArray[np.int64]
    """On the page, from 0; -1 where it was not shown."""

    @property
    def grades(self) -> Rows:
        """[users, places]: share of the repeats in which the item was chosen; NaN: never shown."""
        with np.errstate(invalid="ignore"):
            return self.selected.sum(axis=0) / self.shown.sum(axis=0)

    def without(self, cells: NDArray[np.bool_]) -> Answers:
        """As if these places [users, places] had not been on the slates."""
        kept = ~cells
        slates = Slates(
            self.slates.users,
            np.where(kept, self.slates.items, -1),
            self.slates.held_out & kept,
        )
        return Answers(
            slates, self.shown & kept, self.selected & kept,
            np.where(kept, self.rating, np.nan), np.where(kept, self.place, -1),
        )  # fmt: skip


def read_answers(condition: Condition, logs: Sequence[RunLog]) -> Answers:
    """What the runs of a condition, in the order of its repeats, say of its slates."""
    slates = condition.slates
    shape = (len(logs), *slates.items.shape)
    shown, selected = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    rating, place = np.full(shape, np.nan), np.full(shape, -1, np.int64)
    rows, columns = np.nonzero(slates.there)
    for repeat, log in enumerate(logs):
        items = len(log.item_ids)
        keys = condition.viewers[rows] * items + slates.items[rows, columns]
        order = np.argsort(keys)
        events = log.events.take(log.events.own & (log.events.step == 0))
        for kind in (EventKind.SHOWN, EventKind.WATCH):
            found = events.of(kind)
            key = found.user.astype(np.int64) * items + found.item
            at = np.searchsorted(keys, key, sorter=order)
            at = order[np.minimum(at, len(keys) - 1)]
            mine = keys[at] == key
            at = at[mine]
            cell = (repeat, rows[at], columns[at])
            if kind is EventKind.SHOWN:
                shown[cell] = True
                place[cell] = found.position[mine]
            else:
                selected[cell] = True
                value = found.value[mine].astype(np.float64)
                rating[cell] = np.where(value > 0, value, np.nan)
    return Answers(slates, shown, selected, rating, place)


def probe_contender(lists: Path) -> Contender:
    """The recommender that shows the lists in a folder."""
    words = [sys.executable, "-m", Probe.__module__, "{server}", str(lists), "{sessions}"]
    quoted = [one if one.startswith("{") else shlex.quote(one) for one in words]
    return Contender(NAME, " ".join(quoted))


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of both; where both say something the second counts, table by table."""
    made = dict(first)
    for name, value in second.items():
        old = made.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = merged(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", value))
        made[name] = value
    return made
