"""Memories in words, without who they come from."""

from __future__ import annotations

from recarena.server.catalog import Catalog
from recarena.server.minds.choice import words
from recarena.server.minds.llm.quoting import clean
from recarena.server.types import MemoryColumns, MemoryKind


class Wordings:
    """Of memories about the items of one catalogue."""

    def __init__(self, catalog: Catalog, watched: str) -> None:
        """`watched`: what one did with an item, as in "I watched it"."""
        self._catalog, self._watched = catalog, watched

    def __call__(self, memories: MemoryColumns, row: int) -> str:
        """One memory."""
        kind, item = MemoryKind(int(memories.kind[row])), int(memories.item[row])
        code, own = int(memories.code[row]), memories.text.get(row)
        title = clean(self._catalog.label(item), "title") if item >= 0 else None
        if kind is MemoryKind.WATCHED:
            stars = int(memories.value[row])
            felt = own or (words.feeling(code, self._catalog.genre_names) if code else "")
            rated = f" and gave it {stars} of 5 stars" if stars else ""
            return f"I {self._watched} {title}{rated}." + (f" {felt}" if felt else "")
        if kind is MemoryKind.TOLD:
            return f"The recommender said of {title}: “{own or ''}”"
        if own is not None:
            return own
        if kind in (MemoryKind.READ, MemoryKind.POSTED) and title:
            return words.post(code, title)
        said, reply = words.chat(code, title)
        return f"{said} - {reply}"
