"""Structured answers: what a model may say, as pydantic models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from recarena.server.minds.llm.quoting import LIMITS


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Words = Annotated[str, Field(max_length=4 * LIMITS["words"])]
Importance = Annotated[int, Field(ge=1, le=10)]


class ActivityAnswer(_Answer):
    """What a user turns to."""

    activity: Literal["RECOMMENDER", "SOCIAL", "NOTHING"]
    reason: Words


class WatchAnswer(_Answer):
    """One item that is watched."""

    item: Annotated[int, Field(ge=1)]
    """Its number on the page."""
    rating: Annotated[int, Field(ge=1, le=5)]
    feeling: Words


class PageAnswer(_Answer):
    """What a user does with a page."""

    watch: list[WatchAnswer]
    then: Literal["NEXT", "SEARCH", "LEAVE"]
    search: Words
    note: Words
    importance: Importance


class LineAnswer(_Answer):
    """One turn of a conversation."""

    speaker: Literal["you", "partner"]
    words: Words


class SocialAnswer(_Answer):
    """What a user does in the social network."""

    action: Literal["CHAT", "POST"]
    about: Annotated[int, Field(ge=0)]
    sentiment: Annotated[int, Field(ge=-2, le=2)]
    words: Words
    dialogue: list[LineAnswer]
    note: Words
    importance: Importance
    partner_note: Words
    partner_importance: Importance


class ConverseAnswer(_Answer):
    """What a user says to the recommender."""

    words: Annotated[str, Field(min_length=1, max_length=400)]


class InsightAnswer(_Answer):
    """One conclusion."""

    text: Annotated[str, Field(min_length=1, max_length=400)]
    rests_on: list[int]


class ReflectAnswer(_Answer):
    """What a user concludes."""

    insights: Annotated[list[InsightAnswer], Field(max_length=3)]


# ------------------------------------------------------------------ what users are asked


class ChooseAnswer(_Answer):
    """What of a page is watched, by numbers on the page."""

    watch: list[Annotated[int, Field(ge=1)]]


class StarsAnswer(_Answer):
    """One rating."""

    rating: Annotated[int, Field(ge=1, le=5)]


class QuizOptionAnswer(_Answer):
    """The answer to one question."""

    n: int
    option: Annotated[int, Field(ge=1)] | Literal["don't know"]


class QuizAnswer(_Answer):
    """Answers to the questions of a quiz."""

    answers: list[QuizOptionAnswer]


class CompareAnswer(_Answer):
    """Which of two is preferred."""

    choice: Literal["FIRST", "SECOND", "NEITHER"]


class TalkAnswer(_Answer):
    """What a user says."""

    words: Annotated[str, Field(min_length=1, max_length=LIMITS["said"])]


class ComposeAnswer(_Answer):
    """A text that was asked for."""

    text: Annotated[str, Field(min_length=1, max_length=2 * LIMITS["composed"])]


class StatementAnswer(_Answer):
    """The answer to one statement, on whatever scale."""

    n: int
    value: int | Literal["N/A"]


class StatementsAnswer(_Answer):
    """Answers to the statements of a questionnaire."""

    answers: Sequence[StatementAnswer]


@cache
def statements_answer(lowest: int, highest: int) -> type[StatementsAnswer]:
    """The same with the bounds of a scale in its schema."""
    value = Annotated[int, Field(ge=lowest, le=highest)] | Literal["N/A"]
    one = create_model("StatementAnswer", __base__=StatementAnswer, value=(value, ...))
    many: Any = list[one]
    return create_model("StatementsAnswer", __base__=StatementsAnswer, answers=(many, ...))
