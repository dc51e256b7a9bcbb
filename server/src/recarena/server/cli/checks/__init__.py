"""What `recarena doctor` looks at. A check changes nothing and never raises."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from recarena.server.errors import InputError, RecArenaError


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    """Good to know."""
    WARN = "warn"
    """It will work, but not for long or not as it should."""
    FAIL = "FAIL"
    """A server would not start, or not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do about it."""

    name: str
    level: Level
    text: str
    remedy: str = ""


def failure(name: str, error: RecArenaError) -> Finding:
    """What an error says, as a finding."""
    if isinstance(error, InputError):
        text = f"{error.where}: {error.problem}" if error.where else error.problem
        return Finding(name, Level.FAIL, text, error.remedy)
    return Finding(name, Level.FAIL, str(error))
