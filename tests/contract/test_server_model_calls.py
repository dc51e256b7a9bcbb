"""What models were asked in users' names, what it took and what came to mind, read over gRPC."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from recarena.server.datasets.specs import open_world
from recarena.server.founding import create_run
from recarena.server.llm.account import account
from recarena.server.rpc.server import Server
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import MEMORIES_A_ROUND
from recarena.v1 import simulation_observe_service_pb2 as pb
from support.llm_runs import SPEC, asking, played
from support.llm_stub import LlmStub, Switches, random_mind
from support.operators import Operator, refused
from support.watching import assert_is_log, rounds_in

CODE = grpc.StatusCode
KEY = "sk-secret-of-the-test"


@pytest.fixture
async def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run of three rounds in which users asked a model."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    # The stub's answers are drawn by what it is sent, in which the marks of quotations follow from
    # the recording's secret: with one secret it is the same run every time.
    monkeypatch.setattr("recarena.server.llm.recorder.secrets.token_bytes", bytes)
    async with LlmStub(random_mind(3), Switches(gibberish=0.6)) as stub:
        prices = [{"provider": "anthropic", "model": "stub", "effective_from": "2020-01-01",
                   "input": 3.0, "output": 15.0, "source": "made up"}]  # fmt: skip
        made = asking(stub, rounds=3, failure_limit=1.0, prices=prices, max_cost=50.0)
        async with played(tmp_path / "runs" / "run", made) as run:
            assert run.round == 3, run.error
    return tmp_path / "runs"


@pytest.fixture
async def reader(runs: Path) -> AsyncIterator[Operator]:
    async with Server(runs) as server:
        operator = Operator(server)
        yield operator
        await operator.channel.close()


async def test_a_run_says_what_its_models_took_as_the_account_does(reader, runs):
    run = await reader.get()
    with RunFolder.open(runs / "run") as folder:
        told = account(folder.path, folder.last_round, 1, "USD")
    assert told is not None
    spending = run.spending
    assert spending.calls == told["calls_paid"] > 0
    assert spending.cost == pytest.approx(told["cost"])
    assert spending.cost > 0
    assert spending.input_tokens == told["input_tokens"]
    assert spending.output_tokens == told["output_tokens"]
    assert spending.failures == told["failed"] > 0
    assert (spending.currency, spending.max_cost) == ("USD", 50.0)
    assert run.minds == "20 of 20 users are simulated by the language model stub of anthropic."


async def test_the_calls_for_a_user_in_a_round_are_listed_with_what_they_came_to(reader):
    users = (await reader.observe.ListUsers(pb.ListUsersRequest(run_id="run"))).users
    found = 0
    failed: list[str] = []
    for user in users:
        for round in (1, 2, 3):
            asked = pb.ListModelCallsRequest(run_id="run", user_id=user.user_id, round=round)
            for call in (await reader.observe.ListModelCalls(asked)).calls:
                found += 1
                assert call.purpose in ("page", "social", "insight")
                assert call.model == "anthropic:stub"
                request = json.loads(call.request)
                assert request["model"] == "stub"
                assert request["messages"]
                assert json.loads(call.response)["content"]
                assert KEY not in call.request + call.response
                assert call.input_tokens > 0
                assert call.HasField("cost")
                assert call.cost > 0
                assert call.currency == "USD"
                assert call.latency.ToNanoseconds() > 0
                failed += [call.failure] * bool(call.failure)
    run = await reader.get()
    assert found == run.spending.calls
    assert any("not_in_form" in one for one in failed)


async def test_it_is_told_whose_mind_decides_for_each_user(tmp_path: Path):
    world = open_world(SPEC)
    named = [world.population.user_ids[number] for number in (4, 9)]
    async with LlmStub(random_mind(3)) as stub:
        create_run(tmp_path / "run", asking(stub, users=named), world).close()
    async with Server(tmp_path) as server:
        operator = Operator(server)
        users = (await operator.observe.ListUsers(pb.ListUsersRequest(run_id="run"))).users
        await operator.channel.close()
    assert {user.user_number for user in users if user.mind == "llm"} == {4, 9}
    assert {user.mind for user in users} == {"llm", "choice"}


async def test_what_nobody_decided_is_marked_in_columns_and_in_words(reader, runs):
    with RunFolder.open(runs / "run") as folder:
        logs = [events for events, _ in folder.rounds(1, 3)]
    call = reader.observe.StreamRounds(pb.StreamRoundsRequest(run_id="run", until_round=3))
    found = 0
    for log, told in zip(logs, rounds_in([one async for one in call]), strict=True):
        assert_is_log(told.events, log)
        found += len(told.events.undecided)
        asked = pb.TellEventsRequest(
            run_id="run", round=told.summary.round, sequences=range(len(log))
        )
        events = (await reader.observe.TellEvents(asked)).events
        assert [one.sequence for one in events if one.undecided] == list(told.events.undecided)
        assert all("no usable answer" in one.text for one in events if one.undecided)
    assert found > 0


async def test_calls_of_a_round_that_is_not_committed_are_not_shown(reader):
    users = (await reader.observe.ListUsers(pb.ListUsersRequest(run_id="run"))).users
    for round in (0, 4, 2**32 - 1):
        asked = pb.ListModelCallsRequest(run_id="run", user_id=users[0].user_id, round=round)
        async with refused(CODE.NOT_FOUND):
            await reader.observe.ListModelCalls(asked)


async def test_memories_say_in_which_rounds_they_came_to_mind(reader, runs):
    with RunFolder.open(runs / "run") as folder:
        rounds = [memories for _, memories in folder.rounds(1, 3)]
    expected: dict[tuple[str, int, int], list[int]] = {}
    ids = [user.user_id for user in
           (await reader.observe.ListUsers(pb.ListUsersRequest(run_id="run"))).users]  # fmt: skip
    for round, memories in enumerate(rounds, 1):
        for user, recalled in memories.recalled.items():
            for one in recalled:
                if one >= 0:
                    made, row = divmod(one, MEMORIES_A_ROUND)
                    expected.setdefault((ids[user], made, row), []).append(round)
    assert expected
    found: dict[tuple[str, int, int], list[int]] = {}
    for number, user_id in enumerate(ids):
        asked = pb.ListMemoriesRequest(run_id="run", user_id=user_id)
        listed = (await reader.observe.ListMemories(asked)).memories
        own = [
            (round, row)
            for round, memories in enumerate(rounds, 1)
            for row in range(len(memories))
            if memories.user[row] == number
        ]
        assert len(listed) == len(own)
        for memory, (round, row) in zip(listed, own, strict=True):
            assert memory.round == round
            if memory.recalled_in_rounds:
                found[user_id, round, row] = list(memory.recalled_in_rounds)
    assert found == expected
