"""One command at a time plays a competition."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from recarena.evaluation.competing.plan import BadPlan

WAIT_S = 60.0
"""How long the server of a command that was killed is waited for: it ends by itself."""
EVERY_S = 0.1


@contextmanager
def held(folder: Path, note: Callable[[str], None], wait_s: float = WAIT_S) -> Generator[int]:
    """Keeps other commands from playing the competition in `folder`, which is made where it is not
    there. Gives a file descriptor for the server to inherit: it keeps them from it for as long as
    the server lives, even if this process is killed.

    BadPlan where another command plays it, or the server of one that was killed does not end
    within `wait_s`; that it is waited for is told by `note`.
    """
    runs = folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    playing, serving = os.open(folder, os.O_RDONLY), os.open(runs, os.O_RDONLY)
    try:
        if not _take(playing):
            raise BadPlan(
                f"{folder} is being played by another command. Let that end, or stop it with Ctrl-C"
            )
        if not _take(serving):
            note(f"The server of a command that was killed is still ending in {folder}: waiting.")
            until = time.monotonic() + wait_s
            while not _take(serving):
                if time.monotonic() > until:
                    raise BadPlan(
                        f"the server of a command that was killed still plays in {folder} after "
                        f"{wait_s:g} s. End that process (recarena serve), and try again"
                    )
                time.sleep(EVERY_S)
        yield serving
    finally:
        os.close(serving)
        os.close(playing)


def _take(folder: int) -> bool:
    """Whether the folder is locked by us now; the lock ends when all who have the descriptor closed
    it."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
