"""`recarena explain` with real servers, recommenders and judges, where the answer is known."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.planting import Planting
from recarena.server.datasets.world_folder import save_world
from support.commands import PATIENCE, TESTS, recarena, started
from support.figures import report
from support.llm_stub import StubProcess
from support.thoroughness import thorough

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EXPLAINERS = TESTS / "support" / "explainers.py"
RESULTS = (
    "study.json", "triples.jsonl", "wordings.jsonl", "claims.jsonl", "replies.jsonl",
    "findings.json", "findings.jsonl", "findings.csv", "report.html",
)  # fmt: skip
SCRIPTED = tuple(f"scripted:{one}" for one in ("honest", "sycophant", "halo", "random"))


def explainers(world: Path, *ways: str) -> list[str]:
    """Options that name recommenders which rank alike and explain in these ways."""
    return [
        word
        for way in ways
        for word in ("-r", f"{way}={sys.executable} {EXPLAINERS} {way} {{server}} {world}")
    ]


async def findings(*words: object, cwd: Path, out: Path) -> dict[str, Any]:
    """What a study came to."""
    done = await recarena("explain", *words, "--out", out, "--json", cwd=cwd, patience=4 * PATIENCE)
    last = done.went_well().values[-1]
    assert last["event"] == "findings"
    assert json.loads((out / "findings.json").read_text("utf-8")) == {
        name: one for name, one in last.items() if name not in ("event", "folder")
    }
    return last


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs of reference recommenders with templates, not to be changed."""
    folder = tmp_path_factory.mktemp("explained")
    words = ("--world", "new:users=150,seed=7", "-r", "content", "-r", "item-knn", "-r", "popular",
             "--rounds", 8, "--triples", 20, "--draws", 1)  # fmt: skip
    asyncio.run(findings(*words, cwd=folder, out=folder / "study"))
    return [folder / "study" / "runs" / name for name in ("content", "item-knn", "popular")]


def contents(folders: list[Path]) -> dict[str, str]:
    return {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest()
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


async def test_the_same_seed_gives_the_same_report_and_leaves_the_runs_as_they_are(
    runs: list[Path], tmp_path: Path
):
    before = contents(runs)
    words = (*runs, "--judge", "choice", "--judge", "scripted:honest", "--triples", 21,
             "--questionnaire-triples", 4, "--draws", 3, "--seed", 3)  # fmt: skip
    for name in ("one", "two"):
        await findings(*words, cwd=tmp_path, out=tmp_path / name)
    for name in RESULTS:
        one, two = (tmp_path / place / name for place in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), name
    assert contents(runs) == before
    await findings(*runs, "--triples", 21, "--draws", 1, "--seed", 4, cwd=tmp_path,
                   out=tmp_path / "other")  # fmt: skip
    triples = [(tmp_path / name / "triples.jsonl").read_bytes() for name in ("one", "other")]
    assert triples[0] != triples[1]


async def test_of_judges_of_known_character_only_the_honest_passes_every_gate(
    runs: list[Path], tmp_path: Path
):
    judges = [word for one in SCRIPTED for word in ("--judge", one)]
    words = ("--questionnaire-triples", 40, "--draws", thorough(10, otherwise=4),
             "--repeats", thorough(3, otherwise=2))  # fmt: skip
    found = await findings(*runs, *judges, *words, cwd=tmp_path, out=tmp_path / "study")
    passed = {one["judge"]: one["passed"] for one in found["verdict"]["judges"]}
    assert passed == {name: name == "scripted:honest" for name in SCRIPTED}
    naive, scored = (
        {one["judge"]: one["contrasts"]["all"]["measures"][name]["mean"] for one in found["judges"]}
        for name in ("naive", "persuasiveness")
    )
    report("persuasion by judge", naive=naive, scored=scored)
    assert max(naive, key=naive.__getitem__) == "scripted:sycophant"
    assert max(scored, key=scored.__getitem__) != "scripted:sycophant"
    page = (tmp_path / "study" / "report.html").read_text("utf-8")
    assert page.index("NOT passed by scripted:sycophant") < page.index("<h1")
    assert "not to be used" in page
    manifest = json.loads((tmp_path / "study" / "study.json").read_text("utf-8"))
    told = {one["recommender"]: one["told"] for one in manifest["examples"]}
    assert set(told) == {"content", "item-knn", "popular"}
    for texts in told.values():
        assert set(texts) == {"none", "real", "placebo", "shuffled", "hype", "false-fact"}
        assert texts["none"] == ""
        assert str(escape(texts["real"])) in page


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "world"
    save_world(planted_world(250, 300, 3), folder)
    return folder


async def test_in_a_planted_world_matching_explanations_beat_generic_ones_and_those_beat_none(
    planted: Path, tmp_path: Path
):
    words = ("--world", planted, *explainers(planted, "matching", "generic"), "--rounds", 6,
             "--triples", 200)  # fmt: skip
    found = await findings(*words, cwd=tmp_path, out=tmp_path / "study")
    (judge,) = found["judges"]
    by = {
        name: one["measures"]["persuasiveness"]
        for name, one in judge["contrasts"]["by_recommender"].items()
    }
    for name, one in by.items():
        report(f"persuasiveness of {name} explanations", **one)
    assert by["matching"]["mean"] > by["generic"]["mean"] > 0
    assert by["matching"]["low"] > 0
    places = {one["name"]: one["place"] for one in judge["ranking"]["places"]}
    assert places == {"matching": "1", "generic": "2"}
    placebo = judge["contrasts"]["all"]["measures"]["placebo_effect"]
    assert placebo["low"] <= 0 <= placebo["high"]
    assert found["verdict"]["passed"]


async def test_where_users_believe_praise_hype_on_bad_items_is_flagged_and_invented_facts_are_found(
    tmp_path: Path,
):
    world = tmp_path / "world"
    save_world(planted_world(250, 300, 3, planting=Planting(credulity=1.0)), world)
    words = ("--world", world, *explainers(world, "matching", "invented"), "--rounds", 6)
    found = await findings(*words, cwd=tmp_path, out=tmp_path / "study")
    (judge,) = found["judges"]
    gates = {one["id"]: one for one in judge["gates"]}
    hype = gates["hype-on-bad-items"]
    report("hype on bad items, credulity 1", value=hype["value"], low=hype["low"])
    assert hype["outcome"] == "failed"
    assert hype["low"] > 0
    oversold = judge["contrasts"]["all"]["oversold"]["hype"]
    assert oversold["beyond_placebo"]
    shares = {
        name: one["measures"]["faithfulness"]["mean"]
        for name, one in judge["contrasts"]["by_recommender"].items()
    }
    assert shares == {"matching": 1.0, "invented": 0.0}
    persuades = judge["contrasts"]["by_recommender"]["invented"]["measures"]["persuasiveness"]
    assert persuades["high"] < 0


LLM = """
[judges."anthropic:stub".llm]
base_url = "{url}"
[judges."openai:stub".llm]
base_url = "{url}/v1"
[judges."openai-compatible:stub".llm]
base_url = "{url}/v1"
"""
MODELS = ("anthropic:stub", "openai:stub", "openai-compatible:stub")


@pytest.mark.parametrize("judge", MODELS)
async def test_language_models_judge_in_every_wire_format_and_what_is_missing_stays_missing(
    runs: list[Path], tmp_path: Path, judge: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "stub")
    with StubProcess("reader", 1, refusal=0.1, truncation=0.3, not_applicable=0.1) as stub:
        (tmp_path / "judges.toml").write_text(LLM_OF[judge].format(url=stub.url), "utf-8")
        words = (*runs, "--judge", judge, "--config", "judges.toml", "--triples", 12, "--draws", 1,
                 "--questionnaire-triples", 2, "--repeats", 1)  # fmt: skip
        found = await findings(*words, cwd=tmp_path, out=tmp_path / "study")
    lines = (tmp_path / "study" / "replies.jsonl").read_text("utf-8").splitlines()
    replies = [json.loads(line) for line in lines]
    missing = [one for one in replies if one["value"] is None]
    reasons = {one["missing"] for one in missing}
    assert {"REFUSED", "TRUNCATED", "NOT_APPLICABLE"} <= reasons
    assert len(missing) < len(replies) / 2
    assert all("missing" not in one for one in replies if one["value"] is not None)
    (one,) = found["judges"]
    assert one["judge"] == judge
    gates = {gate["id"]: gate for gate in one["gates"]}
    assert gates["missing-behaviour"]["outcome"] == "failed"
    assert not found["verdict"]["passed"]
    assert not one["ranking"]["published"]


LLM_OF = {
    name: f"[judges.{block}" for name, block in zip(MODELS, LLM.split("[judges.")[1:], strict=True)
}


async def test_an_interrupted_study_goes_on_and_pays_for_nothing_twice(
    runs: list[Path], tmp_path: Path
):
    with StubProcess("reader", 1, latency_s=0.02) as stub:
        words = ("explain", *runs[:1], "--judge", "openai-compatible:stub", "--base-url",
                 f"{stub.url}/v1", "--triples", 12, "--questionnaire-triples", 2, "--repeats", 1,
                 "--out", tmp_path / "study", "--json")  # fmt: skip
        async with started(*words, cwd=tmp_path) as live:
            while (event := await live.event("asking")) and event["done"] == 0:
                pass
            live.process.send_signal(signal.SIGINT)
            ended = await live.ended()
        assert ended.code == 130, ended
        assert "goes on from there" in ended.values[-1]["message"]
        assert not (tmp_path / "study" / "replies.jsonl").exists()
        done = (await recarena(*words, cwd=tmp_path)).went_well()
        assert done.values[-1]["event"] == "findings"
        spent = json.loads((tmp_path / "study" / "spent.json").read_text("utf-8"))
        one = spent["openai-compatible:stub"]
        assert one["replayed"] > 0
        again = (await recarena(*words, cwd=tmp_path)).went_well()
        assert again.values[-1] == done.values[-1]
        spent = json.loads((tmp_path / "study" / "spent.json").read_text("utf-8"))
        assert spent["openai-compatible:stub"]["calls"] == 0


async def test_a_recommender_of_ones_own_explains_what_holds_whether_started_or_dialling_in(
    tmp_path: Path,
):
    """The example of docs/explanations.md."""
    example = TESTS.parent / "clients" / "python" / "examples" / "explaining.py"
    words = ("--world", "new:users=80,seed=7", "--rounds", 4, "--triples", 20, "--draws", 1)
    own = await findings(
        *words, "-r", f"mine={sys.executable} {example} {{server}}", cwd=tmp_path,
        out=tmp_path / "own",
    )  # fmt: skip
    of = own["judges"][0]["contrasts"]["by_recommender"]["mine"]["measures"]
    assert of["faithfulness"]["mean"] == 1
    remote = ("explain", *words, "--remote", "mine", "--out", tmp_path / "remote", "--json")
    async with started(*remote, cwd=tmp_path) as live:
        waiting = await live.event("waiting")
        assert waiting["recommender"] == "mine"
        dialled_in = await asyncio.create_subprocess_exec(
            sys.executable, str(example), waiting["address"]
        )
        try:
            ended = await live.ended()
        finally:
            dialled_in.terminate()
            await dialled_in.wait()
    last = ended.went_well().values[-1]
    assert last["judges"] == own["judges"]


async def test_a_recommender_that_fails_in_the_run_is_told_of_before_anybody_is_asked(
    runs: list[Path], tmp_path: Path
):
    copy = tmp_path / "content"
    shutil.copytree(runs[0], copy)
    line = json.loads((copy / "conduct.jsonl").read_text("utf-8").splitlines()[0])
    line["complaints"] = [{"outcome": "failed", "round": 2, "field": "", "text": "KeyError: [3]"}]
    (copy / "conduct.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    words = ("explain", copy, "--triples", 5, "--draws", 1)
    done = (await recarena(*words, "--out", "a", "--json", cwd=tmp_path)).went_well()
    (note,) = [one["message"] for one in done.values if one["event"] == "note"]
    assert note.startswith("content did not always give a list")
    assert note.endswith("(failed: KeyError: [3])")


async def test_what_cannot_be_studied_is_told_in_a_line(runs: list[Path], tmp_path: Path):
    async def said(*words: object) -> str:
        return (await recarena("explain", *words, "--out", "study", cwd=tmp_path)).failed()

    assert "name either run folders, or a world" in await said()
    assert "--world needs recommenders" in await said("--world", "new:users=20,seed=1")
    assert "-r and --remote are for --world" in await said(*runs[:1], "-r", "content")
    assert "is no judge" in await said(*runs[:1], "--judge", "clever")
    assert "no questionnaire is called" in await said(*runs[:1], "--questionnaire", "quiz")
    assert "go together" in await said(*runs[:1], "--texts", "generated")
    assert "nowhere" in await said("nowhere")
    assert "--max-cost is for language models" in await said(*runs[:1], "--max-cost", 3)
    (tmp_path / "broken.toml").write_text("llm = [", "utf-8")
    assert "broken.toml" in await said(*runs[:1], "--config", "broken.toml")
    writer = ("--texts", "generated", "--writer", "anthropic:m", "--judge", "anthropic:m")
    assert "would judge texts that it wrote itself" in await said(*runs[:1], *writer)
    assert not (tmp_path / "study").exists()
    plain = tmp_path / "runs" / "plain"
    (await recarena("run", "new:users=20,seed=1", "-r", "popular", "--rounds", 2, "--name", "plain",
                    cwd=tmp_path)).went_well()  # fmt: skip
    assert "--explanations" in await said(plain)
    assert not (tmp_path / "study").exists()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.txt").write_text("keep", "utf-8")
    assert "is not empty" in await said(*runs[:1])
    assert os.listdir(tmp_path / "study") == ["mine.txt"]
