"""What a round leaves in the heads of its users, until it is committed or given up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from recarena.server.llm.calls import Asker
from recarena.server.memory.bank import Recollection


@dataclass(frozen=True, slots=True)
class Note:
    """Something to remember, in the words of who remembers it."""

    text: str
    importance: float
    """0..1."""


@dataclass(slots=True)
class Diary:
    """Of one round. Users write into it as they go; nobody reads it before the round's end."""

    round: int
    recalled: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    """User -> ids of what came to mind."""
    observed: dict[int, list[Note]] = field(default_factory=dict[int, list[Note]])
    """User -> what was made of pages, in order."""
    watched: dict[tuple[int, int], float] = field(default_factory=dict[tuple[int, int], float])
    """(user, item) -> importance of having watched it."""
    said: dict[int, Note] = field(default_factory=dict[int, Note])
    """User -> what the user keeps of what it said in this round."""
    heard: dict[int, Note] = field(default_factory=dict[int, Note])
    """Speaker -> what the partner keeps of it."""
    _steps: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])

    def asker(self, user: int, purpose: str) -> Asker:
        """The next decision of a user for a purpose. A user's decisions come one after another, so
        that the numbers do not depend on who else decides meanwhile."""
        step = self._steps.get((user, purpose), 0)
        self._steps[user, purpose] = step + 1
        return Asker(self.round, user, purpose, step)

    def recall(self, user: int, found: Iterable[Recollection]) -> None:
        """Notes what came to a user's mind."""
        self.recalled.setdefault(user, set()).update(one.id for one in found)

    def observe(self, user: int, note: Note) -> None:
        """Notes what a user made of a page."""
        self.observed.setdefault(user, []).append(note)
