"""A server that asks for tokens: who is let in, how often, and for how long."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from recarena.server.rpc.allowance import Rate
from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from recarena.server.rpc.tokens import TokenFile
from recarena.v1 import recommender_service_pb2 as recommender_pb
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1.session_pb2 import CAPABILITY_RANK, Register
from support.arena import WORLD, settings
from support.callers import METHODS, Caller, ending, id_of, token
from support.certificates import Authority
from support.operators import a_run
from support.raw_client import details

CODE = grpc.StatusCode
OPERATOR, OBSERVER, RECOMMENDER = Role.OPERATOR, Role.OBSERVER, Role.RECOMMENDER
SOON_S = 2.0
"""Within which what was revoked ends."""
BY_NAME = {method.name: method for method in METHODS}


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    token(tmp_path / "tokens.json", OPERATOR, "first")
    return tmp_path / "tokens.json"


@pytest.fixture
async def guarded(tmp_path: Path, tokens: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "runs", security=Security(tokens=tokens)) as server:
        yield server


@asynccontextmanager
async def open_events(server: Server, shown: str) -> AsyncIterator[Any]:
    """A stream of the events of a run that does not begin."""
    async with Caller(server.address, shown) as caller:
        created = await caller.ending(
            BY_NAME["CreateRun"], control_pb.CreateRunRequest(run=a_run("waits"))
        )
        assert created.code in (CODE.OK, CODE.ALREADY_EXISTS)
        call = caller.call(BY_NAME["StreamEvents"], observe_pb.StreamEventsRequest(run_id="waits"))
        assert (await call.read()).run_changed.run_id == "waits"
        yield call
        call.cancel()


# ------------------------------------------------------------------------------ for how long
async def test_revoking_a_token_ends_its_open_streams_and_no_others(guarded, tokens):
    bad, good = token(tokens, OPERATOR, "bad"), token(tokens, OPERATOR, "good")
    async with open_events(guarded, bad) as ends, open_events(guarded, good) as stays:
        TokenFile(tokens).revoke(id_of(bad))
        begun = time.monotonic()
        ended = await ending(ends)
        assert time.monotonic() - begun < SOON_S
        assert (ended.code, ended.reason) == (CODE.UNAUTHENTICATED, "TOKEN_REVOKED")
        assert not stays.done()
        async with Caller(guarded.address, good) as caller:
            assert (await caller.ending(BY_NAME["ListRuns"])).code is CODE.OK
        async with Caller(guarded.address, bad) as caller:
            assert (await caller.ending(BY_NAME["ListRuns"])).reason == "TOKEN_REVOKED"


async def test_revoking_a_token_ends_the_session_of_its_recommender(guarded, tokens):
    shown = token(tokens, RECOMMENDER, "raw")
    register = recommender_pb.ConnectRequest(
        register=Register(recommender_id="raw", capabilities=[CAPABILITY_RANK])
    )
    channel = grpc.aio.insecure_channel(guarded.address)
    path = "/recarena.v1.RecommenderService/Connect"
    connect = channel.stream_stream(path, request_serializer=lambda one: one.SerializeToString())
    call = connect(metadata=(("authorization", f"bearer {shown}"),))
    await call.write(register)
    # One call after it on the same connection: by then the session waits for a run.
    async with Caller(guarded.address, shown) as caller:
        assert (await caller.ending(BY_NAME["ListFeedback"])).code is CODE.NOT_FOUND
    TokenFile(tokens).revoke(id_of(shown))
    begun = time.monotonic()
    assert await call.code() is CODE.UNAUTHENTICATED
    assert time.monotonic() - begun < SOON_S
    await channel.close()


async def test_an_open_stream_ends_when_its_token_expires(guarded, tokens):
    shown, kept = TokenFile(tokens).new(OPERATOR, "brief", timedelta(seconds=3))
    async with open_events(guarded, shown) as call:
        ended = await ending(call)
    assert (ended.code, ended.reason) == (CODE.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert time.time() - kept.expires.timestamp() < SOON_S


async def test_an_open_stream_ends_when_its_certificate_expires(tmp_path):
    ca = Authority(tmp_path / "ca")
    own = ca.server()
    shown = ca.client("recarena:observer:brief", lifetime=timedelta(seconds=4))
    security = Security(Tls(own.certificate, own.key, ca.certificate))
    async with (
        Server(tmp_path / "runs", security=security) as server,
        Caller(server.address, None, ca.certificate, shown) as caller,
    ):
        await server.house.create("waits", WORLD, settings("raw"))
        call = caller.call(BY_NAME["StreamEvents"], observe_pb.StreamEventsRequest(run_id="waits"))
        assert (await call.read()).run_changed.run_id == "waits"
        ended = await ending(call)
    assert (ended.code, ended.reason) == (CODE.UNAUTHENTICATED, "CERTIFICATE_EXPIRED")


async def test_a_token_that_is_given_out_under_way_opens_at_once(guarded, tokens):
    async with Caller(guarded.address, token(tokens, OBSERVER, "new")) as caller:
        assert (await caller.ending(BY_NAME["ListRuns"])).code is CODE.OK


async def test_a_file_that_breaks_under_way_shuts_nobody_out_and_lets_nobody_in(guarded, tokens):
    good = token(tokens, OPERATOR, "good")
    async with open_events(guarded, good) as stays:
        new = token(tokens, OPERATOR, "new")
        tokens.write_text(tokens.read_text()[:-10])
        async with Caller(guarded.address, good) as caller, Caller(guarded.address, new) as other:
            assert (await caller.ending(BY_NAME["ListRuns"])).code is CODE.OK
            assert (await other.ending(BY_NAME["ListRuns"])).code is CODE.UNAUTHENTICATED
        assert not stays.done()


# ------------------------------------------------------------------------------ how often
async def test_a_caller_that_calls_too_often_is_told_when_to_come_back(tmp_path, tokens):
    security = Security(tokens=tokens, calls=Rate(per_second=0.1, burst=3))
    one, two = token(tokens, OPERATOR, "one"), token(tokens, OPERATOR, "two")
    async with (
        Server(tmp_path / "runs", security=security) as server,
        Caller(server.address, one) as hasty,
        Caller(server.address, two) as calm,
    ):
        endings = [await hasty.ending(BY_NAME["ListRuns"]) for _ in range(4)]
        assert [one.code for one in endings] == [CODE.OK] * 3 + [CODE.RESOURCE_EXHAUSTED]
        assert endings[3].reason == "RATE_LIMITED"
        (retry,) = details(endings[3].status, RetryInfo)
        assert 5 < retry.retry_delay.ToTimedelta().total_seconds() <= 10
        assert (await calm.ending(BY_NAME["ListRuns"])).code is CODE.OK


async def test_who_fails_too_often_is_told_no_more_and_shuts_nobody_else_out(tmp_path, tokens):
    security = Security(tokens=tokens, failures=Rate(per_second=0.1, burst=3))
    async with (
        Server(tmp_path / "runs", security=security) as server,
        Caller(server.address, "guess") as stranger,
        Caller(server.address, token(tokens, OPERATOR, "one")) as known,
    ):
        endings = [await stranger.ending(BY_NAME["ListRuns"]) for _ in range(5)]
        assert [one.code for one in endings] == (
            [CODE.UNAUTHENTICATED] * 3 + [CODE.RESOURCE_EXHAUSTED] * 2
        )
        assert (await known.ending(BY_NAME["ListRuns"])).code is CODE.OK


async def test_refusals_are_logged_without_the_token_and_not_without_end(guarded, tokens):
    shown = token(tokens, OBSERVER, "eve")
    with capture_logs() as logs:
        async with Caller(guarded.address, shown) as caller:
            for _ in range(100):
                await caller.ending(BY_NAME["StopRun"])
        async with Caller(guarded.address, "rct_secret") as caller:
            await caller.ending(BY_NAME["StopRun"])
    refused = [one for one in logs if one["event"] == "call refused"]
    assert 40 < len(refused) < 90
    assert refused[0]["reason"] == "WRONG_ROLE"
    assert refused[0]["caller"] == "observer eve"
    assert refused[0]["method"].endswith("/StopRun")
    assert refused[0]["peer"].startswith("ipv4:127.0.0.1:")
    assert shown.split("_", 2)[2] not in str(logs)
    assert "rct_secret" not in str(logs)


# ------------------------------------------------------------------------------ what else is there
async def test_health_is_told_to_everybody_but_watched_by_callers_only(guarded, tokens):
    channel = grpc.aio.insecure_channel(guarded.address)
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert (await ending(stub.Watch(health_pb2.HealthCheckRequest()))).reason == "NO_CREDENTIALS"
    shown = (("authorization", f"Bearer {token(tokens, RECOMMENDER, 'a')}"),)
    watching = stub.Watch(health_pb2.HealthCheckRequest(), metadata=shown)
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
    watching.cancel()
    await channel.close()


@pytest.mark.parametrize(
    ("role", "code"),
    [
        (None, CODE.UNAUTHENTICATED),
        (RECOMMENDER, CODE.PERMISSION_DENIED),
        (OBSERVER, CODE.PERMISSION_DENIED),
        (OPERATOR, CODE.OK),
    ],
)
async def test_reflection_is_for_operators(guarded, tokens, role, code):
    channel = grpc.aio.insecure_channel(guarded.address)
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    shown = (("authorization", f"Bearer {token(tokens, role, 'a')}"),) if role else ()
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    assert (await ending(stub.ServerReflectionInfo(iter([request]), metadata=shown))).code is code
    await channel.close()


@pytest.mark.parametrize("path", ["/recarena.v1.SimulationControlService/DropRun", "/no/Such", "/"])
async def test_whether_a_method_exists_is_told_to_callers_only(guarded, tokens, path):
    channel = grpc.aio.insecure_channel(guarded.address)
    ask = channel.unary_unary(path)
    shown = (("authorization", f"Bearer {token(tokens, RECOMMENDER, 'a')}"),)
    assert (await ending(ask(b""))).code is CODE.UNAUTHENTICATED
    assert (await ending(ask(b"", metadata=shown))).code is CODE.UNIMPLEMENTED
    await channel.close()


async def test_two_tokens_at_once_are_none(guarded, tokens):
    channel = grpc.aio.insecure_channel(guarded.address)
    ask = channel.unary_unary("/recarena.v1.SimulationControlService/ListRuns")
    header = "authorization", f"Bearer {token(tokens, OPERATOR, 'a')}"
    assert (await ending(ask(b"", metadata=(header,)))).code is CODE.OK
    assert (await ending(ask(b"", metadata=(header, header)))).reason == "BAD_TOKEN"
    basic = (header[0], header[1].replace("Bearer", "Basic"))
    assert (await ending(ask(b"", metadata=(basic,)))).reason == "BAD_TOKEN"
    await channel.close()


async def test_a_stranger_is_refused_before_it_has_sent_its_request(guarded):
    channel = grpc.aio.insecure_channel(guarded.address)
    for method in ("CreateRun", "StreamEvents", "Connect"):
        service = BY_NAME[method].containing_service.full_name
        call = channel.stream_stream(f"/{service}/{method}")()
        assert (await ending(call)).code is CODE.UNAUTHENTICATED
    await channel.close()


async def test_an_unexpected_error_is_logged_and_not_told(guarded, tokens, monkeypatch):
    def fail() -> None:
        raise ValueError("/home/somebody/secret")

    monkeypatch.setattr(guarded.house, "runs", fail)
    with capture_logs() as logs:
        async with Caller(guarded.address, token(tokens, OPERATOR, "a")) as caller:
            ended = await caller.ending(BY_NAME["ListRuns"])
    assert (ended.code, ended.status.message) == (CODE.INTERNAL, "internal error")
    assert "a method failed" in [one["event"] for one in logs]
