"""What becomes of runs with LLM minds where the model, the money or the provider fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recarena.recommenders.popular import Popular
from recarena.server.cli.summary import summary
from recarena.server.datasets.specs import open_world
from recarena.server.founding import RunState, adjust_llm, create_run
from recarena.server.runs import Run
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind
from support.figures import report
from support.llm_runs import FORTY, HUNDRED, asking, events_of, mind_of, played, recorded_hashes
from support.llm_stub import Asked, LlmStub, Switches, random_mind, scripted_mind
from support.twin import TwinDoor


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
async def test_answers_that_cannot_be_read_are_counted_and_the_run_goes_on(
    share: float, tmp_path: Path
):
    faults = Switches(gibberish=share / 3, out_of_range=share / 3, truncation=share / 3)
    mind, repairs = random_mind(7), list[Asked]()

    def noting(asked: Asked) -> str:
        if asked.repairs:
            repairs.append(asked)
        return mind(asked)

    async with LlmStub(noting, faults) as stub:
        made = asking(stub, rounds=4, failure_limit=1.0)
        async with played(tmp_path / "run", made, open_world(HUNDRED)) as run:
            assert run.state is RunState.SUCCEEDED, run.error
            told, events = summary(run.folder)["llm"], events_of(run.folder)
    asked = told["asked_twice"]
    assert asked == len(repairs), "each answer that could not be read is asked for again, once"
    assert asked > 0 or share < 0.1  # of some 200 decisions at 2 %, none may be hit
    kinds = {(one["purpose"], one["kind"]): one["count"] for one in told["failures"]}
    assert sum(kinds.values()) == told["failed"]
    assert {kind for _, kind in kinds} <= {"not_in_form", "out_of_range", "truncated", "empty"}
    if share == 0.5:
        assert {kind for _, kind in kinds} >= {"not_in_form", "out_of_range", "truncated"}
    # Each default stands in the log as one, in the user's own row, and nowhere else.
    marked = [
        (EventKind(int(events.kind[row])), words)
        for row, words in events.text.items()
        if words.startswith("(no usable answer: ")
    ]
    assert {kind for kind, _ in marked} <= {EventKind.LEAVE, EventKind.ENTER_SOCIAL}
    failed = {"page": EventKind.LEAVE, "social": EventKind.ENTER_SOCIAL}
    for (purpose, kind), count in kinds.items():
        if purpose in failed:
            assert marked.count((failed[purpose], f"(no usable answer: {kind})")) == count
    report(
        f"{share:.0%} malformed answers",
        decisions=told["decisions"], asked_twice=asked, defaults=told["failed"],
        by_kind=dict(sorted((f"{p} {k}", n) for (p, k), n in kinds.items())),
    )  # fmt: skip


async def test_too_many_failures_pause_the_run_and_another_limit_lets_it_go_on(tmp_path: Path):
    path = tmp_path / "run"
    async with LlmStub(random_mind(8), Switches(gibberish=0.5)) as stub:
        made = asking(stub, rounds=3, activity="llm")
        async with played(path, made, open_world(HUNDRED)) as run:
            assert run.state is RunState.PAUSED
            assert run.round == 0
            assert "could not be read" in run.error
            assert "activity: not_in_form" in run.error
            assert "recarena resume RUN --failure-limit" in run.error
        paid = stub.answered.total()
        with RunFolder.open(path, writable=True) as folder:
            adjust_llm(folder, {"failure_limit": 0.9})
        run = Run(RunFolder.open(path, writable=True), TwinDoor({"popular": Popular}))
        recorded = recorded_hashes(path)
        run.start(1)
        await run.settled()
        assert run.round == 1, run.error
        await run.close()
        assert stub.answered.total() == paid, (
            "the round that was not committed is not paid for again"
        )
        assert recorded_hashes(path) == recorded


async def test_a_cap_pauses_the_run_and_a_higher_one_lets_it_go_on(tmp_path: Path):
    path = tmp_path / "run"
    price = {
        "provider": "anthropic", "model": "stub", "effective_from": "2026-01-01", "input": 1.0,
        "output": 5.0, "source": "made up for the test",
    }  # fmt: skip
    async with LlmStub(random_mind(9)) as stub:
        made = asking(stub, rounds=4, max_cost=0.05, prices=[price])
        async with played(path, made, open_world(FORTY)) as run:
            assert run.state is RunState.PAUSED
            assert "of 0.05 USD" in run.error
            assert "recarena resume RUN --max-cost" in run.error
        spent = mind_of(run).thinker.budget.spent  # with the calls that came home at the end
        told = summary(RunFolder.open(path))["llm"]
        assert 0.03 < spent <= 0.05
        assert told["cost"] == pytest.approx(spent)
        with RunFolder.open(path, writable=True) as folder:
            adjust_llm(folder, {"max_cost": 5.0})
        run = Run(RunFolder.open(path, writable=True), TwinDoor({"popular": Popular}))
        run.start()
        await run.settled()
        assert run.round == 4, run.error
        await run.close()
        told = summary(RunFolder.open(path))["llm"]
    assert told["cost"] == pytest.approx(mind_of(run).thinker.budget.spent)
    assert told["cost_per_user_round"] == pytest.approx(told["cost"] / 160)
    assert stub.answered.total() == told["calls_paid"]


async def test_a_provider_that_ends_in_the_middle_pauses_the_run_with_nothing_lost(tmp_path: Path):
    path = tmp_path / "run"
    async with LlmStub(random_mind(10)) as stub:
        made = asking(stub, rounds=4, attempts=2)
        run = Run(create_run(path, made, open_world(FORTY)), TwinDoor({"popular": Popular}))
        run.start(2)
        await run.settled()
        assert run.round == 2, run.error
        stub.switches.spend_limit = True
        run.start()
        await run.settled()
        assert run.state is RunState.PAUSED
        assert "no money or quota left" in run.error
        assert "recarena resume RUN" in run.error
        stub.switches.spend_limit = False
        await run.close()
        again = Run(RunFolder.open(path, writable=True), TwinDoor({"popular": Popular}))
        again.start()
        await again.settled()
        assert again.round == 4, again.error
        await again.close()


async def test_what_a_model_is_like_is_looked_at_and_kept(tmp_path: Path):
    path = tmp_path / "run"
    probed = (lambda asked: not asked.task, {"colour": "heliotrope", "number": 7})
    mind = scripted_mind([probed], random_mind(11))
    async with LlmStub(mind, Switches(missing_usage=True)) as stub:
        made = asking(stub, "openai-compatible", 1, probe=True)
        async with played(path, made, open_world(FORTY)) as run:
            assert run.round == 1, run.error
    manifest = json.loads((path / "manifest.json").read_text())
    found = manifest["mind"]["probe"]
    assert found["keeps_schema"] is True
    assert found["tells_usage"] is False
    assert manifest["memory"]["embedder"] == "hash-1"
    assert manifest["mind"]["prompts"]["merged_page"].startswith("merged_page@")
