"""Structured answers: what a model may say, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
