"""Evidence of explanations: what a recommender offers for an item beside its words.

The event log keeps it as text, and what users make of it follows from that text alone, so that a
run that is played again from its log has the same claims. What a user can read out of the words
is put beside what was sent when an explanation comes in (`told`), and is never read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

from recarena.server.catalog import Catalog

MAX_SENT = 8
MAX_PARSED = 8
MAX_PIECES = MAX_SENT + MAX_PARSED + 3
"""What was sent, genres in the words, praise, method, locale."""
MAX_REFERENCE_CHARS = 128

ITEM = "item"
"""Kind of the evidence whose reference is an item id."""
FEATURE = "feature"
"""Kind of the evidence that claims something of the item itself: "genre=Comedy", "praise"."""
PARSED = "parsed"
"""The same, read from the words."""
METHOD = "method"
"""What the recommender calls the method that made the explanation: it claims nothing."""
LOCALE = "locale"
"""Language of the words, as the recommender has it: it claims nothing."""

FALSE = -1
"""Claim of a genre that the catalogue does not have."""
PRAISE = -2
"""Claim that the item is good, whatever it is like."""

_PRAISES = (
    r"master[ -]?pieces?",
    r"must[ -](?:see|watch)",
    r"un(?:missable|forgettable)",
    r"breath[ -]?taking",
    r"superb",
    r"wow",
    r"(?:best|greatest) (?:(?:film|movie|show|thing) )?(?:ever|of all times?)",
    r"(?:best|greatest) (?:film|movie|show|thing) (?:you|that you)(?:'ll| will| have)? ever",
    r"you(?:'ll| will|'re going to| are going to) (?:absolutely |simply |just )?love (?:it|this)",
    r"(?:five|5)[ -]stars?",
    r"10(?:/| out of )10",
)
_PRAISED = re.compile(rf"(?<!\w)(?:{'|'.join(_PRAISES)})(?!\w)")


def written(pieces: Iterable[tuple[str, str]]) -> str:
    """(kind, reference) pairs as the log has them: compact JSON of the first MAX_PIECES, each
    reference cut at MAX_REFERENCE_CHARS; "" without any."""
    first = islice(pieces, MAX_PIECES)
    kept = [[kind, reference[:MAX_REFERENCE_CHARS]] for kind, reference in first]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else ""


def read(text: str) -> list[tuple[str, str]]:
    """The inverse of `written`. ValueError for text that it cannot have made."""
    pieces = json.loads(text) if text else []
    if not isinstance(pieces, list):
        raise ValueError("evidence is a list of pairs")
    found: list[tuple[str, str]] = []
    for piece in pieces:
        match piece:
            case [str(kind), str(reference)]:
                found.append((kind, reference))
            case _:
                raise ValueError("a piece of evidence is a kind and a reference")
    return found


def claims(text: str, catalog: Catalog) -> tuple[int, ...]:
    """What evidence claims of its item: genres ("genre=Comedy"), FALSE for a genre that the
    catalogue does not have, and PRAISE ("praise"). Other evidence claims nothing that a user can
    check. ValueError as `read`."""
    claimed: list[int] = []
    for kind, reference in read(text):
        if kind not in (FEATURE, PARSED):
            continue
        name, _, value = reference.partition("=")
        match name.strip().lower():
            case "genre":
                claimed.append(catalog.genre_number.get(value.strip().lower(), FALSE))
            case "praise":
                claimed.append(PRAISE)
            case _:
                pass
    return tuple(claimed)


def told(
    text: str,
    sent: Iterable[tuple[str, str]],
    method: str,
    locale: str,
    catalog: Catalog,
    titles: Iterable[str],
) -> str:
    """The evidence of an explanation as the log has it: of what was sent the first MAX_SENT
    pieces, then what the words claim, then method and locale where there are any. All words have
    been cleaned.

    Genres are read from the words where no genre was sent; praise is read from them always: it is
    in them whatever else was sent. In `titles`, nothing is claimed.
    """
    kept = list(islice(sent, MAX_SENT))
    plain = _without(titles, _simple(text))
    if not any(kind == FEATURE and _names_genre(reference) for kind, reference in kept):
        kept += [(PARSED, f"genre={name}") for name in genres_in(plain, catalog.genre_names)]
    if _PRAISED.search(plain):
        kept.append((PARSED, "praise"))
    kept += [(kind, one) for kind, one in ((METHOD, method), (LOCALE, locale)) if one]
    return written(kept)


def genres_in(text: str, genre_names: tuple[str, ...]) -> list[str]:
    """Genres that a text names, as whole words in letters of any size, in the order of their first
    mention, the first MAX_PARSED. Words of one name may stand apart by a hyphen or a blank: "sci
    fi" is "Sci-Fi"; of two names that fit, the longer one is meant."""
    pattern, name_of = _genre_pattern(genre_names)
    if pattern is None:
        return []
    found = (name_of[_key(match[0])] for match in pattern.finditer(_simple(text)))
    return list(islice(dict.fromkeys(found), MAX_PARSED))


@lru_cache(maxsize=16)
def _genre_pattern(
    genre_names: tuple[str, ...],
) -> tuple[re.Pattern[str] | None, dict[str, str]]:
    """What finds any of the genres, and the name behind what it found."""
    name_of: dict[str, str] = {}
    for name in genre_names:
        if key := _key(_simple(name)):
            name_of.setdefault(key, name)
    if not name_of:
        return None, name_of
    longest_first = sorted(name_of, key=len, reverse=True)
    either = "|".join(re.escape(key).replace(r"\ ", "[- ]") for key in longest_first)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)"), name_of


def _key(simple: str) -> str:
    return simple.replace("-", " ")


def _names_genre(reference: str) -> bool:
    return reference.partition("=")[0].strip().lower() == "genre"


_SAME = str.maketrans("\u2018\u2019\u02bc\u00b4`\u2010\u2011\u2012\u2013\u2014", "'''''-----")


def _simple(text: str) -> str:
    """Small letters, one kind of apostrophe and of hyphen, single blanks."""
    return " ".join(text.translate(_SAME).lower().split())


def _without(titles: Iterable[str], simple: str) -> str:
    """A text without titles that stand in it as whole words, each replaced by what is no word."""
    for title in sorted(set(map(_simple, titles)), key=lambda one: (-len(one), one)):
        at = simple.find(title) if title else -1
        while at >= 0:
            end = at + len(title)
            if _is_letter(simple[at - 1 : at]) or _is_letter(simple[end : end + 1]):
                at = simple.find(title, at + 1)
            else:
                simple = f"{simple[:at]}|{simple[end:]}"
                at = simple.find(title, at + 1)
    return simple


def _is_letter(one: str) -> bool:
    return one.isalnum() or one == "_"
