"""Sentences without facts: words that say nothing, and words that only praise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from recarena.evaluation.stimuli.catalogue import Catalogue, spellings
from recarena.evaluation.stimuli.claiming import genres_in
from recarena.evaluation.stimuli.keyed import shuffled

LEFT_AT_LEAST = 20
"""Sentences of which so many are free of genres and titles are kept to; else all are used."""
LONG_WORD = 5
"""Titles of a single shorter word cannot be told from words of every day."""

_SHORT_EMPTY = (
    "Hm.", "Note.", "Noted.", "A note.", "As ever.", "As it is.", "Text here.", "Here it is.",
    "A text here.", "Here is text.", "Notes go here.",
)  # fmt: skip
_SHORT_PRAISE = ("Wow.", "Superb.", "Must-see.", "Must-see!!", "A must-see.", "Masterpiece.")


def _empty() -> Iterator[str]:
    yield from _SHORT_EMPTY
    subjects = ("This line", "This note", "This text", "This remark", "A sentence", "The wording")
    verbs = ("is", "stands", "appears", "is shown", "is to be found")
    places = ("here", "here as text", "in this place", "below the entry", "beside the entry",
              "where text is shown")  # fmt: skip
    for subject, verb, place in product(subjects, verbs, places):
        yield f"{subject} {verb} {place}."


def _praise() -> Iterator[str]:
    yield from _SHORT_PRAISE
    subjects = ("It is", "This is", "It really is", "It truly is", "Simply put, it is")
    praises = ("a masterpiece", "a must-see", "unmissable", "breathtaking", "unforgettable")
    ends = ("", ", really", ", no doubt", ", believe me", ", there is no doubt")
    for subject, praise, end in product(subjects, praises, ends):
        yield f"{subject} {praise}{end}!"
    for will, what, end in product(
        ("will", "will absolutely", "will simply"), ("it", "this"), ends
    ):
        yield f"You {will} love {what}{end}!"


EMPTY = tuple(dict.fromkeys(_empty()))
"""They claim nothing, not even that there is a reason."""
PRAISE = tuple(dict.fromkeys(_praise()))
"""They praise whatever it is."""


def neutral(pool: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """The sentences that name no genre and no title of the catalogue."""
    titles = {name.lower() for title in catalogue.titles for name in spellings(title)}
    kept = tuple(
        one
        for one in pool
        if not genres_in(one, catalogue.genre_names) and titles.isdisjoint(_phrases(one))
    )
    return kept if len(kept) >= LEFT_AT_LEAST else tuple(pool)


def composed(pool: Sequence[str], length: int, *key: str | int) -> str:
    """Sentences of the pool that are together as long as asked, to within a tenth where the pool
    has enough of them; the key decides which. None comes twice unless all have been used."""
    parts: list[str] = []
    left = list(shuffled(pool, *key))
    longest = max(map(len, left))
    rest = length
    while rest > longest:
        # What remains has to hold one more sentence of the usual length.
        fits = [one for one in left if len(one) <= rest - longest // 2] or left
        parts.append(fits[0])
        left.remove(fits[0])
        left = left or list(shuffled(pool, *key, len(parts)))
        rest -= len(fits[0]) + 1
    parts.append(min(left, key=lambda one: abs(len(one) - rest)))
    return " ".join(parts)


def near(text: str, length: int) -> bool:
    """Whether a text is as long as that to within a tenth, of short ones to within 2 letters."""
    return abs(len(text) - length) <= max(2.0, length / 10)


def _phrases(sentence: str) -> set[str]:
    """All that stands in a sentence and could be a title."""
    words = ["".join(c for c in word if c.isalnum() or c in "'-") for word in sentence.split()]
    found = {
        " ".join(words[start:end]).lower()
        for start in range(len(words))
        for end in range(start + 1, len(words) + 1)
    }
    return {one for one in found if " " in one or len(one) >= LONG_WORD}


def names_title(text: str, titles: Iterable[str]) -> bool:
    """Whether a text has one of the titles in it, but for short single words."""
    return not {one.lower() for one in titles}.isdisjoint(_phrases(text))
