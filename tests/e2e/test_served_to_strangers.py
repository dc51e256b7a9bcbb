"""`recarena serve` behind TLS, and reference recommenders that are let in, or are not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import grpc
import pytest

from recarena.server.rpc.callers import Role
from recarena.v1.run_pb2 import Arm, Run
from recarena.v1.simulation_control_service_pb2 import CreateRunRequest, StartRunRequest
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.simulation_observe_service_pb2 import StreamEventsRequest
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from support.arena import PATIENCE, program
from support.callers import token
from support.certificates import Authority
from support.commands import started

pytestmark = pytest.mark.slow
RUN = Run(
    run_id="first", world="new:users=30,seed=1", seed=1, round_limit=2,
    arms=[Arm(arm_id="popular", recommender_id="popular")],
)  # fmt: skip


async def rounds_played(channel: grpc.aio.Channel, metadata: list[tuple[str, str]]) -> int:
    """Plays the run as an operator would; how many rounds there were."""
    control, observe = SimulationControlServiceStub(channel), SimulationObserveServiceStub(channel)
    await control.CreateRun(CreateRunRequest(run=RUN), metadata=metadata)
    await control.StartRun(StartRunRequest(run_id="first"), metadata=metadata)
    events = observe.StreamEvents(
        StreamEventsRequest(run_id="first", summaries_only=True), metadata=metadata
    )
    async with asyncio.timeout(PATIENCE):
        return len([one async for one in events if one.HasField("round_ended")])


async def test_tokens_let_in_who_has_one_and_no_other(tmp_path: Path, monkeypatch):
    ca = Authority(tmp_path / "ca")
    own, tokens = ca.server(), tmp_path / "tokens.json"
    operator = token(tokens, Role.OPERATOR, "alice")
    mine = token(tokens, Role.RECOMMENDER, "popular")
    words = ("serve", "--listen", "127.0.0.1:0", "--tls-cert", own.certificate, "--tls-key",
             own.key, "--tokens", tokens, "--json")  # fmt: skip
    async with started(*words, cwd=tmp_path) as live:
        serving = await live.event("serving")
        assert serving
        assert serving["tls"]
        there = ("popular", "--server", serving["address"], "--tls-ca", str(ca.certificate))
        stranger = tmp_path / "stranger"
        async with program("recarena-recommender", *there, log=stranger) as process:
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 1
        assert "UNAUTHENTICATED" in stranger.read_text().splitlines()[-1]
        poser = tmp_path / "poser"
        line = (*there, "--id", "ease", "--token", mine)
        async with program("recarena-recommender", *line, log=poser) as process:
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 1
        assert "PERMISSION_DENIED" in poser.read_text().splitlines()[-1]
        trust = grpc.ssl_channel_credentials(ca.certificate.read_bytes())
        monkeypatch.setitem(os.environ, "RECARENA_TOKEN", mine)
        async with (
            program("recarena-recommender", *there, log=tmp_path / "mine"),
            grpc.aio.secure_channel(serving["address"], trust) as channel,
        ):
            asked = [("authorization", f"Bearer {operator}")]
            assert await rounds_played(channel, asked) == RUN.round_limit


async def test_certificates_let_in_who_has_one_and_no_other(tmp_path: Path):
    ca, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "other")
    own = ca.server()
    words = ("serve", "--listen", "127.0.0.1:0", "--tls-cert", own.certificate, "--tls-key",
             own.key, "--client-ca", ca.certificate, "--json")  # fmt: skip
    async with started(*words, cwd=tmp_path) as live:
        serving = await live.event("serving")
        assert serving

        def line(authority: Authority) -> list[str]:
            mine = authority.client("recarena:recommender:popular")
            return ["popular", "--server", serving["address"], "--tls-ca", str(ca.certificate),
                    "--tls-cert", str(mine.certificate), "--tls-key", str(mine.key)]  # fmt: skip

        wrong = tmp_path / "wrong"
        words = (*line(other), "--retry-for", "0.5")
        async with program("recarena-recommender", *words, log=wrong) as process:
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 1
        last = wrong.read_text().splitlines()[-1]
        assert f"no connection to {serving['address']} over TLS" in last
        operator = ca.client("recarena:operator:alice")
        certificate, key = operator.texts
        shown = grpc.ssl_channel_credentials(ca.certificate.read_bytes(), key, certificate)
        async with (
            program("recarena-recommender", *line(ca), log=tmp_path / "mine"),
            grpc.aio.secure_channel(serving["address"], shown) as channel,
        ):
            assert await rounds_played(channel, []) == RUN.round_limit
