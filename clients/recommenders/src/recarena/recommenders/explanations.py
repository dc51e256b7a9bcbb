"""Template explanations: a sentence, and the evidence that it says no more than."""

from __future__ import annotations

from collections.abc import Iterable

from recarena.v1.types_pb2 import Evidence, Explanation, Item

LOCALE = "en"
MOST_FEATURES = 3
"""Features that one sentence names."""


def because_watched(
    watched: Item, weight: float | None, method: str, features: Iterable[tuple[str, float]] = ()
) -> Explanation:
    """Says "Because you watched X. In common: Comedy." with KIND_ITEM evidence for X, and a
    KIND_FEATURE for each feature ("genre=Comedy" and its weight, the heaviest first) that X and
    the item share; without features the first sentence alone."""
    evidence = [Evidence(kind=Evidence.KIND_ITEM, reference=watched.item_id, weight=weight)]
    shared = list(features)[:MOST_FEATURES]
    for reference, share in shared:
        evidence.append(Evidence(kind=Evidence.KIND_FEATURE, reference=reference, weight=share))
    common = ", ".join(reference.partition("=")[2] for reference, _ in shared)
    text = f"Because you watched {watched.title}." + (f" In common: {common}." if common else "")
    return Explanation(text=text, locale=LOCALE, evidence=evidence, method=template(method))


def like_watched(watched: Item, method: str) -> Explanation:
    """Says "Similar to X, which you watched." with KIND_ITEM evidence that has no weight: for a
    model of which no share of the score is owed to a single item."""
    evidence = [Evidence(kind=Evidence.KIND_ITEM, reference=watched.item_id)]
    return Explanation(
        text=f"Similar to {watched.title}, which you watched.",
        locale=LOCALE,
        evidence=evidence,
        method=template(method),
    )


def because_of_genre(genre: str, weight: float, method: str) -> Explanation:
    """Says "Because of its genre: Comedy." with KIND_FEATURE evidence and its weight."""
    evidence = Evidence(kind=Evidence.KIND_FEATURE, reference=f"genre={genre}", weight=weight)
    return Explanation(
        text=f"Because of its genre: {genre}.",
        locale=LOCALE,
        evidence=[evidence],
        method=template(method),
    )


def because_popular(watches: int, method: str) -> Explanation:
    """Says "Watched 57 times so far." with KIND_POPULARITY evidence for that number."""
    evidence = Evidence(kind=Evidence.KIND_POPULARITY, reference=str(watches), weight=1.0)
    times = "once" if watches == 1 else f"{watches} times"
    return Explanation(
        text=f"Watched {times} so far.",
        locale=LOCALE,
        evidence=[evidence],
        method=template(method),
    )


def at_random(method: str) -> Explanation:
    """Says "Picked at random." There is no evidence for that, and none is given."""
    return Explanation(text="Picked at random.", locale=LOCALE, method=template(method))


def template(method: str) -> str:
    """Name of the method that made a text."""
    return f"{method}-template"
