"""Runs played again from their own event log: without recommenders, without a network.

What recommenders showed stands in the log; what users do with it they decide anew, those with LLM
minds from the recording of their calls; what people decided who played users stands in the log
too. Where each round comes out as it was, the log is what its seed, its settings and those answers
make, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from importlib import metadata
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recarena.server.assembly import CHOICE, LLM, recorded_mind_of
from recarena.server.config import Settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError, LogDeparted
from recarena.server.founding import settings_of
from recarena.server.interventions import of_events
from recarena.server.logged import LoggedRecommender, LoggedRound
from recarena.server.minds.person.logged import LoggedMind
from recarena.server.ports import (
    Mind,
    Recommender,
)
from recarena.server.rounds import RoundRules, play_round
from recarena.server.store.digest import round_digest
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.tables import RoundRow
from recarena.server.store.volatile import VolatileStore
from recarena.server.types import (
    EVENT_COLUMNS,
    EventColumns,
    EventKind,
    Ints,
)
from recarena.server.world import World


class Company(Protocol):
    """Goes along with a run that is played again: sees what is asked and what comes of it."""

    world: World
    """The run's, before its first round; it is played in."""

    async def opens(
        self, row: RoundRow, arms: list[LoggedRecommender], changed: Ints
    ) -> Sequence[Recommender]:
        """A round begins, and the items `changed` are new or withdrawn since the last. Those
        returned are asked in place of `arms`, and answer the same."""
        ...

    async def closes(self, row: RoundRow, events: EventColumns) -> None:
        """A round came out as it was; the world has changed by it."""
        ...


async def play_again(
    folder: RunFolder, *, mind: Mind | None = None, rules: RoundRules | None = None,
    company: Company | None = None,
) -> AsyncGenerator[RoundRow, None]:  # fmt: skip
    """Plays the committed rounds of a run again in memory, and yields the row of each that comes
    out as it was, byte for byte.

    LogDeparted at the first round that does not, with what is otherwise in it. InputError where
    the log was changed, or is too old to have all that is needed.
    """
    settings = replayable(folder)
    dynamics = settings.world_dynamics()
    world = company.world if company else World(folder.world(), settings.seed, dynamics)
    mind = LoggedMind(mind or recorded_mind_of(settings, world.data, folder))
    try:
        async for row in _play_again(folder, world, mind, rules or settings.rules(), company):
            yield row
    finally:
        await mind.close()


async def _play_again(
    folder: RunFolder, world: World, mind: LoggedMind, rules: RoundRules, company: Company | None
) -> AsyncGenerator[RoundRow, None]:
    where, data = str(folder.path), world.data
    arm_of_user, store = folder.arm_of_user(), VolatileStore(keep=False)
    rows = folder.round_rows()
    for row, (events, memories) in zip(rows, folder.rounds(1, len(rows)), strict=True):
        if round_digest(store.digest, events) != row.digest:
            raise InputError(
                f"the events of round {row.round} do not give the digest in its row",
                where=where,
                remedy="The tables were changed; use a copy",
            )
        try:
            interventions = of_events(events)
            changed = world.take_up(interventions)
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(
                f"an intervention of round {row.round} does not fit the world: {error}",
                where=where,
                remedy="The run was made by a later version, or its tables by hand",
            ) from None
        logged = LoggedRound(folder.run_id, events, data.catalog, data.population.user_ids)
        surfaces = [row.surfaces.get(arm) for arm in folder.arms]
        _check_surfaces(where, row.round, folder.arms, surfaces, arm_of_user[logged.user])
        arms = [LoggedRecommender(logged, names or ()) for names in surfaces]
        mind.opens(events, memories)
        asked = await company.opens(row, arms, changed) if company else arms
        try:
            result = await play_round(world, mind, asked, arm_of_user, rules, interventions)
            logged.finish()
            await store.commit(result, row.sim_time)
            if store.digest != row.digest:
                told = difference(result.events, events, data)
                raise LogDeparted(f"run {folder.run_id}, round {row.round}: {told}")
        except LogDeparted as error:
            raise LogDeparted(f"{error}{_explanation(folder, row.round)}") from None
        world.apply(result)
        mind.committed(result.round, result.memories)
        if company:
            await company.closes(row, events)
        yield row


def replayable(folder: RunFolder) -> Settings:
    """The settings of a run. InputError where it cannot be decided anew."""
    where = str(folder.path)
    if "settings" not in folder.manifest:
        raise InputError("the manifest has no settings to play by", where=where)
    kind = dict(folder.manifest.get("mind", {})).get("kind", CHOICE)
    if kind not in (CHOICE, LLM):
        raise InputError(
            f"users with a mind of the kind {kind!r} decide otherwise the next time", where=where
        )
    return settings_of(folder)


def _check_surfaces(
    where: str,
    round: int,
    arms: Sequence[str],
    surfaces: Sequence[tuple[str, ...] | None],
    arm_of_page: NDArray[np.int8],
) -> None:
    """InputError where it is not known what the users of an arm had who opened it."""
    for number, (arm, names) in enumerate(zip(arms, surfaces, strict=True)):
        if names is None and (arm_of_page == number).any():
            raise InputError(
                f"round {round} was written by a version that did not keep whether users of arm "
                f"{arm} had a search box, nor the evidence of explanations: it cannot be played "
                "again",
                where=where,
                remedy="Its digest can still be verified: recarena digest --verify",
            )


def difference(found: EventColumns, logged: EventColumns, data: WorldData) -> str:
    """In what the first event differs that is not the same in both, in words."""
    size = min(len(found), len(logged))
    unlike: dict[str, NDArray[np.bool_]] = {}
    for name in EVENT_COLUMNS:
        one, other = getattr(found, name)[:size], getattr(logged, name)[:size]
        unlike[name] = (one != other) & ~((one != one) & (other != other))
    for name in ("text", "evidence"):
        one, other = getattr(found, name), getattr(logged, name)
        rows = [row for row in one.keys() | other.keys() if one.get(row) != other.get(row)]
        unlike[name] = np.isin(np.arange(size), rows)
    somewhere = np.any(list(unlike.values()), axis=0)
    if not somewhere.any():
        return f"{len(found)} events came out, and the log has {len(logged)}"
    row = int(np.argmax(somewhere))
    name = next(name for name, rows in unlike.items() if rows[row])
    kind, user = EventKind(int(logged.kind[row])).name.lower(), int(logged.user[row])
    of_user = f" of user {data.population.user_ids[user]}" if user >= 0 else ""
    return (
        f"event {row} ({kind}{of_user}): {name} is {_value(found, name, row)}, "
        f"and in the log {_value(logged, name, row)}"
    )


def _value(events: EventColumns, name: str, row: int) -> object:
    column: Mapping[int, str] | Ints = getattr(events, name)
    if isinstance(column, Mapping):
        return repr(column.get(row))
    if name == "kind":
        return EventKind(int(column[row])).name.lower()
    return column[row].item()


def _explanation(folder: RunFolder, round: int) -> str:
    """Why a round may come out otherwise, as far as the manifest tells."""
    made, here = folder.manifest.get("code_version", ""), metadata.version("recarena-server")
    if made and made != here:
        return f" (the run was made by version {made}; this is {here})"
    origin = folder.manifest.get("forked_from", {})
    if round <= int(origin.get("round", 0)):
        return f" (the round was copied from run {origin.get('run_id')}: play that one again)"
    return ""
