"""SimulationObserveService: readers watch committed rounds at their own pace.

What the calls do stands in the modules named after what they are about: observe_events,
observe_rounds, observe_words, observe_people, observe_items, observe_turns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

import grpc

from recarena.server.errors import RecArenaError, RunClosed
from recarena.server.house import House
from recarena.server.rpc.observe_events import stream_events
from recarena.server.rpc.observe_items import (
    list_interventions,
    list_items,
    list_recommenders,
)
from recarena.server.rpc.observe_people import (
    list_memories,
    list_model_calls,
    list_relations,
    list_users,
)
from recarena.server.rpc.observe_rounds import stream_rounds
from recarena.server.rpc.observe_turns import stream_turns
from recarena.server.rpc.observe_words import list_user_events, tell_events, tell_round
from recarena.server.rpc.refusal import Context, refuse
from recarena.server.runs import Run
from recarena.v1 import simulation_observe_service_pb2 as pb
from recarena.v1 import simulation_observe_service_pb2_grpc


class OfRun(Protocol):
    """A request about a run."""

    @property
    def run_id(self) -> str:
        """See the contract."""
        ...


Request = TypeVar("Request", bound=OfRun)
Reply = TypeVar("Reply")


class ObserveService(simulation_observe_service_pb2_grpc.SimulationObserveServiceServicer):
    """Reads of runs. Every error of the tree becomes its status; a run that is let go of while it
    is read is UNAVAILABLE, whatever reading it came to."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, context: Context
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        """See the contract."""
        async for message in self._stream(stream_events, request, context):
            yield message

    async def StreamRounds(
        self, request: pb.StreamRoundsRequest, context: Context
    ) -> AsyncIterator[pb.StreamRoundsResponse]:
        """See the contract."""
        async for message in self._stream(stream_rounds, request, context):
            yield message

    async def StreamTurns(
        self, request: pb.StreamTurnsRequest, context: Context
    ) -> AsyncIterator[pb.StreamTurnsResponse]:
        """See the contract."""
        async for message in self._stream(stream_turns, request, context):
            yield message

    async def TellEvents(
        self, request: pb.TellEventsRequest, context: Context
    ) -> pb.TellEventsResponse:
        """See the contract."""
        return await self._read(tell_events, request, context)

    async def TellRound(
        self, request: pb.TellRoundRequest, context: Context
    ) -> pb.TellRoundResponse:
        """See the contract."""
        return await self._read(tell_round, request, context)

    async def ListUserEvents(
        self, request: pb.ListUserEventsRequest, context: Context
    ) -> pb.ListUserEventsResponse:
        """See the contract."""
        return await self._read(list_user_events, request, context)

    async def ListUsers(
        self, request: pb.ListUsersRequest, context: Context
    ) -> pb.ListUsersResponse:
        """See the contract."""
        return await self._read(list_users, request, context)

    async def ListRelations(
        self, request: pb.ListRelationsRequest, context: Context
    ) -> pb.ListRelationsResponse:
        """See the contract."""
        return await self._read(list_relations, request, context)

    async def ListMemories(
        self, request: pb.ListMemoriesRequest, context: Context
    ) -> pb.ListMemoriesResponse:
        """See the contract."""
        return await self._read(list_memories, request, context)

    async def ListModelCalls(
        self, request: pb.ListModelCallsRequest, context: Context
    ) -> pb.ListModelCallsResponse:
        """See the contract."""
        return await self._read(list_model_calls, request, context)

    async def ListItems(
        self, request: pb.ListItemsRequest, context: Context
    ) -> pb.ListItemsResponse:
        """See the contract."""
        return await self._read(list_items, request, context)

    async def ListInterventions(
        self, request: pb.ListInterventionsRequest, context: Context
    ) -> pb.ListInterventionsResponse:
        """See the contract."""
        return await self._read(list_interventions, request, context)

    async def ListRecommenders(
        self, request: pb.ListRecommendersRequest, context: Context
    ) -> pb.ListRecommendersResponse:
        """See the contract."""
        return await self._read(list_recommenders, request, context)

    async def _read(
        self,
        read: Callable[[Run, Request], Awaitable[Reply]],
        request: Request,
        context: Context,
    ) -> Reply:
        """What `read` says of the run that the request names."""
        run = await self._run(request, context)
        try:
            reply = await read(run, request)
        except Exception as error:
            if not run.is_closed and not isinstance(error, RecArenaError):
                raise
            await refuse(context, _closed(run) if run.is_closed else _known(error))
        if run.is_closed:  # what was read may be of the run that took its place
            await refuse(context, _closed(run))
        return reply

    async def _stream(
        self,
        stream: Callable[[Run, Request], AsyncIterator[Reply]],
        request: Request,
        context: Context,
    ) -> AsyncIterator[Reply]:
        """What `stream` says of the run that the request names, as it comes."""
        run = await self._run(request, context)
        try:
            async for message in stream(run, request):
                yield message
        except (grpc.aio.BaseError, GeneratorExit):
            raise
        except Exception as error:
            if not run.is_closed and not isinstance(error, RecArenaError):
                raise
            await refuse(context, _closed(run) if run.is_closed else _known(error))

    async def _run(self, request: OfRun, context: Context) -> Run:
        try:
            return self._house.run(request.run_id)
        except RecArenaError as error:
            await refuse(context, error)


def _closed(run: Run) -> RunClosed:
    return RunClosed(f"run {run.run_id} was closed here; come back")


def _known(error: Exception) -> RecArenaError:
    assert isinstance(error, RecArenaError)
    return error
