"""LLM minds from the command line, as somebody uses them who has read the guide."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recarena.server.datasets.specs import open_world
from recarena.server.estimating import estimate
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.minds.llm.opening import users_with_llm
from support.commands import recarena, started
from support.figures import report
from support.llm_player import settings
from support.llm_stub import StubProcess

WORLD = "new:users=30,seed=4"
MIND = "anthropic:claude-haiku-4-5"
KEYLESS = ("leave --mind away", "openai-compatible")


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProcess]:
    with StubProcess("random", 5) as stub:
        yield stub


def playing(stub: StubProcess, name: str, *more: object, rounds: int = 3) -> tuple[object, ...]:
    return (
        "run", WORLD, "-r", "popular", "--rounds", rounds, "--seed", 3, "--name", name,
        "--mind", MIND, "--base-url", stub.url, *more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mind", "variable"),
    [("anthropic:m", "ANTHROPIC_API_KEY"), ("openai:m", "OPENAI_API_KEY")],
)
async def test_without_a_key_the_variable_and_the_keyless_way_are_named(
    mind: str, variable: str, tmp_path: Path
):
    ended = await recarena("run", WORLD, "-r", "popular", "--mind", mind, cwd=tmp_path)
    said = ended.failed()
    assert f"the environment variable {variable} is not set" in said
    for way in KEYLESS:
        assert way in said
    assert not (tmp_path / "runs").exists(), "nothing was made"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--mind", "claude"), "'claude' is no mind"),
        (("--mind", "gemini:x"), "anthropic, openai, openai-compatible"),
        (("--mind", "openai-compatible:m"), "llm: base_url is missing"),
        (("--llm-share", "0.5"), "share is set, but no provider"),
        (("--mind", MIND, "--strategy", "clever"), "'merged' or 'faithful'"),
        (("--mind", MIND, "--recording", "nowhere"), "nowhere: there is no recording of calls"),
        (("--mind", "openai:unheard-of", "--max-cost", "1"), "price of 'unheard-of'"),
        (("--mind", MIND, "--llm-user", "nobody"), "no user 'nobody'"),
        (("--estimate",), "without LLM minds a run costs nothing"),
    ],
)
async def test_wrong_input_is_one_line_that_says_what_to_do(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    ended = await recarena("run", WORLD, "-r", "popular", *words, cwd=tmp_path)
    assert says in ended.failed()
    assert not (tmp_path / "runs").exists()


async def test_an_estimate_needs_no_key_and_plays_nothing(tmp_path: Path):
    words = ("run", WORLD, "--mind", MIND, "--rounds", 10, "--estimate")
    told = (await recarena(*words, "--json", cwd=tmp_path)).went_well().value
    assert told["event"] == "estimate"
    assert told["users_with_llm"] == 30
    assert told["calls"] > 50
    assert told["cost"] == pytest.approx(
        (told["input_tokens"] * 1.0 + told["output_tokens"] * 5.0) / 1e6
    )
    assert "Anthropic" in told["price_source"]
    unknown = ("run", WORLD, "--mind", "openai:unheard-of", "--estimate", "--json")
    assert (await recarena(*unknown, cwd=tmp_path)).value["cost"] is None
    shown = (await recarena(*words, cwd=tmp_path)).went_well().out
    assert "tokens in" in shown
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("strategy", ["merged", "faithful"])
async def test_estimates_of_tokens_a_call_are_near_what_comes(
    strategy: str, stub: StubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    ended = await recarena(
        *playing(stub, "run", "--strategy", strategy, "--json", rounds=6), cwd=tmp_path
    )
    came = ended.went_well().values[-1]["llm"]
    made = settings(stub.url, strategy=strategy).model_copy(update={"rounds": 6, "seed": 3})
    found = await asyncio.to_thread(estimate, made, open_world(WORLD))
    told = found.as_json()
    per_call = told["input_tokens"] / told["calls"]
    really = came["input_tokens"] / came["calls"]
    report(
        f"estimate, {strategy}", calls_a_user_round=round(told["calls_per_user_round"], 2),
        came=round(came["calls_per_user_round"], 2), tokens_a_call=round(per_call),
        came_a_call=round(really),
    )  # fmt: skip
    assert per_call == pytest.approx(really, rel=0.34)


async def test_a_run_is_played_looked_at_and_played_again_without_key(
    stub: StubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a,b")
    ended = (await recarena(*playing(stub, "first"), cwd=tmp_path)).went_well()
    assert "calls" in ended.err.splitlines()[0], "the estimate comes before the run"
    assert "of 30 users are simulated by the language model claude-haiku-4-5" in " ".join(
        ended.out.split()
    )
    assert "USD" in ended.out
    keys = stub.counts()["by_key"]
    assert min(keys["a"], keys["b"]) > 0.3 * (keys["a"] + keys["b"]), "both keys are used"
    summary = (await recarena("show", "runs/first", "--json", cwd=tmp_path)).went_well().value
    told = summary["llm"]
    assert told["cost_per_user_round"] > 0
    manifest = json.loads((tmp_path / "runs/first/manifest.json").read_text())
    assert "a,b" not in json.dumps(manifest)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    before = stub.counts()["total"]
    again = await recarena(
        *playing(stub, "again", "--recording", "runs/first", "--replay", "strict",
                 "--concurrency", 2, "--json"), cwd=tmp_path,
    )  # fmt: skip
    assert again.went_well().values[-1]["digest"] == summary["digest"]
    digest = await recarena("digest", "runs/first", "--replay", "--json", cwd=tmp_path)
    assert digest.went_well().values[-1]["digest"] == summary["digest"]
    assert stub.counts()["total"] == before
    await _memory(tmp_path, summary["example_user"])


async def _memory(tmp_path: Path, user: str) -> None:
    told = (await recarena("memory", "runs/first", user, "--json", cwd=tmp_path)).went_well().value
    assert told["mind"] == "llm"
    assert told["embedder"] == "hash-1"
    assert told["memories"]
    one: dict[str, Any] = told["memories"][0]
    assert one["text"]
    assert one["layer"] in ("short", "long", "consolidated", "sensory")
    assert 0 <= one["retention"] <= 1
    cued = await recarena("memory", "runs/first", user, "--query", one["text"], cwd=tmp_path)
    assert "comes to mind" in cued.went_well().out
    everything = await recarena("memory", "runs/first", user, "--all", "--json", cwd=tmp_path)
    assert len(everything.value["memories"]) >= len(told["memories"])
    wrong = await recarena("memory", "runs/first", "nobody", cwd=tmp_path)
    assert "has no user 'nobody'" in wrong.failed()


async def test_memories_of_users_with_the_choice_mind_are_told_as_such(
    stub: StubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    ended = await recarena(*playing(stub, "mixed", "--llm-share", 0.2, "--json"), cwd=tmp_path)
    mind = ended.went_well().values[-1]["mind"]
    assert 0 < mind["users"] < 30
    data, asked = open_world(WORLD), settings(stub.url, share=0.2).llm
    mine = users_with_llm(data, asked, 3)
    for number, kind in ((int(np.flatnonzero(mine)[0]), "llm"), (int(np.argmin(mine)), "choice")):
        user = data.population.user_ids[number]
        told = await recarena("memory", "runs/mixed", user, "--json", cwd=tmp_path)
        assert told.went_well().value["mind"] == kind
    assert mind["users"] == mine.sum()


async def test_ctrl_c_waits_for_the_calls_that_are_paid_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    with StubProcess("random", 6, latency_s=0.3) as slow:
        async with started(*playing(slow, "run", "--json", rounds=20), cwd=tmp_path) as live:
            await live.event("round")
            live.process.send_signal(signal.SIGINT)
            ended = await live.ended()
        assert ended.code == 130
        assert "Traceback" not in ended.err
        answered = set(slow.counts()["answered"])
        with Recorder(tmp_path / "runs/run" / FILE, read_only=True) as recorder:
            (recorded,) = recorder.rows("SELECT COUNT(*) FROM calls")[0]
        assert recorded == len(answered), "each answer that was paid for is kept"
        resumed = await recarena("resume", "runs/run", "--max-tokens", 1, "--json", cwd=tmp_path)
        assert resumed.code == 1
        assert "the budget is used up" in resumed.values[-1]["error"]
