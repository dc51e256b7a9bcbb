"""`recarena compete` with a real server and real recommenders: what it leaves, and what it says to
mistakes."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recarena.evaluation.competing.folder import CompetitionFolder
from recarena.evaluation.competing.lock import held
from recarena.evaluation.metrics.users import watch_rate
from recarena.evaluation.report.content import content_of
from recarena.evaluation.report.render import render
from recarena.evaluation.runs.run_log import RunLog
from support.certificates import Authority
from support.commands import Ended, helper, started
from support.competitions import NAMES, ROUNDS, RUNS, USERS, WORLDS, Story, to_its_end
from support.thoroughness import THOROUGH

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), linux]


def test_the_manifest_has_what_determines_the_result(competition: Story):
    manifest = json.loads(competition.finished.manifest)
    assert (manifest["format"], manifest["format_version"]) == ("recarena-competition", 1)
    assert (manifest["primary"], manifest["minimum_effect"]) == ("watch_rate", 0.05)
    assert (manifest["design"], manifest["rounds"]) == ("mirrored", ROUNDS)
    assert [one["name"] for one in manifest["recommenders"]] == list(NAMES)
    assert [(one["spec"], one["seed"]) for one in manifest["worlds"]] == [
        (f"new:users={USERS},seed={5 + world}", 5 + world) for world in range(WORLDS)
    ]
    assert manifest["settings"]["visits"]["page_size"] == 5
    assert manifest["mind"]["kind"] == "choice"
    assert manifest["packages"]["numpy"]
    assert manifest["gate"]["max_p95_ms"] == 60_000


def test_results_name_the_manifest_and_each_run_with_its_digest(competition: Story):
    results = competition.finished.results
    digest = hashlib.sha256(competition.finished.manifest).hexdigest()
    assert results["manifest_sha256"] == digest
    assert len({run["digest"] for run in results["runs"]}) == len(RUNS)
    for run in results["runs"]:
        log = RunLog.open(competition.folder / "runs" / run["id"])
        (name,) = run["recommenders"]
        assert run["metrics"][name]["watch_rate"] == watch_rate(log, name)
        assert (log.seed, log.rounds) == (run["seed"], run["rounds"])


def test_the_digest_is_the_one_that_recarena_digest_tells(
    competition: Story, here: Callable[..., Ended]
):
    run = competition.finished.results["runs"][0]
    done = here("digest", f"runs/{run['id']}", "--json", cwd=competition.folder)
    assert done.went_well().value["digest"] == run["digest"]


def test_the_leaderboard_is_told_and_kept_alike(competition: Story):
    told = competition.finished.said("leaderboard")
    assert {row["recommender"] for row in told} == set(NAMES)
    assert all(row["worlds"] == WORLDS for row in told)
    lines = (competition.folder / "leaderboard.jsonl").read_text().splitlines()
    assert [{"event": "leaderboard", **json.loads(line)} for line in lines] == told
    assert competition.finished.results["leaderboard"] == list(map(json.loads, lines))
    with (competition.folder / "leaderboard.csv").open() as file:
        assert [row["recommender"] for row in csv.DictReader(file)] == [
            row["recommender"] for row in told
        ]


def test_the_report_is_there(competition: Story):
    page = (competition.folder / "report.html").read_text()
    assert all(name in page for name in NAMES)
    assert page == render(content_of(competition.folder)), "recarena report tells the same"


def test_progress_counts_worlds_runs_and_rounds(competition: Story):
    last = competition.finished.said("progress")[-1]
    assert (last["worlds_done"], last["runs_done"]) == (WORLDS, len(RUNS))
    assert last["rounds_done"] == last["rounds"] == len(RUNS) * ROUNDS


def test_the_folder_gives_manifest_results_and_runs(competition: Story):
    folder = CompetitionFolder.open(competition.folder)
    assert list(folder.run_folders()) == RUNS
    assert folder.plan.names == NAMES
    assert folder.results == competition.finished.results


def test_mistakes_are_told_in_a_line_and_leave_nothing(
    competition: Story, tmp_path: Path, here: Callable[..., Ended]
):
    (tmp_path / "bad.toml").write_text("[visits]\npage_sise = 3\n")
    (tmp_path / "seed.toml").write_text("seed = 3\n")
    world = "new:users=20"
    cases: list[tuple[tuple[object, ...], str]] = [
        ((), "no world is named"),
        ((world,), "no recommender is named"),
        (("nowhere", "-r", "popular"), "there is no world nowhere"),
        (("new:users=20,seed=3", "-r", "popular"), "leave it out and say --seed"),
        ((world, "-r", "popular", "--primary", "joy"), "there is no metric 'joy'"),
        ((world, "-r", "popular", "--primary", "searches_per_visit"), "never ranked"),
        ((world, "-r", "popular", "--minimum-effect", "-1"), "--minimum-effect is more than 0"),
        ((world, "-r", "popular", "--design", "split"), "shares no world"),
        ((world, "-r", "popular", "--design", "mirorred"), "one of mirrored, split, both"),
        ((world, "-r", "popular", "--config", "seed.toml"), "which a competition decides itself"),
        ((world, "-r", "popular", "--mind", "gpt"), "'gpt' is no mind"),
        ((world, "-r", "popular", "--card", "none.json"), "there is no file none.json"),
        (("--resume", competition.folder, "-r", "popular"), "-r is decided already"),
        (("--resume", tmp_path), "is no competition"),
        ((world, "-r", "popular", "--out", competition.folder), "is not empty"),
        ((world, "-r", "mine=python mine.py"), "{server}"),
    ]
    if THOROUGH:  # those that a server finds
        cases += [
            ((world, "-r", "popular", "--config", "bad.toml"), "page_sise"),
            (("new:users=20,films=3", "-r", "popular"), "'films=3'"),
            ((world, "-r", "mine=no-such-program {server}"), "no program 'no-such-program'"),
        ]
    files = sorted(tmp_path.iterdir())
    for words, says in cases:
        out = () if "--out" in words or "--resume" in words else ("--out", "arena")
        done = here("compete", *words, *out, cwd=tmp_path)
        assert says in done.failed(), words
    assert sorted(tmp_path.iterdir()) == files


def test_what_another_command_plays_is_left_alone(competition: Story, here: Callable[..., Ended]):
    with held(competition.folder, pytest.fail):
        done = here("compete", "--resume", competition.folder, cwd=competition.folder)
    assert "is being played by another command" in done.failed()


@pytest.mark.skipif(not THOROUGH, reason="three more playings")
async def test_a_remote_one_is_waited_for_over_tls_and_shared_worlds_are_played_too(
    tmp_path: Path, here: Callable[..., Ended]
):
    authority = Authority(tmp_path / "tls")
    server, ca = authority.server(), authority.certificate
    asked = ("token", "new", "--recommender", "theirs", "--tokens", "tokens.json", "--json")
    token = here(*asked, cwd=tmp_path).went_well().value["token"]
    public = ("--listen", "0.0.0.0:0", "--tokens", "tokens.json", "--tls-ca", ca,
              "--tls-cert", server.certificate, "--tls-key", server.key)  # fmt: skip
    words = ("new:users=40", "-r", "popular", "--remote", "theirs", "--worlds", 2, "--rounds", 2,
             "--design", "both", "--split", "clusters", "--out", "arena", "--json")  # fmt: skip
    async with started("compete", *words, *public, cwd=tmp_path) as live:
        serving = await live.event("serving")
        assert serving is not None
        assert serving["waiting_for"] == ["theirs"]
        address = serving["address"].replace("0.0.0.0", "127.0.0.1")
        theirs = ("random", "--id", "theirs", "--server", address, "--sessions", 2,
                  "--tls-ca", ca, "--token", token)  # fmt: skip
        log = tmp_path / "theirs.log"
        async with helper("recarena.recommenders.cli", *theirs, log=log):
            ended = (await live.ended()).went_well()
    kept = json.loads((tmp_path / "tokens.json").read_text())["tokens"]
    assert {one["name"] for one in kept if not one["revoked"]} == {"theirs"}, "its own are back"
    values: list[dict[str, Any]] = ended.values
    (spillover,) = [one for one in values if one["event"] == "spillover"]
    assert {spillover["a"], spillover["b"]} == {"popular", "theirs"}
    assert spillover["worlds"] == 2
    results = json.loads((tmp_path / "arena" / "results.json").read_text())
    assert [run["id"] for run in results["runs"] if len(run["recommenders"]) > 1] == [
        "split-w0", "split-w1",
    ]  # fmt: skip
    again = await to_its_end("reproduce", "arena", "--json", where=tmp_path)
    end = again.went_well().values[-1]
    assert (end["matches"], end["runs"]) == (True, 2)
    assert "Run split-w0: theirs was remote and is not here." in end["not_played"]
