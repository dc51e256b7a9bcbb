"""Servers that runs are played on, with the recommenders that are there or are waited for."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from recarena.evaluation.playing.mirrored import Bout, Conduct, Played, Progress
from recarena.evaluation.playing.sendable import sendable
from recarena.v1.run_pb2 import (
    RUN_STATE_FAILED,
    RUN_STATE_PAUSED,
    RUN_STATE_RUNNING,
    RUN_STATE_STOPPED,
    RUN_STATE_SUCCEEDED,
    RUN_STATE_WAITING_FOR_RECOMMENDERS,
    Arm,
    Run,
    RunState,
)
from recarena.v1.simulation_control_service_pb2 import (
    CreateRunRequest,
    GetRunRequest,
    ResetRunRequest,
    StartRunRequest,
    StopRunRequest,
)
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.simulation_observe_service_pb2 import (
    ListRecommendersRequest,
    StreamEventsRequest,
)
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from recarena.v1.types_pb2 import EXPLANATION_MODE_STRUCTURED, EXPLANATION_MODE_UNSPECIFIED

if TYPE_CHECKING:
    from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceAsyncStub
    from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceAsyncStub

CALL_TIMEOUT_S = 120.0
ENDED = (RUN_STATE_SUCCEEDED, RUN_STATE_FAILED, RUN_STATE_PAUSED, RUN_STATE_STOPPED)
"""States in which a run that nobody else drives goes no further."""
LIVE = (RUN_STATE_RUNNING, RUN_STATE_WAITING_FOR_RECOMMENDERS)


def _no_round(_bout: Bout, _round: int) -> None: ...


def _no_bout(_bout: Bout) -> None: ...


def _no_end(_played: Played) -> None: ...


def _as_it_is(bout: Bout) -> Bout:
    return bout


@dataclass(frozen=True, slots=True)
class Watch:
    """Called back while bouts are played; each must return at once."""

    round: Progress = _no_round
    """One more round is committed."""
    waiting: Callable[[Bout], None] = _no_bout
    """A recommender of the bout is not there; the run waits for it."""
    playing: Callable[[Bout], None] = _no_bout
    """All recommenders of the bout are there."""
    ended: Callable[[Played], None] = _no_end
    """The bout goes no further."""


@dataclass(frozen=True, slots=True)
class Arena:
    """Where bouts are played. Nothing is started or ended here but runs."""

    channels: Mapping[str, grpc.aio.Channel]
    """By recommender: the server that it dials in to."""
    at_once: Mapping[str, int]
    """By recommender: most runs that it plays at the same time."""
    lost: Mapping[str, asyncio.Future[str]] = field(
        default_factory=dict[str, "asyncio.Future[str]"]
    )
    """By recommender: done, with the reason, when it will not come any more. Its runs are stopped
    at their last committed round, and those that were not begun are not."""
    runs_at_once: int = 1_000_000
    """Most runs at the same time in all; they are begun in the order of the bouts."""
    goes_on: bool = False
    """Whether runs that are there already are gone on with; otherwise they are refused."""
    again: Collection[str] = ()
    """Where `goes_on`: names of the runs that are played anew from their first round."""
    made_with: Callable[[Bout], Bout] = _as_it_is
    """Asked when a run is about to be made: what it is made with, such as a cap of its own."""
    stops: bool = False
    """Whether runs are stopped on the server when playing is cancelled; leave it False where the
    server ends then, too, and the runs are to be gone on with."""

    async def play(self, bouts: Sequence[Bout], rounds: int, watch: Watch) -> list[Played]:
        """Plays all bouts to their end; how they ended, in their order.

        May be cancelled. grpc.aio.AioRpcError where a server refuses a run or is gone.
        """
        house = asyncio.Semaphore(self.runs_at_once)
        gates = {name: asyncio.Semaphore(many) for name, many in self.at_once.items()}

        async def one(bout: Bout) -> Played:
            async with AsyncExitStack() as stack:
                # In one order for all, so that no two wait for each other.
                for name in sorted(bout.recommenders):
                    await stack.enter_async_context(gates[name])
                await stack.enter_async_context(house)
                played = await self._play_one(bout, rounds, watch)
                watch.ended(played)
                return played

        tasks: list[asyncio.Task[Played]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(bout)) for bout in bouts]
        except* grpc.aio.AioRpcError as errors:
            raise _first(errors) from None
        return [task.result() for task in tasks]

    async def _play_one(self, bout: Bout, rounds: int, watch: Watch) -> Played:
        lost = [self.lost[name] for name in bout.recommenders if name in self.lost]
        if reason := _reason(lost):
            return Played(bout, Path(), 0, reason)
        channel = self.channels[bout.recommenders[0]]
        control = SimulationControlServiceStub(channel)
        run = await self._open(control, bout, rounds)
        if run.state == RUN_STATE_SUCCEEDED or (
            run.state in (RUN_STATE_FAILED, RUN_STATE_STOPPED) and bout.run_id not in self.again
        ):
            return _ended(bout, run)
        if run.state not in LIVE:
            await control.StartRun(
                StartRunRequest(run_id=bout.run_id, request_id=uuid.uuid4().hex),
                timeout=CALL_TIMEOUT_S,
            )
        conduct: dict[str, Conduct] = {}
        looked_at = (1, rounds - 1)
        following = asyncio.create_task(_follow(channel, bout, watch, looked_at, conduct))
        try:
            await asyncio.wait({following, *lost}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                await _stop(control, bout)
                run = await _get(control, bout)
                return Played(bout, Path(run.folder), run.round, _reason(lost), conduct)
            await following
        except asyncio.CancelledError:
            if self.stops:
                await asyncio.shield(_stop(control, bout))
            raise
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        return _ended(bout, await _get(control, bout), conduct)

    async def _open(
        self, control: SimulationControlServiceAsyncStub, bout: Bout, rounds: int
    ) -> Run:
        """The run of a bout, made or found."""
        try:
            return await create(control, self.made_with(bout), rounds)
        except grpc.aio.AioRpcError as error:
            if not self.goes_on or error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
        run = await _get(control, bout)
        if bout.run_id in self.again and run.state not in LIVE:
            answer = await control.ResetRun(
                ResetRunRequest(run_id=bout.run_id, request_id=uuid.uuid4().hex),
                timeout=CALL_TIMEOUT_S,
            )
            return answer.run
        return run


async def create(
    control: SimulationControlServiceAsyncStub, bout: Bout, rounds: int, *, only_check: bool = False
) -> Run:
    """Makes the run of a bout, and starts nothing; or only looks whether it could be made.
    grpc.aio.AioRpcError where it is refused."""
    run = Run(
        run_id=bout.run_id,
        world=bout.world,
        seed=bout.seed,
        round_limit=rounds,
        arms=[
            Arm(
                arm_id=name,
                recommender_id=name,
                explanation_mode=EXPLANATION_MODE_STRUCTURED
                if bout.explained
                else EXPLANATION_MODE_UNSPECIFIED,
            )
            for name in bout.recommenders
        ],
    )
    run.settings.update(sendable(dict(bout.settings)))
    answer = await control.CreateRun(
        CreateRunRequest(run=run, request_id=uuid.uuid4().hex, validate_only=only_check),
        timeout=CALL_TIMEOUT_S,
    )
    return answer.run


async def _get(control: SimulationControlServiceAsyncStub, bout: Bout) -> Run:
    answer = await control.GetRun(GetRunRequest(run_id=bout.run_id), timeout=CALL_TIMEOUT_S)
    return answer.run


async def _stop(control: SimulationControlServiceAsyncStub, bout: Bout) -> None:
    # It may have ended just now, or its server.
    with suppress(grpc.aio.AioRpcError):
        await control.StopRun(
            StopRunRequest(run_id=bout.run_id, request_id=uuid.uuid4().hex), timeout=CALL_TIMEOUT_S
        )


async def play(
    channel: grpc.aio.Channel,
    bouts: Sequence[Bout],
    rounds: int,
    at_once: Mapping[str, int],
    progress: Progress,
) -> list[Played]:
    """Plays all bouts on one server to their end, in the order of `bouts`; each recommender plays
    at most as many at once as `at_once` says. grpc.aio.AioRpcError where the server refuses a run
    or is gone."""
    arena = Arena(dict.fromkeys(at_once, channel), at_once)
    return await arena.play(bouts, rounds, Watch(round=progress))


async def _follow(
    channel: grpc.aio.Channel,
    bout: Bout,
    watch: Watch,
    looked_at: Collection[int],
    conduct: dict[str, Conduct],
) -> None:
    """Returns when the run goes no further by itself. After the rounds `looked_at` the conduct of
    its recommenders is noted: they are gone when the last one is over."""
    observe = SimulationObserveServiceStub(channel)
    stream = observe.StreamEvents(StreamEventsRequest(run_id=bout.run_id, summaries_only=True))
    try:
        async for message in stream:
            kind = message.WhichOneof("event")
            if kind == "round_ended":
                watch.round(bout, message.round_ended.round)
                if message.round_ended.round in looked_at:
                    conduct |= await _conduct(observe, bout)
            elif kind == "run_changed":
                state = message.run_changed.state
                if state in ENDED:
                    return
                if state == RUN_STATE_WAITING_FOR_RECOMMENDERS:
                    watch.waiting(bout)
                elif state == RUN_STATE_RUNNING:
                    watch.playing(bout)
    finally:
        stream.cancel()


async def _conduct(observe: SimulationObserveServiceAsyncStub, bout: Bout) -> dict[str, Conduct]:
    answer = await observe.ListRecommenders(
        ListRecommendersRequest(run_id=bout.run_id), timeout=CALL_TIMEOUT_S
    )
    return {
        one.recommender_id: Conduct(one.software, one.unsolicited, one.quarantined)
        for one in answer.recommenders
    }


def _reason(lost: Sequence[asyncio.Future[str]]) -> str:
    """Why the first of those that are gone is; empty where none is."""
    return next((one.result() for one in lost if one.done() and not one.cancelled()), "")


def _ended(bout: Bout, run: Run, conduct: Mapping[str, Conduct] | None = None) -> Played:
    return Played(bout, Path(run.folder), run.round, _error(run), conduct or {})


def _error(run: Run) -> str:
    if run.state == RUN_STATE_SUCCEEDED:
        return ""
    state = RunState.Name(run.state).removeprefix("RUN_STATE_").lower()
    return f"{state}: {run.error.message}" if run.error.message else state


def _first(errors: BaseExceptionGroup[grpc.aio.AioRpcError]) -> grpc.aio.AioRpcError:
    one = errors.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one
