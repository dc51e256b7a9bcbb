"""Which roles may call which method: the contract's own words, and nothing where it is silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from recarena.server.errors import RecArenaError
from recarena.server.rpc.callers import Role
from recarena.v1 import access_pb2

Permits = Mapping[str, frozenset[Role]]
"""The roles that may call a method, by its path. Who is not here may not."""

HEALTH, REFLECTION = "/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/"
PUBLIC = frozenset({HEALTH + "Check", HEALTH + "List"})
"""For load balancers, who show nothing. Watch is not: its streams would take up the server's
calls."""
OF_GRPC: Permits = {
    HEALTH + "Watch": frozenset(Role),
    REFLECTION + "ServerReflectionInfo": frozenset({Role.OPERATOR}),
}


def permits_of(services: Iterable[ServiceDescriptor]) -> Permits:
    """The table of the contract's services. RecArenaError for a method that names no role."""
    return {path_of(method): _roles(method) for service in services for method in service.methods}


def changing(services: Iterable[ServiceDescriptor]) -> frozenset[str]:
    """The methods that change something or may cost something: those that are for operators alone.
    RecArenaError where one of them streams: what such a call did could not be told by its one
    request."""
    found: set[str] = set()
    for service in services:
        for method in service.methods:
            if _roles(method) == frozenset({Role.OPERATOR}):
                if method.client_streaming or method.server_streaming:
                    raise RecArenaError(f"{method.full_name} is for operators alone and streams")
                found.add(path_of(method))
    return frozenset(found)


def path_of(method: MethodDescriptor) -> str:
    """The path that gRPC calls a method by."""
    return f"/{method.containing_service.full_name}/{method.name}"


def _roles(method: MethodDescriptor) -> frozenset[Role]:
    named = method.GetOptions().Extensions[access_pb2.allowed_roles]
    if not named or access_pb2.ROLE_UNSPECIFIED in named:
        raise RecArenaError(f"{method.full_name} does not say which roles may call it")
    return frozenset(map(Role, named))
