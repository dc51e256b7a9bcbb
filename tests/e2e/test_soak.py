"""The soak, short: a recommender dies again and again, and everything is counted in the end."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parents[2] / "bench/soak.py"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_run_under_fire_loses_nothing_and_counts_nothing_twice(tmp_path):
    words = ("--minutes", "0.3", "--users", "40", "--kill-every", "0.8", "--keep", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SOAK), *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    lines = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0, (lines, err)
    assert lines[-1] == {"passed": True}
    found = {line["figure"]: line["value"] for line in lines if "figure" in line}
    assert found["kills"] >= 8
    assert found["absences"] >= 1
    assert found["rounds"] > 10
    assert found["works_by_outcome"]["lost"] > 0
    assert found["pages_good"].keys() == {"accepted"}
    assert found["works"] == sum(found["works_by_outcome"].values())
