"""What people who play users have to decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from recarena.server.errors import Conflict, RunClosed
from recarena.server.founding import RunState
from recarena.server.rpc.observe_words import user_number
from recarena.server.rpc.played import played
from recarena.server.rpc.runs_codec import run_message
from recarena.server.rpc.turns_codec import turn_message
from recarena.server.runs import Run
from recarena.v1 import simulation_observe_service_pb2 as pb
from recarena.v1 import steering_pb2


async def stream_turns(
    run: Run, request: pb.StreamTurnsRequest
) -> AsyncIterator[pb.StreamTurnsResponse]:
    """What a user has to decide, as it comes up, until the user is handed back or the run ends.

    NotFound; Conflict where nobody has taken the user over; RunClosed.
    """
    user = user_number(run, request.user_id)
    if not _is_taken_over(run, user):
        raise Conflict(f"nobody has taken over user {request.user_id!r} of run {run.run_id}")
    told = None
    while True:
        if run.is_closed:
            raise RunClosed(f"run {run.run_id} was closed here; come back")
        changes, state = run.changes, run.desk.state(user)
        now = state.version, run.state
        is_over = not _is_taken_over(run, user) or _has_ended(run)
        if now != told or is_over:
            told = now
            yield pb.StreamTurnsResponse(
                run=run_message(run),
                turn=await turn_message(run, state),
                last_outcome=steering_pb2.TurnOutcome.ValueType(state.last_outcome),
                missed_rounds=state.missed_rounds,
            )
        if is_over:
            return
        await _either(run, changes, user, state.version)


def _is_taken_over(run: Run, user: int) -> bool:
    """Whether a person plays the user, or will in the round to come."""
    return bool(run.world.by_person[user]) or played(run).is_by_person(user, run.round + 1)


def _has_ended(run: Run) -> bool:
    return run.state.is_final or run.state is RunState.FAILED


async def _either(run: Run, changes: int, user: int, seen: int) -> None:
    """Waits until something has changed for the user since a version that was `seen`, or the run
    since it had so many `changes`: what happens while a reader is told is not missed."""
    waits = [
        asyncio.ensure_future(run.desk.watch(user, seen)),
        asyncio.ensure_future(run.changed(changes)),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
