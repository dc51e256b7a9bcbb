"""Whether what explanations claim is borne out by the catalogue or by the user's history.

Claims are what was sent as typed evidence, and what stands in the words. Each is held against the
run folder as it stood before the round in which the explanation was shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from recarena.evaluation.stimuli.claiming import Claim, Kind, claims_of
from recarena.evaluation.stimuli.past import Past
from recarena.evaluation.stimuli.triples import Words

NEAR = 0.1
"""By how much a number of watches may be off: recommenders hear of watches a little late."""
POPULAR_SHARE = 0.25
"""An item that is called popular is among so many of the most watched."""


class Verdict(StrEnum):
    """What became of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Claims:
    """What one explanation claims, and how much of it is borne out."""

    made: int
    by_catalogue: int
    """Claims that the catalogue supports."""
    supported: int
    """Claims that the catalogue or the user's history supports."""

    @property
    def share(self) -> float | None:
        """Of claims that are supported; None where nothing is claimed."""
        return self.supported / self.made if self.made else None


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim, and whether it holds."""

    kind: str
    """A Kind."""
    value: str
    """What is claimed: "Comedy", "1999", an item id, a number of watches."""
    verdict: Verdict
    reason: str
    """In words."""
    in_words: bool = False
    """Whether it stands in the words alone, and was not sent as evidence."""

    @property
    def by_catalogue(self) -> bool:
        """Whether it is of the item itself, so that the catalogue decides."""
        return self.kind in (Kind.GENRE, Kind.YEAR, Kind.ATTRIBUTE)


def check(words: Words, item: int, user: int, round: int, past: Past) -> list[Checked]:
    """What an explanation of an item to a user in a round claims, each claim once. Praise claims
    nothing that can be checked and is left out."""
    return [
        _checked(one, item, user, round, past) for one in claims_of(words, item, past.catalogue)
    ]


def counted(checked: Iterable[Checked]) -> Claims:
    """How many claims there are, and how many are borne out. What cannot be verified is not."""
    found = list(checked)
    borne = [one for one in found if one.verdict == Verdict.SUPPORTED]
    return Claims(len(found), sum(one.by_catalogue for one in borne), len(borne))


def _checked(claim: Claim, item: int, user: int, round: int, past: Past) -> Checked:
    verify = {
        Kind.GENRE: _genre, Kind.YEAR: _year, Kind.ATTRIBUTE: _attribute, Kind.WATCHED: _watched,
        Kind.POPULARITY: _popularity, Kind.SOCIAL: _social,
    }[claim.kind]  # fmt: skip
    verdict, reason = verify(claim, item, user, round, past)
    return Checked(claim.kind, claim.value, verdict, reason, claim.in_words)


Result = tuple[Verdict, str]


def _held(holds: bool, reason: str) -> Result:
    return (Verdict.SUPPORTED if holds else Verdict.CONTRADICTED), reason


def _genre(claim: Claim, item: int, user: int, round: int, past: Past) -> Result:
    catalogue = past.catalogue
    own = catalogue.genres_of(item)
    if not catalogue.genre_names:
        return Verdict.UNVERIFIABLE, "the catalogue tells no genres"
    if claim.value.lower() not in catalogue.genre_number:
        return Verdict.CONTRADICTED, f"the catalogue has no genre {claim.value}"
    said = ", ".join(own) or "none"
    return _held(claim.value.lower() in [one.lower() for one in own], f"its genres: {said}")


def _year(claim: Claim, item: int, user: int, round: int, past: Past) -> Result:
    year = past.catalogue.year(item)
    if not year:
        return Verdict.UNVERIFIABLE, "the catalogue does not tell its year"
    if claim.value.endswith("s"):
        return _held(claim.value == f"{year // 10 * 10}s", f"it is of {year}")
    return _held(claim.value == str(year), f"it is of {year}")


def _attribute(claim: Claim, item: int, user: int, round: int, past: Past) -> Result:
    name, _, value = claim.value.partition("=")
    told = {
        "director": past.catalogue.director(item),
        "title": past.catalogue.titles[item],
    }.get(name.strip().lower(), "")
    if not told:
        return Verdict.UNVERIFIABLE, f"the catalogue does not tell its {name.strip()}"
    return _held(value.strip().lower() == told.lower(), f"its {name.strip()}: {told}")


def _watched(claim: Claim, item: int, user: int, round: int, past: Past) -> Result:
    """Of a title that several items have, one that was watched is enough."""
    catalogue = past.catalogue
    number = catalogue.number_of.get(claim.value)
    if number is not None and not claim.in_words:
        items = [number]
    else:
        items = list(catalogue.titled.get(claim.value, ()))
    if not items:
        return Verdict.CONTRADICTED, f"the catalogue has no {claim.value}"
    seen = any(past.watched(user, one, round) for one in items)
    return _held(seen, "watched before" if seen else "the user had not watched it")


def _popularity(claim: Claim, item: int, user: int, round: int, past: Past) -> Result:
    watches = past.watches(item, round)
    said = f"watched {watches} times before"
    if not claim.value:
        return _held(past.place(item, round) <= POPULAR_SHARE, said)
    if claim.value.startswith("#"):
        place = past.rank(item, round)
        near = abs(int(claim.value[1:]) - place) <= max(1.0, NEAR * place)
        return _held(near, f"number {place} of the most watched")
    try:
        number = float(claim.value)
    except ValueError:
        return Verdict.UNVERIFIABLE, f"{claim.value} is no number of watches"
    return _held(abs(number - watches) <= max(1.0, NEAR * watches), said)


def _social(claim: Claim, item: int, user: int, round: int, past: Past) -> Result:
    if not past.knows_friends:
        return Verdict.UNVERIFIABLE, "the run folder does not tell who knows whom"
    other = past.number_of_user.get(claim.value)
    if other is None:
        return Verdict.CONTRADICTED, f"there is no user {claim.value}"
    if not past.friends(user, other):
        return Verdict.CONTRADICTED, "the user does not know that user"
    if past.watched(other, item, round):
        return Verdict.SUPPORTED, "a user that it knows had watched it"
    praised = past.praised(other, item, round)
    return _held(praised, "a user that it knows spoke well of it" if praised else
                 "that user had neither watched nor praised it")  # fmt: skip
