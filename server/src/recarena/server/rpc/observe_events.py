"""The event log in words, event by event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from recarena.server.errors import InputError, RunClosed
from recarena.server.founding import RunState
from recarena.server.population import Population
from recarena.server.rpc.committed import committed
from recarena.server.rpc.events_codec import event_message
from recarena.server.rpc.observe_words import narrator_of
from recarena.server.rpc.runs_codec import run_message
from recarena.server.rpc.times import timestamp
from recarena.server.runs import Run
from recarena.server.types import Ints
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as pb

EVENTS_PER_TURN = 200
"""Events sent before others get their turn."""


async def stream_events(
    run: Run, request: pb.StreamEventsRequest
) -> AsyncIterator[pb.StreamEventsResponse]:
    """Run, then round by round its events and summary, then the run as it ended."""
    round, row = _position(run, request.resume_token)
    users = _user_numbers(run.world.population, list(request.user_ids))
    kinds = np.array(
        request.event_types
        or [t for t in run_pb2.UserEvent.Type.values() if t != run_pb2.UserEvent.TYPE_SHOWN],
        np.int8,
    )
    state = run.state
    yield _message(run, round, row, round, _changed(run))
    while True:
        if run.is_closed:
            raise RunClosed(f"run {run.run_id} was closed here; come back")
        while round <= run.round:
            read = await committed(run).round(round)
            if not request.summaries_only:
                events, people = read.events, set(read.people)
                wanted = np.isin(events.kind, kinds)
                if users is not None:
                    wanted &= np.isin(events.user, users)
                narrator = narrator_of(run)
                rows = np.flatnonzero(wanted)
                for number, at in enumerate(rows[rows >= row].tolist()):
                    by_person = int(events.user[at]) in people
                    event = pb.StreamEventsResponse(
                        user_event=event_message(narrator, events, at, by_person=by_person)
                    )
                    yield _message(run, round, at + 1, round, event)
                    if number % EVENTS_PER_TURN == 0:
                        await asyncio.sleep(0)
            summary = pb.StreamEventsResponse(round_ended=read.summary)
            round, row = round + 1, 0
            yield _message(run, round, 0, round - 1, summary)
        if run.state is not state:
            state = run.state
            yield _message(run, round, 0, round, _changed(run))
            continue
        if run.state.is_final or run.state is RunState.FAILED:
            return
        await run.changed(run.changes)


def _message(
    run: Run, round: int, row: int, of: int, event: pb.StreamEventsResponse
) -> pb.StreamEventsResponse:
    """The event with a token that goes on at `row` of `round`; it speaks of round `of`."""
    event.resume_token = f"{run.run_id}/{run.epoch}/{round}/{row}"
    event.epoch = run.epoch
    event.round = min(of, max(run.round, 0))
    event.sim_time.CopyFrom(timestamp(run.settings.time.of_round(max(of, 1))))
    return event


def _changed(run: Run) -> pb.StreamEventsResponse:
    return pb.StreamEventsResponse(run_changed=run_message(run))


def _position(run: Run, token: str) -> tuple[int, int]:
    """(round, row) to go on from."""
    if not token:
        return 1, 0
    run_id, epoch, *place = [*token.split("/"), "", ""]
    numbers = [int(one) for one in place if one.isdecimal() and len(one) < 10]
    if (run_id, epoch) != (run.run_id, str(run.epoch)) or len(numbers) != 2 or numbers[0] < 1:
        raise InputError(
            f"{token[:80]!r} is no token of run {run.run_id}, epoch {run.epoch}",
            where="resume_token",
            remedy="Start again without one",
        )
    return numbers[0], numbers[1]


def _user_numbers(people: Population, user_ids: list[str]) -> Ints | None:
    if not user_ids:
        return None
    missing = [one for one in user_ids if one not in people.number_of]
    if missing:
        raise InputError(f"no user {missing[0][:128]!r}", where="user_ids")
    return np.array([people.number_of[one] for one in user_ids], np.int32)
