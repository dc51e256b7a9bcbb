"""The gRPC server: all services, health and reflection on one port."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import (
    aio as health,  # pyright: ignore[reportAttributeAccessIssue]  # behind a test of the version
)
from grpc_reflection.v1alpha import reflection

from recarena.server.door import Assignment, HostedRecommender
from recarena.server.errors import Conflict
from recarena.server.house import House
from recarena.server.inquiring.sittings import Sittings
from recarena.server.mind_rules import MindRules
from recarena.server.rpc.audit import Audit
from recarena.server.rpc.control import ControlService
from recarena.server.rpc.guard import Guard
from recarena.server.rpc.inquiries import InquiryService
from recarena.server.rpc.limits import MAX_MESSAGE_BYTES
from recarena.server.rpc.lobby import Lobby
from recarena.server.rpc.observe import ObserveService
from recarena.server.rpc.once import Once
from recarena.server.rpc.permits import changing, permits_of
from recarena.server.rpc.recommenders import RecommenderService
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.rpc.security import Security
from recarena.server.rpc.steering import SteeringService
from recarena.server.rpc.tracing import WorkSpan, round_span
from recarena.v1 import (
    recommender_service_pb2,
    simulation_control_service_pb2,
    simulation_control_service_pb2_grpc,
    simulation_inquiry_service_pb2,
    simulation_inquiry_service_pb2_grpc,
    simulation_observe_service_pb2,
    simulation_observe_service_pb2_grpc,
    simulation_steering_service_pb2,
    simulation_steering_service_pb2_grpc,
)

OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),  # else what is a little over is left to chance
    ("grpc.max_concurrent_streams", 256),
]
MAX_CONCURRENT_RPCS = 4096
GC_THRESHOLDS = 50_000, 20, 50
"""Messages in flight are many short-lived objects without cycles: the default thresholds would
spend a fifth of the server's time in looking through them."""

CONTRACT = (
    recommender_service_pb2.DESCRIPTOR.services_by_name["RecommenderService"],
    simulation_control_service_pb2.DESCRIPTOR.services_by_name["SimulationControlService"],
    simulation_observe_service_pb2.DESCRIPTOR.services_by_name["SimulationObserveService"],
    simulation_inquiry_service_pb2.DESCRIPTOR.services_by_name["SimulationInquiryService"],
    simulation_steering_service_pb2.DESCRIPTOR.services_by_name["SimulationSteeringService"],
)
SERVICES = tuple(service.full_name for service in CONTRACT)


class LobbyDoor:
    """The `Door` of runs: recommenders come from the lobby."""

    def __init__(self, lobby: Lobby, service: RecommenderService) -> None:
        self._lobby, self._service = lobby, service

    def open(self, assignment: Assignment) -> RemoteRecommender:
        """Wants a recommender for an arm from now on."""
        arm = RemoteRecommender(assignment, self._service.offer_catalog)
        self._lobby.open(arm)
        return arm

    def close(self, recommender: HostedRecommender) -> None:
        """Wants it no more."""
        assert isinstance(recommender, RemoteRecommender)
        self._lobby.close(recommender)

    def round_span(self, run_id: str, round: int) -> WorkSpan:
        """A trace for each round, where traces are on."""
        return round_span(run_id, round)


class Server:
    """A RecArena server with its house of runs. Usable as an async context manager."""

    def __init__(
        self, runs: Path, listen: str = "127.0.0.1:0", security: Security | None = None,
        minds: MindRules | None = None,
    ) -> None:  # fmt: skip
        """Without `security` it is open to everybody who reaches the address; without `minds` runs
        that are made over it have the choice mind."""
        self._listen, self._security = listen, security or Security()
        self.lobby = Lobby()
        self._audit = Audit(runs / "audit.jsonl", changing(CONTRACT))
        self._recommenders = RecommenderService(self.lobby, self._audit)
        self.door = LobbyDoor(self.lobby, self._recommenders)
        """Where recommenders come in, also for what is no run of the house."""
        self.house = House(runs, self.door, minds)
        self._sittings = Sittings(minds or MindRules())
        self.address = ""
        self._grpc: grpc.aio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Binds and serves. Conflict where the address cannot be had; InputError for certificates
        or tokens that are none; RecArenaError where the contract leaves open who may call what."""
        permits = permits_of(CONTRACT)
        audit = self._audit
        guard = Guard(self._security, permits, audit) if self._security.asks_who_calls else None
        tls = self._security.tls.credentials() if self._security.tls else None
        server = grpc.aio.server(
            # The guard comes first: nothing runs before it.
            interceptors=[guard, audit] if guard else [audit],
            options=OPTIONS,
            maximum_concurrent_rpcs=MAX_CONCURRENT_RPCS,
        )
        self._recommenders.add_to(server)
        simulation_control_service_pb2_grpc.add_SimulationControlServiceServicer_to_server(
            ControlService(self.house, Once()), server
        )
        simulation_observe_service_pb2_grpc.add_SimulationObserveServiceServicer_to_server(
            ObserveService(self.house), server
        )
        simulation_inquiry_service_pb2_grpc.add_SimulationInquiryServiceServicer_to_server(
            InquiryService(self.house, self._sittings), server
        )
        # Turns end in seconds: they do not wait for a run that is being made or copied.
        simulation_steering_service_pb2_grpc.add_SimulationSteeringServiceServicer_to_server(
            SteeringService(self.house, Once()), server
        )
        checks = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        for name in ("", *SERVICES):
            await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        host = self._listen.rpartition(":")[0]
        try:
            port = (
                server.add_secure_port(self._listen, tls)
                if tls
                else server.add_insecure_port(self._listen)
            )
        except RuntimeError:
            port = 0
        if not port:
            raise Conflict(
                f"cannot listen on {self._listen}: the address is taken or is none. "
                "Choose another with --listen HOST:PORT (port 0: any free one)"
            )
        await server.start()
        gc.set_threshold(*GC_THRESHOLDS)
        self._grpc, self.address = server, f"{host}:{port}"
        if guard:
            self._watching = asyncio.ensure_future(guard.watch())

    async def stop(self, grace_s: float = 2.0) -> None:
        """Pauses live runs at their last committed round, drains recommenders, closes."""
        await self.house.close()
        if self._grpc:
            await self._grpc.stop(grace_s)
        await self._sittings.close()
        if self._watching:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
