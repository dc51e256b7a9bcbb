"""What takes long to make and nobody changes: made once for all files and processes of tests."""

from __future__ import annotations

import fcntl
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def once(room: Path, name: str, make: Callable[[Path], T]) -> T:
    """What `make` returned for a new folder in `room`: it is called by whoever comes first, and
    the others, also in other processes, wait for it. Nobody may change what is in the folder."""
    kept = room / f"{name}.pickle"
    with (room / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(make(Path(tempfile.mkdtemp(prefix=name, dir=room)))))
        return pickle.loads(kept.read_bytes())
