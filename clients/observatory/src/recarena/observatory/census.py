"""What events there are, by round, arm and user, without reading them again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.observatory.columns import KINDS, Bools, Columns, Kind

Counts = NDArray[np.int64]
"""[types]: events of each type; of unknown ones with number 0."""
WRONG = 0x80
"""Bit of a mark that says that the event went wrong; below it is its type."""


class Census:
    """Counts of all rounds that were added, in order. Of each event a byte is kept, and of each
    user and round as a rule another one; round 0 has none."""

    def __init__(self, arms: int, arm_of: NDArray[np.int16]) -> None:
        """`arm_of`: [users], in 0..arms - 1."""
        self._arms, self._arm_of = max(arms, 1), arm_of
        self._of_arms: list[NDArray[np.int64]] = [np.zeros((2, self._arms + 1, KINDS), np.int64)]
        """Of a round all events, and those that went wrong: [2, arms, types]; interventions stand
        in the row after the arms."""
        self._sizes: list[NDArray[Any]] = [np.zeros(len(arm_of), np.uint8)]
        """[users]: events of each in a round; an intervention is of the user it is about."""
        self._marks: list[NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
        """Type of each event of a user, one user after another."""

    def add(self, events: Columns) -> None:
        """The next round."""
        kind = np.where((events.kind > 0) & (events.kind < KINDS), events.kind, 0).astype(np.int64)
        wrong = events.wrong()
        of_arms = self._by_arm(events, kind, wrong)
        nobody = events.kind == Kind.INTERVENTION
        user = np.where(nobody, events.other, events.user)
        rows = np.flatnonzero(user >= 0)
        rows = rows[np.argsort(user[rows], kind="stable")]
        sizes = np.bincount(user[rows], minlength=len(self._arm_of))
        marks = kind[rows] | np.where(wrong[rows], WRONG, 0)
        self._of_arms.append(of_arms)
        self._sizes.append(sizes.astype(np.min_scalar_type(int(sizes.max(initial=0)))))
        self._marks.append(marks.astype(np.uint8))

    def _by_arm(self, events: Columns, kind: Counts, wrong: Bools) -> NDArray[np.int64]:
        arm = np.where(events.user >= 0, self._arm_of[events.user], self._arms)
        cells = arm.astype(np.int64) * KINDS + kind
        size = (self._arms + 1) * KINDS
        return np.stack([
            np.bincount(cells, minlength=size), np.bincount(cells[wrong], minlength=size)
        ]).reshape(2, self._arms + 1, KINDS)  # fmt: skip

    def of(self, round: int, *, arm: int = -1, errors: bool = False) -> Counts:
        """Events in a round; of an arm alone where one is given, and without interventions then;
        with `errors` those that went wrong alone."""
        table = self._of_arms[round][int(errors)]
        return table.sum(axis=0) if arm < 0 else table[arm]

    def of_user(self, user: int, round: int, *, arm: int = -1, errors: bool = False) -> Counts:
        """The same of a user, with interventions about the user."""
        start = int(self._sizes[round][:user].sum(dtype=np.int64))
        marks = self._marks[round][start : start + int(self._sizes[round][user])]
        if errors:
            marks = marks[marks >= WRONG]
        counts = np.bincount(marks & (WRONG - 1), minlength=KINDS)
        if arm >= 0:
            counts[Kind.INTERVENTION] = 0
            counts *= int(self._arm_of[user] == arm)
        return counts
