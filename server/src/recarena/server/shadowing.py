"""Runs played again with another recommender in the shadow of the recorded one.

Users do what they did, since they are shown what they were shown. The shadow is asked what the
recorded recommender was asked, when it was, and is told what that one was told; nobody sees what it
answers but the comparison.
"""

from __future__ import annotations

import asyncio
import difflib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recarena.server.assembly import recorded_mind_of
from recarena.server.comparison import (
    NOT_OFFERED,
    ArmRound,
    Comparison,
    Pages,
    Times,
    bits,
    merged_rows,
    sums_of,
)
from recarena.server.config import ArmSettings
from recarena.server.door import Assignment, Door, HostedRecommender
from recarena.server.errors import InputError, NotFound
from recarena.server.feedback import feedback_of, history_feedback, tally
from recarena.server.llm.recorder import FILE
from recarena.server.logged import LoggedRecommender
from recarena.server.ports import (
    Feedback,
    Lists,
    RankRequest,
    Recommender,
    RoundTally,
    SearchRequest,
)
from recarena.server.replaying import play_again, replayable
from recarena.server.runs import DRAIN_GRACE_S
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.tables import RoundRow
from recarena.server.types import NOTHING, EventColumns, EventKind, Ints, Surface
from recarena.server.world import World


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be shadowed: which rounds and arms of a run, and by whom."""

    folder: RunFolder
    recommender: str
    """The recommender_id of the shadow."""
    arms: tuple[int, ...]
    """Numbers of arms; each has a session of the shadow for itself."""
    first: int
    last: int
    """Rounds first..last are compared; those before are told as past."""

    @property
    def rounds(self) -> int:
        """How many rounds are to be compared."""
        return self.last - self.first + 1


def plan_of(
    folder: RunFolder, recommender: str, arms: Sequence[str] = (), rounds: str = ""
) -> Plan:
    """The plan that the options name; default: all arms and committed rounds. `rounds` is N for
    the first N rounds, or A:B. InputError, NotFound where the run does not have them."""
    replayable(folder)
    last = folder.last_round
    if not last:
        raise InputError(
            f"run {folder.run_id} has no committed round: nothing was asked that could be asked "
            "again",
            where=str(folder.path),
            remedy=f"Play it first: recarena resume {folder.path}",
        )
    chosen = tuple(dict.fromkeys(_arm(folder, name) for name in arms))
    return Plan(
        folder, recommender, chosen or tuple(range(len(folder.arms))), *_rounds(rounds, last)
    )


def _arm(folder: RunFolder, name: str) -> int:
    if name not in folder.arms:
        near = difflib.get_close_matches(name, folder.arms, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(folder.arms)}"
        raise NotFound(f"--arm: run {folder.run_id} has no arm {name!r}; {hint}")
    return folder.arms.index(name)


def _rounds(text: str, last: int) -> tuple[int, int]:
    if not text:
        return 1, last
    begin, colon, end = text.partition(":")
    if not colon:
        begin, end = "1", begin
    try:
        found = int(begin or 1), int(end or last)
    except ValueError:
        found = 0, 0
    if not 1 <= found[0] <= found[1] <= last:
        raise InputError(
            f"{text!r} are no rounds of this run, which has rounds 1 to {last}",
            where="--rounds",
            remedy=f"Write the first N as N, or A:B, for example {max(1, last // 2)}:{last}",
        )
    return found


class Words:
    """What users typed, by number: pages keep the number."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._number: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The number of some words, a new one where they are new."""
        if text not in self._number:
            self._number[text] = len(self.texts)
            self.texts.append(text)
        return self._number[text]


class Shadowed:
    """The `Recommender` port of one arm in one round: users get what the log has, the shadow is
    asked the same at the same time, and both are kept."""

    def __init__(
        self, logged: LoggedRecommender, shadow: Recommender, users: int, words: Words
    ) -> None:
        self._logged, self._shadow, self._words = logged, shadow, words
        self.can_search, self.can_converse = logged.can_search, logged.can_converse
        self._step = np.zeros(users, np.int16)
        """[users]: pages asked for so far."""
        self._parts: list[Pages] = []
        self._ms: list[float] = []

    async def catalog_changed(self, changed: Ints) -> None:
        """At once: the shadow was told before."""

    async def round_started(self, round: int, sim_time: datetime, expected: int) -> float:
        """At once: the shadow was told before."""
        return 0.0

    async def rank(self, request: RankRequest) -> Lists:
        """The logged lists."""
        text = np.full(len(request.users), -1, np.int32)
        logged = await self._logged.rank(request)
        return await self._beside(request, Surface.FEED, text, logged, self._shadow.rank(request))

    async def search(self, request: SearchRequest) -> Lists:
        """The logged lists."""
        number = np.array([self._words.number(words) for words in request.texts], np.int32)
        surface = Surface.CONVERSATION if request.conversation else Surface.SEARCH
        shadow = self._shadow
        offered = shadow.can_converse if request.conversation else shadow.can_search
        logged = await self._logged.search(request)
        answering = shadow.search(request) if offered else None
        return await self._beside(request, surface, number[request.text_of], logged, answering)

    async def _beside(
        self, request: RankRequest | SearchRequest, surface: Surface, text: Ints, logged: Lists,
        answering: Awaitable[Lists] | None,
    ) -> Lists:  # fmt: skip
        """Keeps what the log has and what the shadow answers, where it is asked."""
        size = len(request.users)
        step = self._step[request.users]
        self._step[request.users] += 1
        items, outcome = np.full_like(logged.items, NOTHING), np.full(size, NOT_OFFERED, np.int8)
        if answering:
            answer = await answering
            items, outcome = answer.items, answer.outcome
            self._ms += [work.latency_ms for work in answer.works]
        self._parts.append(
            Pages(
                request.users, step, np.full(size, surface, np.int8), request.offsets, text,
                logged.items, logged.outcome, np.zeros(logged.items.shape, np.bool_),
                items, outcome,
            )
        )  # fmt: skip
        return logged

    async def round_ended(self, feedback: Feedback, tally: RoundTally) -> None:
        """The shadow is told when the round has come out as it was."""

    def pages(self, feedback: Feedback) -> Pages | None:
        """The pages of the round, with what was watched on them by the feedback; None without."""
        if not self._parts:
            return None
        found = merged_rows(self._parts)
        watched = ~np.isnan(feedback.rating)
        found.watched[feedback.page[watched], feedback.position[watched]] = True
        return found

    @property
    def works_ms(self) -> NDArray[np.float64]:
        """How long the works took that the shadow was sent."""
        return np.array(self._ms, np.float64)


class Shadow:
    """The company of a run that is played again: a recommender in the shadow of each arm."""

    def __init__(self, plan: Plan, door: Door) -> None:
        """Wants the shadow's sessions from now on."""
        folder = plan.folder
        self.plan, self._door = plan, door
        self.settings = replayable(folder)
        self.world = World(folder.world(), self.settings.seed, self.settings.world_dynamics())
        self.words = Words()
        self.comparisons = [
            Comparison(folder.arms[arm], self.settings.arms[arm].recommender) for arm in plan.arms
        ]
        self.compared = 0
        """Rounds compared so far."""
        self._arm_of_user = folder.arm_of_user()
        self._recorded_ms = _latencies(folder)
        self._shadows: dict[int, HostedRecommender] = {
            arm: door.open(self._assignment(arm)) for arm in plan.arms
        }
        self._untold_items: set[int] = set()
        """Items that the shadow's catalogue does not have, or has as they were."""
        self._under_way: dict[int, Shadowed] = {}
        self._ready_ms: dict[int, float] = {}
        self._novelty = bits(self.world.item_watches)
        self._newest: list[ArmRound] = []

    async def arrived(self, patience_s: float) -> None:
        """Returns when each arm has its session. NotFound where that takes too long."""
        waits = [asyncio.ensure_future(one.arrived()) for one in self._shadows.values()]
        try:
            _, missing = await asyncio.wait(waits, timeout=patience_s)
        finally:
            for wait in waits:
                wait.cancel()
        if missing:
            there = len(waits) - len(missing)
            raise NotFound(
                f"{there} of {len(waits)} sessions of the recommender {self.plan.recommender!r} "
                f"came within {patience_s:g} s"
            )

    async def play(self) -> AsyncIterator[list[ArmRound]]:
        """Plays the run again and yields, round by round, what was compared in each arm. What
        `play_again` raises."""
        folder = self.plan.folder
        with tempfile.TemporaryDirectory(prefix="recarena-") as scratch:
            mind = recorded_mind_of(
                self.settings, self.world.data, folder, _recording(folder.path, Path(scratch))
            )
            async with aclosing(play_again(folder, mind=mind, company=self)) as rounds:
                async for row in rounds:
                    if row.round >= self.plan.first:
                        yield self._newest
                    if row.round >= self.plan.last:
                        return

    async def close(self, grace_s: float = DRAIN_GRACE_S) -> None:
        """Says goodbye, once: the run is over for the shadow, however far it came. What is under
        way may be finished within the grace."""
        leaving, self._shadows = list(self._shadows.values()), {}
        for one in leaving:
            self._door.close(one)
        await asyncio.gather(*(one.dismiss(grace_s, come_back=False) for one in leaving))

    # -- the company of a run

    async def opens(
        self, row: RoundRow, arms: list[LoggedRecommender], changed: Ints
    ) -> Sequence[Recommender]:
        """The shadow gets ready, and is asked from now on; not in a round that is past for it."""
        asked: list[Recommender] = list(arms)
        self._untold_items |= set(changed.tolist())
        if row.round < self.plan.first:
            return asked
        if self._untold_items:
            items = np.array(sorted(self._untold_items), np.int32)
            await asyncio.gather(*(one.catalog_changed(items) for one in self._shadows.values()))
            self._untold_items.clear()
        self._novelty = bits(self.world.item_watches)
        sim_time = self.settings.time.of_round(row.round)
        ready = await asyncio.gather(
            *(
                shadow.round_started(row.round, sim_time, int((self._arm_of_user == arm).sum()))
                for arm, shadow in self._shadows.items()
            )
        )
        self._ready_ms = dict(zip(self._shadows, ready, strict=True))
        self._under_way = {
            arm: Shadowed(arms[arm], shadow, self.world.users, self.words)
            for arm, shadow in self._shadows.items()
        }
        for arm, one in self._under_way.items():
            asked[arm] = one
        return asked

    async def closes(self, row: RoundRow, events: EventColumns) -> None:
        """The round is compared, and the shadow told what the recorded recommender was told."""
        if row.round < self.plan.first:
            return
        told: list[Awaitable[None]] = []
        self._newest = []
        for comparison, (arm, one) in zip(self.comparisons, self._under_way.items(), strict=True):
            in_arm = self._arm_of_user == arm
            feedback = _without_tokens(feedback_of(events, in_arm, row.round))
            if pages := one.pages(feedback):
                part = self._part(arm, row, pages, one)
                comparison.add(part)
                self._newest.append(part)
            shown = events.of(EventKind.PAGE)
            fared = tally(shown.outcome[in_arm[shown.user]])
            told.append(self._shadows[arm].round_ended(feedback, fared))
        self.compared += 1
        await asyncio.gather(*told)

    def _part(self, arm: int, row: RoundRow, pages: Pages, one: Shadowed) -> ArmRound:
        name = self.plan.folder.arms[arm]
        ready = row.training_ms.get(name)
        recorded = Times(
            self._recorded_ms.get((row.round, arm), np.empty(0)),
            np.array([] if ready is None else [ready], np.float64),
        )
        shadow = Times(one.works_ms, np.array([self._ready_ms[arm]]))
        return ArmRound(name, row.round, sums_of(pages, self._novelty), recorded, shadow, pages)

    def _assignment(self, arm: int) -> Assignment:
        """The recorded arm as the shadow gets it: its users, deadlines and past, under a name of
        its own, so that nobody takes it for the run that it was."""
        folder, in_arm = self.plan.folder, self._arm_of_user == arm

        def past(round: int) -> Feedback:
            if round == 0:
                return history_feedback(self.world.data.history, in_arm)
            events, _ = next(iter(folder.rounds(round, round)))
            return _without_tokens(feedback_of(events, in_arm, round))

        return Assignment(
            f"{folder.run_id}.shadow.{folder.arms[arm]}", int(folder.manifest.get("epoch", 1)),
            arm, self._arm(self.settings.arms[arm]), self.settings, self.world,
            self.world.data.catalog, self.world.data.population.user_ids, past,
            self.plan.first - 1,
        )  # fmt: skip

    def _arm(self, recorded: ArmSettings) -> ArmSettings:
        """One session, whose failures are counted and stop nothing."""
        return recorded.model_copy(
            update={
                "recommender": self.plan.recommender,
                "failure_policy": "empty_list",
                "replicas": 1,
                "command": None,
            }
        )


def _without_tokens(feedback: Feedback) -> Feedback:
    """Attribution tokens are the recorded recommender's own words to itself."""
    return replace(feedback, tokens={})


def _recording(run: Path, scratch: Path) -> Path:
    """The folder with the recording of a run's calls: a copy, since SQLite leaves files beside what
    it only reads, unless somebody writes it now."""
    file, log = run / FILE, run / f"{FILE}-wal"
    if not file.exists() or (log.exists() and log.stat().st_size):
        return run
    shutil.copyfile(file, scratch / FILE)
    return scratch


def _latencies(folder: RunFolder) -> dict[tuple[int, int], NDArray[np.float64]]:
    """(round, arm) -> milliseconds of each work that the recorded recommender was sent."""
    found: dict[tuple[int, int], list[float]] = {}
    for work in folder.works():
        found.setdefault((work.round, work.arm), []).append(work.latency_ms)
    return {at: np.array(ms, np.float64) for at, ms in found.items()}
