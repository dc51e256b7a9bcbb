"""What a case found, in words for the author of the recommender."""

from __future__ import annotations

from typing import Any

LONGEST = 600
"""Characters of what was seen that are worth reading."""


class Unmet(AssertionError):
    """A requirement that was not met: what was seen, and, where the case's own words are too
    general, what is required and how to fix it."""

    def __init__(self, seen: str, *, required: str = "", fix: str = "") -> None:
        self.seen, self.required, self.fix = shortened(seen), required, fix
        super().__init__(f"{seen}; required: {required}" if required else seen)


def expect(seen: Any, required: Any, what: str = "") -> None:
    """Raises Unmet unless both are equal."""
    if seen != required:
        prefix = f"{what}: " if what else ""
        raise Unmet(f"{prefix}{seen!r}", required=f"{prefix}{required!r}")


def demand(met: object, required: str, seen: object = "otherwise") -> None:
    """Raises Unmet unless it is met."""
    if not met:
        raise Unmet(str(seen), required=required)


def shortened(text: str) -> str:
    """At most LONGEST characters, the middle left out."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … {text[-half:]}"
