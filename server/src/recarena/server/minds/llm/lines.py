"""Lines of text as answers: `[WATCH]:: a;b` and the others, read tolerantly but never guessed.

Case, numbering, quotes, emphasis, one colon or two and lines around the line that was asked for do
not matter. What does matter is counted: a title that is not on the page or could be two of them is
a failure, never another item.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from recarena.server.llm.calls import Failure, Unreadable
from recarena.server.minds.llm.quoting import clean

_LINE = re.compile(
    r"^[\W_]*(?:\d+[.):][\W_]*)?\[\s*(?P<tag>[^\[\]]{1,80}?)\s*\]"
    r"[\s*_\"'`\]]*(?:[:：]{1,2}|-)?\s*(?P<rest>.*)$"
)
_EDGES = " \t\"'`*_“”‘’«»„"
_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_NUMBERED = re.compile(r"^\(?(\d{1,2})[.):]\s+")
_STARS = re.compile(
    r"[^\w+-]*(?P<stars>-?\d++(?:[.,]\d++)?+)[\s*_]*+(?:stars?\b\s*)?"
    r"(?:(?:/|out\s+of)\s*(?P<of>\d++)\s*(?:stars?\b)?)?[\s*_]*+(?!-\d)[;:,.-]?\s*(?P<words>.*)$",
    re.DOTALL | re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:the|a|an)\s+|,\s*(?:the|a|an)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One tagged line."""

    tag: str
    """As it was written: capitals of all scripts are not each other's."""
    rest: str


def tagged(text: str) -> list[Line]:
    """The lines that begin with a tag in brackets, as they come."""
    matches = (_LINE.match(line.strip()) for line in text.splitlines())
    return [
        Line(match["tag"].strip(_EDGES), match["rest"].strip(_EDGES)) for match in matches if match
    ]


def choice(text: str, tags: Sequence[str]) -> Line:
    """The one line with one of the tags. Unreadable without any, or with several that differ."""
    found = [Line(line.tag.upper(), line.rest) for line in tagged(text) if line.tag.upper() in tags]
    if not found:
        forms = ", ".join(f"[{tag}]::" for tag in tags)
        raise Unreadable(Failure.NOT_IN_FORM, f"no line begins with {forms}")
    if any(line != found[0] for line in found):
        raise Unreadable(
            Failure.NOT_IN_FORM, f"{len(found)} lines choose different things; give one"
        )
    return found[0]


def activity(text: str) -> str:
    """RECOMMENDER, SOCIAL or NOTHING."""
    return choice(text, ("RECOMMENDER", "SOCIAL", "NOTHING")).tag


@dataclass(frozen=True, slots=True)
class PageLine:
    """What is done with a page."""

    action: str
    """WATCH, NEXT, SEARCH or LEAVE."""
    positions: tuple[int, ...] = ()
    """Of what is watched."""
    words: str = ""


def page(text: str, titles: Sequence[str | None], may: Sequence[str]) -> PageLine:
    """What is done with a page of these titles (None: nothing at that position)."""
    line = choice(text, ("WATCH", "NEXT", "SEARCH", "LEAVE"))
    if line.tag not in may:
        raise Unreadable(Failure.OUT_OF_RANGE, f"{line.tag} is not offered, only {', '.join(may)}")
    if line.tag == "SEARCH":
        if not line.rest:
            raise Unreadable(Failure.EMPTY, "a search needs words")
        return PageLine("SEARCH", words=line.rest)
    if line.tag == "WATCH":
        return PageLine("WATCH", positions_of(line.rest, titles))
    return PageLine(line.tag)


def positions_of(text: str, titles: Sequence[str | None]) -> tuple[int, ...]:
    """Positions of the titles in a list with semicolons between them. A title may hold one itself:
    the longest run of pieces that is a title counts."""
    pieces = [piece for piece in text.split(";") if piece.strip(_EDGES)]
    if not pieces:
        raise Unreadable(Failure.EMPTY, "no title is named")
    longest = 1 + max((one.count(";") for one in titles if one is not None), default=0)
    found: list[int] = []
    at = 0
    while at < len(pieces):
        for end in range(min(len(pieces), at + longest), at, -1):
            position = position_of("; ".join(pieces[at:end]), titles)
            if position is not None:
                break
        else:
            raise Unreadable(Failure.UNKNOWN_TITLE, f"{_short(pieces[at])} is not on the page")
        if position not in found:
            found.append(position)
        at = end
    return tuple(found)


def position_of(said: str, titles: Sequence[str | None]) -> int | None:
    """Position of the one title that was meant, None for none. Exact first, then without the year,
    then without the article, then the same without a number in front that may be one of the page.
    Two that have years must have the same. Unreadable where two fit equally."""
    said = said.strip(_EDGES)
    ways = [said]
    if (number := _NUMBERED.match(said)) and int(number[1]) <= len(titles):
        ways.append(said[number.end() :])
    for way in ways:
        for shorten in _SHORTENINGS:
            fits = [at for at, one in enumerate(titles) if one and _fits(way, one, shorten)]
            if len(fits) == 1:
                return fits[0]
            if fits:
                raise Unreadable(
                    Failure.AMBIGUOUS_TITLE, f"{_short(said)} fits {len(fits)} of the titles"
                )
    return None


def _fits(said: str, title: str, shorten: Callable[[str], str]) -> bool:
    wanted = shorten(said)
    if not wanted or shorten(title) != wanted:
        return False
    years = [_YEAR.search(_plain(one)) for one in (said, title)]
    return len({year[1] for year in years if year}) < 2


def _short(text: str) -> str:
    """As it is said in problems."""
    return repr(clean(text, "title"))


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    cleaned = clean(text, "title").casefold()
    return re.sub(r"(?:\s*;)+\s*", "; ", cleaned).strip(_EDGES + ";")


def _without_year(text: str) -> str:
    return _YEAR.sub("", _plain(text)).strip(_EDGES)


def _without_article(text: str) -> str:
    return _ARTICLE.sub("", _without_year(text)).strip()


_SHORTENINGS: tuple[Callable[[str], str], ...] = (_plain, _without_year, _without_article)


def feeling(text: str) -> tuple[int, str]:
    """Stars and words."""
    line = choice(text, ("FEEL",))
    match = _STARS.match(line.rest)
    if not match:
        raise Unreadable(Failure.NOT_IN_FORM, "the line needs stars and words: [FEEL]:: 4;words")
    said, of = match["stars"], match["of"]
    if said not in ("1", "2", "3", "4", "5") or of not in (None, "5"):
        raise Unreadable(
            Failure.OUT_OF_RANGE,
            f"{_short(said)} of {_short(of or '5')}: there are 1 to 5 whole stars",
        )
    return int(said), match["words"].strip(_EDGES)


def importance(text: str) -> int:
    """1 to 10."""
    line = choice(text, ("IMPORTANCE",))
    match = re.match(r"[^\w+-]*(-?\d{1,9})\s*(?:/\s*10|out of 10)?\W*$", line.rest)
    if not match:
        raise Unreadable(Failure.NOT_IN_FORM, "the line needs one number: [IMPORTANCE]:: 7")
    value = int(match[1])
    if not 1 <= value <= 10:
        raise Unreadable(Failure.OUT_OF_RANGE, f"{value}, but importance goes from 1 to 10")
    return value


@dataclass(frozen=True, slots=True)
class SocialLine:
    """A chat with a friend (by position), or a post."""

    friend: int | None
    words: str


def social(text: str, names: Sequence[str], may: Sequence[str]) -> SocialLine:
    """What is done in the social network, with friends of these names."""
    line = choice(text, ("CHAT", "POST"))
    if line.tag not in may:
        raise Unreadable(Failure.OUT_OF_RANGE, f"{line.tag} is not offered, only {', '.join(may)}")
    if line.tag == "POST":
        if not line.rest:
            raise Unreadable(Failure.EMPTY, "a post needs words")
        return SocialLine(None, line.rest)
    name, _, words = line.rest.partition(";")
    wanted = clean(name, "name").strip(_EDGES).casefold()
    known = [clean(one, "name").strip(_EDGES).casefold() for one in names]
    fits = [at for at, one in enumerate(known) if one == wanted]
    if not fits:
        raise Unreadable(Failure.UNKNOWN_TITLE, f"{_short(name)} is none of the friends")
    if len(fits) > 1:
        raise Unreadable(Failure.AMBIGUOUS_TITLE, f"{_short(name)} is {len(fits)} of the friends")
    return SocialLine(fits[0], words.strip(_EDGES))


def dialogue(text: str, names: tuple[str, str]) -> list[tuple[int, str]]:
    """(0 or 1, words) of each line of a conversation between two people."""
    wanted = [clean(name, "name").casefold() for name in names]
    found: list[tuple[int, str]] = []
    for line in tagged(text):
        who = clean(line.tag, "name").casefold()
        first = [name.split()[0] if name else "" for name in wanted]
        if who in wanted:
            found.append((wanted.index(who), line.rest))
        elif who in first and first[0] != first[1]:
            found.append((first.index(who), line.rest))
    found = [(who, words) for who, words in found if words]
    if len(found) < 2:
        raise Unreadable(
            Failure.NOT_IN_FORM, f"at least two lines that begin with [{names[0]}]:: or "
            f"[{names[1]}]:: are needed",
        )  # fmt: skip
    return found


def insights(text: str) -> list[str]:
    """1 to 3 conclusions."""
    found = [line.rest for line in tagged(text) if line.tag.upper() == "INSIGHT" and line.rest]
    if not found:
        raise Unreadable(Failure.NOT_IN_FORM, "no line begins with [INSIGHT]::")
    return found[:3]
