"""What `recarena` says when the code has moved on and the installation has not."""

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
        [sys.executable, "-c", "from recarena.server.cli import main; main()"],
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
