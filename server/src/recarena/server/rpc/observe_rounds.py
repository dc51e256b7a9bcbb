"""Whole rounds as columns, for readers who follow a run at their own pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from google.protobuf.duration_pb2 import Duration

from recarena.server.errors import Conflict, InputError, RunClosed
from recarena.server.founding import RunState
from recarena.server.rpc.committed import Read, committed
from recarena.server.rpc.events_codec import columns_message
from recarena.server.rpc.played import played
from recarena.server.rpc.runs_codec import run_message
from recarena.server.runs import Run
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as pb

MESSAGE_ROWS = 100_000
"""Rows of the log in a message of several rounds; it stays below gRPC's usual limit of 4 MB."""
MESSAGE_ROUNDS = 500
LONGEST_INTERVAL_S = 60.0


async def stream_rounds(
    run: Run, request: pb.StreamRoundsRequest
) -> AsyncIterator[pb.StreamRoundsResponse]:
    """The run, then its rounds as they come, the run as it is then with each message. Ends with
    the run, or with the last round that was asked for.

    InputError; Conflict for another epoch; RunClosed. Nothing is held for a reader who does not
    read.
    """
    interval = _checked(run, request)
    sent, until = request.after_round, request.until_round
    with committed(run).followed():
        told = run.state
        yield pb.StreamRoundsResponse(run=run_message(run))
        while not (until and sent >= until):
            if run.is_closed:
                raise RunClosed(f"run {run.run_id} was closed here; come back")
            last = min(run.round, until) if until else run.round
            if last > sent:
                async for message in _batch(run, sent, last, request.newest_with_events):
                    told = run.state
                    message.run.CopyFrom(run_message(run))
                    yield message
                    await asyncio.sleep(0)
                sent = last
                await asyncio.sleep(interval)
            elif run.state is not told:
                told = run.state
                yield pb.StreamRoundsResponse(run=run_message(run))
            elif run.state.is_final or run.state is RunState.FAILED:
                return
            else:
                await run.changed(run.changes)


async def _batch(
    run: Run, sent: int, last: int, newest: int
) -> AsyncIterator[pb.StreamRoundsResponse]:
    """Rounds sent+1..last in as few messages as may be, the `newest` with their events (0: all)."""
    log, spared = committed(run), max(last - newest, sent) if newest else sent
    message, rows = pb.StreamRoundsResponse(), 0
    for round in range(sent + 1, spared + 1):
        if len(message.rounds) >= MESSAGE_ROUNDS:
            yield message
            message = pb.StreamRoundsResponse()
        people = played(run).people(round)
        message.rounds.add(summary=await log.summary(round), people=people)
    async for read in log.rounds(spared + 1, last):
        more = len(read.events)
        if message.rounds and (rows + more > MESSAGE_ROWS or len(message.rounds) >= MESSAGE_ROUNDS):
            yield message
            message, rows = pb.StreamRoundsResponse(), 0
        message.rounds.append(_log(read))
        rows += more
    yield message


def _log(read: Read) -> run_pb2.RoundLog:
    return run_pb2.RoundLog(
        summary=read.summary, events=columns_message(read.events), people=read.people
    )


def _checked(run: Run, request: pb.StreamRoundsRequest) -> float:
    """The least interval in seconds. InputError, Conflict for what cannot be followed."""
    if request.epoch and request.epoch != run.epoch:
        raise Conflict(
            f"run {run.run_id} is in epoch {run.epoch}, not {request.epoch}: it was reset"
        )
    if request.after_round > run.round:
        raise InputError(
            f"run {run.run_id} has {run.round} rounds",
            where="after_round",
            remedy="Give the last round that you have seen, or 0",
        )
    if request.until_round and request.until_round < request.after_round:
        raise InputError("it lies before after_round", where="until_round")
    interval = _seconds(request.least_interval) if request.HasField("least_interval") else 0.0
    if not 0 <= interval <= LONGEST_INTERVAL_S:
        raise InputError(
            f"it is not between 0 s and {LONGEST_INTERVAL_S:g} s", where="least_interval"
        )
    return interval


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
