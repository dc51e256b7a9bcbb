"""Explanations with facts that the catalogue contradicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recarena.evaluation.stimuli.catalogue import Catalogue
from recarena.evaluation.stimuli.claiming import YEAR, genres_in, masked
from recarena.evaluation.stimuli.fillers import composed
from recarena.evaluation.stimuli.keyed import drawn, shuffled
from recarena.evaluation.stimuli.triples import Words

INVENTED = ("Peplum", "Kabuki", "Telenovela", "Bourekas", "Masala", "Cinéma vérité")
"""Genres for items that have every genre of their catalogue."""
FORMS = (
    ("{}.", 1), ("A {}.", 1), ("It is {}.", 1), ("Its genre: {}.", 1), ("Its genre is {}.", 1),
    ("Because of its genre: {}.", 1), ("Because it is of the genre {}.", 1),
    ("Because its genres are {} and {}.", 2), ("Because of its genres: {}, {} and {}.", 3),
    ("Recommended to you because its genres are {}, {} and {}.", 3),
)  # fmt: skip
"""Sentences that claim so many genres."""
YEARS_OFF = (12, 31)
"""By at least and at most how many years a false year is off: never the same decade."""
FILLED_FROM = 4
"""Letters from which on what is missing in length can be filled up."""


def false_fact(
    real: Words, item: int, catalogue: Catalogue, empty: Sequence[str], *key: str | int
) -> Words:
    """The real words with every genre, and every year, put in the place of which the catalogue
    has another; where they name no genre, a sentence that claims false ones, filled up with empty
    words. False genres are chosen to be about as long. Titles stay as they are."""
    text, _ = masked(real, item, catalogue)
    genres = genres_in(text, catalogue.genre_names)
    lie = _Lie(item, catalogue, key, {})
    if not genres:
        return _planted(real, lie, empty)
    changes = [(start, end, lie.genre(name)) for start, end, name in genres]
    changes += [(*match.span(), lie.year(match.group())) for match in YEAR.finditer(text)]
    words = real.text
    for start, end, value in sorted(changes, reverse=True):
        lower = words[start:end].islower()
        words = words[:start] + (value.lower() if lower else value) + words[end:]
    kept = [lie.piece(kind, reference) for kind, reference in real.evidence]
    named = {reference for kind, reference in kept if kind == "feature"}
    kept += [
        ("feature", reference)
        for reference in dict.fromkeys(f"genre={lie.genre(name)}" for _, _, name in genres)
        if reference not in named
    ]
    return replace(real, text=words, evidence=tuple(one for one in kept if one[0] != "parsed"))


@dataclass(frozen=True, slots=True)
class _Lie:
    """False facts about an item, the same for the same true one."""

    item: int
    catalogue: Catalogue
    key: tuple[str | int, ...]
    told: dict[str, str]
    """Genre in small letters -> the false one in its place."""

    def genres(self) -> list[str]:
        """All that are false, in an order that the key decides."""
        false = self.catalogue.genres_not_of(self.item)
        own = {one.lower() for one in self.catalogue.genres_of(self.item)}
        false = false or [one for one in INVENTED if one.lower() not in own]
        return list(shuffled(false, "genres", *self.key))

    def genre(self, name: str) -> str:
        """About as long as the name; another for each name while there are others."""
        if name.lower() not in self.told:
            used = set(self.told.values())
            free = [one for one in self.genres() if one not in used] or self.genres()
            others = [one for one in free if one.lower() != name.lower()] or free
            self.told[name.lower()] = min(others, key=lambda one: abs(len(one) - len(name)))
        return self.told[name.lower()]

    def year(self, text: str) -> str:
        """A year, or a decade, that is neither the one named nor the catalogue's."""
        decade, year = text.endswith("s"), int(text[:4])
        true = self.catalogue.year(self.item) or year
        least, most = YEARS_OFF
        off = least + drawn("year", year, *self.key) % (most - least + 1)
        found = (
            true - off if drawn("sign", year, *self.key) % 2 or true + off > 2029 else true + off
        )
        if found // 10 == year // 10:
            found = true - off if found > true else true - off - 10
        return f"{found // 10 * 10}s" if decade else str(found)

    def piece(self, kind: str, reference: str) -> tuple[str, str]:
        """A piece of evidence that says the same as the false words."""
        name, _, value = reference.partition("=")
        match kind, name.strip().lower():
            case "feature", "genre":
                return kind, f"genre={self.genre(value.strip())}"
            case "feature", "year" if value.strip()[:4].isdecimal():
                return kind, f"year={self.year(value.strip())}"
            case _:
                return kind, reference


def _planted(real: Words, lie: _Lie, empty: Sequence[str]) -> Words:
    genres, length = lie.genres(), len(real.text)
    turned = [[*genres[at:], *genres[:at]] for at in range(len(genres))]
    sentences = [
        (form.format(*order[:count]), order[:count])
        for form, count in FORMS
        if count <= len(genres)
        for order in turned
    ]
    said, claimed = min(sentences, key=lambda one: (_off(length - len(one[0])), -len(one[0])))
    missing = length - len(said)
    if missing >= FILLED_FROM:
        said += " " + composed(empty, missing - 1, "filled", *lie.key)
    return replace(real, text=said, evidence=tuple(("feature", f"genre={g}") for g in claimed))


def _off(missing: int) -> int:
    """By how many letters a sentence is off, once it is filled up."""
    return abs(missing) if missing < FILLED_FROM else 0
