"""What calls may cost, over all runs of a process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from recarena.recommenders.llm_models import Question
from recarena.recommenders.model_options import ModelChoice


class Spent(Exception):
    """Another call could break a cap."""


@dataclass(slots=True)
class SetAside:
    """Tokens kept for one call that is under way."""

    tokens: int


class Budget:
    """Calls and tokens: those used, those set aside, and the caps. Also the room for calls at once.

    A call's worst case is set aside before it is made, so that calls under way at once cannot
    break a cap together: every byte of the prompt a token, and the longest answer.
    """

    def __init__(self, choice: ModelChoice) -> None:
        self._choice = choice
        self.calls = 0
        """Made so far, also those that failed."""
        self.tokens = 0
        """Used so far; where nobody said how many, the worst case."""
        self._aside = 0
        self._settled = asyncio.Event()
        self.room = asyncio.Semaphore(choice.concurrency)
        self.said = False
        """Whether it was said that the budget is spent."""

    async def set_aside(self, question: Question) -> SetAside:
        """Makes room for a call, once calls under way have left enough. Spent."""
        worst = len((question.system + question.user).encode()) + len(str(question.schema))
        worst += question.max_tokens
        most_calls, most_tokens = self._choice.max_calls, self._choice.max_tokens
        if most_calls is not None and self.calls >= most_calls:
            raise Spent(f"--max-calls {most_calls} is used up")
        while most_tokens is not None and self.tokens + self._aside + worst > most_tokens:
            if self.tokens + worst > most_tokens or not self._aside:
                raise Spent(
                    f"another call could pass --max-tokens {most_tokens} ({self.tokens} are used)"
                )
            await self._settled.wait()
        self.calls += 1
        self._aside += worst
        return SetAside(worst)

    def settle(self, kept: SetAside, used: int | None) -> None:
        """Puts what a call used in place of what was set aside; None: nobody knows."""
        self._aside -= kept.tokens
        self.tokens += kept.tokens if used is None else used
        self._settled.set()
        self._settled = asyncio.Event()
