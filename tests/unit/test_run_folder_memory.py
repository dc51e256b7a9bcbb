"""A process that commits round after round does not grow with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.run_folders import TESTS

WARM, MORE = 150, 300
MOST_MIB = 20
"""LanceDB's own caches would grow by twice as much."""
COMMITTING = f"""
import os, sys
from pathlib import Path
from support.run_folders import commit_up_to, made_folder

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

folder = made_folder(Path(sys.argv[1]), optimize_every=20)
commit_up_to(folder, {WARM})
before = resident()
commit_up_to(folder, {WARM + MORE})
print((resident() - before) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read on Linux alone")
def test_memory_does_not_grow_with_the_rounds_that_are_committed(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", COMMITTING, str(tmp_path / "run")],
        cwd=TESTS, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < MOST_MIB
