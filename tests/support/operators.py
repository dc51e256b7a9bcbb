"""Calls of operators and readers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status

from recarena.server.rpc.server import Server
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1.run_pb2 import (
    Arm,
    Run,
)
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.simulation_inquiry_service_pb2_grpc import SimulationInquiryServiceStub
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from recarena.v1.simulation_steering_service_pb2_grpc import SimulationSteeringServiceStub
from support.arena import PATIENCE, WORLD, finished
from support.raw_client import RawClient


class Operator:
    """Calls of an operator over one channel."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.channel = grpc.aio.insecure_channel(server.address)
        self.control: Any = SimulationControlServiceStub(self.channel)
        self.observe: Any = SimulationObserveServiceStub(self.channel)
        self.inquiry: Any = SimulationInquiryServiceStub(self.channel)
        self.steering: Any = SimulationSteeringServiceStub(self.channel)

    async def create(self, run_id: str = "run", **fields: Any) -> Run:
        made = self.control.CreateRun(control_pb.CreateRunRequest(run=a_run(run_id, **fields)))
        return (await made).run

    async def get(self, run_id: str = "run") -> Run:
        return (await self.control.GetRun(control_pb.GetRunRequest(run_id=run_id))).run

    async def start(self, run_id: str = "run", **fields: Any) -> Run:
        request = control_pb.StartRunRequest(run_id=run_id, **fields)
        return (await self.control.StartRun(request)).run

    async def played(self, run_id: str = "run", **fields: Any) -> Any:
        """A run that was created and played to its end."""
        await self.create(run_id, **fields)
        await self.start(run_id)
        async with RawClient(self.server.address) as client:
            await client.join()
            await client.serve()
        run = self.server.house.run(run_id)
        await finished(run)
        return run

    def events(self, run_id: str = "run", **fields: Any) -> Any:
        return self.observe.StreamEvents(observe_pb.StreamEventsRequest(run_id=run_id, **fields))


def a_run(run_id: str = "run", **fields: Any) -> Run:
    values = {"seed": 7, "round_limit": 2, "world": WORLD, "arms": [Arm(recommender_id="raw")]}
    return Run(run_id=run_id, **{**values, **fields})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def refused(code: grpc.StatusCode) -> AsyncIterator[Status]:
    """The call inside is refused with this code; the status is filled in then."""
    found = Status()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        yield found
    assert error.value.code() is code, error.value
    for key, value in error.value.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            found.MergeFromString(value)
    assert found.message == error.value.details()
    assert found.code == code.value[0]


async def gathered(stream: Any) -> list[observe_pb.StreamEventsResponse]:
    async with asyncio.timeout(PATIENCE):
        return [message async for message in stream]
