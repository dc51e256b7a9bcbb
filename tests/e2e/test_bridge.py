"""A recommender of another language and another protocol plays, by a mapping alone."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recarena.bridge.cli import main
from support.commands import Ended, recarena
from support.http_service import HttpService, http_service

README = (Path(__file__).parents[2] / "clients" / "bridge" / "README.md").read_text()
BIN = Path(sys.executable).parent
ROUNDS = 3
HISTORY = 2


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are found by their names, and no proxy stands between."""
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def service() -> Iterator[HttpService]:
    with http_service("--api-key", "k3y", "--database", "films", "--token", "geheim") as one:
        yield one


def block(kind: str, having: str) -> str:
    """The block of the guide that has these words."""
    (found,) = [
        one for one in re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL) if having in one
    ]
    return found


def mapping(folder: Path, service: HttpService, more: str = "", **instead: str) -> Path:
    """The guide's mapping, for this service."""
    text = block("toml", "base_url").replace("http://127.0.0.1:8080", service.url)
    for old, new in instead.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "shop.toml"
    path.write_text(f"{more}\n{text}")
    return path


async def play(folder: Path, *recommenders: str, users: int = 60) -> dict[str, dict[str, Any]]:
    """A run that succeeds; its arms by the names of the recommenders."""
    ended = await recarena(
        "run", f"new:users={users},seed=3,history={HISTORY}", "--rounds", ROUNDS, "--name", "one",
        *(word for one in recommenders for word in ("-r", one)), "--json", cwd=folder,
    )  # fmt: skip
    end = ended.went_well().values[-1]
    assert end["state"] == "succeeded"
    assert end["rounds"] == ROUNDS
    return {arm["recommender"]: arm for arm in end["arms"]}


def bridge(name: str, words: object) -> str:
    """The bridge as a recommender of a run."""
    return f"{name}=recarena-bridge {words} --server {{server}} --id {name}"


def log(folder: Path, name: str = "http") -> str:
    """What the bridge said."""
    said = next((folder / "runs").glob(f"*/logs/{name}.log")).read_text()
    assert "Traceback" not in said
    return said


def counted(said: str, what: str) -> int:
    """The sum of a figure over the rounds."""
    return sum(int(number) for number in re.findall(rf"(\d+) {what}\b", said))


def of_rounds(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that are not history."""
    return [event for event in events if event["round"] > 0]


# ------------------------------------------------------------------------------ the guide
def test_the_guide_is_run_as_it_is_written(service, tmp_path):
    mapping(tmp_path, service)
    commands = block("sh", "--check").splitlines() + block("sh", "recarena run").splitlines()
    said = [
        subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        for command in commands
    ]
    for one in said:
        Ended(one.returncode, one.stdout, one.stderr).went_well()
    checked, tried, played = said
    assert "good; it asks http://127.0.0.1:" in checked.stdout
    assert "asked:   POST http://127.0.0.1:" in tried.stdout
    assert "asked:   GET http://127.0.0.1:" in tried.stdout
    assert "http" in played.stdout
    assert re.search(r"round 2: \d+ lists, \d+ searches, \d+ requests, 0 failed", log(tmp_path))


# ------------------------------------------------------------------------------ feedback
async def test_feedback_arrives_exactly_once_though_answers_are_lost(service, tmp_path):
    """Lost answers are sent again under their keys, and what is tried again is not missing."""
    service.fail(
        {"path": "/v1/events", "times": 3, "status": 503, "after": True},
        {"path": "/v1/recommendations", "times": 2, "status": 429, "retry_after": 0},
    )
    path = mapping(tmp_path, service, "retry = { first_delay = 0.01 }\n")
    arm = (await play(tmp_path, bridge("http", path)))["http"]
    state, said = service.state(), log(tmp_path)
    ids = [event["id"] for event in state["events"]]
    assert len(set(ids)) == len(ids)
    assert len(of_rounds(state["events"])) == arm["watch"] > 0
    assert len(ids) == arm["watch"] + 60 * HISTORY
    assert counted(said, "events sent") == len(ids)
    assert (counted(said, "retries"), counted(said, "failed")) == (5, 0)
    assert (state["resets"], arm["failed_lists"]) == (1, 0)
    tokens = [event["request_id"] for event in of_rounds(state["events"]) if "request_id" in event]
    assert tokens
    assert all(token.startswith("list-") for token in tokens)
    assert counted(said, "lists") + counted(said, "searches") == arm["page"]
    assert counted(said, "searches") > 0


# ------------------------------------------------------------------------------ failures
async def test_a_request_that_fails_costs_its_work_alone_and_is_counted(service, tmp_path):
    once = mapping(tmp_path, service, "users_per_work = 1\nretry = { attempts = 1 }\n")
    service.fail(
        {"path": "/v1/recommendations", "times": 3, "status": 503},
        {"path": "/v1/recommendations", "times": 2, "text": "<html>"},
        {"path": "/v1/recommendations", "times": 1, "text": '{"items": 5}'},
    )
    arms = await play(tmp_path, bridge("http", once), "popular")
    assert arms["http"]["failed_lists"] == 6
    assert arms["popular"]["failed_lists"] == 0
    said = log(tmp_path)
    assert counted(said, "failed") == 6
    assert said.count("POST /v1/recommendations: 503 Service Unavailable") == 3
    assert said.count("200, but the answer is not JSON (text/html)") == 2
    assert said.count("200, but items = 'items' finds a number in the answer, not a list") == 1


async def test_a_service_that_is_not_there_fails_its_lists_and_no_process(service, tmp_path):
    path = mapping(tmp_path, service, "retry = { attempts = 1 }\n", **{"required = true": ""})
    words = bridge("http", f"{path} --set base_url=http://127.0.0.1:9")
    arm = (await play(tmp_path, words))["http"]
    assert arm["failed_lists"] == arm["page"] > 0
    assert "reset: POST /v1/reset: no connection to http://127.0.0.1:9" in log(tmp_path)
    assert counted(log(tmp_path), "events lost") > 0


async def test_a_run_that_needs_a_reset_is_refused_without_one(service, tmp_path):
    path = mapping(tmp_path, service)
    service.fail({"path": "/v1/reset", "times": 9, "status": 404})
    ended = await recarena(
        "run", "new:users=20,seed=3", "--rounds", 1, "--name", "one",
        "-r", bridge("http", path), cwd=tmp_path,
    )  # fmt: skip
    assert ended.code == 1
    assert "[reset] failed, and the run needs it: POST /v1/reset: 404" in ended.err
    assert "Traceback" not in ended.err


# ------------------------------------------------------------------------------ batch, training
async def test_many_users_are_asked_about_in_one_request(service, tmp_path):
    (tmp_path / "many.toml").write_text(f"""
base_url = "{service.url}"
users_per_work = 64

[batch]
path = "/v1/recommendations/batch"
body = {{ queries = "{{queries}}" }}
each = {{ user = "{{user_id}}", n = "{{wanted}}" }}
lists = "results"
user = "user"
max_users = 20
items = "items"
id = "id"

[feedback]
path = "/v1/events"
per_request = 1
ordered = false

[[feedback.events]]
of = ["rate", "view"]
[feedback.events.event]
id = "{{interaction_id}}"
round = "{{round}}"
user = "{{user_id}}"
item = "{{item_id}}"
stars = "{{rating}}"

[[feedback.events]]
of = ["impression"]
[feedback.events.event]
id = "{{impression_id}}/{{position}}"
kind = "shown"
round = "{{round}}"
user = "{{user_id}}"
item = "{{item_id}}"

[items]
path = "/v1/items"
each = {{ id = "{{item_id}}", title = "{{title}}" }}

[users]
path = "/v1/users"
each = {{ id = "{{user_id}}" }}

[train]
path = "/v1/train"
[train.status]
path = "/v1/status"
done = "state == 'ready'"
every = 0.01
""")
    arm = (await play(tmp_path, bridge("http", "many.toml"), users=25))["http"]
    state = service.state()
    asked = state["requests"]["POST /v1/recommendations/batch"]
    assert arm["failed_lists"] == 0
    assert asked < counted(log(tmp_path), "lists") / 2
    shown = [event for event in state["events"] if event.get("kind") == "shown"]
    done = [event for event in of_rounds(state["events"]) if event not in shown]
    assert len(shown) == arm["shown"]
    assert len(done) == arm["watch"]
    ids = [event["id"] for event in state["events"]]
    assert len(set(ids)) == len(ids)
    assert state["requests"]["POST /v1/events"] == len(ids)
    assert len(state["users"]) == len(set(state["users"])) >= 20
    assert state["trained"] == ROUNDS
    assert state["requests"]["GET /v1/status"] == 3 * ROUNDS


# ------------------------------------------------------------------------------ shipped mappings
async def test_gorse_s_and_recombee_s_shapes_are_spoken(service, tmp_path, monkeypatch):
    monkeypatch.setenv("GORSE_KEY", "k3y")
    monkeypatch.setenv("RECOMBEE_TOKEN", "geheim")
    where = f"--set base_url={service.url}"
    arms = await play(
        tmp_path,
        bridge("gorse", f"--mapping gorse {where} --set api_key_env=GORSE_KEY"),
        bridge("recombee", f"--mapping recombee {where} --set values.database_id=films"),
    )
    state = service.state()
    for name, arm in arms.items():
        said = log(tmp_path, name)
        assert arm["failed_lists"] == counted(said, "failed") == counted(said, "refused") == 0
        assert not re.search("k3y|geheim|hmac", said)

    to_gorse = [event for event in state["events"] if "FeedbackType" in event]
    read = [event for event in to_gorse if event["FeedbackType"] == "read"]
    stars = [event for event in to_gorse if event["FeedbackType"] == "star"]
    assert 0 < len(stars) < len(read)
    assert len([event for event in read if "Timestamp" in event]) == arms["gorse"]["watch"] > 0
    assert len(state["users"]) == len(set(state["users"])) == arms["gorse"]["users"]

    to_recombee = [event for event in state["events"] if "userId" in event]
    views = [event for event in to_recombee if event["kind"] == "/detailviews/"]
    ratings = [event for event in to_recombee if event["kind"] == "/ratings/"]
    known = [event for event in views if "recommId" in event]
    assert len(known) == arms["recombee"]["watch"] > 0
    assert all(event["recommId"].startswith("recomm-") for event in known)
    assert {event["rating"] for event in ratings} <= {-1, -0.5, 0, 0.5, 1}
    assert ratings


def test_a_wrong_signature_is_refused_and_said_in_one_line(service, monkeypatch, capsys):
    monkeypatch.setenv("RECOMBEE_TOKEN", "falsch")
    words = ["--check", "--try", "--mapping", "recombee",
             "--set", f"base_url={service.url}", "--set", "values.database_id=films"]  # fmt: skip
    line = Ended(main(words), *capsys.readouterr()).failed(1)
    assert line == (
        "recarena-bridge: recombee: POST /films/recomms/users/u000000/items/: 401 Unauthorized"
    )


async def test_ctrl_c_ends_a_bridge_that_waits_for_a_run(service, tmp_path):
    path = mapping(tmp_path, service)
    process = await asyncio.create_subprocess_exec(
        str(BIN / "recarena-bridge"), str(path), "--server", "127.0.0.1:9",
        stderr=asyncio.subprocess.PIPE, cwd=tmp_path,
    )  # fmt: skip
    assert process.stderr is not None
    assert b"127.0.0.1:9" in await process.stderr.readline()
    process.terminate()
    _, err = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in err
