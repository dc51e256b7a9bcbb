"""What the fields of a questionnaire must say together."""

from __future__ import annotations

import unicodedata

from recarena.evaluation.questionnaires.checking import BadQuestionnaire, nearest
from recarena.evaluation.questionnaires.form import Item, Questionnaire

MOST_STEPS = 11
MOST_ITEMS = 19
"""Of one construct: one call asks at most 20 statements, one of them an attention check."""
SEVERAL = 3
"""From so many items on a construct is measured in both directions and its consistency said."""


def check(found: Questionnaire, file: str) -> None:
    """BadQuestionnaire for the first rule that the questionnaire breaks."""
    _scale(found, file)
    _ids(found, file)
    _texts(found, file)
    for place, item in _placed(found):
        if item.construct and item.construct not in [one.id for one in found.constructs]:
            known = [one.id for one in found.constructs]
            raise BadQuestionnaire(
                f"{file}: {place}.construct is {item.construct!r}, which no [[constructs]] has as "
                f"its id; {nearest(item.construct, known, 'known are ')}"
            )
    for construct in found.constructs:
        _construct(found, construct.id, file)


def _scale(found: Questionnaire, file: str) -> None:
    lowest, highest = found.lowest, found.highest
    steps = highest - lowest + 1
    if not lowest < highest:
        raise BadQuestionnaire(
            f"{file}: scale.lowest is {lowest} and scale.highest {highest}; "
            "write a lowest below the highest"
        )
    if steps > MOST_STEPS:
        raise BadQuestionnaire(
            f"{file}: scale.highest is {highest}, which makes {steps} steps from {lowest}; "
            f"write at most {lowest + MOST_STEPS - 1}, {MOST_STEPS} steps"
        )
    if found.labels and len(found.labels) != steps:
        raise BadQuestionnaire(
            f"{file}: scale.labels has {len(found.labels)} labels for {steps} steps; write one for "
            "each step, from the lowest to the highest, or none"
        )
    seen: dict[str, int] = {}
    for at, label in enumerate(found.labels, 1):
        if (first := seen.setdefault(folded(label), at)) != at:
            raise BadQuestionnaire(
                f"{file}: scale.labels[{at}] is the same as scale.labels[{first}], {label!r}; give "
                "each step a label of its own"
            )


def _ids(found: Questionnaire, file: str) -> None:
    places: dict[str, str] = {}
    for at, construct in enumerate(found.constructs, 1):
        place = f"constructs[{at}]"
        if (first := places.setdefault(construct.id, place)) != place:
            raise BadQuestionnaire(
                f"{file}: {place}.id is {construct.id!r} as that of {first}; give it another id"
            )
    places = {}
    for place, item in _placed(found):
        if (first := places.setdefault(item.id, place)) != place:
            raise BadQuestionnaire(
                f"{file}: {place}.id is {item.id!r} as that of {first}; give it another id"
            )


def _texts(found: Questionnaire, file: str) -> None:
    places: dict[str, str] = {}
    for place, item in _placed(found):
        for at, text in enumerate(item.texts, 1):
            here = f"{place}.texts[{at}]"
            if (first := places.setdefault(folded(text), here)) != here:
                raise BadQuestionnaire(
                    f"{file}: {here} ({item.id}) says the same as {first}, {text[:60]!r}; word one "
                    "of them in another way"
                )
        if not item.construct and not (
            item.asked_for and found.lowest <= item.asked_for <= found.highest
        ):
            raise BadQuestionnaire(
                f"{file}: {place}.asked_for ({item.id}) is {item.asked_for}; ask for a step of the "
                f"scale, {found.lowest} to {found.highest}, other than 0"
            )


def _construct(found: Questionnaire, name: str, file: str) -> None:
    at = [one.id for one in found.constructs].index(name) + 1
    place, items = f"{file}: constructs[{at}] ({name})", found.of(name)
    if not items:
        raise BadQuestionnaire(
            f"{place}.id is that of no item's construct; write an item for it or leave it out"
        )
    if len(items) > MOST_ITEMS:
        raise BadQuestionnaire(
            f"{place} has {len(items)} items; one call asks {MOST_ITEMS} at most: leave some out"
        )
    if len({one.reversed for one in items}) == 1 and len(items) >= SEVERAL:
        which = "reversed" if items[0].reversed else "forward"
        other = "false" if items[0].reversed else "true"
        raise BadQuestionnaire(
            f"{place}: all its {len(items)} items are {which}, so that who agrees to everything "
            f"is not noticed; write one of them the other way round, with reversed = {other}"
        )
    if len(items) < SEVERAL and not found.constructs[at - 1].note:
        raise BadQuestionnaire(
            f"{place}.note is missing, and it has fewer than {SEVERAL} items; write more items, or "
            "say in a note what this does to its numbers"
        )
    for one in items[1:]:
        if len(one.texts) != len(items[0].texts):
            raise BadQuestionnaire(
                f"{file}: items[{found.items.index(one) + 1}].texts ({one.id}) has "
                f"{len(one.texts)} wordings and {items[0].id} has {len(items[0].texts)}; write as "
                f"many for each item of {name}"
            )


def folded(text: str) -> str:
    """Two texts are the same where this is: white space, case and forms of letters aside."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _placed(found: Questionnaire) -> list[tuple[str, Item]]:
    """Items and then checks with their place in the file."""
    items = [one for one in found.items if one.construct]
    checks = [one for one in found.items if not one.construct]
    return [
        *((f"items[{at}]", one) for at, one in enumerate(items, 1)),
        *((f"checks[{at}]", one) for at, one in enumerate(checks, 1)),
    ]
