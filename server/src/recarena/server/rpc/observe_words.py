"""Events and rounds of users in words."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from recarena.server.errors import InputError, NotFound
from recarena.server.narration import Narrator
from recarena.server.rpc.committed import committed
from recarena.server.rpc.events_codec import event_message
from recarena.server.rpc.paging import Sizes, position
from recarena.server.rpc.played import played
from recarena.server.runs import Run
from recarena.server.store.tables import events_from, numpy_column
from recarena.server.telling import Teller
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as pb

MAX_SEQUENCES = 1000
MAX_USERS = 200
ROUNDS = Sizes(20, 100)
READ_AT_ONCE = 500
"""Rounds that are looked through at once for a user's events."""


def narrator_of(run: Run) -> Narrator:
    """Tells the events of a run, with names and titles as they are now."""
    return Narrator(run.world.catalog, run.world.population)


def user_number(run: Run, user_id: str) -> int:
    """The user of that id. NotFound."""
    number = run.world.population.number_of.get(user_id)
    if number is None:
        raise NotFound(f"run {run.run_id} has no user {user_id[:128]!r}")
    return number


async def tell_events(run: Run, request: pb.TellEventsRequest) -> pb.TellEventsResponse:
    """Single events of a round."""
    _at_most(len(request.sequences), MAX_SEQUENCES, "sequences")
    read = await committed(run).round(request.round)
    for at, sequence in enumerate(request.sequences):
        if sequence >= len(read.events):
            raise InputError(
                f"round {request.round} has {len(read.events)} events, numbered from 0",
                where=f"sequences[{at}]",
            )
    narrator, people = narrator_of(run), set(read.people)
    return pb.TellEventsResponse(
        events=[
            event_message(
                narrator, read.events, row, by_person=int(read.events.user[row]) in people
            )
            for row in request.sequences
        ]
    )


async def tell_round(run: Run, request: pb.TellRoundRequest) -> pb.TellRoundResponse:
    """What users did in a round."""
    _at_most(len(request.user_ids), MAX_USERS, "user_ids")
    users = [user_number(run, user_id) for user_id in request.user_ids]
    read = await committed(run).round(request.round)
    teller, ids = Teller(narrator_of(run), read.events), run.world.population.user_ids
    response = pb.TellRoundResponse()
    for user in users:
        told = teller.of(user)
        if told:
            response.users.append(
                run_pb2.UserRound(
                    user_id=ids[user],
                    user_name=run.world.population.names[user],
                    round=request.round,
                    text=told.text,
                    titles=told.titles,
                    people={ids[other]: name for other, name in told.people.items()},
                    by_person=user in read.people,
                )
            )
    return response


async def list_user_events(
    run: Run, request: pb.ListUserEventsRequest
) -> pb.ListUserEventsResponse:
    """All events of one user, newest round first. The token is the round before the last one of
    the page."""
    user, last = user_number(run, request.user_id), run.round
    until = min(request.until_round or last, last)
    first = position(request, until, until)
    rounds = ROUNDS.of(request)
    response = pb.ListUserEventsResponse()
    if first < 1:
        return response
    table = await asyncio.to_thread(_of_user, run, user, first, rounds)
    if not len(table):
        return response
    events, sequence = events_from(table), numpy_column(table, "seq")
    narrator, people = narrator_of(run), played(run)
    there = np.unique(events.round)[::-1][:rounds]
    for round in there.tolist():
        by_person = people.is_by_person(user, round)
        response.events.extend(
            event_message(narrator, events, row, sequence=int(sequence[row]), by_person=by_person)
            for row in np.flatnonzero(events.round == round).tolist()
        )
    if there[-1] > 1:
        response.next_page_token = str(there[-1] - 1)
    return response


def _of_user(run: Run, user: int, last: int, wanted: int) -> Any:
    """Rows of `events` of a user in at least so many rounds up to `last`, if there are as many; in
    order, with their `seq`."""
    look = READ_AT_ONCE
    while True:
        first = max(last - look + 1, 1)
        where = f"user = {user} AND round >= {first} AND round <= {last}"
        table = run.folder.tables.where("events", where)
        if first == 1 or len(np.unique(numpy_column(table, "round"))) >= wanted:
            return table.sort_by([("round", "ascending"), ("seq", "ascending")])
        look *= 4


def _at_most(count: int, most: int, where: str) -> None:
    if count > most:
        raise InputError(f"{count:,} are more than {most:,}", where=where, remedy="Ask in parts")
