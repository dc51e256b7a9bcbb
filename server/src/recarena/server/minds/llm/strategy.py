"""What a way of asking has to answer for one user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from recarena.server.llm.calls import Asker, Failure, Form, Outcome, Prompt, Turn
from recarena.server.llm.thinker import Thinker
from recarena.server.memory.bank import Recollection
from recarena.server.minds.llm.diary import Diary
from recarena.server.minds.llm.prompts import prompt_file
from recarena.server.minds.llm.views import Shown
from recarena.server.minds.taken import PageTaken, Talked
from recarena.server.ports import PageView, WorldView
from recarena.server.types import EventKind


class Strategy(Protocol):
    """A way of asking. Notes what is to be remembered in the diary."""

    async def activity(self, diary: Diary, world: WorldView, user: int) -> tuple[EventKind, str]:
        """What the user turns to; and why it does nothing where that was not decided."""
        ...

    async def converse(self, diary: Diary, world: WorldView, user: int, mood: str) -> str:
        """What the user says to a recommender that can talk; "" for no more than the mood."""
        ...

    async def page(self, diary: Diary, world: WorldView, view: PageView, row: int) -> PageTaken:
        """What the user does with a page."""
        ...

    async def social(self, diary: Diary, world: WorldView, user: int) -> Talked:
        """What the user does in the social network."""
        ...

    async def importance(self, diary: Diary, user: int, text: str) -> float | None:
        """How important a memory is, in 0..1; None: as a formula says."""
        ...

    async def reflect(
        self, diary: Diary, user: int, found: Sequence[Recollection]
    ) -> list[tuple[str, tuple[int, ...]]]:
        """Conclusions, each with the ids of the memories it rests on."""
        ...


class Asking:
    """Asks a thinker with a prompt file and a view."""

    def __init__(self, thinker: Thinker, catalogue: str, answer_tokens: int) -> None:
        self._thinker, self._catalogue, self._tokens = thinker, catalogue, answer_tokens

    async def ask(self, name: str, shown: Shown, task: str, form: Form[object]) -> Outcome[object]:
        """The outcome of one decision."""
        prompt = self.prompt(name, shown.text(task), form)
        return await self._thinker.decide(prompt, form, shown.asker)

    def prompt(self, name: str, words: str, form: Form[object]) -> Prompt:
        """What is sent: the rules of a prompt file, then the words."""
        file = prompt_file(name, self._catalogue)
        turns = (Turn("user", words),)
        return Prompt(file.id, file.text, turns, self._tokens, form.name, form.schema)

    async def ask_on(
        self, name: str, prompt: Prompt, answer: str, form: Form[object], asker: Asker
    ) -> Outcome[object]:
        """The outcome of a decision in the same conversation, after an answer and the words of a
        prompt file about it."""
        file = prompt_file(name, self._catalogue)
        further = replace(prompt.then(answer, file.text), id=f"{prompt.id} {file.id}")
        return await self._thinker.decide(further, form, asker)


def told(outcome: Outcome[object]) -> str:
    """Why a default was taken, as the event log says it; "" where none was."""
    if outcome.failure is None:
        return ""
    kind: Failure = outcome.failure
    return f"(no usable answer: {kind})"
