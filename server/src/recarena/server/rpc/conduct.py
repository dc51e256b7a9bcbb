"""What one recommender did against the rules in one run, for the run folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from recarena.server.errors import RecArenaError
from recarena.server.rpc.session import Session
from recarena.server.rpc.status import reason_of
from recarena.server.rpc.untrusted import in_a_line
from recarena.server.types import Outcome

MOST_COMPLAINTS = 5
"""Complaints that are kept of each outcome: the first ones."""
MAX_FIELD_CHARS, MAX_TEXT_CHARS = 120, 500
BROKEN_OFF = "BROKEN_OFF"
"""How a session ended whose recommender hung up, or died, without a goodbye."""


class Conduct:
    """Counts since the server took up the run, and what the recommender was told first."""

    def __init__(self) -> None:
        self._unsolicited = 0
        self._sessions = 0
        self._serving: set[Session] = set()
        self._endings = Counter[str]()
        self._dispositions = Counter[str]()
        self._complaints: list[dict[str, Any]] = []

    @property
    def unsolicited(self) -> int:
        """Messages that answered nothing so far; large ones count for more."""
        return self._unsolicited + sum(int(one.wasted.total) for one in self._serving)

    def joined(self, session: Session) -> None:
        """A session serves the arm from now on, until `left`."""
        self._sessions += 1
        self._serving.add(session)

    def left(self, session: Session, dismissed: bool) -> None:
        """Counts what a session did that is over, once. `dismissed`: it was sent away."""
        if session not in self._serving:
            return
        self._serving.remove(session)
        self._unsolicited += int(session.wasted.total)
        self._dispositions += session.unclaimed
        if isinstance(session.error, RecArenaError):
            self._endings[reason_of(type(session.error))] += 1
        elif not (dismissed or session.draining.is_set()):
            self._endings[BROKEN_OFF] += 1

    def dismissed(self) -> None:
        """Counts what those did that are still there."""
        for session in list(self._serving):
            self.left(session, dismissed=True)

    def complain(
        self, outcome: Outcome, round: int, text: str, fields: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Keeps what was wrong with a work, if it is among the first with that outcome."""
        name = outcome.name.lower()
        if sum(one["outcome"] == name for one in self._complaints) >= MOST_COMPLAINTS:
            return
        where, what = fields[0] if fields else ("", text)
        self._complaints.append(
            {
                "outcome": name,
                "round": round,
                "field": in_a_line(where, MAX_FIELD_CHARS),
                "text": in_a_line(what, MAX_TEXT_CHARS),
            }
        )

    def as_json(self) -> Mapping[str, Any]:
        """As a line of `conduct.jsonl` has it; empty where no session ever came."""
        if not self._sessions:
            return {}
        return {
            "sessions": self._sessions,
            "unsolicited": self.unsolicited,
            "endings": dict(sorted(self._endings.items())),
            "dispositions": dict(sorted(self._dispositions.items())),
            "complaints": list(self._complaints),
        }
