"""Users of a run that was played in this process, asked by language models in their place."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from recarena.server.config import Settings, parse_settings
from recarena.server.founding import settings_of
from recarena.server.inquiring.moments import Past, Walk
from recarena.server.inquiring.questions import (
    Answers,
    Impression,
    Inquiry,
    Questionnaire,
    Quiz,
    QuizQuestion,
    Statement,
    Task,
    Told,
)
from recarena.server.inquiring.respondent import Seen
from recarena.server.inquiring.thinking import ThinkingRespondent
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind
from support.llm_stub import LlmStub
from support.thinkers import base_url

STATEMENTS = (
    Statement("s1", "The words gave me what I needed to decide."),
    Statement("s2", "The words told me nothing that I could use.", reversed=True),
    Statement("check", "Please answer with 2 here.", asked_for=2),
)
QUESTIONNAIRE = Questionnaire(
    "necessity-construct", STATEMENTS, 1, 7, ("not at all", "", "", "so so", "", "", "completely")
)
QUIZ = Quiz((
    QuizQuestion("q1", "Which genre does it have?", ("Western", "Comedy"),
                 ("genre=Western-fact", "genre=Comedy-fact")),
    QuizQuestion("q2", "Is it a musical?", ("yes", "no")),
))  # fmt: skip


def choosing(rounds: int = 2) -> Settings:
    """Of a run whose users have the choice mind."""
    return parse_settings(
        {"seed": 5, "rounds": rounds, "arms": [{"recommender": "popular"}],
         "store": {"fsync": False}}, "test",
    )  # fmt: skip


def judge(own: Settings, stub: LlmStub, provider: str = "anthropic", **llm: Any) -> Settings:
    """The run's settings with a language model that answers."""
    asked = {
        "provider": provider, "model": "stub", "base_url": base_url(provider, stub.url), **llm,
    }  # fmt: skip
    return parse_settings({**own.model_dump(mode="json"), "llm": asked}, "judge")


def shown_in(path: Path, round: int) -> list[tuple[int, int, Impression]]:
    """(user, item, where) of what was shown on the first pages of a round."""
    with RunFolder.open(path) as folder:
        events, _ = next(folder.rounds(round, round))
    shown = events.of(EventKind.SHOWN)
    first = np.full(int(shown.user.max()) + 1, np.iinfo(np.int16).max)
    np.minimum.at(first, shown.user, shown.step)
    return [
        (int(shown.user[row]), int(shown.item[row]),
         Impression(int(shown.step[row]), int(shown.position[row])))
        for row in np.flatnonzero(shown.step == first[shown.user]).tolist()
    ]  # fmt: skip


def inquiry(
    task: Task, user: int, item: int, text: str = "", *, before: int = 2, name: str = "i1",
    **more: Any,
) -> Inquiry:  # fmt: skip
    """About an item by itself, or with `impression` as it was shown."""
    told = Told(text) if text else None
    return Inquiry(name, user, before, task, item, told=told, **more)


class Judged:
    """A run and a judge that is asked about it."""

    def __init__(self, path: Path, made: Settings, recording: Path | None) -> None:
        self.past = Past(path)
        self.respondent = ThinkingRespondent.open(made, self.past.data, self.past.folder, recording)
        self.walk = Walk(self.past, self.respondent)

    async def ask(self, *inquiries: Inquiry, seed: int = 1) -> Answers:
        """All of them are of one round, not before that of the last time."""
        seen: Sequence[Seen] = [await self.past.seen(one, "test") for one in inquiries]
        moment = await self.walk.to(inquiries[0].before_round)
        return await self.respondent.answer(moment, seen, seed)


@asynccontextmanager
async def judging(
    path: Path, stub: LlmStub, provider: str = "anthropic", *, recording: Path | None = None,
    **llm: Any,
) -> AsyncGenerator[Judged]:  # fmt: skip
    """The environment holds the key."""
    with RunFolder.open(path) as folder:
        own = settings_of(folder)
    judged = Judged(path, judge(own, stub, provider, **llm), recording)
    try:
        yield judged
    finally:
        await judged.respondent.close()
        judged.past.close()
