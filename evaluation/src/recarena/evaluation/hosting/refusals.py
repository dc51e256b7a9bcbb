"""What known callers asked for over HTTP and may not have: a line each, for the conduct report."""

from __future__ import annotations

import json
import os
from pathlib import Path

from recarena.evaluation.hosting.ledger import now
from recarena.evaluation.hosting.rules import Bucket
from recarena.evaluation.hosting.tokens import Caller

FILE = "refused.jsonl"
LINES_PER_MINUTE = 20.0
"""Of one caller, so that nobody fills the disk."""


class Refusals:
    """Appends to the file of a season."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lines = Bucket(LINES_PER_MINUTE)

    def note(self, caller: Caller, what: str, about: str) -> None:
        """A call was refused: `what` in one word, `about` which thing."""
        if self._lines.take(caller.key):
            return
        line = {"time": now(), "role": caller.role, "name": caller.name, "key": caller.key,
                "what": what, "about": about}  # fmt: skip
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, (json.dumps(line) + "\n").encode())
        finally:
            os.close(handle)
