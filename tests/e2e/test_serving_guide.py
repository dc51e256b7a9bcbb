"""The guide to hosting runs, done as it says."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
BIN = Path(sys.executable).parent


def said(program: str, address: str) -> list[str]:
    """What a program of the guide prints."""
    done = subprocess.run(
        [sys.executable, "-", address],
        input=program, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_the_programs_of_the_guide_play_steer_and_watch_runs_on_a_served_server(tmp_path: Path):
    play, steer, watch = PROGRAMS
    serve = [BIN / "recarena", "serve", "--listen", "127.0.0.1:0", "--runs", tmp_path, "--json"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        address = json.loads(server.stdout.readline())["address"]
        join = [BIN / "recarena-recommender", "ease", "--server", address, "--once"]
        with subprocess.Popen(join) as recommender:
            rounds = [line for line in said(play, address) if "items watched" in line]
            assert recommender.wait(30) == 0
        assert [line.split(":")[0] for line in rounds] == [f"round {n}" for n in range(1, 6)]
        with subprocess.Popen(join) as recommender:
            (changed,) = said(steer, address)
            assert changed.startswith("from round 3 on: ")
            assert "The Long Way Home" in changed
            seen = said(watch, address)
            assert recommender.wait(30) == 0
        assert [line.split(":")[0] for line in seen] == [f"round {n}" for n in range(1, 6)]
        assert [line.rpartition(" ")[2] for line in seen] == ["0", "0", "1", "0", "0"]
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    for name in ("first", "second"):
        digest = [BIN / "recarena", "digest", tmp_path / name, "--verify"]
        found = subprocess.run(digest, capture_output=True, text=True, timeout=60, check=True)
        assert re.fullmatch(r"[0-9a-f]{64}", found.stdout.strip())
