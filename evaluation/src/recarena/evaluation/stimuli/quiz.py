"""Quiz questions on what the catalogue says of an item."""

from __future__ import annotations

import re
from dataclasses import dataclass

from recarena.evaluation.stimuli.catalogue import Catalogue
from recarena.evaluation.stimuli.keyed import shuffled

MOST_GENRES = 3
WRONG = 3
"""Wrong answers beside the right one."""
LONGEST_TITLE = 200
DECADES = range(1920, 2030, 10)


@dataclass(frozen=True, slots=True)
class Question:
    """A question with one right answer."""

    id: str
    """Unique in the quiz: "genre-1", "decade"."""
    text: str
    options: tuple[str, ...]
    facts: tuple[str, ...]
    """Beside the options: "genre=Comedy"."""
    right: int
    """Position of the right option."""


def quiz(catalogue: Catalogue, item: int, seed: int) -> tuple[Question, ...]:
    """Questions on an item: one for each of its first genres, with genres beside it that the item
    does not have, and one on its decade where the title does not give it away. None where the
    catalogue does not tell enough. The seed and the item decide everything."""
    item_id, title = catalogue.item_ids[item], catalogue.titles[item]
    named = f"“{title[:LONGEST_TITLE]}”"
    own, others = catalogue.genres_of(item), catalogue.genres_not_of(item)
    found: list[Question] = []
    for number, genre in enumerate(shuffled(own, seed, "which genres", item_id)[:MOST_GENRES], 1):
        wrong = shuffled(others, seed, "wrong genres", item_id, number)[:WRONG]
        if wrong:
            options = shuffled([genre, *wrong], seed, "options", item_id, number)
            found.append(Question(
                f"genre-{number}", f"Which of these is a genre of {named}?", tuple(options),
                tuple(f"genre={one}" for one in options), options.index(genre),
            ))  # fmt: skip
    decade = catalogue.year(item) // 10 * 10
    if decade in DECADES and not re.search(r"\b(?:18|19|20)\d\d\b", title):
        wrong = [one for one in DECADES if one != decade]
        near = sorted(wrong, key=lambda one: (abs(one - decade), one))[: 2 * WRONG]
        decades = sorted([decade, *shuffled(near, seed, "decades", item_id)[:WRONG]])
        found.append(Question(
            "decade", f"When did {named} come out?", tuple(f"{one}s" for one in decades),
            tuple(f"decade={one}" for one in decades), decades.index(decade),
        ))  # fmt: skip
    return tuple(found)
