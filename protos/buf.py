"""Run buf over the protos.

    python protos/buf.py lint        style, and a comment on everything
    python protos/buf.py breaking    nothing that was released may break (released.binpb)
    python protos/buf.py release     write released.binpb from the protos as they are

buf has to see google/rpc too. Those files are not copied into the repository: the installed
googleapis-common-protos lends them to a temporary folder, where buf runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

BUF = "@bufbuild/buf@1.75.0"
PROTOS = Path(__file__).resolve().parent
RELEASED = PROTOS / "released.binpb"


def main() -> int:
    parser = argparse.ArgumentParser(description="Run buf over the protos.")
    parser.add_argument("task", choices=["lint", "breaking", "release"])
    task: str = parser.parse_args().task
    npx = shutil.which("npx")
    if npx is None or shutil.which("node") is None:
        print(f"buf {task} skipped: buf needs Node (node and npx were not found)")
        return 1 if os.environ.get("RECARENA_REQUIRE_ALL") == "1" else 0
    if task == "breaking" and not RELEASED.exists():
        print("buf breaking: nothing released yet (`make protos-release` writes released.binpb)")
        return 0
    with tempfile.TemporaryDirectory(prefix="recarena-buf-") as folder:
        workspace = Path(folder)
        lay_out(workspace)
        arguments = {
            "lint": ["lint"],
            "breaking": ["breaking", "--against", str(RELEASED)],
            "release": ["build", "--exclude-source-info", "--output", str(RELEASED)],
        }[task]
        command = [npx, "--yes", "--prefer-offline", "--loglevel=error", BUF, *arguments]
        status = subprocess.run(command, cwd=workspace, check=False).returncode
    print(f"buf {task}: {'ok' if status == 0 else 'failed'}")
    return status


def lay_out(workspace: Path) -> None:
    """Copy buf.yaml, the protos and the google/rpc files that they import into `workspace`."""
    shutil.copy(PROTOS / "buf.yaml", workspace)
    shutil.copytree(PROTOS / "recarena", workspace / "recarena")
    rpc = Path(sysconfig.get_path("purelib")) / "google" / "rpc"
    (workspace / "google" / "rpc").mkdir(parents=True)
    for name in ("code.proto", "error_details.proto", "status.proto"):
        shutil.copy(rpc / name, workspace / "google" / "rpc")


if __name__ == "__main__":
    sys.exit(main())
