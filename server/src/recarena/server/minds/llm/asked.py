"""What users are shown who are asked beside the simulation: the same view as in a run, and in it
what the question is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recarena.server.minds.llm.diary import Diary
from recarena.server.minds.llm.views import Shown, Views
from recarena.server.ports import PageView, WorldView
from recarena.server.types import NOTHING


@dataclass(frozen=True, slots=True)
class About:
    """One thing that is asked."""

    user: int
    round: int
    """The round that begins."""
    key: str
    """What is asked, and of which number the repeat is: the call's mark follows from it."""
    world: WorldView
    item: int = NOTHING
    """The item in question, if there is one."""
    told: str = ""
    """What the user is told about it."""
    remembers: bool = True
    """False: facts alone, and nothing of what is remembered in words."""


class AskedViews(Views):
    """Views of users who are asked. What comes to their minds is forgotten with the view: nothing
    of it is written down."""

    async def of_asked_page(self, about: About, view: PageView) -> Shown:
        """A page, and on it the item in question."""
        diary = Diary(about.round)
        shown = await self.of_page(diary, about.user, view, 0, (), about.world, about.key)
        del shown.data["may"]
        return _by_heart(shown, about)

    async def of_question(self, about: About, *words: str) -> Shown:
        """The item in question as it stands on a page, if there is one. `words` may remind the
        user of something."""
        cues = [*words] if about.item == NOTHING else [self._cue(about.item), *words]
        shown = await self._asked(about, cues)
        if about.item != NOTHING:
            shown.data["item"] = self._entry(shown, about, about.item, about.told)
        return shown

    async def of_quiz(self, about: About) -> Shown:
        """Title and explanation of the item in question, and nothing else about it."""
        shown = await self._asked(about, [self._cue(about.item)])
        entry: dict[str, Any] = {"title": self._title(shown.quote, about.item)}
        if about.told:
            entry["why"] = shown.quote(about.told, "explanation")
        shown.data["item"] = entry
        return shown

    async def of_two(self, about: About, other: int, told: str) -> Shown:
        """The item in question with its explanation, and an item (the same or another one) with
        another explanation."""
        items = dict.fromkeys((about.item, other))
        shown = await self._asked(about, [self._cue(item) for item in items])
        shown.data["first"] = self._entry(shown, about, about.item, about.told)
        shown.data["second"] = self._entry(shown, about, other, told)
        return shown

    async def _asked(self, about: About, cues: Sequence[str]) -> Shown:
        diary = Diary(about.round)
        shown = await self._person(diary, about.user, about.key, about.world, cues)
        return _by_heart(shown, about)

    def _entry(self, shown: Shown, about: About, item: int, told: str) -> dict[str, Any]:
        """An item as it stands on a page."""
        seen = {"seen": True} if self._seen(about.world, about.user, [item]) else {}
        return self._item(shown.quote, item, told) | seen


def _by_heart(shown: Shown, about: About) -> Shown:
    """Without what the user remembers in words, where it is asked without it."""
    if not about.remembers:
        for name in ("memories", "recent"):
            shown.data.pop(name, None)
    return shown
