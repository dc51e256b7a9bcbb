"""What models took, asked for after each round, is what the account of the whole recording says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recarena.recommenders.popular import Popular
from recarena.server.datasets.specs import open_world
from recarena.server.founding import create_run
from recarena.server.house import fork_run
from recarena.server.llm.account import account
from recarena.server.llm.recorded_calls import ORDER, calls_of
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.llm.spending import Ledger, Spent
from recarena.server.runs import Run
from support.llm_runs import asking, played
from support.llm_stub import LlmStub, Switches, random_mind
from support.twin import TwinDoor

PRICES = [{"provider": "openai-compatible", "model": "stub", "effective_from": "2020-01-01",
           "input": 3.0, "output": 15.0, "source": "made up"}]  # fmt: skip


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-of-the-test")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")


def accounted(folder: Path, last_round: int) -> Spent:
    """The same from the whole recording, as `recarena show` has it."""
    told = account(folder, last_round, 1, "USD")
    assert told is not None
    unknown = told["decisions_of_unknown_usage"]
    return Spent(
        told["calls_paid"],
        told["cost"],
        None if unknown else told["input_tokens"],
        None if unknown else told["output_tokens"],
        told["failed"],
    )


def assert_same(found: Spent, expected: Spent) -> None:
    assert found.cost == pytest.approx(expected.cost)
    assert (found.calls, found.input_tokens, found.output_tokens, found.failures) == (
        expected.calls, expected.input_tokens, expected.output_tokens, expected.failures,
    )  # fmt: skip


async def followed(run: Run) -> list[Spent]:
    """A ledger's sums after each round of a run that is being played."""
    ledger, found, seen = Ledger(run.folder.path), [], -1
    while run.state.is_live:
        seen = await run.changed(seen)
        found.append(ledger.spent(run.round))
        # One that begins in the middle comes to the same.
        assert_same(Ledger(run.folder.path).spent(run.round), found[-1])
    assert_same(ledger.spent(run.round), accounted(run.folder.path, run.round))
    return found


async def test_sums_carried_on_are_those_of_the_whole_recording(tmp_path: Path):
    broken = Switches(gibberish=0.3)
    async with LlmStub(random_mind(3), broken) as stub:
        made = asking(stub, "openai-compatible", 4, prices=PRICES, failure_limit=1.0, probe=True)
        async with played(tmp_path / "run", made) as run:
            assert run.round == 4, run.error
            for last in range(5):
                found = Ledger(run.folder.path).spent(last)
                assert_same(found, accounted(run.folder.path, last))
            ledger = Ledger(run.folder.path)
            for last in (1, 2, 2, 4, 4):
                assert_same(ledger.spent(last), accounted(run.folder.path, last))
            assert found.failures > 0
            assert found.cost
            assert found.input_tokens


async def test_sums_are_right_while_a_run_is_played(tmp_path: Path):
    async with LlmStub(random_mind(3)) as stub:
        made = asking(stub, "openai-compatible", 3, prices=PRICES)
        folder = create_run(tmp_path / "run", made, open_world("new:users=20,seed=1"))
        run = Run(folder, TwinDoor({"popular": Popular}))
        run.start()
        found = await followed(run)
        await run.close()
    assert [one.calls for one in found] == sorted(one.calls for one in found)
    assert len({one.calls for one in found}) > 2


async def test_a_fork_has_paid_for_nothing_yet(tmp_path: Path):
    async with LlmStub(random_mind(3)) as stub:
        made = asking(stub, "openai-compatible", 2, prices=PRICES)
        async with played(tmp_path / "run", made) as run:
            fork_run(run.folder, tmp_path / "fork", 1).close()
    found = Ledger(tmp_path / "fork").spent(1)
    assert_same(found, accounted(tmp_path / "fork", 1))
    assert (found.calls, found.cost) == (0, 0.0)
    assert found.input_tokens


async def test_what_is_not_known_is_not_nothing(tmp_path: Path):
    async with (
        LlmStub(random_mind(3)) as stub,
        played(tmp_path / "run", asking(stub, "openai-compatible", 1)) as run,
    ):
        found = Ledger(run.folder.path).spent(1)
    assert found.calls > 0
    assert found.cost is None


def test_a_run_without_a_recording_took_nothing(tmp_path: Path):
    assert Ledger(tmp_path).spent(3) == Spent()
    assert calls_of(tmp_path, 1, 0) == []
    (tmp_path / FILE).write_bytes(b"no recording")
    assert Ledger(tmp_path).spent(3) == Spent()
    assert calls_of(tmp_path, 1, 0) == []


async def test_sums_take_no_look_at_what_was_summed_up_before(tmp_path: Path):
    queries = (
        "SELECT SUM(cost) FROM calls WHERE paid = 1 AND round > 1",
        "SELECT SUM(input) FROM decisions WHERE round > 1",
        "SELECT request FROM calls WHERE round = 1 AND user = 2",
    )
    with Recorder(tmp_path / FILE) as recorder:
        found = [recorder.rows(f"EXPLAIN QUERY PLAN {query}") for query in queries]
    plans = [" ".join(str(step[-1]) for step in steps) for steps in found]
    assert all(plan.startswith("SEARCH ") for plan in plans), plans
    assert "COVERING INDEX" in plans[0]


@pytest.mark.parametrize("strategy", ["merged", "faithful"])
async def test_the_calls_for_a_user_are_those_of_the_recording_without_a_key(
    tmp_path: Path, strategy: str
):
    async with LlmStub(random_mind(3), Switches(gibberish=0.3)) as stub:
        made = asking(stub, "anthropic", 2, failure_limit=1.0, strategy=strategy)
        async with played(tmp_path / "run", made) as run:
            assert run.round == 2, run.error
            path = run.folder.path
            with Recorder(path / FILE, read_only=True) as recorder:
                expected = recorder.rows(
                    "SELECT round, user, COUNT(*) FROM calls WHERE round > 0 GROUP BY 1, 2"
                )
                failed = recorder.rows(
                    "SELECT round, user FROM decisions WHERE failure IS NOT NULL"
                )
    assert failed
    for round, user, count in expected:
        found = calls_of(path, round, user)
        assert len(found) >= count
        for call in found:
            assert json.loads(call.request)["model"] == "stub"
            assert "sk-secret" not in call.request + call.response
            assert call.model == "anthropic:stub"
            assert (call.input_tokens or 0) > 0
            assert call.latency_ms is not None
        steps = [(call.purpose, call.step, len(call.request)) for call in found]
        ranks = [recorded_rank(one) for one in steps]
        assert ranks == sorted(ranks)
        has_failed = (round, user) in {(one, other) for one, other in failed}
        assert any(call.failure for call in found) == has_failed
    assert calls_of(path, 99, 0) == []


def recorded_rank(step: tuple[str, int, int]) -> tuple[int, int, int]:
    purpose, number, size = step
    return ORDER.index(purpose), number, size
