"""Plays submissions one after another, several at once, each within its budgets."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from recarena.evaluation.hosting.account import account_of
from recarena.evaluation.hosting.ledger import Status, Submission
from recarena.evaluation.hosting.season import Season
from recarena.evaluation.hosting.standing import logs_in
from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.playing.arena import Arena, Watch
from recarena.evaluation.playing.mirrored import Bout, Played
from recarena.v1.simulation_observe_service_pb2 import ListRecommendersRequest
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub

CALL_TIMEOUT_S = 30.0
BASELINE_PATIENCE_S = 120.0
"""How long the server's own recommenders are waited for, whatever entrants have."""


@dataclass(slots=True, eq=False)
class _Playing:
    """A submission under way."""

    one: Submission
    lost: asyncio.Future[str]
    """Done where it ends before its time; then `status` says as what."""
    status: Status = Status.FAILED
    world: int = 0
    """Worlds played to their end."""
    round: int = 0
    """Committed rounds in the world that is played."""
    since: float | None = None
    """When its time began to run, by time.monotonic."""
    messages: dict[str, int] = field(default_factory=dict[str, int])
    """By run_id: lists asked for and messages that answered nothing."""
    budget: asyncio.TimerHandle | None = None
    connecting: asyncio.TimerHandle | None = None
    looked_for: bool = True
    """Whether its recommender is not there."""
    checks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def end(self, status: Status, why: str) -> None:
        """Ends it before its time; the first reason counts."""
        if not self.lost.done():
            self.status = status
            self.lost.set_result(why)

    @property
    def spent_s(self) -> float:
        """Of its time budget so far."""
        now = time.monotonic()
        return self.one.spent_s + (now - self.since if self.since is not None else 0.0)


class Umpire:
    """Takes submissions from the ledger and plays them on a server."""

    def __init__(
        self, season: Season, channel: grpc.aio.Channel, say: Callable[[str], None]
    ) -> None:
        """`say` is told in a line what the organiser should know."""
        self._season, self._channel, self._say = season, channel, say
        self._ledger, self._limits = season.ledger, season.competition.entrants
        self._playing: dict[str, _Playing] = {}
        self._wake = asyncio.Event()
        self._ends = asyncio.Event()
        """Set, and replaced, whenever a submission has ended."""

    async def run(self) -> None:
        """Plays what is queued until it is cancelled; what is under way then is interrupted, and
        played on when the season is served again. grpc.aio.AioRpcError where the server is gone,
        OSError where what became of a submission cannot be written down."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for one in self._next():
                        self._playing[one.id] = _Playing(
                            one, asyncio.get_running_loop().create_future()
                        )
                        group.create_task(self._play(self._playing[one.id]))
                    self._wake.clear()
                    await self._wake.wait()
        except* (grpc.aio.AioRpcError, OSError) as errors:
            raise _first(errors) from None

    def wake(self) -> None:
        """Says that something was queued."""
        self._wake.set()

    def cancel(self, id: str, why: str) -> None:
        """Ends a submission, queued or under way. KeyError where it is neither."""
        one = self._ledger.get(id)
        if one is None or not one.status.is_open:
            raise KeyError(id)
        if id in self._playing:
            self._playing[id].end(Status.CANCELLED, why)
            return
        self._ledger.note("ended", id, status=Status.CANCELLED, why=why)
        self._tell()

    async def another_end(self) -> None:
        """Returns when a submission has ended, whichever it is."""
        await self._ends.wait()

    def _tell(self) -> None:
        self._ends.set()
        self._ends = asyncio.Event()

    def progress(self, id: str) -> dict[str, int | bool]:
        """How far a submission is that is played: worlds done, rounds of the next one, and whether
        its recommender is looked for. Empty for any other."""
        playing = self._playing.get(id)
        if playing is None:
            return {}
        return {
            "worlds_done": playing.world, "round": playing.round, "looked_for": playing.looked_for
        }  # fmt: skip

    def _next(self) -> list[Submission]:
        """What may begin now: in order, one of each recommender; baselines beside the others."""
        free = self._limits.at_once - sum(not one.one.baseline for one in self._playing.values())
        busy = {one.one.recommender for one in self._playing.values()}
        chosen: list[Submission] = []
        for one in self._ledger:
            if one.status is not Status.QUEUED or one.recommender in busy:
                continue
            if not one.baseline and not free:
                continue
            free -= not one.baseline
            busy.add(one.recommender)
            chosen.append(one)
        return chosen

    # ------------------------------------------------------------------ one submission

    async def _play(self, playing: _Playing) -> None:
        one = playing.one
        self._ledger.note("started", one.id)
        try:
            played = await self._arena(playing).play(
                self._bouts(one), self._season.competition.worlds.rounds, self._watch(playing)
            )
        except asyncio.CancelledError:
            self._ledger.note("interrupted", one.id, spent_s=round(playing.spent_s, 3))
            raise
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._ledger.note("interrupted", one.id, spent_s=round(playing.spent_s, 3))
                raise
            self._say(f"{one.id}: the server refused a call: {error.details()}")
            why = "the organiser's server refused to play it; it does not count"
            await self._end(playing, Status.FAILED, why, counted=False)
        else:
            await self._end(playing, *self._verdict(playing, played))
        finally:
            for timer in (playing.budget, playing.connecting):
                if timer:
                    timer.cancel()
            for check in playing.checks:
                check.cancel()
            del self._playing[one.id]
            self._wake.set()

    def _bouts(self, one: Submission) -> list[Bout]:
        settings = self._season.competition.run_settings
        return [
            Bout(
                one.run_id(number), (one.recommender,), str(world.folder), world.recipe.run_seed,
                settings,
            )
            for number, world in enumerate(self._season.worlds(one.track))
        ]  # fmt: skip

    def _arena(self, playing: _Playing) -> Arena:
        name = playing.one.recommender
        return Arena(
            channels={name: self._channel},
            at_once={name: 1},
            lost={name: playing.lost},
            goes_on=True,
        )

    def _watch(self, playing: _Playing) -> Watch:
        loop, one, limits = asyncio.get_running_loop(), playing.one, self._limits

        def missing() -> None:
            status, why = _missing(playing, limits.connect_timeout_s)
            playing.end(status, why)

        def late() -> None:
            playing.end(
                Status.OVER_BUDGET, f"it took longer than the {limits.time_budget_s:g} s it has"
            )

        def waiting(_: Bout) -> None:
            if playing.connecting:
                playing.connecting.cancel()
            patience = BASELINE_PATIENCE_S if one.baseline else limits.connect_timeout_s
            playing.connecting = loop.call_later(patience, missing)
            playing.looked_for = True

        def begun(_: Bout) -> None:
            if playing.connecting:
                playing.connecting.cancel()
            playing.looked_for = False
            if playing.since is None:
                playing.since = time.monotonic()
                if not one.baseline:
                    left = max(0.0, limits.time_budget_s - one.spent_s)
                    playing.budget = loop.call_later(left, late)

        def committed(bout: Bout, number: int) -> None:
            playing.round = number
            current = self._ledger.get(one.id)
            if current and not current.counted:
                self._ledger.note("counted", one.id)
            if limits.message_budget and not one.baseline:
                check = asyncio.create_task(self._weigh(playing, bout))
                playing.checks.add(check)
                check.add_done_callback(playing.checks.discard)

        def ended(played: Played) -> None:
            if not played.error:
                playing.world, playing.round = playing.world + 1, 0
                self._ledger.note(
                    "world", one.id, done=playing.world, spent_s=round(playing.spent_s, 3)
                )

        return Watch(round=committed, waiting=waiting, playing=begun, ended=ended)

    async def _weigh(self, playing: _Playing, bout: Bout) -> None:
        """Ends a submission that was more work than it may be."""
        observe = SimulationObserveServiceStub(self._channel)
        try:
            answer = await observe.ListRecommenders(
                ListRecommendersRequest(run_id=bout.run_id), timeout=CALL_TIMEOUT_S
            )
        except grpc.aio.AioRpcError:
            return  # the run itself shows what is wrong
        for one in answer.recommenders:
            lists = one.accepted + one.violations + one.rejected + one.late
            playing.messages[bout.run_id] = lists + one.unsolicited
        if sum(playing.messages.values()) > self._limits.message_budget:
            playing.end(Status.OVER_BUDGET, self._too_much())

    def _is_too_much(self, one: Submission, report: Mapping[str, Any]) -> bool:
        """Whether what was written down of it is more than it may be."""
        budget = self._limits.message_budget
        return bool(
            budget and not one.baseline and report["lists"] + report["unsolicited"] > budget
        )

    def _too_much(self) -> str:
        return f"it took more than the {self._limits.message_budget} lists and messages it has"

    def _verdict(self, playing: _Playing, played: list[Played]) -> tuple[Status, str]:
        if playing.lost.done():
            return playing.status, playing.lost.result()
        failed = [one for one in played if one.error]
        if not failed:
            return Status.FINISHED, ""
        for one in failed:
            self._say(f"{one.bout.run_id}: {one.error}")
        return (
            Status.FAILED,
            f"{len(failed)} of {len(played)} worlds could not be played to their end",
        )

    async def _end(
        self, playing: _Playing, status: Status, why: str, counted: bool | None = None
    ) -> None:
        try:
            found = await asyncio.to_thread(_judged, self._season, playing.one)
        except Exception as error:  # noqa: BLE001  # a broken run must not stop the others
            self._say(f"{playing.one.id} cannot be scored: {type(error).__name__}: {error}")
            status, why, found = Status.FAILED, "the organiser's server could not score it", {}
        else:
            # Its last round may have ended the run before it was looked at.
            if status is Status.FINISHED and self._is_too_much(playing.one, found["report"]):
                status, why = Status.OVER_BUDGET, self._too_much()
        if status is not Status.FINISHED:
            found.pop("scores", None)
            if playing.one.baseline:
                name = playing.one.recommender
                self._say(f"{name} is not on the leaderboard: {status}; logs/{name}.log says more")
        if counted is not None:
            found["counted"] = counted
        elif status is Status.INTERRUPTED:
            found["counted"] = False
        self._ledger.note("ended", playing.one.id, status=status, why=why, **found)
        self._tell()


def _missing(playing: _Playing, patience_s: float) -> tuple[Status, str]:
    """What becomes of a submission whose recommender is not there."""
    name = playing.one.recommender
    if playing.since is None and playing.one.interruptions:
        return (
            Status.INTERRUPTED,
            f"the server was stopped while it was played, and no session of {name} dialled in "
            f"within {patience_s:g} s when it went on. Submit again; this does not count",
        )
    if playing.since is None and not playing.world:
        return (
            Status.NOT_CONNECTED,
            f"your recommender is not connected: no session of {name} dialled in within "
            f"{patience_s:g} s. Start it, see that it waits, and submit again; this does not count",
        )
    return (
        Status.FAILED,
        f"your recommender went away after {playing.world} worlds, and no session of {name} "
        f"dialled in again within {patience_s:g} s",
    )


def _judged(season: Season, one: Submission) -> dict[str, Any]:
    """Scores and account of what was played."""
    logs = logs_in(season.runs, season.competition, one)
    scores: dict[str, float | None] = {}
    for metric in METRICS if logs else ():
        values = [metric.measure(log, None) for log in logs]
        finite = [value for value in values if math.isfinite(value)]
        scores[metric.name] = sum(finite) / len(finite) if finite else None
    return {"scores": scores, "report": account_of(logs)}


def _first(
    errors: BaseExceptionGroup[grpc.aio.AioRpcError | OSError],
) -> grpc.aio.AioRpcError | OSError:
    one = errors.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one
