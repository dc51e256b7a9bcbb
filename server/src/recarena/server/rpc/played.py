"""Which users were played by people in which round, and what operators changed: as a run's journal
stands, and made anew only when it does not stand so any more."""

from __future__ import annotations

from bisect import bisect_right
from weakref import WeakKeyDictionary

from recarena.server.interventions import Planned
from recarena.server.runs import Run
from recarena.server.store.journal import FILE, Journal
from recarena.server.types import InterventionKind

_TAKEN = {InterventionKind.TAKE_OVER: True, InterventionKind.HAND_BACK: False}
Stand = tuple[int, int]
"""Of a journal: its bytes, and how many of its interventions took effect."""


class Played:
    """Of one run. A user who is taken over is a person's from the round in which that takes effect
    until the one in which the user is handed back."""

    def __init__(self, run: Run) -> None:
        # Read from the journal: putting every intervention into words takes long.
        world = run.world
        self._changes: dict[int, list[tuple[int, bool]]] = {}
        """User -> (round, whether a person plays the user from it on), in order."""
        for entry in Journal(run.folder.path).entries:
            if entry.change.kind in _TAKEN:
                applied = world.round_of.get(entry.number)
                round = applied or max(entry.after_round, world.round) + 1
                change = round, _TAKEN[entry.change.kind]
                self._changes.setdefault(entry.user, []).append(change)

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


_made: WeakKeyDictionary[Run, tuple[Stand, Played]] = WeakKeyDictionary()
_told: WeakKeyDictionary[Run, tuple[Stand, list[Planned]]] = WeakKeyDictionary()


def played(run: Run) -> Played:
    """Who is played by people in a run."""
    stand = _stand(run)
    if (kept := _made.get(run)) and kept[0] == stand:
        return kept[1]
    _made[run] = stand, Played(run)
    return _made[run][1]


def interventions_of(run: Run) -> list[Planned]:
    """All interventions of a run's epoch, by number."""
    stand = _stand(run)
    if (kept := _told.get(run)) and kept[0] == stand:
        return kept[1]
    _told[run] = stand, run.interventions()
    return _told[run][1]


def _stand(run: Run) -> Stand:
    journal = run.folder.path / FILE
    return journal.stat().st_size if journal.exists() else 0, len(run.world.round_of)
