"""Fields of what the page asks for: each is what it has to be, or a Failure that names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from recarena.observatory.failures import bad
from recarena.observatory.messages import Json

MOST_KEY_CHARS = 128
SEED_BITS = 63
One = TypeVar("One")


def chosen(value: object, among: Mapping[str, One], field: str) -> One:
    """What a word stands for."""
    if not isinstance(value, str) or value not in among:
        raise bad(field, f"it is one of {', '.join(among)}")
    return among[value]


def key_in(asked: Json) -> str:
    """The idempotency key."""
    key = text_in(asked, "key")
    if len(key) > MOST_KEY_CHARS or not key.isprintable():
        raise bad("key", f"a key has at most {MOST_KEY_CHARS} printable characters")
    return key


def text_in(asked: Json, name: str, default: str | None = None, where: str = "") -> str:
    """A text; without a default one that is there and not empty."""
    value = asked.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (default is None and not value):
        raise bad(f"{where}{name}", f"{name} is a text that is not empty" if default is None
                  else f"{name} is a text")  # fmt: skip
    return value


def whole_in(asked: Json, name: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number within bounds."""
    value = asked.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise bad(name, f"{name} is a whole number from {low} on")
    return value


def seed_in(asked: Json) -> int | None:
    """The seed, which is a text: JavaScript has no whole numbers of 64 bits."""
    value = asked.get("seed")
    if value is None or value == "":
        return None
    text = str(value)
    if not (text.isascii() and text.isdecimal()) or int(text[:24]) >= 2**SEED_BITS:
        raise bad("seed", f"a seed is a whole number from 0 to 2^{SEED_BITS} - 1")
    return int(text)
