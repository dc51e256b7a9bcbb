"""Runs made over gRPC have the minds that whoever started the server allows, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.server.mind_rules import MindRules
from recarena.server.rpc.server import Server
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1.run_pb2 import RUN_STATE_SUCCEEDED
from support.llm_stub import LlmStub, random_mind
from support.operators import Operator, a_run, refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT
URL = "http://127.0.0.1:9"
CLAUDE = {"provider": "anthropic", "model": "m"}


@pytest.fixture
async def allowing(tmp_path: Path) -> AsyncIterator[Operator]:
    async with Server(tmp_path / "runs", minds=MindRules(True, (URL,))) as server:
        operator = Operator(server)
        yield operator
        await operator.channel.close()


def asked(**tables: Any) -> control_pb.CreateRunRequest:
    run = a_run()
    for name, table in tables.items():
        run.settings[name] = table
    return control_pb.CreateRunRequest(run=run)


async def test_a_server_gives_no_llm_minds_unless_it_was_started_so(operator: Operator):
    for only_checked in (True, False):
        request = asked(llm=CLAUDE)
        request.validate_only = only_checked
        async with refused(INVALID) as status:
            await operator.control.CreateRun(request)
        assert "recarena serve --llm" in status.message


@pytest.mark.parametrize(
    ("tables", "field"),
    [
        ({"llm": CLAUDE | {"base_url": "http://evil.example/v1"}}, "llm.base_url"),
        ({"llm": CLAUDE | {"base_url": URL + "/"}}, "llm.base_url"),
        ({"llm": CLAUDE | {"api_key_env": ["HOME"]}}, "llm.api_key_env"),
        ({"llm": CLAUDE | {"recording": "/etc"}}, "llm.recording"),
        ({"llm": CLAUDE, "memory": {"embedder": "minilm", "embedder_model": "/etc"}},
         "memory.embedder_model"),
        ({"llm": CLAUDE, "memory": {
            "embedder": "openai-compatible", "embedder_model": "m", "base_url": "http://a.example",
          }}, "memory.base_url"),
        ({"llm": CLAUDE, "memory": {
            "embedder": "openai-compatible", "embedder_model": "m", "base_url": URL,
            "api_key_env": "PATH",
          }}, "memory.api_key_env"),
    ],
)  # fmt: skip
async def test_no_caller_can_send_the_servers_secrets_anywhere(
    allowing: Operator, tables: dict[str, Any], field: str
):
    async with refused(INVALID) as status:
        await allowing.control.CreateRun(asked(**tables))
    assert field in status.message


async def test_without_llm_minds_a_run_names_no_addresses_either(operator: Operator):
    table = {"embedder": "openai-compatible", "embedder_model": "m", "base_url": URL}
    async with refused(INVALID):
        await operator.control.CreateRun(asked(memory=table))


async def test_a_run_with_llm_minds_is_played_over_grpc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    async with LlmStub(random_mind(1)) as stub:
        rules = MindRules(True, (stub.url,))
        async with Server(tmp_path / "runs", minds=rules) as server:
            operator = Operator(server)
            fields = {"llm": CLAUDE | {"base_url": stub.url, "probe": False}}
            await operator.played(settings=asked(**fields).run.settings)
            assert (await operator.get()).state == RUN_STATE_SUCCEEDED
            await operator.channel.close()
    assert stub.answered.total() > 10


async def test_a_missing_key_fails_the_run_with_the_variable_named(allowing: Operator):
    await allowing.create(settings=asked(llm=CLAUDE | {"base_url": URL}).run.settings)
    run = allowing.server.house.run("run")
    run._door = _Nobody()  # type: ignore[assignment]  # no recommender is needed to find it out
    await allowing.start()
    await run.settled()
    assert "ANTHROPIC_API_KEY is not set" in run.error


class _Nobody:
    """A door behind which recommenders are always there."""

    def open(self, assignment: object) -> _Nobody:
        return self

    def close(self, recommender: object) -> None:
        pass

    async def arrived(self) -> None:
        pass

    async def dismiss(self, grace_s: float, come_back: bool) -> None:
        pass
