"""Texts that a language model writes as material for inquiries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from recarena.server.config import Settings
from recarena.server.errors import RunPaused
from recarena.server.inquiring.questions import Missing, Spent
from recarena.server.inquiring.spoken import missing
from recarena.server.inquiring.thinking import name_of, outside_of_runs, spent, thinker_of
from recarena.server.llm.calls import Asker, Failure, Outcome, Unreadable
from recarena.server.llm.forms import JsonForm
from recarena.server.llm.opening import number_of_keys
from recarena.server.llm.thinker import Thinker
from recarena.server.minds.llm.answers import ComposeAnswer
from recarena.server.minds.llm.mind import ahead_of
from recarena.server.minds.llm.opening import catalogue_of
from recarena.server.minds.llm.prompts import COMPOSED, prompt_ids
from recarena.server.minds.llm.quoting import Quotes, clean
from recarena.server.minds.llm.strategy import Asking
from recarena.server.store.run_folder import RunFolder
from recarena.server.together import at_most
from recarena.server.types import NOBODY

AT_A_WORD = 0.7
"""A text that is too long is cut after a word, if that leaves so much of it; else anywhere."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One text."""

    id: str
    """Keys the recording, with what else is said here."""
    brief: str
    """What it should say and must not: from who makes the study."""
    material: str = ""
    """What it is about: anybody's words, quoted as data."""
    max_chars: int = 500
    """1 to 500."""


@dataclass(frozen=True, slots=True)
class Composed:
    """What came of it."""

    texts: tuple[str | Missing, ...]
    """In the order of what was wanted; cleaned, and no longer than it may be."""
    spent: Spent
    writer: str
    """For reports: "anthropic:claude-haiku-4-5"."""
    prompts: dict[str, str] = field(default_factory=dict[str, str])
    """Ids of the prompts, by name."""


async def compose(
    settings: Settings, folder: RunFolder, recording: Path | None, wanted: Sequence[Wanted]
) -> Composed:
    """Has texts written by the model that `settings.llm` names, all at once, each in a context of
    its own. `recording`: as of `ThinkingRespondent.open`; what is in it is not asked for again.

    InputError for a missing key, package or price, and for a recording that is none; RunPaused
    where a cap is reached or the provider gives out: what was written by then is recorded.
    """
    thinker = thinker_of(settings.llm, recording)
    try:
        catalogue = catalogue_of(folder.world(), settings.llm)
        asking = Asking(thinker, catalogue, settings.llm.answer_tokens)
        room = ahead_of(settings.llm.concurrency * number_of_keys(settings.llm))
        written = await at_most(room, [partial(_written, asking, thinker, w) for w in wanted])
    except RunPaused as error:
        raise outside_of_runs(error) from None
    finally:
        await thinker.close()
    return Composed(
        tuple(text for text, _ in written),
        spent((outcome for _, outcome in written), settings.llm.currency),
        name_of(settings.llm),
        prompt_ids(COMPOSED),
    )


async def _written(
    asking: Asking, thinker: Thinker, wanted: Wanted
) -> tuple[str | Missing, Outcome[Any]]:
    asker = Asker(0, NOBODY, f"Compose {wanted.id}")
    quote = Quotes(thinker.recorder.salt, asker)
    data = {
        "mark": quote.mark,
        "brief": clean(wanted.brief, "brief"),
        "material": quote(wanted.material, "material"),
        "max_chars": wanted.max_chars,
        "task": "compose",
    }
    form = JsonForm("compose", ComposeAnswer, partial(_check, wanted.max_chars))
    prompt = asking.prompt("compose", json.dumps(data, ensure_ascii=False), form)
    outcome = await thinker.decide(prompt, form, asker)
    answer = outcome.value
    if answer is None and outcome.failure is Failure.OUT_OF_RANGE:
        answer = _too_long(outcome.raw)
    if answer is None:
        return missing(outcome), outcome
    return _cut(clean(answer.text, "composed"), wanted.max_chars), outcome


def _check(most: int, answer: ComposeAnswer) -> None:
    length = len(clean(answer.text, "composed"))
    if not length:
        raise Unreadable(Failure.EMPTY, "text: something has to be written")
    if length > most:
        raise Unreadable(
            Failure.OUT_OF_RANGE, f"text: it has {length} characters, at most {most} are asked for"
        )


def _too_long(raw: str) -> ComposeAnswer | None:
    """The text of an answer that was too long twice."""
    try:
        return JsonForm("compose", ComposeAnswer).read(raw)[0]
    except Unreadable:
        return None


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    cut = text[:most]
    at_word = cut.rpartition(" ")[0]
    return (at_word if len(at_word) >= AT_A_WORD * most else cut).rstrip(" ,;:-")
