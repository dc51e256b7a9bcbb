"""SimulationObserveService: readers watch committed rounds at their own pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Protocol, TypeAlias

import grpc
import numpy as np

from recarena.server.errors import InputError, NotFound, RecArenaError
from recarena.server.founding import RunState
from recarena.server.house import House
from recarena.server.narration import Narrator
from recarena.server.population import Population
from recarena.server.rpc import status
from recarena.server.rpc.refusal import abort, refuse
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.rpc.runs_codec import (
    event_message,
    health_message,
    page_size,
    round_message,
    run_message,
)
from recarena.server.rpc.times import timestamp
from recarena.server.runs import Run
from recarena.server.types import EventColumns, MemoryKind
from recarena.v1 import run_pb2, simulation_observe_service_pb2_grpc
from recarena.v1 import simulation_observe_service_pb2 as pb

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

EVENTS_PER_TURN = 200
"""Events sent before others get their turn."""


class ObserveService(simulation_observe_service_pb2_grpc.SimulationObserveServiceServicer):
    """Reads of runs. A page token is the position to go on from."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, context: Context
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        """Run, then round by round its events and summary, then the run as it ended."""
        try:
            run = self._house.run(request.run_id)
            round, row = _position(run, request.resume_token)
            users = _user_numbers(run.data.population, list(request.user_ids))
        except RecArenaError as error:
            await refuse(context, error)
        kinds = np.array(
            request.event_types
            or [t for t in run_pb2.UserEvent.Type.values() if t != run_pb2.UserEvent.TYPE_SHOWN],
            np.int8,
        )
        state = run.state
        yield _message(run, round, row, round, _changed(run))
        while True:
            while round <= run.round:
                events, active, wall_ms = await self._events(run, round)
                if not request.summaries_only:
                    wanted = np.isin(events.kind, kinds)
                    if users is not None:
                        wanted &= np.isin(events.user, users)
                    narrator = Narrator(run.data.catalog, run.data.population)
                    rows = np.flatnonzero(wanted)
                    for number, at in enumerate(rows[rows >= row].tolist()):
                        event = pb.StreamEventsResponse(
                            user_event=event_message(narrator, events, at)
                        )
                        yield _message(run, round, at + 1, round, event)
                        if number % EVENTS_PER_TURN == 0:
                            await asyncio.sleep(0)
                summary = pb.StreamEventsResponse(
                    round_ended=round_message(run, round, events, active, wall_ms)
                )
                round, row = round + 1, 0
                yield _message(run, round, 0, round - 1, summary)
            if run.state is not state:
                state = run.state
                yield _message(run, round, 0, round, _changed(run))
                continue
            if run.state.is_final or run.state is RunState.FAILED:
                return
            if run.is_closed:
                text = f"run {run.run_id} was closed here; come back"
                await abort(context, status.status_proto(grpc.StatusCode.UNAVAILABLE, text))
            await run.changed(run.changes)

    async def _events(self, run: Run, round: int) -> tuple[EventColumns, int, float]:
        newest = run.newest
        if newest and newest.round == round:
            return newest.events, newest.active, newest.wall_ms
        row = run.folder.round_rows()[round - 1]
        pair = await asyncio.to_thread(lambda: next(iter(run.folder.rounds(round, round))))
        return pair[0], row.active, row.wall_ms

    async def ListRecommenders(
        self, request: pb.ListRecommendersRequest, context: Context
    ) -> pb.ListRecommendersResponse:
        """See the contract."""
        run = await self._run(request.run_id, context)
        statuses = sorted(
            (
                health_message(one.health)
                for one in run.recommenders
                if isinstance(one, RemoteRecommender)
            ),
            key=lambda one: one.recommender_id,
        )
        rows, token = await _page(context, len(statuses), request, Sizes(100, 1000))
        return pb.ListRecommendersResponse(
            recommenders=[statuses[at] for at in rows], next_page_token=token
        )

    async def ListUsers(
        self, request: pb.ListUsersRequest, context: Context
    ) -> pb.ListUsersResponse:
        """See the contract."""
        run = await self._run(request.run_id, context)
        people = run.data.population
        rows, token = await _page(context, len(people), request, Sizes(100, 1000))
        numbers = np.array(rows, np.int64)
        satisfaction = run.world.satisfaction(numbers.astype(np.int32))
        return pb.ListUsersResponse(
            users=[
                run_pb2.User(
                    user_id=people.user_ids[user],
                    user_number=user,
                    name=people.names[user],
                    profile={name: column[user] for name, column in people.profile.items()},
                    arm_id=run.settings.arms[int(run.arm_of_user[user])].id,
                    watches=int(run.world.watches[user]),
                    satisfaction=float(satisfaction[at]),
                )
                for at, user in enumerate(rows)
            ],
            next_page_token=token,
        )

    async def ListRelations(
        self, request: pb.ListRelationsRequest, context: Context
    ) -> pb.ListRelationsResponse:
        """See the contract."""
        run = await self._run(request.run_id, context)
        network, ids = run.data.network, run.data.population.user_ids
        first, size = 0, len(network)
        if request.user_id:
            ties = network.ties_of(await self._user(run, request.user_id, context))
            first, size = ties.start, ties.stop - ties.start
        rows, token = await _page(context, size, request, Sizes(1000, 10_000))
        at = np.array(rows, np.int64) + first
        source = np.searchsorted(network.start, at, side="right") - 1
        return pb.ListRelationsResponse(
            relations=[
                run_pb2.Relation(
                    user_id=ids[int(user)],
                    other_user_id=ids[int(network.other[tie])],
                    kind=network.kinds[int(network.kind[tie])],
                    closeness=float(network.closeness[tie]),
                )
                for user, tie in zip(source, at, strict=True)
            ],
            next_page_token=token,
        )

    async def ListMemories(
        self, request: pb.ListMemoriesRequest, context: Context
    ) -> pb.ListMemoriesResponse:
        """See the contract."""
        run = await self._run(request.run_id, context)
        user = await self._user(run, request.user_id, context)
        memories = await asyncio.to_thread(run.folder.memories_of, user)
        narrator = Narrator(run.data.catalog, run.data.population)
        rows, token = await _page(context, len(memories), request, Sizes(100, 1000))
        ids, items = run.data.population.user_ids, run.data.catalog.item_ids
        return pb.ListMemoriesResponse(
            memories=[
                run_pb2.Memory(
                    user_id=request.user_id,
                    memory_number=row,
                    round=int(memories.round[row]),
                    kind=MemoryKind(int(memories.kind[row])).name.lower(),
                    text=narrator.memory(memories, row),
                    importance=float(memories.importance[row]),
                    source_user_id=ids[memories.source[row]] if memories.source[row] >= 0 else "",
                    item_id=items[memories.item[row]] if memories.item[row] >= 0 else "",
                )
                for row in rows
            ],
            next_page_token=token,
        )

    async def _run(self, run_id: str, context: Context) -> Run:
        try:
            return self._house.run(run_id)
        except RecArenaError as error:
            await refuse(context, error)

    async def _user(self, run: Run, user_id: str, context: Context) -> int:
        number = run.data.population.number_of.get(user_id)
        if number is None:
            await refuse(context, NotFound(f"run {run.run_id} has no user {user_id[:128]!r}"))
        return number


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


def _user_numbers(people: Population, user_ids: list[str]) -> np.ndarray | None:
    if not user_ids:
        return None
    missing = [one for one in user_ids if one not in people.number_of]
    if missing:
        raise InputError(f"no user {missing[0][:128]!r}", where="user_ids")
    return np.array([people.number_of[one] for one in user_ids], np.int32)


class Paged(Protocol):
    """A request for one page of a list."""

    @property
    def page_size(self) -> int:
        """See the contract."""
        ...

    @property
    def page_token(self) -> str:
        """See the contract."""
        ...


class Sizes(NamedTuple):
    """Entries of a page: where none are asked for, and at most."""

    default: int
    most: int


async def _page(context: Context, size: int, asked: Paged, sizes: Sizes) -> tuple[list[int], str]:
    """Rows of a page and the token of the next; refuses a token that is none."""
    token = asked.page_token or "0"
    first = int(token) if token.isdecimal() and len(token) < 10 else size + 1
    if first > size:
        wrong = InputError(f"{token[:64]!r} is no token of this list", where="page_token")
        await refuse(context, wrong)
    last = min(first + page_size(asked.page_size, sizes.default, sizes.most), size)
    return list(range(first, last)), str(last) if last < size else ""
