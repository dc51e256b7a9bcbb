"""Runs: a world, a mind, recommenders and a folder, played round by round; and the house of many.

A round is committed before it changes the world in memory, and the world before anybody is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import structlog

from recarena.server.agenda import Agenda
from recarena.server.assembly import mind_of
from recarena.server.door import Assignment, Door, HostedRecommender
from recarena.server.errors import Conflict, RecArenaError, RunPaused
from recarena.server.feedback import feedback_of, history_feedback, tally
from recarena.server.founding import RunState, settings_of
from recarena.server.interventions import Change, Planned
from recarena.server.minds.person.desk import TurnDesk
from recarena.server.minds.person.mind import PersonMind
from recarena.server.ports import Feedback, Mind, Recommender, RunStore
from recarena.server.rounds import play_round
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import (
    CONVERSATIONS,
    SEARCH_BOX,
    SURFACES,
    EventKind,
    InterventionKind,
    RoundResult,
)
from recarena.server.world import World

log = structlog.get_logger()

DRAIN_GRACE_S = 5.0
DEADLINE = "deadline"
"""By whom a user is handed back for whom nobody decided anything in a round."""


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
        """As it is now: interventions change it between rounds."""
        self.world = World(self.data, self.settings.seed, self.settings.world_dynamics())
        self.arm_of_user = folder.arm_of_user()
        self.desk = TurnDesk()
        """Where people decide for the users whom they play."""
        self.mind = PersonMind(mind or mind_of(self.settings, self.data, folder), self.desk)
        replay(self.world, self.mind, folder)
        self._agenda = Agenda(folder.path, self.world)
        self._playing = 0
        """The round under way; 0: none."""
        self._untold_items: set[int] = set()
        """Items that were added or withdrawn, of which recommenders do not know yet."""
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

    def intervene(self, change: Change, by: str = "", request_id: str = "") -> Planned:
        """Accepts a change of the world, which takes effect when the next round begins; it is on
        the disk then. A call with a request_id that was there before gives what the first one gave.

        InputError where it cannot be, as the world will be then; Conflict where no round is left.
        """
        if known := self._agenda.asked_for(request_id):
            return known
        if self.state.is_final or self.is_closed:
            raise Conflict(
                f"run {self.run_id} is {self.state}: fork it at a round, change the fork"
            )
        if max(self._playing, self.round) >= self.settings.rounds:
            raise Conflict(f"run {self.run_id} plays its last round: nothing comes after it")
        self._agenda.make_sure_of_room()
        planned = self._accept(change, by, request_id)
        if change.kind is InterventionKind.HAND_BACK:
            user = self.data.population.number_of[str(planned.change.values["user_id"])]
            self.desk.leave(user, planned.round - 1)
        return planned

    def _accept(self, change: Change, by: str, request_id: str = "") -> Planned:
        after = max(self._playing, self.round)
        planned = self._agenda.accept(change, by, request_id, after)
        log.info("intervention", run=self.run_id, number=planned.number, by=by or None,
                 kind=change.kind.name.lower(), round=planned.round)  # fmt: skip
        self._notify()
        return planned

    def interventions(self) -> list[Planned]:
        """All that were accepted in this epoch, by number."""
        return self._agenda.planned()

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
        again, also where something of that fails."""
        try:
            await self._cancel()
            await self._dismiss(come_back=True)
            await self.mind.close()
        finally:
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
            self._playing = self.round + 1
            try:
                await self._play_round(self._playing)
            finally:
                self._playing = 0
            span.ended("committed")

    async def _play_round(self, round: int) -> None:
        """Change what interventions change, open, play, commit, apply, tell."""
        start = time.perf_counter()
        interventions = self._agenda.due(round)
        self._untold_items |= set(self.world.take_up(interventions).tolist())
        await self._tell_catalog()
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
            self.world, self.mind, self.recommenders, self.arm_of_user, self.settings.rules(),
            interventions,
        )  # fmt: skip
        took = (time.perf_counter() - start) * 1000
        result = replace(
            result, training_ms=dict(enumerate(training)), wall_ms=took, surfaces=surfaces
        )
        self._committing = asyncio.ensure_future(self._commit(result, sim_time))
        await asyncio.shield(self._committing)
        self._hand_back(round)
        await self._tell_untold()

    async def _tell_catalog(self) -> None:
        """Lets recommenders take over a catalogue that changed."""
        if self._untold_items:
            changed = np.array(sorted(self._untold_items), np.int32)
            await asyncio.gather(*(one.catalog_changed(changed) for one in self.recommenders))
            self._untold_items.clear()

    def _hand_back(self, round: int) -> None:
        """Ends the taking over of users for whom nobody decided anything in a round, as far as
        nobody asked for it and rounds are left."""
        if round >= self.settings.rounds:
            return
        ids, leaving = self.data.population.user_ids, self._agenda.leaving()
        for user in self.mind.missed(round):
            if user not in leaving:
                change = Change(InterventionKind.HAND_BACK, {"user_id": ids[user]})
                self._accept(change, DEADLINE)  # however many wait

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
