"""Runs that operators change, without a wire: any changes that a world can take, and a run in a
folder that is played round by round."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from recarena.server.datasets.world_data import WorldData
from recarena.server.door import Assignment
from recarena.server.errors import InputError
from recarena.server.founding import create_run
from recarena.server.interventions import Change, Intervention
from recarena.server.local import LocalRecommender
from recarena.server.minds.choice import ChoiceMind
from recarena.server.ports import RankRequest
from recarena.server.rounds import RoundRules, play_round
from recarena.server.runs import Run
from recarena.server.spans import Span, untold
from recarena.server.steering.checking import check
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import InterventionKind, Ints, RoundResult
from recarena.server.world import World
from support.arena import settings

K = InterventionKind


def change(of: K, /, **values: Any) -> Change:
    return Change(of, values)


def item(item_id: str, title: str = "Solaris", *categories: str, **more: Any) -> dict[str, Any]:
    return {"item_id": item_id, "title": title, "categories": list(categories), **more}


def added(item_id: str, *categories: str, quality: float = 0.0, title: str = "Solaris") -> Change:
    return change(K.ADD_ITEM, item=item(item_id, title, *categories), quality=quality)


def changes(data: WorldData) -> st.SearchStrategy[Change]:
    """Any change of a world that never hands its users to people: some of them cannot be."""
    user = st.sampled_from(data.population.user_ids)
    name = st.sampled_from([*data.catalog.item_ids[:5], "new-1", "new-2", "new-3"])
    genre = st.sampled_from(data.catalog.genre_names)
    words = st.sampled_from(["Go and see it.", "“Hm”\nand ‘so’", "ß→∞"])
    flag, half = st.booleans(), st.sampled_from([0.0, 0.25, 1.0])

    def made(of: K, /, **fields: Any) -> st.SearchStrategy[Change]:
        return st.fixed_dictionaries(fields).map(lambda values: Change(of, values))

    new = st.fixed_dictionaries(
        {"item_id": name, "title": st.just("Solaris"), "categories": st.lists(genre, max_size=2,
                                                                               unique=True)}
    )  # fmt: skip
    pair = {"user_id": user, "other_user_id": user, "both_ways": flag}
    return st.one_of(
        made(K.EDIT_PROFILE, user_id=user, name=words, traits=st.fixed_dictionaries(
            {"activity": st.sampled_from([-4.0, 4.0]), "conformity": half}
        ), tastes=st.dictionaries(genre, st.sampled_from([-3.0, 0.5, 3.0]), max_size=2)),
        made(K.SET_RELATION, **pair, kind=st.sampled_from(["", "rival"]), closeness=half),
        made(K.REMOVE_RELATION, **pair),
        made(K.ADD_ITEM, item=new, quality=st.sampled_from([0.0, 2.0])),
        made(K.WITHDRAW_ITEM, item_id=name),
        made(K.INJECT_POST, user_id=user, text=words, item_id=st.one_of(st.just(""), name),
             sentiment=st.sampled_from([-2.0, 0.0, 2.0])),
        made(K.TELL_USER, user_id=user, said=words, answer=st.one_of(st.just(""), words)),
    )  # fmt: skip


@dataclass
class Life:
    """A world that is played in memory, and its rounds."""

    world: World
    rules: RoundRules = field(default_factory=RoundRules)
    results: list[RoundResult] = field(default_factory=list[RoundResult])
    refused: int = 0

    def goes_on(self, *wanted: Change) -> RoundResult:
        """One more round, with those changes that can be."""
        interventions: list[Intervention] = []
        for one in wanted:
            try:
                number = self.world.taken_up + len(interventions) + 1
                interventions.append(check(one, number, self.world, interventions)[0])
            except InputError:
                self.refused += 1
        self.world.take_up(interventions)
        arms = [shelf(self.world), shelf(self.world, 1)]
        arm_of_user = (np.arange(self.world.users) % 2).astype(np.int8)
        result = asyncio.run(
            play_round(
                self.world, ChoiceMind(), arms, arm_of_user, self.rules, interventions
            )
        )  # fmt: skip
        self.world.apply(result)
        self.results.append(result)
        return result


def shelf(world: World, arm: int = 0) -> LocalRecommender:
    """Lists that differ from user to user and round to round, of all items that can be shown; every
    fourth user sees the newest first."""

    def rank(request: RankRequest) -> Ints:
        there = np.flatnonzero(world.catalog.available)
        turned = request.users.astype(np.int64) * 7 + request.round
        first = np.where(request.users % 4 == 0, 0, turned) + request.offsets
        at = (first[:, None] + np.arange(request.count)) % len(there)
        return there[::-1][at].astype(np.int32)

    return LocalRecommender(world, rank, rank, arm=arm)


class Shelf(LocalRecommender):
    """A recommender of a run: as `shelf`, and it keeps what it was told of the catalogue."""

    def __init__(self, assignment: Assignment) -> None:
        inner = shelf(assignment.world, assignment.arm_number)  # type: ignore[arg-type]
        super().__init__(assignment.world, inner._rank, inner._search, arm=assignment.arm_number)
        self.told: list[list[int]] = []
        self.waits: asyncio.Event | None = None
        self.is_asked = asyncio.Event()

    async def catalog_changed(self, changed: Ints) -> None:
        self.told.append(changed.tolist())

    async def round_started(self, round: int, sim_time: Any, expected: int) -> float:
        self.is_asked.set()
        if self.waits:
            await self.waits.wait()
        return 0.0

    async def arrived(self) -> None:
        pass

    async def dismiss(self, grace_s: float, come_back: bool) -> None:
        pass


class ShelfDoor:
    """A `Door` behind which there is a `Shelf` for each arm; `holds`: rounds do not begin before
    somebody sets it."""

    def __init__(self, holds: asyncio.Event | None = None) -> None:
        self.shelves: list[Shelf] = []
        self._holds = holds

    def open(self, assignment: Assignment) -> Shelf:
        self.shelves.append(Shelf(assignment))
        self.shelves[-1].waits = self._holds
        return self.shelves[-1]

    def close(self, recommender: object) -> None:
        pass

    def round_span(self, run_id: str, round: int) -> AbstractContextManager[Span]:
        return untold()


def founded(path: Path, data: WorldData, rounds: int = 6, **values: Any) -> RunFolder:
    return create_run(
        path, settings({"id": "a", "recommender": "shelf"}, rounds=rounds, **values), data
    )


async def plays(run: Run, rounds: int = 1) -> None:
    """So many rounds more."""
    run.start(rounds)
    await run.settled()
    assert not run.error, run.error


async def lives(run: Run, script: Sequence[Sequence[Change]]) -> None:
    """A round for each of the entries, which are asked for before it."""
    for wanted in script:
        for one in wanted:
            try:
                run.intervene(one, by="olga")
            except InputError:
                continue
        await plays(run)
