"""The guide to hosting runs, done as it says."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
BIN = Path(sys.executable).parent


def test_the_program_of_the_guide_plays_a_run_on_a_served_server(tmp_path: Path):
    assert PROGRAM
    serve = [BIN / "recarena", "serve", "--listen", "127.0.0.1:0", "--runs", tmp_path, "--json"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        address = json.loads(server.stdout.readline())["address"]
        join = [BIN / "recarena-recommender", "ease", "--server", address, "--once"]
        with subprocess.Popen(join) as recommender:
            done = subprocess.run(
                [sys.executable, "-", address],
                input=PROGRAM[1], capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
            assert recommender.wait(30) == 0
        rounds = [line for line in done.stdout.splitlines() if re.search(r"\d+ of \d+ items", line)]
        assert [line.split(":")[0] for line in rounds] == [f"round {n}" for n in range(1, 6)]
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    digest = [BIN / "recarena", "digest", tmp_path / "first", "--verify"]
    found = subprocess.run(digest, capture_output=True, text=True, timeout=60, check=True)
    assert re.fullmatch(r"[0-9a-f]{64}", found.stdout.strip())
