"""Tables of a questionnaire's file, field by field: what is refused is named with its remedy."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
LARGEST_STEP = 1000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class BadQuestionnaire(Exception):
    """A questionnaire cannot be asked as it is written; the text is one line with the remedy."""


class Table:
    """A table of the file; asking for a field checks it. BadQuestionnaire for all that is wrong."""

    def __init__(self, file: str, path: str, values: Mapping[str, Any]) -> None:
        self._file, self._path, self._values = file, path, values
        self._known: list[str] = []

    def name(self, field: str) -> str:
        """An id."""
        value = self._value(field)
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise self._bad(
                field, "write 1 to 64 letters, digits, dots, dashes or underscores in quotes"
            )
        return value

    def text(self, field: str, longest: int, needed: bool = True) -> str:
        """Words on one line; "" where they are not needed and missing."""
        value = self._value(field, None if needed else "")
        if value == "" and not needed:
            return ""
        return self._words(field, value, longest)

    def texts(self, field: str, longest: int, needed: bool) -> tuple[str, ...]:
        """A list of words; () where it is not needed and missing."""
        values = self._value(field, None if needed else [])
        if not isinstance(values, list) or (needed and not values):
            raise self._bad(field, 'write a list of texts, ["...", "..."], with at least one')
        found: list[Any] = values
        return tuple(self._words(f"{field}[{at}]", one, longest) for at, one in enumerate(found, 1))

    def whole(self, field: str) -> int:
        """A whole number of a size that a step of a scale can have."""
        value = self._value(field)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_STEP:
            raise self._bad(
                field, f"write a whole number from {-LARGEST_STEP} to {LARGEST_STEP}", value
            )
        return value

    def switch(self, field: str, otherwise: bool | None) -> bool | None:
        """True or false, or what stands in where the field is missing."""
        self._known.append(field)
        value = self._values.get(field, otherwise)
        if value is not otherwise and not isinstance(value, bool):
            raise self._bad(field, "write true or false", value)
        return value

    def table(self, field: str) -> Table:
        """The table of that name."""
        value = self._value(field)
        if not isinstance(value, dict):
            raise self._bad(field, f"write it as a table, [{field}]", value)
        return Table(self._file, f"{field}.", value)

    def tables(self, field: str, needed: bool) -> list[Table]:
        """The tables of that name, each called by its place and, where it has one, its id."""
        values = self._value(field, None if needed else [])
        fits = isinstance(values, list) and all(isinstance(one, dict) for one in values)
        if not fits or (needed and not values):
            raise self._bad(field, f"write at least one table [[{field}]]")
        found: list[Table] = []
        for at, one in enumerate(values, 1):
            name = one.get("id")
            called = f" ({name})" if isinstance(name, str) and NAME.fullmatch(name) else ""
            found.append(Table(self._file, f"{field}[{at}]{called}.", one))
        return found

    def done(self) -> None:
        """BadQuestionnaire for a key that nobody asked for."""
        for key in self._values:
            if key not in self._known:
                guess = nearest(key, self._known, "known are ")
                raise BadQuestionnaire(
                    f"{self._file}: {self._path}{_plain(key)} is not known; {guess}"
                )

    def _value(self, field: str, otherwise: Any = None) -> Any:
        self._known.append(field)
        if field in self._values:
            return self._values[field]
        if otherwise is None:
            # A misspelt key explains a missing one.
            near = difflib.get_close_matches(field, self._values, 1, 0.75)
            guess = f"; is it what {_plain(near[0])} should say?" if near else "; say what it is"
            raise BadQuestionnaire(f"{self._file}: {self._path}{field} is missing{guess}")
        return otherwise

    def _words(self, field: str, value: Any, longest: int) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._bad(field, 'write "text" in quotes', value)
        if any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in value):
            raise self._bad(field, "write it on one line, without invisible characters", value)
        if len(value) > longest:
            raise self._bad(field, f"it has {len(value)} letters, say it in {longest}", value)
        return value.strip()

    def _bad(self, field: str, remedy: str, value: Any = None) -> BadQuestionnaire:
        value = self._values.get(field) if value is None else value
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
        return BadQuestionnaire(f"{self._file}: {self._path}{field} is {shown}; {remedy}")


def read_table(read: Callable[[Table], T]) -> Callable[[Table], T]:
    """The same, and every key that is not asked for is refused."""

    def whole(table: Table) -> T:
        made = read(table)
        table.done()
        return made

    return whole


def nearest(name: str, known: Iterable[str], listed: str) -> str:
    """'did you mean ...?', or what is known, introduced by `listed`."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else f"{listed}{', '.join(names)}"


def _plain(key: str) -> str:
    """A key as it is shown: on one line, cut."""
    return key if NAME.fullmatch(key) else repr(key)[:60]
