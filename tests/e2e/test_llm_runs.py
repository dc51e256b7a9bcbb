"""Runs whose users are language models, through the real SDKs of all providers: what they cost, how
they are played again, and what becomes of them where the model, the money or the process fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recarena.evaluation.leaderboard.board import build
from recarena.evaluation.leaderboard.forms import as_records, notes
from recarena.evaluation.runs.run_log import RunLog
from recarena.recommenders.ease import Ease
from recarena.recommenders.popular import Popular
from recarena.server.cli.summary import summary
from recarena.server.datasets.specs import open_world
from recarena.server.errors import InputError
from recarena.server.founding import RunState, create_run
from recarena.server.house import fork_run
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.minds.choice import ChoiceMind
from recarena.server.replaying import play_again
from recarena.server.runs import Run
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind
from support.figures import report
from support.llm_runs import FORTY, HUNDRED, asking, events_of, mind_of, played, settings
from support.llm_stub import LlmStub, Switches, random_mind
from support.twin import TwinDoor

PROVIDERS = ("anthropic", "openai", "openai-compatible")
NOBODY_THERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("OPENAI_API_KEY", "k")


# ------------------------------------------------------------------------------ what it costs
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("activity", ["habits", "llm"])
async def test_merged_takes_at_most_two_calls_and_3000_tokens_a_user_round(
    provider: str, activity: str, tmp_path: Path
):
    async with LlmStub(random_mind(1)) as stub:
        made = asking(stub, provider, 5, activity=activity)
        async with played(tmp_path / "run", made, open_world(HUNDRED)) as run:
            assert run.round == 5, run.error
            told = summary(run.folder)["llm"]
            events = events_of(run.folder)
    kinds = set(events.kind.tolist())
    entered = len(events.of(EventKind.ENTER_RECOMMENDER, EventKind.ENTER_SOCIAL))
    assert {EventKind.CHAT, EventKind.POST, EventKind.WATCH} <= kinds
    assert told["user_rounds"] == 500
    assert told["failed"] == 0
    assert told["calls"] == told["decisions"] == stub.answered.total()
    busy = told["calls"] / entered
    if activity == "habits":  # the default
        assert 0 < told["calls_per_user_round"] <= busy <= 2
    assert told["calls_per_user_round"] < 3
    assert 0 < told["input_tokens_per_user_round"] <= 3000
    report(
        f"merged, {provider}, activity by {activity}",
        calls=round(told["calls_per_user_round"], 2),
        calls_of_those_who_do_something=round(busy, 2),
        tokens_in=round(told["input_tokens_per_user_round"]),
        tokens_out=round(told["output_tokens_per_user_round"]),
        tokens_a_call=round(told["input_tokens"] / told["calls"]),
    )


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_faithful_takes_several_times_as_many(provider: str, tmp_path: Path):
    async with LlmStub(random_mind(1)) as stub:
        made = asking(stub, provider, 5, strategy="faithful")
        async with played(tmp_path / "run", made, open_world(HUNDRED)) as run:
            assert run.round == 5, run.error
            told = summary(run.folder)["llm"]
    assert told["failures"] == []
    assert told["calls_per_user_round"] > 2
    report(
        f"faithful, {provider}",
        calls=round(told["calls_per_user_round"], 2),
        tokens_in=round(told["input_tokens_per_user_round"]),
        tokens_out=round(told["output_tokens_per_user_round"]),
    )


async def test_what_is_not_known_is_not_reported_as_nothing(tmp_path: Path):
    async with LlmStub(random_mind(1), Switches(missing_usage=True)) as stub:
        made = asking(stub, "openai-compatible", 2)
        async with played(tmp_path / "run", made, open_world(FORTY)) as run:
            told = summary(run.folder)["llm"]
    assert told["calls"] > 10
    assert told["decisions_of_unknown_usage"] == told["decisions"]
    assert told["input_tokens_per_user_round"] is None
    assert told["cost"] is None
    assert told["cost_per_user_round"] is None


# ------------------------------------------------------------------------------ played again
@pytest.mark.parametrize("strategy", ["merged", "faithful"])
async def test_a_recorded_run_is_the_same_without_key_and_network_at_other_concurrency(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    more: dict[str, Any] = {"memory": {"reflect_above": 0.5, "reflect_every": 2}}
    first, again = tmp_path / "first", tmp_path / "again"
    async with LlmStub(random_mind(2), Switches(latency_spread_s=0.02)) as stub:
        made = settings(stub, rounds=5, llm={"strategy": strategy}, **more)
        async with played(first, made, open_world(FORTY)) as run:
            assert run.round == 5, run.error
            digest, memories = run.folder.digest, list(mind_of(run).bank.texts)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    strict = {
        "strategy": strategy, "replay": "strict", "recording": str(first), "base_url": NOBODY_THERE,
        "cohort_size": 1, "concurrency": 3,
    }  # fmt: skip
    async with played(
        again, settings(stub, rounds=5, llm=strict, **more), open_world(FORTY)
    ) as run:
        assert run.state is RunState.SUCCEEDED, run.error
        assert run.folder.digest == digest
        assert mind_of(run).bank.texts == memories
        told = summary(run.folder)["llm"]
    assert set(told["by_source"]) == {"replay"}
    assert told["calls_paid"] == 0
    assert told["cost"] == 0
    # The log and the recording alone are enough, too.
    folder = RunFolder.open(first)
    assert [row.digest async for row in play_again(folder)][-1] == digest


async def test_a_run_that_is_opened_again_remembers_the_same(tmp_path: Path):
    async with LlmStub(random_mind(3)) as stub:
        async with played(tmp_path / "run", asking(stub, rounds=4), open_world(FORTY)) as run:
            bank = mind_of(run).bank
            state = {n: bank.column(n).copy() for n in ("layer", "recalls", "last_access", "id")}
            texts = list(bank.texts)
        again = Run(RunFolder.open(tmp_path / "run", writable=True), TwinDoor({"popular": Popular}))
        bank = mind_of(again).bank
        assert bank.texts == texts
        for name, column in state.items():
            np.testing.assert_array_equal(bank.column(name), column, err_msg=name)
        await again.close()


async def test_another_recommender_is_asked_about_and_the_rest_is_taken_from_the_recording(
    tmp_path: Path,
):
    first, other = tmp_path / "first", tmp_path / "other"
    async with LlmStub(random_mind(4)) as stub:
        made = asking(stub, rounds=2)
        async with played(first, made, open_world(FORTY)) as run:
            assert run.round == 2, run.error
        before = stub.answered.total()
        changed = settings(
            stub, rounds=2, llm={"recording": str(first)}, arms=[{"recommender": "ease"}]
        )
        async with played(other, changed, open_world(FORTY), TwinDoor({"ease": Ease})) as run:
            assert run.round == 2, run.error
            told = summary(run.folder)["llm"]
    taken = told["by_source"]["replay"]
    assert taken > 0
    assert told["calls_paid"] == stub.answered.total() - before == told["decisions"] - taken > 0
    with Recorder(other / FILE, read_only=True) as recorder:
        talks = dict(recorder.rows(
            "SELECT source, COUNT(*) FROM decisions WHERE purpose = 'social' AND round = 1 "
            "GROUP BY 1"
        ))  # fmt: skip
    assert set(talks) == {"replay"}, "nobody has seen the recommender yet who only talks"


async def test_a_strict_replay_says_what_it_misses(tmp_path: Path):
    first = tmp_path / "first"
    async with LlmStub(random_mind(4)) as stub:
        async with played(first, asking(stub, rounds=2), open_world(FORTY)):
            pass
        strict = settings(
            stub, rounds=2, llm={"recording": str(first), "replay": "strict"},
            arms=[{"recommender": "ease"}],
        )  # fmt: skip
        before = stub.answered.total()
        door = TwinDoor({"ease": Ease})
        async with played(tmp_path / "other", strict, open_world(FORTY), door) as run:
            assert run.state is RunState.PAUSED
            assert run.error.startswith("round 1, user ")
            assert "is not in the recording" in run.error
            assert "--replay reuse" in run.error
    assert stub.answered.total() == before


async def test_a_fork_does_not_pay_for_what_its_source_has_paid(tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "target"
    async with LlmStub(random_mind(5)) as stub:
        async with played(source, asking(stub, rounds=4), open_world(FORTY)) as run:
            digest, before = run.folder.digest, stub.answered.total()
            forked = fork_run(run.folder, target, 2)
        run = Run(forked, TwinDoor({"popular": Popular}))
        run.start()
        await run.settled()
        told = summary(run.folder)["llm"]
        assert (run.round, run.folder.digest) == (4, digest)
        await run.close()
    assert stub.answered.total() == before
    assert told["calls_paid"] == 0


# ------------------------------------------------------------------------------ mixed populations
async def test_some_users_are_models_and_the_others_are_not(tmp_path: Path):
    data = open_world(FORTY)
    named = data.population.user_ids[7]
    async with LlmStub(random_mind(6)) as stub:
        made = asking(stub, rounds=4, share=0.25, users=[named])
        async with played(tmp_path / "run", made, data) as run:
            assert run.round == 4, run.error
            mine, events = mind_of(run).mine, events_of(run.folder)
            mind = run.folder.manifest["mind"]
            rounds = list(run.folder.rounds(1, 4))
    assert mine[7]
    assert 4 <= mine.sum() <= 18
    assert mind["users"] == mine.sum()
    assert f"{mine.sum()} of 40 users" in mind["note"]
    assert "discrete-choice" in mind["note"]
    said = events.of(EventKind.WATCH, EventKind.CHAT, EventKind.POST)
    for row, user in enumerate(said.user.tolist()):
        assert (row in said.text) == bool(mine[user]), "own words of models, templates of others"
        assert (said.code[row] == 0) == bool(mine[user])
    # In the first round, the others do what they would do in a world without models.
    plain = made.model_copy(update={"llm": type(made.llm)()})
    async with played(tmp_path / "plain", plain, data) as run:
        assert isinstance(run.mind.inner, ChoiceMind)
        alone = next(iter(run.folder.rounds(1, 1)))[0]
    together = rounds[0][0]
    one, two = (e.take(~mine[e.user]) for e in (alone, together))
    for name in ("user", "kind", "item", "value", "position"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)


async def test_a_user_who_is_not_there_cannot_be_given_a_mind(tmp_path: Path):
    async with LlmStub(random_mind(6)) as stub:
        made = asking(stub, users=["nobody"])
        with pytest.raises(InputError, match=r"llm\.users: there is no user 'nobody'"):
            create_run(tmp_path / "run", made, open_world(FORTY))


async def test_a_leaderboard_says_what_its_users_cost(tmp_path: Path):
    price = {
        "provider": "anthropic", "model": "stub", "effective_from": "2026-01-01", "input": 1.0,
        "output": 5.0, "source": "made up for the test",
    }  # fmt: skip
    async with LlmStub(random_mind(12)) as stub:
        made = asking(stub, rounds=2, prices=[price])
        async with played(tmp_path / "run", made, open_world(FORTY)) as run:
            told = summary(run.folder)["llm"]
    board = build([RunLog.open(tmp_path / "run")])
    assert board.thinking is not None
    assert board.thinking.cost == pytest.approx(told["cost"])
    assert board.thinking.cost_per_user_round == pytest.approx(told["cost_per_user_round"])
    assert board.thinking.calls_paid == told["calls_paid"]
    assert "paid calls" in notes(board)[1]
    (record,) = as_records(board)
    assert record["under"]["llm"]["cost"] == pytest.approx(told["cost"])  # type: ignore[index]
