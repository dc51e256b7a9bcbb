"""The faithful way of asking: step by step, as RecAgent does it (Wang et al., 2023), in lines of
text. It spends several times the calls of the merged one; it is there to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

from recarena.server.llm.forms import TextForm
from recarena.server.memory.bank import Recollection
from recarena.server.minds.llm import lines
from recarena.server.minds.llm.diary import Diary
from recarena.server.minds.llm.friends import closest
from recarena.server.minds.llm.merged import ACTIVITIES, transcript
from recarena.server.minds.llm.quoting import clean
from recarena.server.minds.llm.strategy import Asking, told
from recarena.server.minds.llm.views import Shown, Views
from recarena.server.minds.taken import PageTaken, Talked
from recarena.server.population import Population
from recarena.server.ports import PageView, WorldView
from recarena.server.types import NOTHING, EventKind
from recarena.server.wording import spoken_title

TURNS = 3
"""Times that a user may watch from the same page; after that it goes on or leaves."""
FRIENDS = 12
"""Acquaintances that a user is shown."""


class Faithful:
    """A Strategy of one call per step, per feeling and per memory."""

    def __init__(
        self, asking: Asking, views: Views, people: Population, titles: Sequence[str]
    ) -> None:
        self._ask, self._views, self._people, self._titles = asking.ask, views, people, titles

    async def activity(self, diary: Diary, world: WorldView, user: int) -> tuple[EventKind, str]:
        """One call; NOTHING by default."""
        shown = await self._views.of_day(diary, user, "activity", world)
        form = TextForm("activity", lines.activity)
        outcome = await self._ask("faithful_activity", shown, "activity", form)
        kind = ACTIVITIES[cast(str, outcome.value)] if outcome.value else EventKind.IDLE
        return kind, told(outcome)

    async def page(self, diary: Diary, world: WorldView, view: PageView, row: int) -> PageTaken:
        """A call for what to do, one for each feeling, and again until the page is left; LEAVE by
        default."""
        user = int(view.users[row])
        taken = PageTaken()
        for turn in range(TURNS + 1):
            seen = [int(view.items[row, position]) for position in taken.watched]
            shown = await self._views.of_page(diary, user, view, row, seen, world)
            if turn == TURNS:
                shown.may = tuple(one for one in shown.may if one != "WATCH")
                shown.data["may"] = list(shown.may)
            parse = partial(lines.page, titles=shown.titles, may=shown.may)
            outcome = await self._ask("faithful_page", shown, "page", TextForm("page", parse))
            line = cast(lines.PageLine | None, outcome.value)
            if line is None:
                taken.failed = told(outcome)
                return taken
            if line.action != "WATCH":
                taken.action = EventKind[line.action]
                taken.query = clean(line.words, "title")
                return taken
            for position in line.positions:
                if position not in taken.watched:
                    await self._watch(diary, world, taken, user, int(view.items[row, position]))
                    taken.watched.append(position)
        return taken

    async def _watch(
        self, diary: Diary, world: WorldView, taken: PageTaken, user: int, item: int
    ) -> None:
        """Stars and words; without a usable answer neither, and the failure is counted."""
        shown = await self._views.of_item(diary, user, item, world)
        outcome = await self._ask(
            "faithful_feeling", shown, "feeling", TextForm("feeling", lines.feeling)
        )
        stars, words = cast(tuple[int, str], outcome.value or (0, told(outcome)))
        taken.ratings.append(stars)
        taken.feelings.append(clean(words, "memory"))

    async def converse(self, diary: Diary, world: WorldView, user: int, mood: str) -> str:
        """RecAgent's users do not: the mood alone is said."""
        return ""

    async def social(self, diary: Diary, world: WorldView, user: int) -> Talked:
        """A call for with whom and about what, and one for the conversation; nothing is said by
        default."""
        friends = closest(world, diary.round, user, FRIENDS)
        if not friends:
            return Talked()
        shown = await self._views.of_network(diary, user, world, friends=friends)
        parse = partial(lines.social, names=shown.names, may=shown.may)
        outcome = await self._ask("faithful_social", shown, "social", TextForm("social", parse))
        line = cast(lines.SocialLine | None, outcome.value)
        if line is None:
            return Talked(failed=told(outcome))
        if line.friend is None:
            return self._about(
                shown, user, world, Talked(EventKind.POST, words=clean(line.words, "words"))
            )
        partner = friends[line.friend]
        return await self._chat(diary, world, user, partner, line.words)

    async def _chat(
        self, diary: Diary, world: WorldView, user: int, partner: int, about: str
    ) -> Talked:
        shown = await self._views.of_network(
            diary, user, world, partner=partner, purpose="dialogue"
        )
        shown.data["to_talk_about"] = shown.quote(about, "words")
        mine, other = self._people.names[user], self._people.names[partner]
        named = other if other != mine else f"{other} (the other)"
        parse = partial(lines.dialogue, names=(mine, named))
        outcome = await self._ask(
            "faithful_dialogue", shown, "dialogue", TextForm("dialogue", parse)
        )
        said = cast(list[tuple[int, str]] | None, outcome.value)
        if said is None:
            return Talked(failed=told(outcome))
        words = transcript([((mine, other)[who], clean(one, "words")) for who, one in said])
        talked = Talked(EventKind.CHAT, partner=partner, words=words)
        return self._about(shown, user, world, talked)

    def _about(self, shown: Shown, user: int, world: WorldView, talked: Talked) -> Talked:
        """The first of the topics whose title is said, and how its user rated it (RecAgent's users
        do not say what they talk about)."""
        said = talked.words.casefold()
        placed = [
            (said.find(spoken_title(self._titles[item]).casefold()), item) for item in shown.topics
        ]
        found = min((one for one in placed if one[0] >= 0), default=(-1, NOTHING))
        talked.item = found[1]
        if talked.item == int(world.last_item[user]) and talked.item != NOTHING:
            talked.sentiment = (
                float(world.last_rating[user]) - 3 if world.last_rating[user] else 0.0
            )
        return talked

    async def importance(self, diary: Diary, user: int, text: str) -> float | None:
        """One call; the formula by default."""
        shown = self._views.of_memory(diary, user, text)
        form = TextForm("importance", lines.importance)
        outcome = await self._ask("faithful_importance", shown, "importance", form)
        return cast(int, outcome.value) / 10 if outcome.value else None

    async def reflect(
        self, diary: Diary, user: int, found: Sequence[Recollection]
    ) -> list[tuple[str, tuple[int, ...]]]:
        """One call; each conclusion rests on all that was looked at."""
        shown = await self._views.of_past(diary, user, found, "insight")
        form = TextForm("insight", lines.insights)
        outcome = await self._ask("faithful_insight", shown, "insight", form)
        ids = tuple(one.id for one in found)
        return [(clean(one, "memory"), ids) for one in cast(list[str], outcome.value or [])]
