"""The demo with a real server and real recommenders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recarena.evaluation.metrics.users import watch_rate
from recarena.evaluation.runs.run_log import RunLog

RECARENA = str(Path(sys.executable).with_name("recarena"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def demo(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RECARENA, "demo", "--out", str(out), *options],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def by_event(lines: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines.splitlines():
        record = json.loads(line)
        found.setdefault(record["event"], []).append(record)
    return found


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, list[dict[str, Any]]]]:
    out = tmp_path_factory.mktemp("demo") / "out"
    options = ("--users", "80", "--rounds", "6", "--worlds", "3", "--seed", "5", "--json")
    names = [word for name in ("popular", "random") for word in ("--recommender", name)]
    result = demo(out, *options, *names)
    assert (result.returncode, result.stderr) == (0, "")
    return out, by_event(result.stdout)


def test_every_recommender_has_a_row_over_all_worlds(played: Any):
    _, events = played
    rows = events["leaderboard"]
    assert {row["recommender"] for row in rows} == {"popular", "random"}
    for row in rows:
        assert (row["worlds"], row["users"], row["rounds"]) == (3, 3 * 80, 3 * 6)
        assert row["metrics"]["unusable_rate"]["mean"] == 0
        assert "no LLM, no people" in row["under"]["caveat"]
    assert rows[0]["metrics"]["watch_rate"]["mean"] >= rows[1]["metrics"]["watch_rate"]["mean"]


def test_the_runs_are_where_it_says_and_give_the_rows(played: Any):
    out, events = played
    assert len(events["run"]) == 6
    for run in events["run"]:
        assert Path(run["folder"]).parent == out
        assert RunLog.open(run["folder"]).rounds == run["rounds"] == 6
    popular = [run for run in events["run"] if run["recommender"] == "popular"]
    rates = [watch_rate(RunLog.open(run["folder"]), "popular") for run in popular]
    (row,) = [row for row in events["leaderboard"] if row["recommender"] == "popular"]
    assert row["metrics"]["watch_rate"]["mean"] == pytest.approx(sum(rates) / 3)


def test_mirrored_worlds_have_the_same_users_and_tastes(played: Any):
    import lancedb

    out, _ = played
    users = [
        lancedb.connect(str(out / name / "tables")).open_table("users").to_arrow().drop("arm")
        for name in ("w0-popular", "w0-random", "w1-popular")
    ]
    assert users[0] == users[1]
    assert users[0] != users[2]


def test_the_excerpt_tells_of_few_users_in_sentences(played: Any):
    _, events = played
    lines = events["excerpt"]
    assert 2 <= len({line["user_id"] for line in lines}) <= 3
    text = " ".join(line["text"] for line in lines)
    for word in ("opens", "watches", "posts", "chats", "answers", "searches", "next page"):
        assert word in text


def test_the_commands_to_try_next_work(played: Any):
    _, events = played
    commands = events["done"][0]["next"]
    assert [command.split()[1] for command in commands] == ["log", "show", "export"]
    for command in commands:
        result = subprocess.run(
            [RECARENA, *command.split()[1:]], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr


def test_ctrl_c_leaves_no_process_and_one_line(tmp_path: Path):
    started = subprocess.Popen(
        [RECARENA, "demo", "--out", str(tmp_path / "out"), "--rounds", "500", "--worlds", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with started:
        assert started.stdout is not None
        assert started.stderr is not None
        assert started.stderr.readline().startswith("Rounds are being played")
        below = children(started.pid)
        started.send_signal(signal.SIGINT)
        err, out = started.stderr.read(), started.stdout.read()
        started.wait(60)
    assert (started.returncode, out) == (130, "")
    assert len(below) == 6
    for pid in below:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert err.splitlines()[-1].startswith("Stopped. Finished runs are kept in ")


def test_a_recommender_that_does_not_exist_is_quoted(tmp_path: Path):
    result = demo(tmp_path / "out", "--recommender", "pupular", "--worlds", "1", "--json")
    assert result.returncode == 1
    (error,) = by_event(result.stdout)["error"]
    assert "there is no recommender 'pupular'. Did you mean popular?" in error["message"]
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    result = demo(tmp_path)
    assert result.returncode == 1
    assert "is not empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
