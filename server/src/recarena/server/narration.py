"""Events and memories as sentences that a person would say."""

from __future__ import annotations

from dataclasses import dataclass

from recarena.server.catalog import Catalog
from recarena.server.interventions import of_row
from recarena.server.minds.choice import words
from recarena.server.population import Population
from recarena.server.steering.sentences import sentence
from recarena.server.types import (
    EventColumns,
    EventKind,
    Explained,
    MemoryColumns,
    MemoryKind,
    Outcome,
    Surface,
)
from recarena.server.wording import search_text, spoken_title

DEFAULTS = (EventKind.IDLE, EventKind.ENTER_SOCIAL, EventKind.LEAVE)
"""Events whose text says that nobody decided so: no answer of the model could be used."""


@dataclass(frozen=True, slots=True)
class Narrator:
    """Tells the events of one world."""

    catalog: Catalog
    population: Population

    def name(self, user: int) -> str:
        """Display name of a user."""
        return self.population.names[user]

    def title(self, item: int) -> str:
        """Title of an item as people say it."""
        return spoken_title(self.catalog.titles[item])

    def sentence(self, events: EventColumns, row: int) -> str:
        """One event as a sentence, words of users in quotes."""
        kind = EventKind(int(events.kind[row]))
        if kind is EventKind.INTERVENTION:
            return sentence(of_row(events, row), self.catalog, self.population)
        who, item = self.name(int(events.user[row])), int(events.item[row])
        why = f" {events.text[row]}" if kind in DEFAULTS and row in events.text else ""
        if kind is EventKind.IDLE:
            return f"{who} does nothing{why}."
        if kind is EventKind.ENTER_RECOMMENDER:
            return f"{who} opens the recommender."
        if kind is EventKind.ENTER_SOCIAL:
            return f"{who} opens the social network{why}."
        if kind is EventKind.PAGE:
            return self._page(events, row, who)
        if kind is EventKind.SHOWN:
            where = f"{who} sees {self.title(item)} at position {int(events.position[row]) + 1}"
            explained = int(events.code[row])
            words_told = " ".join(events.text.get(row, "").split())
            if explained == Explained.SHOWN and words_told:
                return f"{where}. The recommender says: “{words_told}”"
            held = ", without its explanation" if explained == Explained.WITHHELD else ""
            return f"{where}{held}."
        if kind is EventKind.WATCH:
            stars = int(events.value[row])
            rated = f", rates it {stars}/5" if stars else ""
            said = self.words(events, row)
            return f"{who} watches {self.title(item)}{rated}" + (f": “{said}”" if said else ".")
        if kind is EventKind.NEXT:
            return f"{who} turns to the next page."
        if kind is EventKind.SEARCH:
            return f"{who} searches for “{self.words(events, row)}”."
        if kind is EventKind.CONVERSE:
            return f"{who} asks the recommender: “{self.words(events, row)}”"
        if kind is EventKind.LEAVE:
            return f"{who} leaves the recommender{why}."
        if kind is EventKind.POST:
            return f"{who} posts: “{self.words(events, row)}”"
        partner = self.name(int(events.other[row]))
        if row in events.text:
            said = " / ".join(events.text[row].splitlines())
            return f"{who} chats with {partner}: “{said}”"
        code = int(events.code[row])
        said, reply = words.chat(code, self.title(item) if item >= 0 else None)
        how = "answers a post of" if words.is_answer(code) else "chats with"
        return f"{who} {how} {partner}: “{said}” {partner}: “{reply}”"

    def _page(self, events: EventColumns, row: int, who: str) -> str:
        count, surface = int(events.position[row]), Surface(int(events.surface[row]))
        place = {
            Surface.SEARCH: "search results",
            Surface.CONVERSATION: "suggestions",
        }.get(surface, "recommendations")
        outcome = Outcome(int(events.outcome[row]))
        note = "" if outcome.usable else f" (the recommender's list was {outcome.name.lower()})"
        if not count:
            return f"{who} sees an empty page of {place}{note}."
        return f"{who} sees {count} {place if count > 1 else place[:-1]}{note}."

    def words(self, events: EventColumns, row: int) -> str:
        """The words of one event: the user's own, or made from its template; "" for none."""
        kind = EventKind(int(events.kind[row]))
        if kind is EventKind.INTERVENTION:
            return ""
        if row in events.text and kind not in (EventKind.PAGE, EventKind.SHOWN, *DEFAULTS):
            return events.text[row]
        code, item = int(events.code[row]), int(events.item[row])
        if kind is EventKind.WATCH:
            return words.feeling(code, self.catalog.genre_names) if code else ""
        if kind is EventKind.POST:
            return words.post(code, self.title(item))
        if kind is EventKind.CHAT:
            said, reply = words.chat(code, self.title(item) if item >= 0 else None)
            return f"{said} - {reply}"
        if kind in (EventKind.SEARCH, EventKind.CONVERSE):
            return search_text(self.catalog, item, code)
        return ""

    def memory(self, memories: MemoryColumns, row: int) -> str:
        """One memory in words, from whom it came said first."""
        kind, item = MemoryKind(int(memories.kind[row])), int(memories.item[row])
        code, source = int(memories.code[row]), int(memories.source[row])
        title = self.title(item) if item >= 0 else None
        own = memories.text.get(row)
        if kind in (MemoryKind.OBSERVED, MemoryKind.INSIGHT):
            return own or ""
        if kind is MemoryKind.TOLD:
            return f"The recommender said of {title}: “{own or ''}”"
        if kind is MemoryKind.WATCHED:
            stars = int(memories.value[row])
            felt = own or (words.feeling(code, self.catalog.genre_names) if code else "")
            rated = f" and rated it {stars}" if stars else ""
            return f"I watched {title}{rated}: {felt}".removesuffix(": ")
        said = own or (
            words.post(code, title)
            if kind in (MemoryKind.READ, MemoryKind.POSTED) and title
            else words.chat(code, title)[0]
        )
        if own and source < 0:
            return own
        if source < 0:
            return f"I {'posted' if kind is MemoryKind.POSTED else 'said'}: {said}"
        return f"{self.name(source)} {'posted' if kind is MemoryKind.READ else 'said'}: {said}"
