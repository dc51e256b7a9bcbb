"""What a mind answered, made worse as the switches say."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from support.llm_stub.asking import Asked
from support.llm_stub.inquiries import without_answers
from support.llm_stub.switches import Dice, Switches

REFUSAL = "I'm sorry, but I can't help with that."
GIBBERISH = (
    "Well, that is an interesting question, and there is a lot to be said for it. On the one hand "
    "one might, on the other hand one might not. I shall have to think about it."
)
END, CUT, REFUSED = "end", "cut", "refused"
TOO_MUCH = {"item": 99, "rating": 9, "sentiment": 9, "importance": 99, "about": 99}
_NUMBER = re.compile(r"(\[(?:FEEL|IMPORTANCE)\]::\s*)-?\d+")


@dataclass(frozen=True, slots=True)
class Answered:
    text: str
    stop: str = END  # end, cut or refused


def spoilt(text: str, asked: Asked, switches: Switches, dice: Dice) -> Answered:
    """The answer as it is sent. What is longer than `max_tokens` is cut there."""
    if dice.hits("refusal", switches.refusal):
        return Answered(REFUSAL, REFUSED)
    if dice.hits("gibberish", switches.gibberish):
        text = GIBBERISH
    else:
        if dice.hits("not_applicable", switches.not_applicable):
            text = without_answers(text)
        if dice.hits("out_of_range", switches.out_of_range):
            text = far_out(text)
        if asked.schema is not None and dice.hits("no_schema", switches.no_schema):
            text = f"Sure! This is what I would do:\n\n{text}\n\nLet me know if it helps."
        if dice.hits("fenced", switches.fenced):
            text = f"Here is my answer.\n\n```json\n{text}\n```"
    stop = END
    if dice.hits("truncation", switches.truncation):
        text, stop = text[: len(text) // 2], CUT
    if asked.max_tokens is not None and len(text) // 4 > asked.max_tokens:
        text, stop = text[: asked.max_tokens * 4], CUT
    return Answered(text, stop)


def far_out(text: str) -> str:
    """With integers far out of their bounds; the text form has them as well."""
    try:
        found = json.loads(text)
    except ValueError:
        return _NUMBER.sub(lambda found: f"{found[1]}99", text)
    return json.dumps(_far_out(found, ""), ensure_ascii=False)


def _far_out(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _far_out(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_far_out(part, name) for part in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return TOO_MUCH.get(name, 999)
    return value
