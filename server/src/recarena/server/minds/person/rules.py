"""What a turn allows, and choices as they are taken: words on one line, no more than is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from recarena.server.errors import InputError
from recarena.server.minds.llm.quoting import one_line
from recarena.server.minds.person.turns import (
    ActivityTurn,
    Choice,
    Doing,
    Opened,
    OpeningTurn,
    PageChoice,
    PageTurn,
    Said,
    SocialTurn,
    Turn,
    WatchChoice,
)
from recarena.server.ports import WorldView
from recarena.server.types import NOBODY, NOTHING, EventKind, Surface

FEELING = 500
QUERY = 200
SAID = 500
"""Most characters of words."""
BEST = 5
STRONGEST = 2.0
DOINGS = (EventKind.IDLE, EventKind.ENTER_RECOMMENDER, EventKind.ENTER_SOCIAL)
ACTIONS = (EventKind.NEXT, EventKind.SEARCH, EventKind.LEAVE)
FIELDS: dict[type, str] = {
    ActivityTurn: "decision.activity", Doing: "decision.activity",
    OpeningTurn: "decision.opening", Opened: "decision.opening",
    PageTurn: "decision.page", PageChoice: "decision.page",
    SocialTurn: "decision.social", Said: "decision.social",
}  # fmt: skip
"""The field of the choice that answers a turn."""


def can_socialise(world: WorldView, user: int) -> bool:
    """Whether there is anybody to talk to."""
    return bool(acquaintances(world, user))


def acquaintances(world: WorldView, user: int) -> list[int]:
    """To whom a user is tied, in the order of their numbers."""
    return world.network.other[world.network.ties_of(user)].tolist()


def author_to_answer(world: WorldView, user: int) -> int:
    """Who wrote the newest post that the user has not read; NOBODY without one."""
    author = int(world.unread_author[user]) if world.unread[user] else NOBODY
    return NOBODY if author == user else author


def can_turn_page(turn: PageTurn) -> bool:
    """Whether there may be more: a page that is not full is the last of its list; after a
    conversation comes the home page."""
    full = bool((turn.view.items[0] != NOTHING).all())
    return full or int(turn.view.surface[0]) == Surface.CONVERSATION


def taken(turn: Turn, choice: Choice) -> Choice:
    """A choice as it is taken. InputError, with a path from `decision` on for each field that is
    wrong, where the turn does not allow it."""
    found, made = _Problems(), choice
    match turn, choice:
        case ActivityTurn(), Doing():
            _check_activity(turn, choice, found)
        case OpeningTurn(), Opened():
            made = Opened(found.words("decision.opening.words", choice.words, QUERY))
        case PageTurn(), PageChoice():
            made = _of_page(turn, choice, found)
        case SocialTurn(), Said():
            made = _of_social(turn, choice, found)
        case _:
            asked, given = FIELDS[type(turn)], FIELDS[type(choice)]
            found.add("decision", f"{given} does not answer this turn; {asked} does")
    found.check()
    return made


@dataclass(slots=True)
class _Problems:
    """What is wrong with a choice."""

    fields: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, path: str, problem: str) -> None:
        self.fields.append((path, problem))

    def words(self, path: str, text: str, most: int) -> str:
        """On one line; too many are a problem."""
        line = one_line(text)
        if len(line) > most:
            self.add(path, f"{len(line)} characters are more than {most}")
        return line

    def check(self) -> None:
        """InputError if there is any."""
        if self.fields:
            path, problem = self.fields[0]
            raise InputError(
                problem, where=path, remedy="Decide again: the turn goes on",
                fields=tuple(self.fields),
            )  # fmt: skip


def _check_activity(turn: ActivityTurn, choice: Doing, found: _Problems) -> None:
    if choice.kind not in DOINGS:
        found.add("decision.activity", "is to be nothing, the recommender or the social network")
    elif choice.kind is EventKind.ENTER_SOCIAL and not can_socialise(turn.world, turn.user):
        found.add("decision.activity", "there is nobody to talk to")


def _of_page(turn: PageTurn, choice: PageChoice, found: _Problems) -> PageChoice:
    items = turn.view.items[0]
    there = np.flatnonzero(items != NOTHING).tolist()
    watches: list[WatchChoice] = []
    before: set[int] = set()
    for at, one in enumerate(choice.watches):
        path = f"decision.page.watches[{at}]"
        if one.position not in there:
            page = f"the page has {_listed(there)}" if there else "the page is empty"
            found.add(f"{path}.position", f"there is no item at {one.position}; {page}")
        elif one.position in before:
            found.add(f"{path}.position", f"the item at {one.position} is there twice")
        before.add(one.position)
        if not 0 <= one.rating <= BEST:
            found.add(f"{path}.rating", f"{one.rating} is not in 1 to {BEST}, or 0 for no rating")
        watches.append(replace(one, feeling=found.words(f"{path}.feeling", one.feeling, FEELING)))
    query = found.words("decision.page.query", choice.query, QUERY)
    if choice.action not in ACTIONS:
        found.add("decision.page.action", "is to be the next page, a search or leaving")
    if turn.last:
        return PageChoice(tuple(watches))
    if choice.action is EventKind.NEXT and not can_turn_page(turn):
        found.add("decision.page.action", "there is no next page: this one is not full")
    if choice.action is EventKind.SEARCH and not turn.view.can_search:
        found.add("decision.page.action", "there is no search box")
    if choice.action is not EventKind.SEARCH:
        query = ""
    elif not query:
        found.add("decision.page.query", "a search needs words")
    return PageChoice(tuple(watches), choice.action, query)


def _of_social(turn: SocialTurn, choice: Said, found: _Problems) -> Said:
    world, user = turn.world, turn.user
    words = found.words("decision.social.words", choice.words, SAID)
    if not words:
        return Said()
    known = acquaintances(world, user)
    if choice.partner == NOBODY and not known:
        found.add("decision.social.user_id", "there is nobody to read a post")
    elif choice.partner not in (NOBODY, *known, author_to_answer(world, user)):
        found.add("decision.social.user_id", "is no acquaintance and has posted nothing new")
    if not NOTHING <= choice.item < len(world.catalog):
        found.add("decision.social.item_id", "there is no such item")
    if not math.isfinite(choice.sentiment) or abs(choice.sentiment) > STRONGEST:
        bounds = f"-{STRONGEST:g} to {STRONGEST:g}"
        found.add("decision.social.sentiment", f"{choice.sentiment:g} is not in {bounds}")
    return replace(choice, words=words)


def _listed(positions: list[int]) -> str:
    return ", ".join(map(str, positions))
