"""The command says what it can do, and fails in one line."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from recarena.client import Capability, Unreachable
from recarena.recommenders import cli
from recarena.recommenders.numeric import NumericRecommender
from recarena.recommenders.roster import ROSTER, Options


@pytest.fixture
def served(monkeypatch) -> list[tuple]:
    """Calls of `serve`, which does nothing."""
    calls = []
    monkeypatch.setattr("recarena.client.serve", lambda *a, **k: calls.append((a, k)))
    return calls


def refused(arguments: list[str], capsys) -> str:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_list_names_every_recommender(capsys):
    assert cli.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(ROSTER)


def test_an_unknown_name_is_answered_with_the_nearest(capsys):
    said = refused(["poplar"], capsys)
    assert "there is no recommender 'poplar'. Did you mean popular?" in said
    assert all(name in said for name in ROSTER)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which recommender?"),
        (["oracle"], "oracle needs --world"),
        (["ease", "--sessions", "0"], "at least 1"),
        (["ease", "--retry-for", "-1"], "0 or more"),
        (["ease", "--state", "s", "--sessions", "2"], "--state needs --sessions 1"),
        (["ease", "--encoding", "fast"], "invalid choice"),
    ],
)
def test_a_wrong_command_line_is_explained(arguments, said: str, capsys):
    assert said in refused(arguments, capsys)


def test_options_reach_the_sdk(served):
    line = ["ease", "--server", "h:1", "--sessions", "3", "--encoding", "rich", "--once",
            "--retry-for", "2.5", "--token", "t", "--id", "mine"]  # fmt: skip
    assert cli.main(line) == 0
    ((factory, recommender_id), options) = served[0]
    assert recommender_id == "mine"
    assert isinstance(factory(), NumericRecommender)
    assert factory() is not factory()
    wanted = {"server": "h:1", "sessions": 3, "encoding": "rich", "once": True, "retry_for": 2.5,
              "token": "t"}  # fmt: skip
    assert options | wanted == options


@pytest.mark.parametrize("name", ROSTER)
def test_every_recommender_is_served_by_its_name(name: str, served):
    needed = {
        "oracle": ["--world", "somewhere"],
        "llm-rerank": ["--model", "openai-compatible:m", "--base-url", "http://127.0.0.1:9/v1"],
    }
    assert cli.main([name, *needed.get(name, [])]) == 0
    assert served[0][0][1] == name
    offered = set(served[0][1]["capabilities"])
    wanted = {Capability.CAPABILITY_SEARCH, Capability.CAPABILITY_COLUMNAR}
    assert wanted | {Capability.CAPABILITY_EXPLAIN} <= offered


def test_without_search_or_columns_neither_is_offered(served):
    cli.main(["popular", "--no-search", "--encoding", "rich"])
    offered = [Capability.CAPABILITY_RANK, Capability.CAPABILITY_EXPLAIN]
    assert served[0][1]["capabilities"] == offered


@pytest.mark.parametrize("name", ["random", "bandit"])
def test_the_seed_reaches_those_who_draw(name: str):
    one, two = (ROSTER[name].factory(Options(seed=seed))() for seed in (1, 2))
    assert vars(one) != vars(two)


def test_an_error_of_the_sdk_is_one_line(monkeypatch, capsys):
    def serve(*_: object, **__: object) -> None:
        raise Unreachable("nobody there")

    monkeypatch.setattr("recarena.client.serve", serve)
    assert cli.main(["popular"]) == 1
    assert capsys.readouterr().err == "recarena-recommender: nobody there\n"


def test_ctrl_c_before_serving_is_quiet(monkeypatch, capsys):
    def serve(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recarena.client.serve", serve)
    assert cli.main(["popular"]) == 130
    assert capsys.readouterr().err == ""


def test_a_server_that_is_not_there_is_given_up_on():
    command = [sys.executable, "-m", "recarena.recommenders.cli", "popular"]
    answer = subprocess.run(
        [*command, "--server", "127.0.0.1:9", "--retry-for", "0.2"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("recarena-recommender: ")


def test_help_loads_nothing_heavy_and_answers_at_once():
    program = (
        "import sys; sys.argv = ['recarena-recommender', '--help']\n"
        "from recarena.recommenders.cli import main\n"
        "try: main()\n"
        "finally: print([m for m in ('numpy', 'scipy', 'lancedb', 'grpc') if m in sys.modules])"
    )
    began = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert time.perf_counter() - began < 2  # 0.1 s where nothing else runs
    assert answer.stdout.splitlines()[-1] == "[]"
    assert answer.stderr == ""
