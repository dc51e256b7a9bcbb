"""The fields of a change, read one by one: each error names its field and what would be right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from recarena.server.errors import InputError

ONE_LINE, MANY_LINES = False, True


class Fields:
    """Some fields of a change and where they stand, like `edit_profile.traits`."""

    def __init__(self, path: str, values: Any, known: Sequence[str]) -> None:
        """InputError for a field that is not among the known ones."""
        if not isinstance(values, Mapping):
            raise InputError("this has fields of its own", where=path)
        self.path = path
        self._values = cast("Mapping[str, Any]", values)
        for name in self._values:
            if name not in known:
                raise self.wrong(str(name), "there is no such field", nearest(str(name), known))

    def wrong(self, name: str, problem: str, remedy: str = "") -> InputError:
        """An error that names a field; "": all of them."""
        return InputError(
            problem, where=f"{self.path}.{name}" if name else self.path, remedy=remedy
        )

    def text(self, name: str, most: int, *, needed: bool = False, lines: bool = ONE_LINE) -> str:
        """A string of at most so many characters, without blanks around it; "" where it is
        missing."""
        value = self._values.get(name, "")
        if not isinstance(value, str):
            raise self.wrong(name, f"{value!r} is no text")
        found = value.strip()
        if len(found) > most:
            raise self.wrong(name, f"{len(found):,} characters", f"Write at most {most:,}")
        if needed and not found:
            raise self.wrong(name, "this is empty", "Write something")
        allowed = "\n\t" if lines else ""
        if bad := [one for one in found if not one.isprintable() and one not in allowed]:
            raise self.wrong(name, f"a character cannot be shown ({bad[0]!r})", "Leave it out")
        return found

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number between two bounds. InputError where it is missing and has no default."""
        value = self._values.get(name, default)
        if value is None:
            raise self.wrong(name, "this is missing", f"Give a number from {low:g} to {high:g}")
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise self.wrong(name, f"{value!r} is no number")
        if not low <= value <= high:
            raise self.wrong(
                name, f"{value:g} is out of bounds", f"{low:g} to {high:g} are possible"
            )
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false; false where it is missing."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise self.wrong(name, f"{value!r} is neither true nor false")
        return value

    def strings(self, name: str) -> list[str]:
        """A list of strings, none twice; empty where it is missing."""
        value = self._values.get(name, [])
        if not isinstance(value, list | tuple):
            raise self.wrong(name, f"{value!r} is no list of texts")
        found: dict[str, None] = {}
        for one in map(str, cast("Sequence[Any]", value)):
            if one in found:
                raise self.wrong(name, f"{one!r} is there twice", "Leave one out")
            found[one] = None
        return list(found)

    def within(self, name: str, known: Sequence[str]) -> Fields:
        """The fields of a field; none where it is missing."""
        return Fields(f"{self.path}.{name}", self._values.get(name, {}), known)

    def names(self) -> list[str]:
        """The fields that are there, in alphabetical order."""
        return sorted(self._values)


def nearest(name: str, known: Sequence[str]) -> str:
    """What may have been meant, as a remedy."""
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"Did you mean {near[0]!r}?"
    some = ", ".join(known[:12])
    return f"There are {some}{', …' if len(known) > 12 else ''}" if known else ""
