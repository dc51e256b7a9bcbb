"""Words that come from outside, made harmless for terminals, logs and whoever reads them."""

from __future__ import annotations

import unicodedata

READ_AHEAD = 4
"""Letters are looked at for each that may be kept: the rest is not worth the time."""


def clean(text: str, longest: int) -> str:
    """NFKC, without control, bidirectional, zero-width and other invisible characters, at most
    `longest` characters. Ends of lines and tabs stay, in their plain form."""
    normal = unicodedata.normalize("NFKC", text[: READ_AHEAD * longest])
    if not is_plain(normal):
        normal = "".join(filter(None, map(_plain, normal)))
    return normal[:longest]


def in_a_line(text: str, longest: int) -> str:
    """As `clean`, in one line, with single blanks."""
    return " ".join(clean(text, longest).split())


def is_plain(text: str) -> bool:
    """Whether there is nothing in it but letters, marks and blanks that can be seen."""
    return text.isprintable()


def _plain(letter: str) -> str:
    if letter in "\n\t":
        return letter
    category = unicodedata.category(letter)
    if category in ("Zl", "Zp"):
        return "\n"
    return "" if category[0] == "C" else letter
