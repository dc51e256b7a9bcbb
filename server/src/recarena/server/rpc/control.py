"""SimulationControlService: operators drive runs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import grpc

from recarena.server.errors import Changed, InputError, RecArenaError
from recarena.server.house import House
from recarena.server.rpc.refusal import refuse
from recarena.server.rpc.runs_codec import page_size, run_message, settings_from
from recarena.server.runs import Run
from recarena.v1 import simulation_control_service_pb2 as pb
from recarena.v1 import simulation_control_service_pb2_grpc

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Reply = TypeVar("Reply")

REMEMBERED_REQUESTS = 4096
RUNS_PER_PAGE = 100


class Changing(Protocol):
    """A request that changes something."""

    @property
    def request_id(self) -> str:
        """See the contract."""
        ...


class ControlService(simulation_control_service_pb2_grpc.SimulationControlServiceServicer):
    """Every error of the tree becomes its status; a repeated request_id its first answer."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._answered: OrderedDict[tuple[str, str], object] = OrderedDict()
        self._turn = asyncio.Lock()

    async def _once(
        self, request: Changing, context: Context, work: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """Runs changing calls one after another, each request_id once."""
        try:
            async with self._turn:
                call = type(request).__name__, request.request_id
                if request.request_id and call in self._answered:
                    return cast("Reply", self._answered[call])
                reply = await work()
                if request.request_id:
                    self._answered[call] = reply
                    while len(self._answered) > REMEMBERED_REQUESTS:
                        self._answered.popitem(last=False)
                return reply
        except RecArenaError as error:
            await refuse(context, error)

    def _run(self, run_id: str, etag: str = "") -> Run:
        run = self._house.run(run_id)
        now = run_message(run).etag
        if etag and etag != now:
            raise Changed(f"run {run_id} has changed: its etag is {now}, not {etag}")
        return run

    async def CreateRun(
        self, request: pb.CreateRunRequest, context: Context
    ) -> pb.CreateRunResponse:
        """See the contract."""

        async def create() -> pb.CreateRunResponse:
            settings = settings_from(request.run)
            run_id, world = request.run.run_id, request.run.world
            try:
                if request.validate_only:
                    self._house.check(run_id, world, settings)
                    return pb.CreateRunResponse(run=request.run)
                run = await self._house.create(run_id, world, settings)
            except InputError as error:
                where = f"run.{error.where}" if error.where in ("run_id", "world") else error.where
                raise InputError(error.problem, where=where, remedy=error.remedy) from None
            return pb.CreateRunResponse(run=run_message(run))

        return await self._once(request, context, create)

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> pb.GetRunResponse:
        """See the contract."""
        try:
            return pb.GetRunResponse(run=run_message(self._run(request.run_id)))
        except RecArenaError as error:
            await refuse(context, error)

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        """See the contract."""
        size = page_size(request.page_size, RUNS_PER_PAGE, 1000)
        runs = [run for run in self._house.runs() if run.run_id > request.page_token]
        return pb.ListRunsResponse(
            runs=[run_message(run) for run in runs[:size]],
            next_page_token=runs[size - 1].run_id if len(runs) > size else "",
        )

    async def StartRun(self, request: pb.StartRunRequest, context: Context) -> pb.StartRunResponse:
        """See the contract."""

        async def start() -> pb.StartRunResponse:
            run = self._run(request.run_id, request.etag)
            run.start()
            return pb.StartRunResponse(run=run_message(run))

        return await self._once(request, context, start)

    async def PauseRun(self, request: pb.PauseRunRequest, context: Context) -> pb.PauseRunResponse:
        """See the contract."""

        async def pause() -> pb.PauseRunResponse:
            run = self._run(request.run_id)
            run.pause()
            return pb.PauseRunResponse(run=run_message(run))

        return await self._once(request, context, pause)

    async def StepRun(self, request: pb.StepRunRequest, context: Context) -> pb.StepRunResponse:
        """See the contract."""

        async def step() -> pb.StepRunResponse:
            run = self._run(request.run_id, request.etag)
            run.start(max(request.rounds, 1))
            return pb.StepRunResponse(run=run_message(run))

        return await self._once(request, context, step)

    async def StopRun(self, request: pb.StopRunRequest, context: Context) -> pb.StopRunResponse:
        """See the contract."""

        async def stop() -> pb.StopRunResponse:
            run = self._run(request.run_id)
            await run.stop()
            return pb.StopRunResponse(run=run_message(run))

        return await self._once(request, context, stop)

    async def ResetRun(self, request: pb.ResetRunRequest, context: Context) -> pb.ResetRunResponse:
        """See the contract."""

        async def reset() -> pb.ResetRunResponse:
            self._run(request.run_id, request.etag)
            seed = request.seed if request.HasField("seed") else None
            run = await self._house.reset(request.run_id, seed)
            return pb.ResetRunResponse(run=run_message(run))

        return await self._once(request, context, reset)

    async def ForkRun(self, request: pb.ForkRunRequest, context: Context) -> pb.ForkRunResponse:
        """See the contract."""

        async def fork() -> pb.ForkRunResponse:
            run = await self._house.fork(request.run_id, request.round, request.new_run_id)
            return pb.ForkRunResponse(run=run_message(run))

        return await self._once(request, context, fork)
