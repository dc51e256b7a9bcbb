"""The port behind which somebody answers inquiries in the place of the users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from recarena.server.inquiring.questions import Answers, Inquiry
from recarena.server.ports import PageView
from recarena.server.types import MemoryColumns
from recarena.server.world import World


@dataclass(frozen=True, slots=True)
class Moment:
    """The world at the start of a round: nobody who is asked may change it."""

    world: World
    round: int
    """The round that begins."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An inquiry with the page that goes with it."""

    inquiry: Inquiry
    view: PageView
    """Of one row; without an item, of no position."""
    position: int
    """Of the item in question; -1: there is none."""


class Respondent(Protocol):
    """Answers inquiries about one run. Reads and changes nothing of it; the same inquiries at the
    same moment with the same seed get the same answers, whatever else was asked before."""

    @property
    def name(self) -> str:
        """For reports: "choice", "anthropic:claude-haiku-4-5"."""
        ...

    @property
    def prompts(self) -> Mapping[str, str]:
        """Ids of the prompts in use, by name."""
        ...

    async def answer(self, moment: Moment, seen: Sequence[Seen], seed: int) -> Answers:
        """One answer for each, in their order. RunPaused where a cap on cost is reached or the
        provider gives out."""
        ...

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """Takes over what was remembered of a round, in the order of the rounds; rounds are never
        taken back (an earlier moment has a respondent of its own)."""
        ...

    async def close(self) -> None:
        """Lets go of what it holds."""
        ...
