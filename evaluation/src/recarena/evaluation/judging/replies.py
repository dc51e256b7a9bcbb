"""What judges replied: one flat table, from which everything in a report follows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

FILE = "replies.jsonl"


class Asked(StrEnum):
    """What was asked."""

    CHOOSE = "choose"
    EXPECT = "expect"
    RATE = "rate"
    STATEMENT = "statement"
    QUIZ = "quiz"
    COMPARE = "compare"


class Probe(StrEnum):
    """Ways of asking that should make no difference."""

    NONE = ""
    AUTHORSHIP = "authorship"
    """With the remark that whoever asks wrote the explanation."""
    CHALLENGE = "challenge"
    """The answer to "are you sure?"."""


class Reply(NamedTuple):
    """One answer of one judge: a number, or why there is none. A tuple, since there are hundreds of
    thousands."""

    judge: str
    """As the command line names it: "choice", "scripted:honest", "anthropic:claude-haiku-4-5"."""
    triple: str
    condition: str
    """A Condition. COMPARE: the one on the left, whichever was shown first."""
    asked: str
    """An Asked."""
    value: float | None
    """CHOOSE: 1 watched, 0 not. EXPECT, RATE: the rating. STATEMENT: the answer as given, not
    recoded. QUIZ: 1 right, 0 wrong or "I don't know". COMPARE: 1 for the left, -1 for the right,
    0 for neither. None: missing."""
    missing: str = ""
    """Why the value is None, as the contract names it without REASON_: "REFUSED"."""
    draw: int = 0
    """Number of the repeat."""
    wording: int = 0
    """STATEMENT: number of the paraphrase."""
    construct: str = ""
    """STATEMENT, COMPARE."""
    item: str = ""
    """STATEMENT: id of the questionnaire's item. QUIZ: id of the question."""
    said: str = ""
    """QUIZ: the option chosen, "unknown" for "I don't know"."""
    probe: str = Probe.NONE
    """A Probe."""
    other_triple: str = ""
    """COMPARE: the triple on the right where it is another one."""
    other_condition: str = ""
    """COMPARE: the Condition on the right."""
    order: int = 0
    """COMPARE: 0 where the left was shown first, 1 where it was shown second. STATEMENT: 1 where
    the labels were listed from the highest."""


def write_replies(replies: Iterable[Reply], path: Path) -> None:
    """One JSON object a line, in their order; fields that say nothing are left out."""
    columns = [(f', "{name}": ', _neutral(name), _Json()) for name in Reply._fields]
    with path.open("w", encoding="utf-8") as file:
        for reply in replies:
            line = "".join([
                start + json_of[value]
                for value, (start, neutral, json_of) in zip(reply, columns, strict=True)
                if value != neutral
            ])  # fmt: skip
            file.write(f"{{{line[2:]}}}\n")


def read_replies(path: Path) -> Sequence[Reply]:
    """The inverse of `write_replies`. ValueError names the line that it cannot have written."""
    found: list[Reply] = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                found.append(Reply(**json.loads(line)))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    return found


def _neutral(name: str) -> object:
    """What says nothing in a field; of one that is always written, nothing does."""
    return Reply._field_defaults.get(name, _Json)


class _Json(dict[Any, str]):
    """Values of one field as JSON, the few different ones worked out once each. Of numbers that are
    not whole each is worked out anew: -0.0 is no other key than 0.0."""

    def __missing__(self, value: Any) -> str:
        made = _ENCODER.encode(value)
        if not isinstance(value, float):
            self[value] = made
        return made


_ENCODER = json.JSONEncoder(ensure_ascii=False)
