"""What interventions have done in a run, by its folder."""

from __future__ import annotations

from recarena.server.datasets.world_data import WorldData
from recarena.server.interventions import Intervention, of_events
from recarena.server.steering.turning import turned
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.tables import events_from
from recarena.server.types import EventKind


def interventions_by_round(
    folder: RunFolder, first: int, last: int
) -> dict[int, list[Intervention]]:
    """Those of the committed rounds first..last: round -> interventions in order, of the rounds
    that have any."""
    kind = int(EventKind.INTERVENTION)
    found = folder.tables.where(
        "events", f"kind = {kind} AND round >= {first} AND round <= {min(last, folder.last_round)}"
    )
    events = events_from(found.sort_by([("round", "ascending"), ("seq", "ascending")]))
    made: dict[int, list[Intervention]] = {}
    for round, one in zip(events.round.tolist(), of_events(events), strict=True):
        made.setdefault(round, []).append(one)
    return made


def interventions_of(folder: RunFolder, last: int | None = None) -> list[Intervention]:
    """Those of the committed rounds up to `last` (default: all), in order."""
    until = folder.last_round if last is None else last
    by_round = interventions_by_round(folder, 1, until)
    return [one for round in sorted(by_round) for one in by_round[round]]


def world_after(folder: RunFolder, last: int | None = None) -> WorldData:
    """The world that a run began with, changed by the interventions of the committed rounds up to
    `last` (default: all): what the numbers of users and items in the log stand for."""
    return turned(folder.world(), interventions_of(folder, last))
