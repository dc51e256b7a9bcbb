"""Files that are there as a whole or not at all, and the lock of the one writer of a folder."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from recarena.server.errors import Conflict


def write_json(path: Path, value: object, *, sync: bool = False) -> None:
    """Replaces a JSON file: readers see the old one or the new one, never half of it."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    fresh.replace(path)
    if sync:
        sync_path(path.parent)


def read_json(path: Path) -> Any:
    """The value in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def sync_path(path: Path) -> None:
    """Returns when a file, or the names in a directory, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    """The same for everything below `root`, and `root` itself."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            sync_path(Path(folder) / name)
        sync_path(Path(folder))


class WriterLock:
    """Held by the one process that may write a folder; it ends with that process."""

    def __init__(self, path: Path, what: str) -> None:
        """Takes the lock or raises Conflict, which names the process that holds it."""
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._handle)
            raise Conflict(f"{what} is being written by process {holder}") from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets others write; may be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
