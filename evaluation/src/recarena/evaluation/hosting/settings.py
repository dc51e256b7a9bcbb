"""Tables of a TOML file as frozen dataclasses: unknown keys and bad values are refused by name."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields
from typing import Any, TypeVar

T = TypeVar("T")
Check = Callable[[Any], Any]
"""Returns the value as it is kept. ValueError says what it should have been."""


class BadCompetition(Exception):
    """A competition cannot be hosted as it is asked for; the text is one line with the remedy."""


def setting(check: Check, default: Any = MISSING) -> Any:
    """A field of a table with its check; without a default it must be given."""
    return field(default=default, metadata={"check": check})


def read_table(kind: type[T], values: Mapping[str, Any], file: str, path: str = "") -> T:
    """A table of the file. BadCompetition names file, field and remedy."""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            guess = f"did you mean {path}{near[0]}?" if near else f"known are {', '.join(known)}"
            raise BadCompetition(f"{file}: {path}{name} is not known; {guess}")
    made: dict[str, Any] = {}
    for name, one in known.items():
        if name not in values:
            if one.default is MISSING and one.default_factory is MISSING:
                raise BadCompetition(f"{file}: {path}{name} is missing; say what it is")
            continue
        try:
            made[name] = one.metadata["check"](values[name])
        except ValueError as error:
            shown = repr(values[name])[:80]
            raise BadCompetition(f"{file}: {path}{name} is {shown}; {error}") from None
    return kind(**made)


# ------------------------------------------------------------------ checks


def whole(least: int = 0, most: int = 2**31) -> Check:
    """An integer between both."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"write a whole number, at least {least}" + _until(most))
        return value

    return check


def number(above: float = 0.0, *, least: float | None = None, most: float = math.inf) -> Check:
    """A finite number above `above`, or from `least` on."""

    def check(value: Any) -> float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if fits:
            fits = (value >= least if least is not None else value > above) and value <= most
        if not fits or not math.isfinite(value):
            from_ = f"from {least:g} on" if least is not None else f"above {above:g}"
            raise ValueError(f"write a number {from_}" + _until(most))
        return float(value)

    return check


def text(longest: int = 200, least: int = 0) -> Check:
    """Words, in at most so many letters."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not least <= len(value) <= longest:
            raise ValueError(f'write "text" in quotes, {least} to {longest} letters')
        return value

    return check


def matching(pattern: str, words: str) -> Check:
    """Text of a form, which `words` describe."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"write {words}")
        return value

    return check


def one_of(*known: str) -> Check:
    """One of these words."""

    def check(value: Any) -> str:
        if value not in known:
            near = difflib.get_close_matches(str(value), known, 1)
            guess = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(f"write one of {', '.join(known)}{guess}")
        return str(value)

    return check


def switch(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def table(value: Any) -> dict[str, Any]:
    """A table whose keys are somebody else's."""
    if not isinstance(value, dict):
        raise ValueError("write it as a table")
    return value


def words(each: Check) -> Check:
    """A list, each of whose entries fits."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError('write a list, as ["popular", "random"]')
        kept = tuple(each(one) for one in value)
        if len(set(kept)) < len(kept):
            raise ValueError("an entry is there twice")
        return kept

    return check


def _until(most: float) -> str:
    return "" if most in (math.inf, 2**31) else f", at most {most:g}"
