"""A process that writes a run folder and can be killed at a chosen point.

`python -m support.committer PATH LAST [--kill-at CALL] [--hold-at CALL] [--fsync]`, where CALL is
`append:events:3` (the third append to events), `compact::1` or any other method of RunTables.
Without either it prints a line before each append.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from recarena.server.store.run_folder import RunFolder
from recarena.server.store.run_tables import RunTables
from support.rounds import made_round, sim_time


def watch(method: str, after: Callable[[str], None]) -> None:
    """Calls `after` with `method:table:number` whenever RunTables has done something."""
    original = getattr(RunTables, method)
    calls: Counter[str] = Counter()

    def watched(self: RunTables, what: object, *rest: object) -> None:
        original(self, what, *rest)
        name = what if isinstance(what, str) else ""
        calls[name] += 1
        after(f"{method}:{name}:{calls[name]}")

    setattr(RunTables, method, watched)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("last", type=int)
    parser.add_argument("--kill-at", default="")
    parser.add_argument("--hold-at", default="")
    parser.add_argument("--fsync", action="store_true")
    chosen = parser.parse_args()

    def after(call: str) -> None:
        if call == chosen.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if call == chosen.hold_at:
            print("held", flush=True)
            sys.stdin.readline()
        if not chosen.kill_at and not chosen.hold_at:
            print(call, flush=True)

    for method in ("append", "compact", "prune"):
        watch(method, after)
    folder = RunFolder.open(chosen.path, writable=True, fsync=chosen.fsync, optimize_every=3)

    async def commit() -> None:
        for round in range(folder.last_round + 1, chosen.last + 1):
            await folder.commit(made_round(round), sim_time(round))

    asyncio.run(commit())
    print("done", flush=True)


if __name__ == "__main__":
    main()
