"""What `recarena` says where it cannot even be loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_command_whose_module_has_gone_is_told_in_a_line_with_the_remedy(tmp_path: Path):
    info = tmp_path / "stale-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stale\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[recarena.commands]\nold = recarena.evaluation.moved_away:command\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", "from recarena.server.__main__ import main; main()"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "recarena: old was installed from another version of the code "
        "(recarena.evaluation.moved_away is not there). Run `make setup`"
    ]


def test_who_stops_it_while_it_is_being_loaded_sees_no_traceback():
    code = """
import sys
from recarena.server.__main__ import main

class Stopped:
    def find_spec(self, name, path, target=None):
        if name == "recarena.server.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Stopped())
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_it_can_be_started_as_a_module():
    ended = subprocess.run(
        [sys.executable, "-m", "recarena.server", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith("recarena ")
