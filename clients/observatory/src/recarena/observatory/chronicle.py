"""What is known of one run in one epoch: its users, and its committed rounds one after another."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from recarena.observatory import frames
from recarena.observatory.census import Census
from recarena.observatory.columns import Columns, Kind
from recarena.observatory.failures import Failure, missing
from recarena.observatory.messages import Json, intervention_json, round_json, run_json
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2, steering_pb2
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

KEPT_BYTES = 48 * 2**20
"""Of event columns, a run."""
ROUNDS_AT_ONCE = 16
"""Read ahead of whoever goes through rounds."""
GAP = 4
"""Rounds that nobody asked for are read too where they lie so near between two others."""
USERS_A_PAGE = 1000
INTERVENTIONS_A_PAGE = 1000
CHANGES_OF_WORLD = ("edit_profile", "set_relation", "remove_relation")
"""Interventions after which users or ties are others."""


@dataclass(frozen=True, slots=True)
class Roster:
    """The users of a run, by number."""

    users: tuple[run_pb2.User, ...]
    number_of: dict[str, int]
    arm: np.ndarray[Any, np.dtype[np.int16]]
    """[users]: position of the user's arm among the run's."""

    @classmethod
    def of(cls, run: run_pb2.Run, users: list[run_pb2.User]) -> Roster:
        """From all users of a run."""
        arms = {arm.arm_id: at for at, arm in enumerate(run.arms)}
        return cls(
            tuple(users),
            {user.user_id: number for number, user in enumerate(users)},
            np.array([arms.get(user.arm_id, 0) for user in users], np.int16),
        )

    def __len__(self) -> int:
        return len(self.users)

    def number(self, user_id: str) -> int:
        """A user's number; -1 for an empty id. Failure for one that is not there."""
        if not user_id:
            return -1
        if user_id not in self.number_of:
            raise missing(f"there is no user {user_id[:128]!r}")
        return self.number_of[user_id]


class Chronicle:
    """Rounds are folded in as they come, each once and in order; columns are read again where
    somebody asks for them."""

    def __init__(self, upstream: Upstream, run: run_pb2.Run, roster: Roster) -> None:
        self._upstream = upstream
        self.run, self.roster, self.epoch = run, roster, run.epoch
        self.rounds: list[Json] = []
        """Summaries, from round 1."""
        users = len(roster)
        self._actions: list[frames.Bytes] = [np.zeros(users, np.uint8)]
        self._watches: list[frames.Shorts] = [np.zeros(users, np.uint16)]
        self.people: list[tuple[int, ...]] = [()]
        """Users played by people, by round from 0."""
        self.census = Census(len(run.arms), roster.arm)
        self.interventions: list[Json] = []
        """Newest first, as last asked for."""
        self._asked_at = -1
        self._columns: OrderedDict[int, Columns] = OrderedDict()
        self._kept = 0
        self._reading = asyncio.Lock()

    @classmethod
    async def open(cls, upstream: Upstream, run_id: str) -> Chronicle:
        """Of a run as it is now, without its rounds. Failure."""
        run = await run_of(upstream, run_id)
        made = cls(upstream, run, Roster.of(run, await users_of(upstream, run_id)))
        await made.ask_for_interventions()
        return made

    # ------------------------------------------------------------------ what is known

    @property
    def round(self) -> int:
        """The last round folded in."""
        return len(self.rounds)

    @property
    def world_version(self) -> str:
        """Of users and ties as they are now."""
        changes = [
            one["number"]
            for one in self.interventions
            if one["applied"] and one["kind"] in CHANGES_OF_WORLD
        ]
        return f"{self.epoch}-{max(changes, default=0)}"

    @property
    def pending(self) -> list[Json]:
        """Interventions that wait for a round, newest first."""
        return [one for one in self.interventions if not one["applied"]]

    def run_json(self) -> Json:
        """The run, at the round that is known."""
        made = run_json(self.run)
        made["round"] = max(self.round, 0)
        made["users"] = len(self.roster)
        return made

    def actions(self, round: int) -> frames.Bytes:
        """[users]: what each did in a round that is folded in."""
        return self._actions[round]

    def watched(self, round: int) -> frames.Shorts:
        """[users]: watches of each up to a round that is folded in."""
        return self._watches[round]

    def keyframe(self, round: int) -> Json:
        """The keyframe of a round that is folded in."""
        pair = self._actions[round], self._watches[round]
        return frames.keyframe(self.epoch, round, self.world_version, pair, self.people[round])

    # ------------------------------------------------------------------ what comes

    def fold(self, log: run_pb2.RoundLog) -> Columns | None:
        """Takes up the next round; None for one that is known. Failure where one was left out."""
        number = log.summary.round
        if number <= self.round:
            return None
        if number != self.round + 1 or not log.HasField("events"):
            text = f"round {number} came after round {self.round}"
            raise Failure(502, "DATA_LOSS", text, remedy="Load the page again")
        try:
            events = Columns.of(log.events)
        except ValueError as error:
            raise Failure(502, "DATA_LOSS", f"round {number}: {error}") from None
        users = len(self.roster)
        watched = self._watches[-1] + frames.watches_of(events, users)
        actions = frames.actions_of(events, users)
        told = round_json(log.summary, int((events.kind == Kind.SEARCH).sum()))
        # Nothing can go wrong any more once something is taken up.
        self.census.add(events)
        self._actions.append(actions)
        self._watches.append(np.minimum(watched, frames.MOST_WATCHES).astype(np.uint16))
        self.people.append(tuple(log.people))
        self.rounds.append(told)
        self._keep(number, events)
        return events

    def _keep(self, round: int, events: Columns) -> None:
        if round in self._columns:
            return
        self._columns[round] = events
        self._kept += events.nbytes
        while self._kept > KEPT_BYTES and len(self._columns) > 1:
            _, gone = self._columns.popitem(last=False)
            self._kept -= gone.nbytes

    # ------------------------------------------------------------------ what is asked for

    async def catch_up(self, round: int) -> None:
        """Folds in all rounds up to a committed one. Failure, also for another epoch."""
        if round <= self.round:
            return
        async with self._reading:
            if round <= self.round:
                return
            request = observe_pb.StreamRoundsRequest(
                run_id=self.run.run_id, epoch=self.epoch, after_round=self.round, until_round=round
            )
            answers = self._upstream.stream(self._upstream.observe.StreamRounds, request)
            async for answer in answers:
                for log in answer.rounds:
                    self.fold(log)
        if round > self.round:
            raise missing(f"the run ends at round {self.round}")

    async def columns(self, rounds: Iterable[int]) -> AsyncIterator[tuple[int, Columns]]:
        """Rounds with their events, in the order asked for; they are committed ones."""
        rest = iter(rounds)
        while part := list(islice(rest, ROUNDS_AT_ONCE)):
            for round, events in zip(part, await self._read(part), strict=True):
                yield round, events

    async def _read(self, rounds: Sequence[int]) -> list[Columns]:
        await self.catch_up(max(rounds))
        found: dict[int, Columns] = {}
        for round in rounds:
            if round in self._columns:
                self._columns.move_to_end(round)
                found[round] = self._columns[round]
        for first, last in stretches(round for round in rounds if round not in found):
            request = observe_pb.StreamRoundsRequest(
                run_id=self.run.run_id, epoch=self.epoch, after_round=first - 1, until_round=last
            )
            answers = self._upstream.stream(self._upstream.observe.StreamRounds, request)
            async for answer in answers:
                for log in answer.rounds:
                    found[log.summary.round] = Columns.of(log.events)
                    self._keep(log.summary.round, found[log.summary.round])
        if absent := [round for round in rounds if round not in found]:
            raise missing(f"rounds {min(absent)} to {max(absent)} are not all there")
        return [found[round] for round in rounds]

    async def events_of(self, round: int) -> Columns:
        """The events of one committed round."""
        return (await self._read([round]))[0]

    async def ask_for_interventions(self) -> bool:
        """Brings `interventions`, and where users have changed `roster`, up to date; whether
        anything is another than before. A server that knows none has none."""
        before, version = self.interventions, self.world_version
        found: list[steering_pb2.Intervention] = []
        token = ""
        try:
            while True:
                request = observe_pb.ListInterventionsRequest(
                    run_id=self.run.run_id, page_size=INTERVENTIONS_A_PAGE, page_token=token
                )
                answer = await self._upstream.ask(self._upstream.observe.ListInterventions, request)
                found.extend(answer.interventions)
                token = answer.next_page_token
                if not token:
                    break
        except Failure as failure:
            if failure.code != "UNIMPLEMENTED":
                raise
        self.interventions = [intervention_json(one) for one in found]
        if self._asked_at >= 0 and version != self.world_version:
            self.roster = Roster.of(self.run, await users_of(self._upstream, self.run.run_id))
        self._asked_at = self.round
        return self.interventions != before


def stretches(rounds: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of rounds that are read in one go: those between which few are left out."""
    found: list[tuple[int, int]] = []
    for round in sorted(rounds):
        if found and round - found[-1][1] <= GAP:
            found[-1] = found[-1][0], round
        else:
            found.append((round, round))
    return found


async def run_of(upstream: Upstream, run_id: str) -> run_pb2.Run:
    """A run as it is now. Failure."""
    answer = await upstream.ask(upstream.control.GetRun, control_pb.GetRunRequest(run_id=run_id))
    return answer.run


async def runs_of(upstream: Upstream) -> list[run_pb2.Run]:
    """All runs of the server. Failure."""
    found: list[run_pb2.Run] = []
    token = ""
    while True:
        request = control_pb.ListRunsRequest(page_size=1000, page_token=token)
        answer = await upstream.ask(upstream.control.ListRuns, request)
        found.extend(answer.runs)
        token = answer.next_page_token
        if not token:
            return found


async def users_of(upstream: Upstream, run_id: str) -> list[run_pb2.User]:
    """All users of a run, by number. Failure."""
    found: list[run_pb2.User] = []
    token = ""
    while True:
        request = observe_pb.ListUsersRequest(
            run_id=run_id, page_size=USERS_A_PAGE, page_token=token
        )
        answer = await upstream.ask(upstream.observe.ListUsers, request)
        found.extend(answer.users)
        token = answer.next_page_token
        if not token:
            return found
