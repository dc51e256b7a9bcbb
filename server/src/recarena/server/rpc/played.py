"""Which users were played by people in which round, from a run's interventions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from recarena.server.interventions import Planned
from recarena.server.runs import Run
from recarena.server.store.journal import FILE
from recarena.server.types import InterventionKind


class Played:
    """Of one run, as its interventions stand. A user who is taken over is a person's from the round
    in which that takes effect until the one in which the user is handed back."""

    def __init__(self, run: Run) -> None:
        number_of = run.world.population.number_of
        self._changes: dict[int, list[tuple[int, bool]]] = {}
        """User -> (round, whether a person plays the user from it on), in order."""
        for user_id, round, taken in _changes(run.interventions()):
            self._changes.setdefault(number_of[user_id], []).append((round, taken))

    def is_by_person(self, user: int, round: int) -> bool:
        """Whether a person plays the user in a round."""
        changes = self._changes.get(user)
        if not changes:
            return False
        at = bisect_right(changes, round, key=lambda one: one[0])
        return at > 0 and changes[at - 1][1]

    def people(self, round: int) -> list[int]:
        """Users who are played by people in a round, ascending."""
        return sorted(user for user in self._changes if self.is_by_person(user, round))


def _changes(interventions: Sequence[Planned]) -> list[tuple[str, int, bool]]:
    """(user_id, round, whether it was taken over or else handed back)."""
    kinds = {InterventionKind.TAKE_OVER: True, InterventionKind.HAND_BACK: False}
    return [
        (str(one.change.values["user_id"]), one.round, kinds[one.change.kind])
        for one in interventions
        if one.change.kind in kinds
    ]


_made: WeakKeyDictionary[Run, tuple[tuple[int, int], Played]] = WeakKeyDictionary()


def played(run: Run) -> Played:
    """Who is played by people in a run; made anew only when there are new interventions, or some
    of them took effect."""
    journal = run.folder.path / FILE
    size = journal.stat().st_size if journal.exists() else 0
    key = size, len(run.world.round_of)
    kept = _made.get(run)
    if kept is None or kept[0] != key:
        kept = key, Played(run)
        _made[run] = kept
    return kept[1]
