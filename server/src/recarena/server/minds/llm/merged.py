"""The merged way of asking: one structured answer per page or conversation says what is done, what
it felt like, what is remembered and how important it was."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from recarena.server.llm.calls import Failure, Unreadable
from recarena.server.llm.forms import JsonForm
from recarena.server.memory.bank import Recollection
from recarena.server.minds.llm.answers import (
    ActivityAnswer,
    ConverseAnswer,
    PageAnswer,
    ReflectAnswer,
    SocialAnswer,
)
from recarena.server.minds.llm.diary import Diary, Note
from recarena.server.minds.llm.friends import whoever_is_around
from recarena.server.minds.llm.quoting import clean
from recarena.server.minds.llm.strategy import Asking, told
from recarena.server.minds.llm.views import Shown, Views
from recarena.server.minds.taken import PageTaken, Talked
from recarena.server.population import Population
from recarena.server.ports import PageView, WorldView
from recarena.server.types import NOBODY, NOTHING, EventKind

ACTIVITIES = {
    "RECOMMENDER": EventKind.ENTER_RECOMMENDER,
    "SOCIAL": EventKind.ENTER_SOCIAL,
    "NOTHING": EventKind.IDLE,
}


class Merged:
    """A Strategy of one call per page, per conversation, per post and per reflection."""

    def __init__(self, asking: Asking, views: Views, people: Population) -> None:
        self._ask, self._views, self._people = asking.ask, views, people

    async def activity(self, diary: Diary, world: WorldView, user: int) -> tuple[EventKind, str]:
        """One call; NOTHING by default."""
        shown = await self._views.of_day(diary, user, "activity", world)
        form = JsonForm("activity", ActivityAnswer)
        outcome = await self._ask("activity", shown, "activity", form)
        answer = cast(ActivityAnswer | None, outcome.value)
        return (ACTIVITIES[answer.activity] if answer else EventKind.IDLE), told(outcome)

    async def converse(self, diary: Diary, world: WorldView, user: int, mood: str) -> str:
        """What the user says to the recommender; "" by default: then the mood alone is said."""
        shown = await self._views.of_day(diary, user, "converse", world)
        shown.data["mood"] = shown.quote(mood, "title")
        form = JsonForm("converse", ConverseAnswer)
        outcome = await self._ask("converse", shown, "converse", form)
        answer = cast(ConverseAnswer | None, outcome.value)
        return clean(answer.words, "words") if answer else ""

    async def page(self, diary: Diary, world: WorldView, view: PageView, row: int) -> PageTaken:
        """One call; LEAVE by default."""
        user = int(view.users[row])
        shown = await self._views.of_page(diary, user, view, row, (), world)
        form = JsonForm("page", PageAnswer, partial(check_page, shown))
        outcome = await self._ask("merged_page", shown, "page", form)
        answer = cast(PageAnswer | None, outcome.value)
        if answer is None:
            return PageTaken(failed=told(outcome))
        taken = PageTaken(action=EventKind[answer.then])
        if answer.then == "SEARCH":
            taken.query = clean(answer.search, "title")
        importance = answer.importance / 10
        for one in answer.watch:
            position = one.item - 1
            taken.watched.append(position)
            taken.ratings.append(one.rating)
            taken.feelings.append(clean(one.feeling, "memory"))
            diary.watched[user, int(view.items[row, position])] = importance
        if note := clean(answer.note, "memory"):
            diary.observe(user, Note(note, importance))
        return taken

    async def social(self, diary: Diary, world: WorldView, user: int) -> Talked:
        """One call with whoever of the acquaintances is around; nothing is said by default."""
        partner = whoever_is_around(world, diary.round, user)
        if partner == NOBODY:
            return Talked()
        shown = await self._views.of_network(diary, user, world, partner=partner)
        form = JsonForm("social", SocialAnswer, partial(check_social, shown))
        outcome = await self._ask("merged_social", shown, "social", form)
        answer = cast(SocialAnswer | None, outcome.value)
        if answer is None:
            return Talked(failed=told(outcome))
        talked = Talked(kind=EventKind[answer.action], sentiment=float(answer.sentiment))
        talked.item = shown.topics[answer.about - 1] if answer.about else NOTHING
        if answer.action == "CHAT":
            names = {"you": self._people.names[user], "partner": self._people.names[partner]}
            talked.partner = partner
            lines = [(names[one.speaker], clean(one.words, "words")) for one in answer.dialogue]
            talked.words = transcript(lines)
            if note := clean(answer.partner_note, "memory"):
                diary.heard[user] = Note(note, answer.partner_importance / 10)
        else:
            talked.words = clean(answer.words, "words")
        if note := clean(answer.note, "memory"):
            diary.said[user] = Note(note, answer.importance / 10)
        return talked

    async def importance(self, diary: Diary, user: int, text: str) -> float | None:
        """Said with each answer; the rest by the formula."""
        return None

    async def reflect(
        self, diary: Diary, user: int, found: Sequence[Recollection]
    ) -> list[tuple[str, tuple[int, ...]]]:
        """One call; no conclusion by default."""
        shown = await self._views.of_past(diary, user, found, "reflect")
        form = JsonForm("reflect", ReflectAnswer, partial(_check_reflect, len(found)))
        outcome = await self._ask("reflect", shown, "reflect", form)
        answer = cast(ReflectAnswer | None, outcome.value)
        if answer is None:
            return []
        return [
            (clean(one.text, "memory"), tuple(sorted({found[n - 1].id for n in one.rests_on})))
            for one in answer.insights
        ]


def transcript(lines: Sequence[tuple[str, str]]) -> str:
    """A conversation as the event log keeps it, a line a turn."""
    return "\n".join(f"{name}: {words}" for name, words in lines)


def check_page(shown: Shown, answer: PageAnswer) -> None:
    """Unreadable where something is taken that was not offered."""
    offered = [at for at, title in enumerate(shown.titles, 1) if title is not None]
    numbers = [one.item for one in answer.watch]
    for number in numbers:
        if number not in offered:
            raise Unreadable(
                Failure.OUT_OF_RANGE,
                f"watch: there is no item {number} on the page, only {_listed(offered)}",
            )
    if len(set(numbers)) < len(numbers):
        raise Unreadable(Failure.OUT_OF_RANGE, "watch: an item is there twice")
    if answer.then not in shown.may:
        raise Unreadable(
            Failure.OUT_OF_RANGE, f"then: {answer.then} is not offered, only {_listed(shown.may)}"
        )
    if answer.then == "SEARCH" and not clean(answer.search, "title"):
        raise Unreadable(Failure.EMPTY, "search: a search needs words")


def check_social(shown: Shown, answer: SocialAnswer) -> None:
    """Unreadable where something is said that was not offered, or nothing."""
    if answer.action not in shown.may:
        raise Unreadable(
            Failure.OUT_OF_RANGE,
            f"action: {answer.action} is not offered, only {_listed(shown.may)}",
        )
    if answer.about > len(shown.topics):
        raise Unreadable(
            Failure.OUT_OF_RANGE,
            f"about: there is no topic {answer.about}, only 0 to {len(shown.topics)}",
        )
    if answer.action == "POST" and not clean(answer.words, "words"):
        raise Unreadable(Failure.EMPTY, "words: a post needs words")
    if answer.action == "CHAT" and not any(clean(one.words, "words") for one in answer.dialogue):
        raise Unreadable(Failure.EMPTY, "dialogue: a chat needs words")


def _check_reflect(count: int, answer: ReflectAnswer) -> None:
    for one in answer.insights:
        if any(not 1 <= n <= count for n in one.rests_on):
            raise Unreadable(
                Failure.OUT_OF_RANGE, f"rests_on: memories have the numbers 1 to {count}"
            )


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values)) or "none"
