"""Health, reflection, and the status of every error."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from recarena.server import errors
from recarena.server.rpc import status
from recarena.server.rpc.server import SERVICES
from support.raw_client import reason_of

CODE = grpc.StatusCode


# ------------------------------------------------------------------------------ health, reflection
@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_every_service_says_that_it_serves(operator, service):
    stub: Any = health_pb2_grpc.HealthStub(operator.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_an_unknown_service_has_no_health(operator):
    stub: Any = health_pb2_grpc.HealthStub(operator.channel)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.Check(health_pb2.HealthCheckRequest(service="none"))
    assert error.value.code() is CODE.NOT_FOUND


async def test_reflection_lists_all_services_and_describes_their_messages(server):
    def reflect() -> tuple[set[str], Any]:
        with grpc.insecure_channel(server.address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = descriptor_pool.DescriptorPool(database)
            names = set(database.get_services())
            methods = {
                method.name: method.input_type.full_name
                for name in SERVICES
                for method in pool.FindServiceByName(name).methods
            }
            message = pool.FindMessageTypeByName("recarena.v1.ConnectRequest")
            return names, (methods, [field.name for field in message.fields])

    names, (methods, fields) = await asyncio.to_thread(reflect)
    assert names == {
        *SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"
    }  # fmt: skip
    assert SERVICES == (
        "recarena.v1.RecommenderService",
        "recarena.v1.SimulationControlService",
        "recarena.v1.SimulationObserveService",
        "recarena.v1.SimulationInquiryService",
        "recarena.v1.SimulationSteeringService",
    )
    assert methods["Connect"] == "recarena.v1.ConnectRequest"
    assert {"CreateRun", "StreamEvents", "StreamCatalog", "AskUsers", "Intervene"} <= set(methods)
    assert "register" in fields


async def test_reflection_of_an_unknown_symbol_is_an_answer_not_a_crash(operator):
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(operator.channel)
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="recarena.v1.None")
    call = stub.ServerReflectionInfo(iter([request]))
    answer = await call.read()
    assert answer.error_response.error_code == CODE.NOT_FOUND.value[0]
    call.cancel()


# ------------------------------------------------------------------------------ errors
def tree(kind: type[errors.RecArenaError]) -> list[type[errors.RecArenaError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in tree(child))]


def test_every_error_of_the_tree_has_its_status():
    mine = [one for one in tree(errors.RecArenaError) if one.__module__ == errors.__name__]
    assert len(mine) > 8
    assert set(status.CODES) == set(mine)
    for kind in tree(errors.RecArenaError):
        made = status.of_error(kind("why"))
        assert made.message == "why"
        assert made.code > 0
        assert reason_of(made) == status.reason_of(kind)


def test_reasons_are_upper_snake():
    assert status.reason_of(errors.NotFound) == "NOT_FOUND"
    assert status.reason_of(errors.TooManySessions) == "TOO_MANY_SESSIONS"


def test_every_error_is_drawn_in_the_docstring():
    drawn = errors.__doc__ or ""
    for kind in tree(errors.RecArenaError):
        if kind.__module__ == errors.__name__:
            assert kind.__name__ in drawn
