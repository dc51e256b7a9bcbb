"""Mirrored worlds on a server: every recommender plays its own copy of each world."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from recarena.v1.run_pb2 import (
    RUN_STATE_FAILED,
    RUN_STATE_PAUSED,
    RUN_STATE_STOPPED,
    RUN_STATE_SUCCEEDED,
    Arm,
    Run,
    RunState,
)
from recarena.v1.simulation_control_service_pb2 import (
    CreateRunRequest,
    GetRunRequest,
    StartRunRequest,
)
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.simulation_observe_service_pb2 import StreamEventsRequest
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub

CALL_TIMEOUT_S = 120.0
ENDED = (RUN_STATE_SUCCEEDED, RUN_STATE_FAILED, RUN_STATE_PAUSED, RUN_STATE_STOPPED)
"""States in which a run that nobody else drives goes no further."""


@dataclass(frozen=True, slots=True)
class Bout:
    """One recommender in one copy of one world."""

    run_id: str
    recommender: str
    world: str
    """As CreateRun takes it."""
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    """Further settings of the run, as in a configuration file."""


@dataclass(frozen=True, slots=True)
class Played:
    """How a bout ended."""

    bout: Bout
    folder: Path
    rounds: int
    """Committed rounds."""
    error: str
    """Empty: all rounds were played."""


Progress = Callable[[Bout, int], None]
"""Called with the number of committed rounds whenever one more is."""


def mirrored(recommenders: Sequence[str], worlds: int, users: int, seed: int) -> list[Bout]:
    """The bouts of all recommenders in worlds of generated users, world by world.

    Copies of world w share users, catalogue, network and everything random: seed + w.
    """
    return [
        Bout(f"w{world}-{name}", name, f"new:users={users},seed={seed + world}", seed + world)
        for world in range(worlds)
        for name in recommenders
    ]


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to a server on this machine, past any proxy."""
    return grpc.aio.insecure_channel(
        address,
        [
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_receive_message_length", -1),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.http2.ping_timeout_ms", 20_000),
        ],
    )


async def play(
    channel: grpc.aio.Channel,
    bouts: Sequence[Bout],
    rounds: int,
    at_once: Mapping[str, int],
    progress: Progress,
) -> list[Played]:
    """Plays all bouts to their end, in the order of `bouts`; each recommender plays at most as
    many at once as `at_once` says. grpc.aio.AioRpcError where the server refuses a run or is
    gone."""
    gates = {bout.recommender: asyncio.Semaphore(at_once[bout.recommender]) for bout in bouts}

    async def one(bout: Bout) -> Played:
        async with gates[bout.recommender]:
            return await _play_one(channel, bout, rounds, progress)

    tasks: list[asyncio.Task[Played]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(bout)) for bout in bouts]
    except* grpc.aio.AioRpcError as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _play_one(
    channel: grpc.aio.Channel, bout: Bout, rounds: int, progress: Progress
) -> Played:
    control = SimulationControlServiceStub(channel)
    run = Run(
        run_id=bout.run_id,
        world=bout.world,
        seed=bout.seed,
        round_limit=rounds,
        arms=[Arm(arm_id=bout.recommender, recommender_id=bout.recommender)],
    )
    run.settings.update(bout.settings)
    await control.CreateRun(
        CreateRunRequest(run=run, request_id=uuid.uuid4().hex), timeout=CALL_TIMEOUT_S
    )
    await control.StartRun(
        StartRunRequest(run_id=bout.run_id, request_id=uuid.uuid4().hex), timeout=CALL_TIMEOUT_S
    )
    await _follow(channel, bout, progress)
    answer = await control.GetRun(GetRunRequest(run_id=bout.run_id), timeout=CALL_TIMEOUT_S)
    return Played(bout, Path(answer.run.folder), answer.run.round, _error(answer.run))


async def _follow(channel: grpc.aio.Channel, bout: Bout, progress: Progress) -> None:
    """Returns when the run goes no further by itself."""
    observe = SimulationObserveServiceStub(channel)
    stream = observe.StreamEvents(StreamEventsRequest(run_id=bout.run_id, summaries_only=True))
    try:
        async for message in stream:
            kind = message.WhichOneof("event")
            if kind == "round_ended":
                progress(bout, message.round_ended.round)
            elif kind == "run_changed" and message.run_changed.state in ENDED:
                return
    finally:
        stream.cancel()


def _error(run: Run) -> str:
    if run.state == RUN_STATE_SUCCEEDED:
        return ""
    state = RunState.Name(run.state).removeprefix("RUN_STATE_").lower()
    return f"{state}: {run.error.message}" if run.error.message else state
