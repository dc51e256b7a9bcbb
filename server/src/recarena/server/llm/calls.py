"""What goes to a language model and what comes back, whichever provider it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: str
    """user or assistant."""
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked: rules that stay the same from call to call, then the conversation."""

    id: str
    """Name and hash of the prompt file that the rules were made from."""
    system: str
    turns: tuple[Turn, ...]
    max_tokens: int
    """Most tokens that the answer may have."""
    form: str = ""
    """Name of the schema."""
    schema: Mapping[str, Any] | None = None
    """JSON schema of the answer, None for lines of text."""

    def then(self, answer: str, remark: str) -> Prompt:
        """The conversation with an answer and what is said to it."""
        said = answer if answer.strip() else "(nothing)"  # blanks alone are not taken
        turns = (*self.turns, Turn("assistant", said), Turn("user", remark))
        return Prompt(self.id, self.system, turns, self.max_tokens, self.form, self.schema)


@dataclass(frozen=True, slots=True)
class Usage:
    """Billed tokens; None where the provider does not say, which is not 0."""

    input: int | None = None
    """Not read from a cache."""
    output: int | None = None
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int | None:
        """All tokens, None where one number is unknown."""
        if self.input is None or self.output is None:
            return None
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def prompt(self) -> int | None:
        """Tokens that went in, from a cache or not."""
        return None if self.input is None else self.input + self.cache_read + self.cache_write

    def plus(self, other: Usage) -> Usage:
        """The sum; unknown where one of the two is."""

        def add(one: int | None, two: int | None) -> int | None:
            return None if one is None or two is None else one + two

        return Usage(
            add(self.input, other.input),
            add(self.output, other.output),
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


NOTHING_USED = Usage(0, 0)


class Stop(StrEnum):
    """Why a model stopped."""

    DONE = "done"
    LENGTH = "length"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a model."""

    text: str
    stop: Stop
    usage: Usage


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom and for what a decision is made. No two decisions of a run have the same."""

    round: int
    user: int
    purpose: str
    """activity, page, feeling, social ..."""
    step: int = 0
    """Number of this decision among those of the user and round for the purpose."""

    def __str__(self) -> str:
        if self.user < 0:
            return self.purpose
        return f"round {self.round}, user {self.user}, {self.purpose} {self.step}"


class Unreadable(Exception):
    """An answer that is not in the form that was asked for."""

    def __init__(self, kind: Failure, problem: str) -> None:
        self.kind, self.problem = kind, problem
        super().__init__(problem)


class Failure(StrEnum):
    """Why a decision had to fall back on its default, as counted in every report."""

    NOT_IN_FORM = "not_in_form"
    """No JSON, or none of the lines that were asked for."""
    WRONG_FIELDS = "wrong_fields"
    """JSON with missing, unknown or mistyped fields."""
    OUT_OF_RANGE = "out_of_range"
    """A number or a choice that was not offered."""
    UNKNOWN_TITLE = "unknown_title"
    """A title that is not on the page, or a name that is nobody's."""
    AMBIGUOUS_TITLE = "ambiguous_title"
    """A title or a name that fits more than one."""
    EMPTY = "empty"
    TRUNCATED = "truncated"
    REFUSAL = "refusal"
    REJECTED = "rejected"
    """The provider would not take the call (too long, filtered ...)."""


class Form(Protocol[T_co]):
    """How an answer is read."""

    @property
    def name(self) -> str:
        """Name of the form, for the schema."""
        ...

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """JSON schema that the provider is asked to obey; None: lines of text."""
        ...

    def read(self, text: str) -> tuple[Any, bool]:
        """The value, and whether the answer was read as it should be (False: tolerated, as JSON
        in a fence). Unreadable where it cannot be read."""
        ...


class Source(StrEnum):
    """Where a decision comes from."""

    LLM = "llm"
    REPAIRED = "repaired"
    """The model, asked a second time."""
    REPLAY = "replay"
    """The recording, without a call."""
    FALLBACK = "fallback"
    """The decision's default, since no answer could be read."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """A decision, and how it came about."""

    value: T | None
    """None where the source is FALLBACK."""
    source: Source
    failure: Failure | None
    """Why the default was taken."""
    problem: str
    """The same in words."""
    usage: Usage
    cost: float | None
    """In the currency of the price table; 0 of a replay, None where a price or usage is unknown."""
    calls: int
    """Answers that it took, from the model or from the recording."""
    request_hash: str
    """Of the last call."""
    raw: str
    """The last answer's text."""
    replayed: int = 0
    """Of `calls`, how many came from the recording."""
    fresh: Usage = NOTHING_USED
    """Of `usage`, what did not come from it."""
