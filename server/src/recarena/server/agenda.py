"""The interventions of a run: those that took effect, and those that wait for a round."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from recarena.server.errors import Conflict
from recarena.server.interventions import Change, Intervention, Planned
from recarena.server.steering.checking import check
from recarena.server.steering.prospect import Prospect
from recarena.server.steering.sentences import sentence
from recarena.server.store.journal import Entry, Journal
from recarena.server.types import InterventionKind
from recarena.server.world import World

MOST_WAITING = 1_000
"""Interventions for one round."""


class Agenda:
    """The journal of a run beside its world, which stands in the run's last committed round or has
    taken up what the round under way begins with."""

    def __init__(self, folder: Path, world: World) -> None:
        """InputError where the journal of the folder cannot be read."""
        self._journal = Journal(folder)
        self._journal.check(world.taken_up, world.population.user_ids, len(world.catalog))
        self._world = world

    def asked_for(self, request_id: str) -> Planned | None:
        """What an earlier call with this request_id was given; None where there was none."""
        known = self._journal.asked_for(request_id)
        return self._planned(known, self._coming()) if known else None

    def make_sure_of_room(self) -> None:
        """Conflict where as many wait as operators may have waiting."""
        if len(self._journal.above(self._world.taken_up)) >= MOST_WAITING:
            raise Conflict(f"{MOST_WAITING:,} interventions wait already: let a round begin first")

    def accept(self, change: Change, by: str, request_id: str, after_round: int) -> Planned:
        """A change that is to take effect when the next round after `after_round` begins; it is on
        the disk when it is returned. InputError where it cannot be, as the world will be then."""
        waiting = [one.intervention for one in self._journal.above(self._world.taken_up)]
        number = max([self._world.taken_up, *(one.number for one in waiting)]) + 1
        made, whole = check(change, number, self._world, waiting)
        # In the order of their numbers, also where the round under way is given up.
        after = max([after_round, *(one.after_round for one in self._journal.entries[-1:])])
        entry = Entry(number, by, datetime.now(UTC), request_id, after, made.user, made.item, whole)
        self._journal.append(entry)
        return self._planned(entry, self._coming())

    def due(self, round: int) -> list[Intervention]:
        """Those that take effect when a round begins that is not committed yet."""
        waiting = self._journal.above(max(self._world.round_of, default=0))
        return [one.intervention for one in waiting if one.after_round < round]

    def planned(self) -> list[Planned]:
        """All of them, by number."""
        coming = self._coming()
        return [self._planned(one, coming) for one in self._journal.entries]

    def leaving(self) -> set[int]:
        """The users who are to be handed back and are not yet."""
        waiting = self._journal.above(max(self._world.round_of, default=0))
        back = InterventionKind.HAND_BACK
        return {one.user for one in waiting if one.change.kind is back}

    def _coming(self) -> Mapping[int, str]:
        """Titles of the items that are not in the catalogue yet."""
        waiting = [one.intervention for one in self._journal.above(self._world.taken_up)]
        return Prospect(self._world, waiting).titles

    def _planned(self, entry: Entry, coming: Mapping[int, str]) -> Planned:
        world, number = self._world, entry.number
        said = sentence(entry.intervention, world.catalog, world.population, coming)
        applied = world.round_of.get(number)
        round = applied or max(entry.after_round, world.round) + 1
        return Planned(number, entry.change, round, applied is not None, entry.by, entry.time, said)
