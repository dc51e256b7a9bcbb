"""Words that users type and titles as people say them."""

from __future__ import annotations

import re
from functools import lru_cache

from recarena.server.catalog import Catalog

_YEAR = re.compile(r"\s*\((?:\d{4}|[IVX]+)\)\s*$")
_ARTICLE = re.compile(r"^(?P<rest>.*), (?P<article>The|A|An|Les?|La|L'|Il|El|Los|Las|Das|Der|Die)$")


@lru_cache(maxsize=65536)
def spoken_title(title: str) -> str:
    """A title as people say it: "Lion King, The (1994)" is "The Lion King"."""
    bare = _YEAR.sub("", title).strip() or title
    match = _ARTICLE.match(bare)
    if not match:
        return bare
    article = match["article"]
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{match['rest']}"


def search_text(catalog: Catalog, item: int, code: int) -> str:
    """What a user types who looks for an item, or for a genre (`code` - 1) where item is -1."""
    if item >= 0:
        return spoken_title(catalog.titles[item])
    return catalog.genre_names[code - 1] if code > 0 else ""
