"""Texts of a language model in the place of the templates, and what is asked of them first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from recarena.evaluation.explaining.asking import Written
from recarena.evaluation.explaining.inquiries import Wordings
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.stimuli.catalogue import Catalogue, spellings
from recarena.evaluation.stimuli.claiming import genres_in
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.fillers import names_title, near
from recarena.evaluation.stimuli.keyed import shuffled
from recarena.evaluation.stimuli.triples import Triple, Words
from recarena.v1.simulation_inquiry_service_pb2 import ComposeTextsRequest

WRITTEN = (Condition.PLACEBO, Condition.HYPE, Condition.FALSE_FACT)
"""Conditions whose texts can be generated: real ones, and those of others, are what they are."""
LONGEST = 500
_PRAISE = re.compile(
    r"\b(?:best|great|greatest|wonderful|amazing|brilliant|superb|excellent|perfect|fantastic|"
    r"love|must[- ]see|masterpiece|unmissable|unforgettable|breathtaking|stunning|enjoy\w*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Generated:
    """Wordings with the texts that passed, and how many did not."""

    wordings: Wordings
    kept: Mapping[str, int]
    """Condition -> texts of the writer."""
    fallbacks: Mapping[str, Mapping[str, int]]
    """Condition -> why a template stands in the place of the text -> how often."""


def briefs(
    triples: Sequence[Triple], runs: Sequence[RunLog], wordings: Wordings, seed: int
) -> list[ComposeTextsRequest.Wanted]:
    """What the writer is asked for: a text for each triple and condition that is written."""
    catalogues = {log.run_id: Catalogue.of(log) for log in runs}
    found: list[ComposeTextsRequest.Wanted] = []
    for one in triples:
        catalogue = catalogues[one.run_id]
        length = len(one.explanation.text)
        least, most = _between(length)
        size = f"Write between {least} and {most} characters, in the language of the material."
        false = ", ".join(_false_genres(one, catalogue, wordings, seed))
        asked = {
            Condition.PLACEBO: (
                "Write words that could stand under an item but say nothing: no fact, no reason, "
                "no praise, no genre, no number, no name and no title.", "",
            ),
            Condition.HYPE: (
                "Write praise that says how very good the item is and that it must be seen, "
                "without any fact: no genre, no number, no name, no title, no comparison.", "",
            ),
            Condition.FALSE_FACT: (
                "Say what the material says, in its form, but claim only these genres, and no "
                f"other fact of the item: {false}.", one.explanation.text[:2000],
            ),
        }  # fmt: skip
        found += [
            ComposeTextsRequest.Wanted(
                text_id=text_id(one, condition), brief=f"{brief} {size}"[:1000],
                material=material, max_chars=min(most, LONGEST),
            )
            for condition, (brief, material) in asked.items()
            if condition in written_for(one)
        ]  # fmt: skip
    return found


def written_for(triple: Triple) -> tuple[Condition, ...]:
    """Conditions of WRITTEN that are asked about a triple: of extra ones, no false facts."""
    return tuple(one for one in WRITTEN if not (triple.extra and one == Condition.FALSE_FACT))


def text_id(triple: Triple, condition: Condition) -> str:
    """Joins a brief and its text."""
    return f"{triple.id}/{condition}"


def with_generated(
    triples: Sequence[Triple], runs: Sequence[RunLog], wordings: Wordings, written: Written,
    seed: int,
) -> Generated:  # fmt: skip
    """The wordings with those texts in the templates' places that are what was asked for: as long
    as the real words to within a tenth, an empty one without genres, titles, digits and praise,
    praise without genres, titles and digits, false facts with a false genre and no true one."""
    catalogues = {log.run_id: Catalogue.of(log) for log in runs}
    found: dict[str, Mapping[Condition, Words | None]] = {}
    kept, fallen = Counter[str](), dict[str, Counter[str]]()
    for one in triples:
        told = dict(wordings[one.id])
        for condition in written_for(one):
            template, text = told[condition], written.texts.get(text_id(one, condition))
            if template is None:
                continue
            if text is None:
                why = written.missing.get(text_id(one, condition), "UNREADABLE")
                words = None
            else:
                words, why = _accepted(one, condition, text, template, catalogues[one.run_id])
            if words is None:
                fallen.setdefault(condition, Counter())[why] += 1
            else:
                told[condition] = words
                kept[condition] += 1
        found[one.id] = told
    return Generated(found, kept, fallen)


def _accepted(
    triple: Triple, condition: Condition, text: str, template: Words, catalogue: Catalogue
) -> tuple[Words | None, str]:
    """The words, or why not."""
    item = catalogue.number_of[triple.item_id]
    named = {name for _, _, name in genres_in(text, catalogue.genre_names)}
    if not near(text, len(triple.explanation.text)):
        return None, "length"
    if condition == Condition.FALSE_FACT:
        true = set(catalogue.genres_of(item))
        if named & true or not named - true:
            return None, "no false fact" if not named - true else "true fact"
        lies = tuple(
            ("feature", f"genre={name}") for name in catalogue.genre_names if name in named
        )
        return replace(template, text=text, evidence=lies), ""
    if named:
        return None, "genre"
    if re.search(r"\d", text):
        return None, "number"
    if names_title(text, spellings(catalogue.titles[item])) or names_title(text, catalogue.titled):
        return None, "title"
    if condition == Condition.PLACEBO and _PRAISE.search(text):
        return None, "praise"
    return replace(template, text=text), ""


def _between(length: int) -> tuple[int, int]:
    off = max(2, length // 10)
    return max(1, length - off), length + off


def _false_genres(triple: Triple, catalogue: Catalogue, wordings: Wordings, seed: int) -> list[str]:
    """Those of the template, else some that the item does not have."""
    template = wordings[triple.id].get(Condition.FALSE_FACT)
    told = [
        reference.partition("=")[2]
        for kind, reference in (template.evidence if template else ())
        if kind == "feature" and reference.startswith("genre=")
    ]
    others = catalogue.genres_not_of(catalogue.number_of[triple.item_id])
    return told or list(shuffled(others, seed, "false", triple.user_id, triple.item_id))[:1]
