"""What users of a run can be asked beside the simulation, and what comes of it.

Numbers, not ids: a user is its position in the population, an item its position in the catalogue.
The contract (simulation_inquiry_service.proto) says what each means to a caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from recarena.server.types import NOTHING


@dataclass(frozen=True, slots=True)
class Told:
    """An explanation as users get it: cleaned, cut, its claims read, as at the door of a run."""

    text: str
    evidence: str = ""
    """As the event log has it (the module `evidence`)."""
    claims: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Impression:
    """Where the item in question stood."""

    step: int
    position: int


@dataclass(frozen=True, slots=True)
class Choose:
    """What the user does with the page."""


@dataclass(frozen=True, slots=True)
class Expect:
    """Which rating the user expects to give."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Which rating the user gives after having watched."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement to agree or disagree with."""

    id: str
    text: str
    reversed: bool = False
    asked_for: int = 0
    """The answer that an attention check asks for, 0: it is none."""


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """Statements about the explanation, on one scale."""

    construct: str
    statements: tuple[Statement, ...]
    lowest: int
    highest: int
    labels: tuple[str, ...] = ()
    """From lowest to highest, or none."""
    labels_from_highest: bool = False
    preface: str = ""
    challenge: bool = False


@dataclass(frozen=True, slots=True)
class QuizQuestion:
    """One question with one right answer."""

    id: str
    text: str
    options: tuple[str, ...]
    facts: tuple[str, ...] = ()
    """Beside the options, "genre=Comedy"; or none."""


@dataclass(frozen=True, slots=True)
class Quiz:
    """What the user knows of the item from its title and the explanation."""

    questions: tuple[QuizQuestion, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Which of two explanations is the better one."""

    other: Told
    other_item: int
    question: str
    construct: str = ""


@dataclass(frozen=True, slots=True)
class Talk:
    """An open question."""

    question: str
    turns: tuple[tuple[bool, str], ...] = ()
    """(whether the user spoke, words), oldest first."""


Task = Choose | Expect | Rate | Questionnaire | Quiz | Compare | Talk


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One thing asked of one user at one moment."""

    id: str
    user: int
    before_round: int
    """From 1 to one more than the last committed round."""
    task: Task
    item: int = NOTHING
    """The item in question; NOTHING: none (only for Talk)."""
    impression: Impression | None = None
    """Where it stood among others in that round; None: it is shown by itself."""
    told: Told | None = None
    without_memories: bool = False
    draw: int = 0


class Reason(IntEnum):
    """Why an answer is missing (the numbers of `recarena.v1.Missing.Reason`)."""

    NOT_APPLICABLE = 1
    REFUSED = 2
    UNREADABLE = 3
    TRUNCATED = 4
    REJECTED = 5
    NOT_ABLE = 6


@dataclass(frozen=True, slots=True)
class Missing:
    """An answer that is not there."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the user does with the page."""

    watched: bool
    also: tuple[int, ...] = ()
    """Other positions watched."""


@dataclass(frozen=True, slots=True)
class Rating:
    """In 1..5."""

    value: float


@dataclass(frozen=True, slots=True)
class Score:
    """The answer to one statement."""

    id: str
    answer: int | Missing
    second: int | None = None
    """After "are you sure?"."""


@dataclass(frozen=True, slots=True)
class Scores:
    """In the order of the statements."""

    scores: tuple[Score, ...]


UNKNOWN = -1
"""The option "I don't know"."""


@dataclass(frozen=True, slots=True)
class QuizAnswers:
    """(question, position of the option or UNKNOWN, or why there is none), in their order."""

    answers: tuple[tuple[str, int | Missing], ...]


class Choice(IntEnum):
    """Which of two is better (the numbers of `recarena.v1.Preference.Choice`)."""

    FIRST = 1
    SECOND = 2
    NEITHER = 3


@dataclass(frozen=True, slots=True)
class Words:
    """What a user says."""

    text: str


Said = Missing | Chosen | Rating | Scores | QuizAnswers | Choice | Words


@dataclass(slots=True)
class Spent:
    """What language models took; None: not known."""

    calls: int = 0
    replayed: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost: float | None = 0.0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of some inquiries, in their order."""

    said: Sequence[Said]
    spent: Spent = field(default_factory=Spent)
