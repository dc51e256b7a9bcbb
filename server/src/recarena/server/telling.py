"""What users did in a whole round, in a sentence or two each: what is read by those who watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recarena.server.interventions import is_injected
from recarena.server.minds.choice import words
from recarena.server.narration import Narrator
from recarena.server.types import NOBODY, NOTHING, EventColumns, EventKind, Outcome

MAX_QUOTE = 160
"""Letters of what is quoted; the rest is in the events."""
_NUMBERS = (
    "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
_TIMES = {1: "turns the page", 2: "pages twice"}


@dataclass(frozen=True, slots=True)
class Told:
    """What one user did in a round."""

    user: int
    text: str
    titles: tuple[str, ...] = ()
    """Titles in `text`, as it has them."""
    people: dict[int, str] = field(default_factory=dict[int, str])
    """Other users whom `text` names, and what it calls them."""


class Teller:
    """Tells one round of one world."""

    def __init__(self, narrator: Narrator, events: EventColumns) -> None:
        """`events`: all of the round, or some users' own, in order."""
        self._narrator, self._events = narrator, events
        self._is_injected = is_injected(events)

    def of(self, user: int) -> Told | None:
        """What a user did; None where that was nothing at all. What an operator put into the user's
        mouth is not the user's doing."""
        events = self._events
        # The rows of a user stand together: a log is in the order of its users.
        first, last = np.searchsorted(events.user, (user, user + 1)).tolist()
        rows = [row for row in range(first, last) if not self._is_injected[row]]
        kinds = {EventKind(int(events.kind[row])) for row in rows}
        if kinds <= {EventKind.IDLE}:
            return None
        story = _Story(self._narrator, events, user)
        if EventKind.ENTER_RECOMMENDER in kinds:
            story.visit(rows)
        else:
            story.talk(rows)
        return story.told()


class _Story:
    """A user's round as it is put into words."""

    def __init__(self, narrator: Narrator, events: EventColumns, user: int) -> None:
        self._narrator, self._events, self._user = narrator, events, user
        self._clauses: list[str] = []
        self._after: list[str] = []
        self._titles: list[str] = []
        self._people: dict[int, str] = {}

    def told(self) -> Told:
        """All of it."""
        said = joined(self._clauses)
        end = "" if said.endswith("”") else "."
        text = " ".join([f"{self._narrator.name(self._user)} {said}{end}", *self._after])
        return Told(self._user, text, tuple(dict.fromkeys(self._titles)), self._people)

    # ------------------------------------------------------------------ in the recommender

    def visit(self, rows: Sequence[int]) -> None:
        """A visit to the recommender."""
        kinds, events = self._events.kind, self._events
        asked = [row for row in rows if kinds[row] == EventKind.CONVERSE]
        self._clauses += [f"asks the recommender “{self._quote(row)}”" for row in asked]
        searched = [self._sought(row) for row in rows if kinds[row] == EventKind.SEARCH]
        if searched:
            self._clauses.append("searches for " + ", then for ".join(searched))
        pages = [row for row in rows if kinds[row] == EventKind.PAGE]
        turned = sum(int(kinds[row] == EventKind.NEXT) for row in rows)
        if turned:
            self._clauses.append(_TIMES.get(turned, f"pages {number(turned)} times"))
        shown = sum(int(max(events.position[row], 0)) for row in pages)
        watched = [row for row in rows if kinds[row] == EventKind.WATCH]
        if not self._clauses:
            self._clauses.append("opens the recommender")
        self._watches(watched, shown)
        self._trouble(pages)

    def _watches(self, watched: Sequence[int], shown: int) -> None:
        if not shown:
            self._clauses.append("finds nothing there")
        elif not watched:
            self._clauses.append("leaves without watching anything")
        elif len(watched) == 1:
            (row,) = watched
            stars = int(self._events.value[row])
            rated = f", rated {stars}/5" if stars else ""
            self._clauses.append(f"watches {self._title(row)}{rated}")
            if felt := self._quote(row):
                self._clauses[-1] += f": “{felt}”"
        else:
            count = f"watches {number(len(watched))} of {number(shown)}"
            if len(watched) == 2:
                count += f", {self._title(watched[0])} and {self._title(watched[1])}"
            self._clauses.append(count)

    def _trouble(self, pages: Sequence[int]) -> None:
        """Lists that were not the recommender's own."""
        outcomes = {Outcome(int(self._events.outcome[row])) for row in pages}
        failed = sorted(one for one in outcomes if one is not Outcome.NONE and not one.usable)
        if failed:
            names = joined([one.name.lower() for one in failed])
            self._after.append(f"The recommender's list was {names}.")

    def _sought(self, row: int) -> str:
        """What was searched for: a title as it is, other words in quotes."""
        said, item = self._quote(row), int(self._events.item[row])
        if item != NOTHING and said == self._narrator.title(item):
            self._titles.append(said)
            return said
        return f"“{said}”"

    # ------------------------------------------------------------------ in the social network

    def talk(self, rows: Sequence[int]) -> None:
        """A look into the social network, and what was said there."""
        kinds = self._events.kind
        for row in rows:
            if kinds[row] == EventKind.CHAT:
                self._clauses.append(self._chat(row))
            elif kinds[row] == EventKind.POST:
                self._clauses.append(f"posts{self._about(row)}: “{self._quote(row)}”")
        if not self._clauses:
            self._clauses.append("opens the social network and says nothing")

    def _chat(self, row: int) -> str:
        events = self._events
        partner, item = int(events.other[row]), int(events.item[row])
        name = self._person(partner)
        if row in events.text:
            lines = events.text[row].splitlines() or [""]
            said = lines[0].removeprefix(f"{self._narrator.name(self._user)}: ")
            return f"chats with {name}{self._about(row)}: “{shortened(said)}”"
        code = int(events.code[row])
        title = self._narrator.title(item) if item != NOTHING else None
        said, _ = words.chat(code, title)
        how = f"answers {name}'s post" if words.is_answer(code) else f"chats with {name}"
        return f"{how}{self._about(row)}: “{shortened(said)}”"

    def _about(self, row: int) -> str:
        return f" about {self._title(row)}" if self._events.item[row] != NOTHING else ""

    # ------------------------------------------------------------------ names and words

    def _title(self, row: int) -> str:
        self._titles.append(self._narrator.title(int(self._events.item[row])))
        return self._titles[-1]

    def _person(self, user: int) -> str:
        if user == NOBODY:
            return "somebody"
        self._people[user] = self._narrator.name(user)
        return self._people[user]

    def _quote(self, row: int) -> str:
        return shortened(self._narrator.words(self._events, row))


def joined(clauses: Sequence[str]) -> str:
    """A list in a sentence: a, b and c."""
    return " and ".join(filter(None, [", ".join(clauses[:-1]), *clauses[-1:]]))


def number(count: int) -> str:
    """A small number as a word, others in figures."""
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"


def shortened(said: str) -> str:
    """Words in one line, cut after MAX_QUOTE letters."""
    line = " ".join(said.split())
    return line if len(line) <= MAX_QUOTE else line[: MAX_QUOTE - 1].rstrip() + "…"
