"""The bench says what it can measure, and speaks in lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench/run.py"
FAMILIES = {
    "help", "choice", "commit", "inquiries", "languages", "llm", "memory", "observatory", "remote",
    "serving", "sessions",
}  # fmt: skip
KEYS = ["figure", "value", "unit", "baseline", "ratio", "target", "met", "detail"]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(BENCH), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=100)


def test_the_list_names_every_family():
    done = bench("--list")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()} == FAMILIES


def test_an_unknown_family_is_refused_and_the_known_ones_named():
    done = bench("--only", "velocity")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "velocity" in done.stderr
    assert "serving" in done.stderr


def test_a_figure_is_one_line_of_json_with_its_baseline_and_target():
    done = bench("--only", "help", "--quick")
    assert done.returncode == 0, done.stderr
    (figure,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert list(figure) == KEYS
    assert (figure["figure"], figure["unit"], figure["target"]) == ("help", "s", 0.3)
    assert figure["value"] > 0
    assert figure["baseline"] > 0
    assert figure["met"] == (figure["value"] < 0.3)
    assert figure["detail"]["python_alone_s"] > 0


@pytest.mark.slow
def test_many_sessions_at_once_lose_no_work():
    done = bench("--only", "sessions", "--quick")
    assert done.returncode == 0, done.stderr
    found = {one["figure"]: one for one in map(json.loads, done.stdout.splitlines())}
    works, latency = found["sessions_works"], found["sessions_latency"]
    assert works["detail"]["sessions"] == 8
    assert works["value"] > 0
    assert works["detail"]["lists_a_second"] > works["value"]
    order = [latency["detail"][f"p{percent}_ms"] for percent in (50, 95, 99, 100)]
    assert order == sorted(order)
