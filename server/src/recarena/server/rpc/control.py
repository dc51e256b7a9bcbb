"""SimulationControlService: operators drive runs."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from recarena.server.errors import Changed, InputError, RecArenaError
from recarena.server.house import House
from recarena.server.rpc.once import Once
from recarena.server.rpc.paging import Sizes
from recarena.server.rpc.refusal import refuse
from recarena.server.rpc.runs_codec import run_message, settings_from
from recarena.server.runs import Run
from recarena.v1 import simulation_control_service_pb2 as pb
from recarena.v1 import simulation_control_service_pb2_grpc

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

RUNS = Sizes(100, 1000)


class ControlService(simulation_control_service_pb2_grpc.SimulationControlServiceServicer):
    """Every error of the tree becomes its status; a repeated request_id its first answer."""

    def __init__(self, house: House, once: Once) -> None:
        self._house, self._once = house, once

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
        size = RUNS.of(request)
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
