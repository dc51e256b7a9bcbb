"""The prompt files: rules that are the same for all calls of a kind, each with an id and a hash.

Braces in a file name words that depend on the catalogue. Nothing about a user, a round or a time
goes into them, so that a provider can keep them in its cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

FILMS = {
    "item": "film", "items": "films", "watch": "watch", "Watch": "Watch", "watched": "watched",
    "a_service": "a film recommender",
}  # fmt: skip
ITEMS = {
    "item": "item", "items": "items", "watch": "take", "Watch": "Take", "watched": "took",
    "a_service": "a recommender",
}  # fmt: skip
NOUNS: dict[str, Mapping[str, str]] = {"films": FILMS, "items": ITEMS}
"""By the setting `llm.catalogue`: what the items are called, and what one does with them."""
NAMES = (
    "activity", "converse", "faithful_activity", "faithful_dialogue", "faithful_feeling",
    "faithful_importance", "faithful_insight", "faithful_page", "faithful_social", "merged_page",
    "merged_social", "reflect",
)  # fmt: skip
"""Of what users decide in a run."""
ASKED = (
    "ask_challenge", "ask_choose", "ask_compare", "ask_expect", "ask_questionnaire", "ask_quiz",
    "ask_rate", "ask_talk",
)  # fmt: skip
"""Of what they are asked beside it."""
COMPOSED = ("compose",)
"""Of texts that no user writes."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One prompt as it is sent."""

    id: str
    """name@hash of the file and of the rules in it."""
    text: str


@cache
def prompt_file(name: str, catalogue: str) -> PromptFile:
    """A prompt in the words of a kind of catalogue."""
    rules, own = _text("rules"), _text(name)
    hash = hashlib.sha256(f"{rules}\n{own}".encode()).hexdigest()[:12]
    nouns = {**NOUNS[catalogue], "name": "the person in `you`"}
    text = own.replace("{rules}", rules)
    for noun, word in nouns.items():
        text = text.replace(f"{{{noun}}}", word)
    return PromptFile(f"{name}@{hash}", text.strip())


def prompt_ids(names: Sequence[str] = NAMES) -> dict[str, str]:
    """Name -> id of prompts of this release; by default of those by which runs are played."""
    return {name: prompt_file(name, "films").id for name in names}


def _text(name: str) -> str:
    return (
        resources.files("recarena.server.minds.llm")
        .joinpath("prompts", f"{name}.md")
        .read_text("utf-8")
        .strip()
    )
