"""Runs with LLM minds in processes that may be killed: begun where they are not there yet, gone on
with where they are.

The program loads everything once. For each line `PATH URL` on its stdin it forks a process that
plays the run there; it says which (`child PID`), when it plays (`playing`), how the run ended
(`ended …`) and how the process did (`gone STATUS`)."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from recarena.recommenders.popular import Popular
from recarena.server.cli.output import set_up_logging
from recarena.server.config import Settings, parse_settings
from recarena.server.datasets.specs import open_world
from recarena.server.founding import create_run
from recarena.server.llm.transport import import_sdks
from recarena.server.runs import Run
from recarena.server.store.run_folder import RunFolder
from support.twin import TwinDoor

WORLD = "new:users=30,seed=4"


def settings(url: str, **llm: Any) -> Settings:
    asked = {"provider": "anthropic", "model": "stub", "base_url": url, "probe": False}
    return parse_settings(
        {
            "seed": 12, "rounds": 12, "arms": [{"recommender": "popular"}], "llm": asked | llm,
            "memory": {"reflect_above": 0.5, "reflect_every": 2},
        },
        "player",
    )  # fmt: skip


async def main(path: Path, url: str) -> None:
    if (path / "manifest.json").exists():
        folder = RunFolder.open(path, writable=True)
    else:
        folder = create_run(path, settings(url), open_world(WORLD))
    run = Run(folder, TwinDoor({"popular": Popular}))
    run.start()
    print("playing", run.round, flush=True)
    await run.settled()
    print("ended", run.state, run.round, run.error, flush=True)
    await run.close()


def nursery() -> None:
    """Forks as it is told, one after another."""
    import_sdks()
    # What takes long, but not lancedb itself: it may not be there when a process forks.
    for name in ("anthropic", "openai", "pyarrow.dataset", "lance_namespace"):
        importlib.import_module(name)

    for line in sys.stdin:
        path, url = line.split()
        if not (child := os.fork()):
            asyncio.run(main(Path(path), url))
            sys.stdout.flush()
            os._exit(0)
        print("child", child, flush=True)
        print("gone", os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    set_up_logging("warning", as_json=True)
    nursery()
