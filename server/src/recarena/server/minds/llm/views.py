"""What a user may know when it decides, as the one JSON object that a model is shown.

Exact facts (watched, heard of) come from what is stored, never from retrieval. Everything that
somebody else wrote is quoted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recarena.server.catalog import Catalog
from recarena.server.datasets.world_data import WorldData
from recarena.server.llm.calls import Asker
from recarena.server.memory.bank import MemoryBank, Recollection
from recarena.server.memory.embedders import Embedder
from recarena.server.minds.llm.diary import Diary
from recarena.server.minds.llm.quoting import Quotes
from recarena.server.population import Population
from recarena.server.ports import PageView, WorldView
from recarena.server.types import NOBODY, NOTHING, MemoryKind, Surface
from recarena.server.wording import spoken_title

FACTS = 10
"""Watched items that a user has in mind, and at most half as many that it heard of."""
UNREAD = 5
POSITIONS = {Surface.SEARCH: "search results", Surface.CONVERSATION: "suggestions"}
_FROM = {MemoryKind.HEARD: "From a talk with {}: ", MemoryKind.READ: "{} posted: "}


@dataclass(slots=True)
class Shown:
    """A view as it is sent, and what it was made of."""

    asker: Asker
    quote: Quotes
    data: dict[str, Any]
    titles: list[str | None] = field(default_factory=list[str | None])
    """Of the page, None where nothing stands."""
    topics: list[int] = field(default_factory=list[int])
    """Items that can be talked about, by their number - 1."""
    friends: list[int] = field(default_factory=list[int])
    """Users, by their number - 1."""
    names: list[str] = field(default_factory=list[str])
    """What the friends are called here: different from each other."""
    may: tuple[str, ...] = ()

    def text(self, task: str) -> str:
        """The user's message; what is asked for comes last."""
        return json.dumps({**self.data, "task": task}, ensure_ascii=False)


class Views:
    """Makes the views of one run's users."""

    def __init__(self, data: WorldData, bank: MemoryBank, embedder: Embedder, salt: bytes) -> None:
        self.bank, self._embedder, self._salt = bank, embedder, salt
        self._catalog: Catalog = data.catalog
        self._people: Population = data.population
        self._cues: dict[int, str] = {}
        self._genres_of: dict[int, str] = {}
        history = data.history
        order = np.lexsort((history.time, history.user))
        self._past_item, self._past_rating = history.item[order], history.rating[order]
        everybody = np.arange(len(data.population) + 1)
        self._past_start = np.searchsorted(history.user[order], everybody)

    # ------------------------------------------------------------------ the views

    async def of_page(
        self, diary: Diary, user: int, view: PageView, row: int, seen_now: Sequence[int],
        world: WorldView, purpose: str = "page",
    ) -> Shown:  # fmt: skip
        """A page of the recommender. `seen_now`: items watched from this very page."""
        items = view.items[row].tolist()
        cues = [self._cue(item) for item in items if item != NOTHING]
        shown = await self._person(diary, user, purpose, world, cues)
        quote, data = shown.quote, shown.data
        surface = Surface(int(view.surface[row]))
        data["surface"] = POSITIONS.get(surface, "home page")
        data["page_number"] = int(view.page[row]) + 1
        now = [item for item in view.watched_now[row].tolist() if item != NOTHING]
        if now:
            data["watched_in_this_visit"] = [self._title(quote, item) for item in now]
        seen = {*now, *seen_now, *self._seen(world, user, items)}
        page: list[dict[str, Any]] = []
        for position, item in enumerate(items):
            shown.titles.append(None if item == NOTHING else self._catalog.label(item))
            if item != NOTHING:
                page.append(
                    self._item(quote, item, view.explanations.get((row, position), ""))
                    | {"n": position + 1}
                    | ({"seen": True} if item in seen else {})
                )
        data["page"] = page
        shown.may = tuple(
            name
            for name, offered in (
                ("WATCH", bool(page)),
                ("NEXT", len(page) == len(items)),
                ("SEARCH", view.can_search),
                ("LEAVE", True),
            )
            if offered
        )
        data["may"] = list(shown.may)
        return shown

    async def of_item(self, diary: Diary, user: int, item: int, world: WorldView) -> Shown:
        """One item that was just watched."""
        shown = await self._person(diary, user, "feeling", world, [self._cue(item)])
        shown.data["item"] = self._item(shown.quote, item, "")
        return shown

    async def of_day(self, diary: Diary, user: int, purpose: str, world: WorldView) -> Shown:
        """A stretch of time that begins."""
        shown = await self._person(diary, user, purpose, world, [])
        shown.data["unread_posts"] = int(world.unread[user])
        shown.data["away"] = int(world.gap[user])
        return shown

    async def of_network(
        self, diary: Diary, user: int, world: WorldView, *, partner: int = NOBODY,
        friends: Sequence[int] = (), purpose: str = "social",
    ) -> Shown:  # fmt: skip
        """The social network: with one acquaintance who is around, or with several."""
        topics = self._topics(user, world)
        cues = [self._cue(item) for item in topics]
        if partner != NOBODY:
            cues.append(self._people.names[partner])
        shown = await self._person(diary, user, purpose, world, cues)
        quote, data = shown.quote, shown.data
        data["unread_posts"] = [
            {"n": n, "from": self._name(quote, self.bank.recollection(row).source),
             "words": quote(self.bank.texts[row], "words")}
            for n, row in enumerate(self._unread(user, world), 1)
        ]  # fmt: skip
        shown.topics = topics
        data["topics"] = [
            {"n": n, "title": self._title(quote, item)} for n, item in enumerate(topics, 1)
        ]
        if partner != NOBODY:
            data["partner"] = await self._partner(diary, user, partner, quote, world, cues)
        if friends:
            shown.friends = list(friends)
            shown.names = self._told_apart(friends)
            data["friends"] = [
                {
                    "n": n,
                    "name": quote(name, "name"),
                    "relation": self._relation(quote, user, one, world),
                }
                for n, (one, name) in enumerate(zip(friends, shown.names, strict=True), 1)
            ]
        can_post = bool(world.network.degrees()[user])
        around = partner != NOBODY or bool(friends)
        shown.may = tuple(n for n, ok in (("CHAT", around), ("POST", can_post)) if ok)
        data["may"] = list(shown.may)
        return shown

    async def of_past(
        self, diary: Diary, user: int, found: Sequence[Recollection], purpose: str
    ) -> Shown:
        """Memories to reflect on."""
        asker = diary.asker(user, purpose)
        quote = Quotes(self._salt, asker)
        data: dict[str, Any] = {"mark": quote.mark, "you": self._persona(quote, user)}
        data["to_reflect_on"] = [
            {"n": n, "memory": quote(self._told(one), "memory")} for n, one in enumerate(found, 1)
        ]
        return Shown(asker, quote, data)

    def of_memory(self, diary: Diary, user: int, text: str) -> Shown:
        """One memory, to say how important it is."""
        asker = diary.asker(user, "importance")
        quote = Quotes(self._salt, asker)
        persona = self._persona(quote, user)
        return Shown(
            asker, quote, {"mark": quote.mark, "you": persona, "memory": quote(text, "memory")}
        )

    # ------------------------------------------------------------------ their parts

    async def _person(
        self, diary: Diary, user: int, purpose: str, world: WorldView, cues: Sequence[str]
    ) -> Shown:
        """Who the user is and what it knows: persona, facts, memories, in the order from what
        changes least to what changes most."""
        asker = diary.asker(user, purpose)
        quote = Quotes(self._salt, asker)
        round = diary.round
        memories = await self._recall(diary, user, cues)
        data: dict[str, Any] = {"mark": quote.mark, "you": self._persona(quote, user)}
        if facts := self._watched(quote, user, FACTS):
            data["watched"] = facts
        if heard := self._heard(quote, user, world):
            data["heard_of"] = heard
        if memories:
            data["memories"] = [quote(self._told(one), "memory") for one in memories]
        if recent := self.bank.recent(user, round):
            data["recent"] = [quote(self._told(one), "memory") for one in recent]
        return Shown(asker, quote, data)

    async def _recall(self, diary: Diary, user: int, cues: Sequence[str]) -> list[Recollection]:
        vectors = await self._embedder.embed(cues)
        found = self.bank.recall(user, diary.round, vectors)
        diary.recall(user, found)
        return found

    async def _partner(
        self, diary: Diary, user: int, partner: int, quote: Quotes, world: WorldView,
        cues: Sequence[str],
    ) -> dict[str, Any]:  # fmt: skip
        """Who the other is, what it watched and what comes to its mind."""
        about = self._persona(quote, partner)
        if self._people.names[partner] == self._people.names[user]:
            about["name"] = quote(f"{self._people.names[partner]} (the other)", "name")
        about["relation"] = self._relation(quote, user, partner, world)
        if facts := self._watched(quote, partner, 5):
            about["watched"] = facts
        elif (item := int(world.last_item[partner])) != NOTHING:
            about["watched"] = [
                {"title": self._title(quote, item), "rating": int(world.last_rating[partner])}
            ]
        memories = await self._recall(diary, partner, [*cues, self._people.names[user]])
        recent = self.bank.recent(partner, diary.round)
        told = [quote(self._told(one), "memory") for one in [*memories[:3], *recent[-2:]]]
        if told:
            about["memories"] = told
        return about

    def _persona(self, quote: Quotes, user: int) -> dict[str, Any]:
        made: dict[str, Any] = {"name": quote(self._people.names[user], "name")}
        for name, column in self._people.profile.items():
            if column[user]:
                made[name] = quote(column[user], "profile")
        return made

    def _watched(self, quote: Quotes, user: int, count: int) -> list[dict[str, Any]]:
        """The last items watched, newest first, with their ratings (0: none given)."""
        rows = self.bank.of_kinds(user, (MemoryKind.WATCHED,), count)
        item, value = self.bank.column("item"), self.bank.column("value")
        facts = [(int(item[row]), int(value[row])) for row in rows]
        first, last = self._past_start[user], self._past_start[user + 1]
        wanted = max(count - len(facts), 0)
        if self.bank.remembers and wanted:
            facts += [
                (int(self._past_item[at]), int(self._past_rating[at]))
                for at in range(last - 1, max(last - 1 - wanted, first - 1), -1)
            ]
        return [
            {"title": self._title(quote, number)} | ({"rating": stars} if stars else {})
            for number, stars in facts
        ]

    def _heard_items(self, user: int, world: WorldView) -> list[tuple[int, int]]:
        """(item, from whom) of what the user heard of and has not watched, newest first."""
        rows = self.bank.of_kinds(user, (MemoryKind.HEARD, MemoryKind.READ), 4 * FACTS)
        found: dict[int, int] = {}
        for row in rows:
            item = int(self.bank.column("item")[row])
            if item != NOTHING and item not in found and not world.watched.has(
                np.array([user]), np.array([item])
            )[0]:  # fmt: skip
                found[item] = int(self.bank.column("source")[row])
        return list(found.items())[: FACTS // 2]

    def _heard(self, quote: Quotes, user: int, world: WorldView) -> list[dict[str, Any]]:
        return [
            {"title": self._title(quote, item), "from": self._name(quote, source)}
            for item, source in self._heard_items(user, world)
        ]

    def _topics(self, user: int, world: WorldView) -> list[int]:
        """What can be talked about: last watched, heard of, posted about."""
        rows = self.bank.of_kinds(user, (MemoryKind.WATCHED,), 3)
        topics = [int(self.bank.column("item")[row]) for row in rows]
        if not topics and world.last_item[user] != NOTHING:
            topics = [int(world.last_item[user])]
        topics += [item for item, _ in self._heard_items(user, world)][:3]
        topics += [int(self.bank.column("item")[row]) for row in self._unread(user, world)]
        return [item for item in dict.fromkeys(topics) if item != NOTHING]

    def _unread(self, user: int, world: WorldView) -> list[int]:
        """Rows of the posts that came since the user looked last, newest first."""
        count = min(int(world.unread[user]), UNREAD)
        return self.bank.of_kinds(user, (MemoryKind.READ,), count) if count else []

    def _told_apart(self, users: Sequence[int]) -> list[str]:
        names = [self._people.names[one] for one in users]
        return [
            f"{name} ({self._people.user_ids[one]})" if names.count(name) > 1 else name
            for one, name in zip(users, names, strict=True)
        ]

    def _relation(self, quote: Quotes, user: int, other: int, world: WorldView) -> str:
        ties = world.network.ties_of(user)
        for at in range(ties.start, ties.stop):
            if world.network.other[at] == other:
                return quote(world.network.kinds[int(world.network.kind[at])], "name")
        return "stranger"

    def _item(self, quote: Quotes, item: int, explanation: str) -> dict[str, Any]:
        made: dict[str, Any] = {"title": self._title(quote, item)}
        if genres := self._genres(item):
            made["genres"] = quote(genres, "title")
        if about := self._catalog.descriptions[item]:
            made["about"] = quote(about, "description")
        if explanation:
            made["why"] = quote(explanation, "explanation")
        return made

    def _seen(self, world: WorldView, user: int, items: Sequence[int]) -> list[int]:
        """Those that the user has watched before."""
        numbers = np.array(items, np.int32)
        there = world.watched.has(np.full(len(numbers), user), np.maximum(numbers, 0))
        return numbers[there & (numbers >= 0)].tolist()

    def _title(self, quote: Quotes, item: int) -> str:
        return quote(self._catalog.label(item), "title")

    def _name(self, quote: Quotes, user: int) -> str:
        return quote(self._people.names[user], "name") if user != NOBODY else ""

    def _cue(self, item: int) -> str:
        """What reminds one of an item: its title and what it is about."""
        if item not in self._cues:
            words = (spoken_title(self._catalog.titles[item]), self._genres(item))
            self._cues[item] = " ".join([*words, self._catalog.descriptions[item]])
        return self._cues[item]

    def _genres(self, item: int) -> str:
        if item not in self._genres_of:
            self._genres_of[item] = ", ".join(self._catalog.genres_of(item))
        return self._genres_of[item]

    def _told(self, one: Recollection) -> str:
        """A memory with where it comes from."""
        who = self._people.names[one.source] if one.source != NOBODY else ""
        return _FROM.get(one.kind, "").format(who) + one.text
