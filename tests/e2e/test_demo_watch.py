"""`recarena demo --watch`: a run that people can follow, and a page; nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from recarena.evaluation.demo.metronome import MOST_S, beating, command
from recarena.evaluation.demo.watching import in_beat
from recarena.evaluation.playing.contenders import contender
from recarena.evaluation.runs.run_log import RunLog
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from support.commands import TESTS

RECARENA = str(Path(sys.executable).with_name("recarena"))
ROUNDS = 4
PACE_S = 0.4


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """A program that a failed test leaves is told to end."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_watched_demo_goes_in_a_beat_serves_its_page_and_ends_with_ctrl_c(tmp_path: Path):
    out = tmp_path / "out"
    started = subprocess.Popen(
        [RECARENA, "demo", "--watch", "--no-open", "--json", "--out", str(out), "--users", "30",
         "--pace", str(PACE_S), "--recommender", "popular", "--recommender", "content"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with started, ended(started):
        assert started.stdout is not None
        assert started.stderr is not None
        told = json.loads(started.stdout.readline())
        assert (told["event"], told["run_id"], told["paced"]) == ("watching", "demo", True)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(told["url"]) as page:
            assert b"<title>" in page.read()
            assert page.url.endswith("/run/demo")
        with grpc.insecure_channel(told["server"]) as channel:
            observe = SimulationObserveServiceStub(channel)
            asked = observe_pb.StreamRoundsRequest(run_id="demo", until_round=ROUNDS)
            rounds = [one for got in observe.StreamRounds(asked, timeout=120) for one in got.rounds]
        assert len(rounds) == ROUNDS
        taken = sum(one.summary.wall_time.ToMilliseconds() for one in rounds) / 1000
        assert taken >= (ROUNDS - 1) * PACE_S * 0.9
        below = children(started.pid)
        started.send_signal(signal.SIGINT)
        said, err = started.stdout.read(), started.stderr.read()
        started.wait(60)
    assert (started.returncode, err) == (0, "")
    assert json.loads(said) == {"event": "watched", "folder": str(out / "demo")}
    assert len(below) == 4
    for pid in below:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    log = RunLog.open(out / "demo")
    assert log.rounds >= ROUNDS
    assert [arm.arm_id for arm in log.arms] == ["popular", "content"]


def test_a_metronome_is_ready_no_earlier_than_a_beat_after_the_last_time():
    now, slept, ready = 100.0, list[float](), list[int]()

    class Quick:
        def ready(self, round: int) -> None:
            ready.append(round)

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    one = beating(Quick, 1.0, lambda: now, sleep)()
    one.ready(1)
    now += 0.25
    one.ready(2)
    now += 3.0
    one.ready(3)
    assert slept == [0.0, 0.75, 0.0]
    assert ready == [1, 2, 3]


def test_the_first_reference_recommender_keeps_the_beat():
    own, popular, ease = (
        contender(one) for one in ("mine=python x.py {server}", "popular", "ease")
    )
    taking_part, paced = in_beat([own, popular, ease], 1.0)
    assert paced
    assert [one.name for one in taking_part] == ["mine", "popular", "ease"]
    assert [one.command for one in taking_part] == [
        own.command, command(1.0, "popular"), ease.command,
    ]  # fmt: skip
    assert in_beat([own], 1.0) == ([own], False)
    assert in_beat([popular], 0.0) == ([popular], True)
    assert f" {MOST_S:g} popular" in command(900, "popular")


def test_a_watched_demo_is_described_where_it_is_asked_for():
    helped = subprocess.run(
        [RECARENA, "demo", "--help"], capture_output=True, text=True, cwd=TESTS, check=True
    )
    for option in ("--watch", "--pace", "--no-open"):
        assert option in helped.stdout


def test_more_rounds_than_a_run_can_have_are_refused_with_the_range(tmp_path: Path):
    done = subprocess.run(
        [RECARENA, "demo", "--watch", "--no-open", "--rounds", "99999999999999"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "--rounds" in done.stderr
    assert "less than or equal to 1000000" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [(("--pace", "2"), "Add --watch"), (("--watch", "--no-open", "--worlds", "3"), "one world")],
)
def test_options_that_would_change_nothing_are_refused(tmp_path: Path, words, told):
    done = subprocess.run(
        [RECARENA, "demo", *words], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
