"""Runs: a world, a mind, recommenders and a folder, played round by round; and the house of many.

A round is committed before it changes the world in memory, and the world before anybody is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from recarena.server.allocation import (
    Allocation,
    AllocationUnit,
    allocate_clusters,
    allocate_users,
)
from recarena.server.assembly import mind_entries, mind_of
from recarena.server.config import Settings, parse_settings
from recarena.server.datasets.planting import world_settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.door import Assignment, Door, HostedRecommender
from recarena.server.errors import Conflict, RecArenaError, RunPaused
from recarena.server.feedback import feedback_of, history_feedback, tally
from recarena.server.network import Network
from recarena.server.ports import Feedback, Mind, Recommender, RunStore
from recarena.server.rounds import play_round
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import CONVERSATIONS, SEARCH_BOX, SURFACES, EventKind, RoundResult
from recarena.server.world import World

log = structlog.get_logger()

DRAIN_GRACE_S = 5.0


class RunState(StrEnum):
    """State of a run, as stored and shown."""

    CREATED = "created"
    WAITING = "waiting_for_recommenders"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_live(self) -> bool:
        """Whether a task is playing the run."""
        return self in (RunState.WAITING, RunState.RUNNING)

    @property
    def is_final(self) -> bool:
        """Whether StartRun can do nothing more."""
        return self in (RunState.SUCCEEDED, RunState.STOPPED)


def assign_arms(settings: Settings, network: Network) -> Allocation:
    """The arm of each user of a network, in proportion to the weights, as the settings say."""
    weights = [arm.weight for arm in settings.arms]
    if settings.assignment.by is AllocationUnit.CLUSTERS:
        return allocate_clusters(
            weights, settings.seed, network, settings.assignment.clusters_per_arm
        )
    return allocate_users(weights, settings.seed, network.users)


def new_manifest(
    run_id: str, settings: Settings, world: WorldData, epoch: int, allocation: Allocation
) -> dict[str, Any]:
    """What determines a run, as its folder keeps it."""
    return {
        "run_id": run_id,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": metadata.version("recarena-server"),
        "epoch": epoch,
        "world": {
            "name": world.name,
            "users": len(world.population),
            "items": len(world.catalog),
            "catalog_version": world.catalog.version,
            "origin": world.origin,
        },
        "assignment": allocation.entry(world.network, [arm.id for arm in settings.arms]),
        **mind_entries(settings, world),
        **settings_entries(settings),
    }


def settings_entries(settings: Settings) -> dict[str, Any]:
    """The entries of a manifest that follow from the settings."""
    return {
        "seed": settings.seed,
        "rounds": settings.rounds,
        "arms": [
            {
                "arm_id": arm.id,
                "recommender": arm.recommender,
                "weight": arm.weight,
                "failure_policy": arm.failure_policy,
            }
            for arm in settings.arms
        ],
        "settings": settings.model_dump(mode="json"),
    }


def create_run(
    path: Path, settings: Settings, world: WorldData, *, run_id: str = "", epoch: int = 1
) -> RunFolder:
    """A run folder without rounds, named after `path` unless said otherwise. Conflict where
    something is at `path`.

    What the world says of the settings of its runs holds where `settings` does not say otherwise.
    """
    settings = settings_in(world, settings)
    allocation = assign_arms(settings, world.network)
    folder = RunFolder.create(
        path,
        new_manifest(run_id or path.name, settings, world, epoch, allocation),
        world,
        allocation.arm_of_user,
        fsync=settings.store.fsync,
        optimize_every=settings.store.optimize_every,
    )
    folder.set_status(RunState.CREATED)
    return folder


def settings_in(world: WorldData, settings: Settings) -> Settings:
    """The settings over those that are planted in the world, coefficient by coefficient."""
    planted = world_settings(world)
    if not planted:
        return settings
    values = settings.model_dump(mode="json")
    for table, coefficients in planted.items():
        values[table] = {**coefficients, **dict(values.get(table, {}))}
    return parse_settings(values, f"world {world.name}")


def settings_of(folder: RunFolder) -> Settings:
    """The settings that a run was made with."""
    return parse_settings(folder.manifest["settings"], str(folder.path / "manifest.json"))


def adjust_llm(folder: RunFolder, changes: Mapping[str, Any]) -> None:
    """Puts changes over the settings of a run's LLM minds: caps, limits and how calls are made,
    which decide nothing. InputError where they are wrong."""
    stored = dict(folder.manifest["settings"])
    changed = {**stored, "llm": {**dict(stored.get("llm", {})), **changes}}
    settings = parse_settings(changed, str(folder.path / "manifest.json"))
    folder.note("settings", {"llm": settings.model_dump(mode="json")["llm"]})


def surfaces_of(recommender: Recommender) -> tuple[str, ...]:
    """Which of SURFACES the users of an arm have, by its recommender."""
    there = {SEARCH_BOX: recommender.can_search, CONVERSATIONS: recommender.can_converse}
    return tuple(name for name in SURFACES if there[name])


def replay(world: World, mind: Mind, store: RunStore) -> None:
    """Brings a fresh world, and a mind that remembers nothing, to the store's last committed
    round."""
    for number, (events, memories) in enumerate(store.rounds(1, store.last_round), start=1):
        world.apply(RoundResult(number, 0, events, memories))
        mind.committed(number, memories)


class Run:
    """One run, in the state of its folder's last committed round, and the task that plays it."""

    def __init__(self, folder: RunFolder, door: Door, mind: Mind | None = None) -> None:
        self.folder, self._door = folder, door
        self.settings = settings_of(folder)
        self.run_id = str(folder.manifest["run_id"])
        self.epoch = int(folder.manifest.get("epoch", 1))
        self.data = folder.world()
        self.world = World(self.data, self.settings.seed, self.settings.world_dynamics())
        self.arm_of_user = folder.arm_of_user()
        self.mind = mind or mind_of(self.settings, self.data, folder)
        replay(self.world, self.mind, folder)
        self._is_prepared = False
        self.recommenders: list[HostedRecommender] = []
        stored = str(folder.status.get("state", RunState.CREATED))
        self.state = RunState(stored)
        if self.state.is_live:
            self.state = RunState.PAUSED
        self.error = str(folder.status.get("error", ""))
        self.changes = 0
        """Grows with every change of state and every committed round."""
        self._changed = asyncio.Event()
        self.is_closed = False
        """Nothing changes any more in this object; the run may live on in another."""
        self._task: asyncio.Task[None] | None = None
        self._committing: asyncio.Future[None] | None = None
        """The commit under way or the last one: what is begun is finished."""
        self._last_wanted = self.settings.rounds
        self.newest: RoundResult | None = None
        """The round committed last, for those who watch; None until one is."""
        self._told = 0
        """The round that recommenders were told of last."""

    @property
    def round(self) -> int:
        """Last committed round."""
        return self.folder.last_round

    async def changed(self, since: int) -> int:
        """Waits until `changes` is above `since`; returns it."""
        while self.changes <= since:
            await self._changed.wait()
        return self.changes

    def start(self, rounds: int | None = None) -> None:
        """Plays on to the end, or so many rounds. Conflict in a final state or while live."""
        if self.state.is_final or self.state.is_live:
            raise Conflict(f"run {self.run_id} is {self.state}")
        self._last_wanted = self.settings.rounds
        if rounds is not None:
            self._last_wanted = min(self.settings.rounds, self.round + rounds)
        self._set_state(RunState.WAITING)
        self._task = asyncio.create_task(self._play(), name=f"run {self.run_id}")

    def pause(self) -> None:
        """Pauses at the next barrier. Conflict unless live."""
        if not self.state.is_live:
            raise Conflict(f"run {self.run_id} is {self.state}")
        self._last_wanted = self.round
        if self.state is RunState.WAITING and self._task:
            self._task.cancel()
            self._task.add_done_callback(self._paused_unplayed)

    def _paused_unplayed(self, _: asyncio.Task[None]) -> None:
        """A task that is cancelled before it began says nothing itself."""
        if self.state is RunState.WAITING:
            self._set_state(RunState.PAUSED)

    async def stop(self) -> None:
        """Ends for good; the round under way is given up. Conflict in a final state."""
        if self.state.is_final:
            raise Conflict(f"run {self.run_id} is {self.state}")
        await self._cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_GRACE_S):
                await self._tell_untold()
        await self._dismiss(come_back=False)
        self._set_state(RunState.STOPPED)

    async def settled(self) -> None:
        """Waits until no task plays the run."""
        if self._task:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Gives up the round under way, lets go of recommenders and folder; the run can be opened
        again."""
        await self._cancel()
        await self._dismiss(come_back=True)
        await self.mind.close()
        self.folder.close()
        self.is_closed = True
        self._notify()

    async def _cancel(self) -> None:
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._committing:
            await asyncio.wait({self._committing})

    async def _play(self) -> None:
        structlog.contextvars.bind_contextvars(run=self.run_id)
        try:
            # Also when all rounds are there: a recommender may still be owed the last feedback.
            await self._gather()
            await self._prepare()
            self._set_state(RunState.RUNNING)
            while self.round < self._last_wanted:
                await self._play_one()
            done = self.round >= self.settings.rounds
            if done:
                await self._dismiss(come_back=False)
            self._set_state(RunState.SUCCEEDED if done else RunState.PAUSED)
        except asyncio.CancelledError:
            self._set_state(RunState.PAUSED)
            raise
        except RunPaused as error:
            self._set_state(RunState.PAUSED, str(error))
        except RecArenaError as error:
            self._set_state(RunState.FAILED, str(error))
        except Exception as error:
            log.exception("run failed")
            self._set_state(RunState.FAILED, f"{type(error).__name__}: {error}")

    async def _gather(self) -> None:
        """Asks for the recommenders that are not there, and waits for them all."""
        if not self.recommenders:
            self._told = self.round
            self.recommenders = [
                self._door.open(self._assignment(number))
                for number in range(len(self.settings.arms))
            ]
        async with asyncio.TaskGroup() as group:
            for recommender in self.recommenders:
                group.create_task(recommender.arrived())

    async def _prepare(self) -> None:
        """Lets the mind say whether it can decide, where there is something left to decide."""
        if self.round < self._last_wanted and not self._is_prepared:
            if found := await self.mind.prepare():
                self.folder.note("mind", found)
            self._is_prepared = True

    def _assignment(self, number: int) -> Assignment:
        in_arm = self.arm_of_user == number

        def past(round: int) -> Feedback:
            if round == 0:
                return history_feedback(self.data.history, in_arm)
            events, _ = next(iter(self.folder.rounds(round, round)))
            return feedback_of(events, in_arm, round)

        return Assignment(
            self.run_id, self.epoch, number, self.settings.arms[number], self.settings, self.world,
            self.data.catalog, self.data.population.user_ids, past, self.round,
            lambda: self.is_closed, self._note_conduct,
        )  # fmt: skip

    def _note_conduct(self, conduct: Mapping[str, Any]) -> None:
        """Adds a line to the folder, where there is still one."""
        if not self.is_closed:
            self.folder.note_conduct({"epoch": self.epoch, "round": self.round, **conduct})

    async def _play_one(self) -> None:
        """One round, told as a whole."""
        with self._door.round_span(self.run_id, self.round + 1) as span:
            await self._play_round(self.round + 1)
            span.ended("committed")

    async def _play_round(self, round: int) -> None:
        """Open, play, commit, apply, tell."""
        start = time.perf_counter()
        sim_time = self.settings.time.of_round(round)
        sizes = np.bincount(self.arm_of_user, minlength=len(self.recommenders)).tolist()
        training = await asyncio.gather(
            *(
                recommender.round_started(round, sim_time, size)
                for recommender, size in zip(self.recommenders, sizes, strict=True)
            )
        )
        # What users have is settled when a round begins, and is known of no round but by this.
        surfaces = {number: surfaces_of(one) for number, one in enumerate(self.recommenders)}
        result = await play_round(
            self.world, self.mind, self.recommenders, self.arm_of_user, self.settings.rules()
        )
        took = (time.perf_counter() - start) * 1000
        result = replace(
            result, training_ms=dict(enumerate(training)), wall_ms=took, surfaces=surfaces
        )
        self._committing = asyncio.ensure_future(self._commit(result, sim_time))
        await asyncio.shield(self._committing)
        await self._tell_untold()

    async def _commit(self, result: RoundResult, sim_time: datetime) -> None:
        await self.folder.commit(result, sim_time)
        self.world.apply(result)
        self.mind.committed(result.round, result.memories)
        self.newest = result
        self._notify()

    async def _tell_untold(self) -> None:
        """Tells the round that was committed last, unless it was told already: a run may have been
        stopped in between."""
        result = self.newest
        if result and self._told < result.round:
            arms = range(len(self.recommenders))
            await asyncio.gather(*(self._tell(number, result) for number in arms))
            self._told = result.round

    async def _tell(self, number: int, result: RoundResult) -> None:
        in_arm = self.arm_of_user == number
        pages = result.events.of(EventKind.PAGE)
        outcomes = pages.outcome[in_arm[pages.user]]
        feedback = feedback_of(result.events, in_arm, result.round)
        await self.recommenders[number].round_ended(feedback, tally(outcomes))

    async def _dismiss(self, come_back: bool) -> None:
        leaving, self.recommenders = self.recommenders, []
        for recommender in leaving:
            self._door.close(recommender)
        await asyncio.gather(
            *(recommender.dismiss(DRAIN_GRACE_S, come_back) for recommender in leaving)
        )

    def _set_state(self, state: RunState, error: str = "") -> None:
        self.state, self.error = state, error
        self.folder.set_status(state, error)
        log.info("run", run=self.run_id, state=str(state), round=self.round, error=error or None)
        self._notify()

    def _notify(self) -> None:
        self.changes += 1
        self._changed.set()
        self._changed = asyncio.Event()
