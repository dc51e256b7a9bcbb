"""What an explanation claims: read from its evidence and from its words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from recarena.evaluation.stimuli.catalogue import Catalogue, spellings
from recarena.evaluation.stimuli.triples import Words


class Kind(StrEnum):
    """What a claim is about."""

    GENRE = "genre"
    YEAR = "year"
    """"1999", or "1990s"."""
    ATTRIBUTE = "attribute"
    """Anything else of the item, "director=Michael Mann"."""
    WATCHED = "watched"
    """That the user has watched another item: its id, or its title in words."""
    POPULARITY = "popularity"
    """How often the item was watched: a number, "#3" for a place, or "" for much."""
    SOCIAL = "social"
    """That a user that is known watched or praised it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim."""

    kind: Kind
    value: str
    in_words: bool = False
    """Whether it stands in the words alone."""


MARK = "\N{REPLACEMENT CHARACTER}"
"""Stands where a title was: what is in titles is not claimed."""
LONGEST_TITLE = 160

_SEEN = r"(?:watched|saw|seen|liked|loved|enjoyed|rated|finished)"
_YOU_SAW = re.compile(
    rf"\byou(?:['’]ve| have)?(?: (?:also|just|recently|once|already))? {_SEEN} ", re.IGNORECASE
)
_WHICH_YOU_SAW = re.compile(
    rf",? (?:which|that) you(?:['’]ve| have)?(?: (?:also|just|recently|once))? {_SEEN}\b",
    re.IGNORECASE,
)
_AND_MORE = re.compile(r"(?:, and |, | and | & )")
_QUOTED = re.compile(r"[\"“‘«]([^\"“”‘’«»]{1,160})[\"”’»]")
_YEAR_IN_BRACKETS = re.compile(r" ?\((?:18|19|20)\d\d\)")
YEAR = re.compile(r"(?<![\w#])((?:18|19|20)\d\d)(s?)(?!\w)")
"""Years and decades in words."""
_TIMES = re.compile(r"\b(?:watched|seen|viewed) (?:(once)\b|(\d[\d,]*) times\b)", re.IGNORECASE)
_BY_PEOPLE = re.compile(r"\bby (\d[\d,]*) (?:other )?(?:users|people|viewers|others)\b")
_POPULAR = re.compile(r"\b(?:popular|most[- ]watched|trending)\b", re.IGNORECASE)
_DIRECTED = re.compile(r"\b[Dd]irected by ((?:[A-Z][\w.'’-]*)(?: [A-Z][\w.'’-]*)*)")


def claims_of(words: Words, item: int, catalogue: Catalogue) -> list[Claim]:
    """Each claim once: what was sent first, then what only the words say."""
    found: dict[tuple[Kind, str], Claim] = {}
    for claim in (*_sent(words), *_said(words, item, catalogue)):
        found.setdefault((claim.kind, _key(claim, catalogue)), claim)
    return list(found.values())


def genres_in(text: str, names: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """(start, end, name) of the genres that a text names, as whole words in letters of any size;
    of two that fit the longer one."""
    pattern, name_of = _pattern(names)
    if pattern is None:
        return []
    return [
        (match.start(), match.end(), name_of[_plain(match.group())])
        for match in pattern.finditer(text)
    ]


def masked(words: Words, item: int, catalogue: Catalogue) -> tuple[str, list[str]]:
    """The text with a mark for each letter of a title, and the titles of what it says that the user
    has watched (a quoted one also where the catalogue has no such title)."""
    text, watched = words.text, list[str]()
    marks: list[tuple[int, int]] = []
    for match in _YOU_SAW.finditer(text):
        at: int | None = match.end()
        while at is not None and (seen := _seen_at(text, at, catalogue)) is not None:
            title, end = seen
            watched.append(title)
            marks.append((at, end))
            more = _AND_MORE.match(text, end)
            at = more.end() if more else None
    for match in _WHICH_YOU_SAW.finditer(text):
        start = _title_before(text, match.start(), catalogue)
        if start is not None:
            title = text[start : match.start()]
            watched.append(title if title in catalogue.titled else _without_year(title))
            marks.append((start, match.start()))
    named = [reference for kind, reference in words.evidence if kind == "item"]
    numbers = [item, *(catalogue.number_of[one] for one in named if one in catalogue.number_of)]
    for title in {name for number in numbers for name in spellings(catalogue.titles[number])}:
        pattern = rf"(?<!\w){re.escape(title)}(?!\w)"
        marks += [match.span() for match in re.finditer(pattern, text)]
    for match in _QUOTED.finditer(text):
        marks.append(match.span())
    letters = list(text)
    for start, end in marks:
        years = _YEAR_IN_BRACKETS.match(text, end)
        for at in range(start, years.end() if years else end):
            letters[at] = MARK
    return "".join(letters), watched


def _sent(words: Words) -> Iterator[Claim]:
    for kind, reference in words.evidence:
        name, _, value = (part.strip() for part in reference.partition("="))
        match kind:
            case "feature" | "parsed":
                if claim := _feature(name.lower(), value, reference, kind == "parsed"):
                    yield claim
            case "item":
                yield Claim(Kind.WATCHED, reference)
            case "popularity":
                yield Claim(Kind.POPULARITY, reference.strip())
            case "social":
                yield Claim(Kind.SOCIAL, reference)
            case _:
                pass


def _feature(name: str, value: str, reference: str, in_words: bool) -> Claim | None:
    match name:
        case "genre":
            return Claim(Kind.GENRE, value, in_words)
        case "year":
            return Claim(Kind.YEAR, value, in_words)
        case "decade":
            return Claim(Kind.YEAR, f"{value.rstrip('s')}s", in_words)
        case "praise":
            return None
        case _:
            return Claim(Kind.ATTRIBUTE, reference, in_words)


def _said(words: Words, item: int, catalogue: Catalogue) -> Iterator[Claim]:
    text, watched = masked(words, item, catalogue)
    for title in watched:
        yield Claim(Kind.WATCHED, title, in_words=True)
    for _, _, name in genres_in(text, catalogue.genre_names):
        yield Claim(Kind.GENRE, name, in_words=True)
    for match in YEAR.finditer(text):
        yield Claim(Kind.YEAR, match.group(), in_words=True)
    for match in (*_TIMES.finditer(text), *_BY_PEOPLE.finditer(text)):
        number = next(one for one in match.groups() if one)
        value = "1" if number.lower() == "once" else number.replace(",", "")
        yield Claim(Kind.POPULARITY, value, in_words=True)
    if _POPULAR.search(text):
        yield Claim(Kind.POPULARITY, "", in_words=True)
    for match in _DIRECTED.finditer(text):
        yield Claim(Kind.ATTRIBUTE, f"director={match.group(1).rstrip('.')}", in_words=True)


def _key(claim: Claim, catalogue: Catalogue) -> str:
    """The same for claims that say the same."""
    if claim.kind == Kind.WATCHED:
        number = catalogue.number_of.get(claim.value)
        if number is not None and not claim.in_words:
            return _bare(spellings(catalogue.titles[number])[-1]).lower()
        titled = catalogue.titled.get(claim.value)
        return _bare(spellings(catalogue.titles[titled[0]])[-1] if titled else claim.value).lower()
    return " ".join(_plain(claim.value).split())


def _seen_at(text: str, at: int, catalogue: Catalogue) -> tuple[str, int] | None:
    """The title there and its end: the longest of the catalogue, or whatever stands in quotes."""
    end = _title_from(text, at, catalogue)
    if end is not None:
        return text[at:end], end
    quoted = _QUOTED.match(text, at)
    return (quoted.group(1), quoted.end()) if quoted else None


def _title_from(text: str, start: int, catalogue: Catalogue) -> int | None:
    """Where the longest title ends that begins there, its letters as in the catalogue."""
    for end in range(min(len(text), start + LONGEST_TITLE), start, -1):
        if _ends_word(text, end) and text[start:end] in catalogue.titled:
            return end
    return None


def _title_before(text: str, end: int, catalogue: Catalogue) -> int | None:
    """Where the longest title begins that ends there."""
    for start in range(max(0, end - LONGEST_TITLE), end):
        if (not start or not text[start - 1].isalnum()) and (
            text[start:end] in catalogue.titled
            or _without_year(text[start:end]) in catalogue.titled
        ):
            return start
    return None


def _ends_word(text: str, end: int) -> bool:
    return end == len(text) or not (text[end - 1].isalnum() and text[end].isalnum())


def _without_year(title: str) -> str:
    """Without quotes around it and a year after it."""
    return _bare(_YEAR_IN_BRACKETS.sub("", title))


def _bare(title: str) -> str:
    return title.strip("\"“”‘’«»' ")


@lru_cache(maxsize=16)
def _pattern(names: tuple[str, ...]) -> tuple[re.Pattern[str] | None, dict[str, str]]:
    name_of = {_plain(name): name for name in names if name.strip()}
    if not name_of:
        return None, name_of
    longest = sorted(name_of, key=len, reverse=True)
    either = "|".join(re.escape(one).replace(r"\ ", "[- ]") for one in longest)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE), name_of


def _plain(text: str) -> str:
    return text.strip().lower().replace("-", " ")
