"""`recarena believe` with a real server: minds whose truth is known, and people's ratings."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from recarena.evaluation.believability.card import read_card
from recarena.evaluation.believability.command import command
from recarena.evaluation.believability.forms import show
from recarena.server.datasets.generate import generate_world
from recarena.server.datasets.importing import import_world
from recarena.server.datasets.world_folder import load_world, save_world
from support.believing import planted_split
from support.commands import PROGRAM, recarena, started
from support.data import movielens_100k
from support.figures import report
from support.llm_stub import StubProcess
from support.thoroughness import THOROUGH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IN_CI = pytest.mark.skipif(
    not THOROUGH, reason="thorough: many runs; scripted minds have cards in the unit tests"
)
USERS = 150
AT_RANDOM = """
[choice]
taste = 0.0
quality = 0.0
conformity = 0.0
novelty = 0.0
fatigue = 0.0
rating_conformity = 0.0
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted world whose later part follows from its truth."""
    folder = tmp_path_factory.mktemp("believe") / "world"
    save_world(planted_split(USERS, 120, 5), folder)
    return folder


def believed(cwd: Path, *arguments: Any) -> dict[str, Any]:
    """The card; it takes more than a moment."""
    done = subprocess.run(
        [PROGRAM, "believe", *map(str, arguments), "--json"], cwd=cwd, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def truth(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The card of the choice mind, which is what people here are."""
    folder = tmp_path_factory.mktemp("truth")
    more = ("--repeats", 3) if THOROUGH else ("--repeats", 2, "--ratio", 1)
    card = believed(
        folder, world, "--slates", 1, *more, "--worlds", 2,
        "--rounds", 2, "--recommender", "item-knn", "--out", folder / "card",
    )  # fmt: skip
    return {**card, "folder": folder / "card"}


def margins(card: dict[str, Any]) -> dict[tuple[int, str, str], dict[str, float]]:
    return {(one["ratio"], one["negatives"], one["against"]): one["auc"] for one in card["margins"]}


def test_a_mind_that_is_the_truth_passes_and_beats_strangers_clearly(truth: dict[str, Any]):
    gates = {gate["id"]: gate for gate in truth["verdict"]["gates"]}
    assert all(gate["passed"] for gate in gates.values()), gates
    assert truth["verdict"]["passed"]
    assert margins(truth)[1, "matched", "shuffled-persona"]["low"] > 0.1
    assert margins(truth)[1, "matched", "popularity"]["low"] > 0.1
    assert truth["data"]["measured"] == USERS
    assert truth["mind"]["name"] == "choice"


def test_ratings_are_skilled_and_no_leak_where_the_mind_is_the_truth(truth: dict[str, Any]):
    found = truth["ratings"]
    assert found["coverage"] == 1
    assert found["ratings"] == USERS * 8
    assert found["skill"]["constant"]["low"] > 0.1
    assert found["mind"]["rmse"]["mean"] > 0.55


def test_conformity_is_found_and_no_more_than_the_coefficient_of_the_mind(
    truth: dict[str, Any], world: Path
):
    """A rating is pulled by rating_conformity x c_u, and where it is 5 anyway by nothing."""
    most = 0.5 * float(load_world(world).population.conformity.mean())
    found = truth["conformity"]
    assert found["slope"]["low"] > 0
    assert found["slope"]["mean"] < most


def test_the_position_bias_that_users_have_is_found(truth: dict[str, Any]):
    assert truth["position"]["slope"]["high"] < 0
    assert len(truth["position"]["places"]) == 10


def test_all_studies_are_in_the_card_and_it_is_kept(truth: dict[str, Any]):
    folder = truth["folder"]
    assert read_card(folder) == {
        name: value for name, value in truth.items() if name not in ("event", "folder")
    }
    assert truth["cocoon"]["shown"]["difference"]["unit"] == "world"
    assert len(truth["cocoon"]["shown"]["entropy"]["random"]) == 2
    assert truth["contamination"] is None
    kept = sorted(one.name for one in folder.iterdir())
    assert kept == ["audit.jsonl", "card.json", "logs"]


@IN_CI
def test_a_mind_without_tastes_fails(world: Path, tmp_path: Path):
    (tmp_path / "random.toml").write_text(AT_RANDOM)
    card = believed(
        tmp_path, world, "--config", "random.toml", "--slates", 1,
        "--repeats", 4, "--ratio", 1, "--no-studies", "--out", "out",
        "--keep-runs",
    )  # fmt: skip
    gates = {gate["id"]: gate["passed"] for gate in card["verdict"]["gates"]}
    for against in ("random", "popularity", "item-mean", "shuffled-persona"):
        assert gates[f"beats-{against}"] is False, against
    assert not card["verdict"]["passed"]
    assert "does not beat" in card["verdict"]["sentence"]
    low, high = (margins(card)[1, "matched", "random"][end] for end in ("low", "high"))
    assert low < 0 < high
    assert (card["cocoon"], card["conformity"]) == (None, None)
    assert card["mind"]["settings"]["choice"]["taste"] == 0
    assert (tmp_path / "out" / "matched-1-0-0" / "manifest.json").is_file()


def test_a_card_is_shown_in_words_and_a_failed_one_in_red(truth: dict[str, Any]):
    shown = printed(truth)
    for words in (
        "Believability card: choice mind", "Verdict", "shuffled persona", "Saying yes",
        "Ratings of held-out items", "Conformity", "simulated preference is not human preference",
    ):  # fmt: skip
        assert words in shown
    assert "NO" not in shown
    verdict = {
        **truth["verdict"], "passed": False, "sentence": "Not passed.",
        "losses": ["LOSES to popularity"],
    }  # fmt: skip
    red = "\x1b[1;31m"
    failed = printed({**truth, "verdict": verdict})
    assert f"{red}Not passed." in failed
    assert f"{red}LOSES to popularity" in failed


def printed(card: dict[str, Any]) -> str:
    out = io.StringIO()
    show(card, Console(file=out, width=140, force_terminal=True, highlight=False))
    return out.getvalue()


@IN_CI
def test_a_language_model_is_asked_for_measured_users_only_and_without_titles_too(
    tmp_path: Path,
):
    save_world(planted_split(20, 60, 2), tmp_path / "world")
    with StubProcess("random", 5) as stub:
        card = believed(
            tmp_path, "world", "--mind", "openai-compatible:m", "--base-url", f"{stub.url}/v1",
            "--users", 5, "--ratio", 1, "--out", "out",
        )  # fmt: skip
    assert card["mind"]["name"] == "openai-compatible:m"
    assert card["mind"]["is_llm"]
    assert card["data"]["measured"] == 5
    assert [one["titles"] for one in card["contamination"]] == ["plain", "numbers", "ids"]
    assert card["contamination"][0]["difference"]["mean"] == 0
    assert card["conformity"] is None
    assert 0 < card["ratings"]["coverage"] < 1
    assert not card["verdict"]["passed"]
    # Two conditions, strangers and two disguises: a page each for five users.
    assert any("LLM minds took" in note for note in card["notes"])
    assert any(f"{5 * 5} decisions" in note for note in card["notes"]), card["notes"]
    assert (tmp_path / "out" / "matched-1-0-0" / "llm.sqlite").is_file()


@IN_CI
async def test_recall_is_asked_from_the_command_line(tmp_path: Path):
    for mind, knows in (("knows_films", True), ("knows_nothing", False)):
        with StubProcess(f"support.believers:{mind}") as stub:
            done = await recarena(
                "world", "recall", "new:users=5,seed=1", "--mind", "openai-compatible:m",
                "--base-url", f"{stub.url}/v1", "--items", 20, "--data-set", "these films",
                "--json", cwd=tmp_path,
            )  # fmt: skip
        assert done.went_well().value["knows"] is knows
        assert done.value["asked"] == 20


def test_what_cannot_be_done_is_said_in_a_line(world: Path, tmp_path: Path):
    save_world(generate_world(5, seed=1), tmp_path / "whole")
    (tmp_path / "bad.toml").write_text("[choice")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    app = typer.Typer()
    app.command()(command)
    out = ("--out", tmp_path / "out")
    for arguments, says in (
        ((tmp_path / "whole", *out), "holds nothing to measure against"),
        ((tmp_path / "none", *out), "is no world folder"),
        ((world, "--mind", "claude", *out), "'claude' is no mind"),
        ((world, "--config", tmp_path / "bad.toml", *out), "bad.toml cannot be read"),
        ((world, "--min-history", 999, *out), "two are needed"),
        ((world, "--recommender", "No!", *out), "no name of a recommender"),
        ((world, "--ratio", 4, *out), "one of 1, 2, 3, 9"),
        ((world, "--out", tmp_path / "full"), "is not empty"),
    ):
        ended = CliRunner().invoke(app, [*map(str, arguments), "--json"])
        assert ended.exit_code == 1, ended.output
        assert says in json.loads(ended.stdout)["message"]


@IN_CI
async def test_settings_that_the_server_refuses_are_told_in_a_line(world: Path, tmp_path: Path):
    (tmp_path / "wrong.toml").write_text("[choice]\ntast = 1.0\n")
    wrong = await recarena(
        "believe", world, "--config", "wrong.toml", "--no-studies", "--out", "w", cwd=tmp_path
    )
    assert "taste" in wrong.failed()


async def test_ctrl_c_ends_everything_and_says_so(world: Path, tmp_path: Path):
    async with started(
        "believe", world, "--no-studies", "--out", "out", "--json", cwd=tmp_path
    ) as live:
        while not (tmp_path / "out" / "uniform-1-0-0").exists():
            assert live.process.returncode is None
            await asyncio.sleep(0.02)
        live.process.send_signal(signal.SIGINT)
        ended = await live.ended()
    assert ended.code == 130
    assert "there is no card" in ended.out
    assert not (tmp_path / "out" / "card.json").exists()


@IN_CI
def test_the_choice_mind_on_movielens_has_an_honest_card(tmp_path: Path):
    """Whatever it says."""
    save_world(import_world(movielens_100k(), train_fraction=0.8), tmp_path / "ml")
    card = believed(tmp_path, "ml", "--slates", 1, "--repeats", 2, "--no-studies", "--out", "out")
    assert card["data"]["measured"] >= 97
    assert card["ratings"]["item-mean"]["mae"]["mean"] < card["ratings"]["constant"]["mae"]["mean"]
    auc = {
        (one["ratio"], one["negatives"]): round(one["answers"]["mind"]["auc"]["mean"], 3)
        for one in card["discrimination"]
    }
    report("believability MovieLens 100k", auc_matched=auc[1, "matched"], auc=auc[1, "uniform"])
