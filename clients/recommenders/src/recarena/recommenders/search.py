"""Search in the catalogue: exact titles, genres, and full text by BM25 in LanceDB."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from recarena.recommenders.titles import Titled, key, title_keys, words
from recarena.recommenders.watched import Ints, Longs, UnseenFirst, Watched
from recarena.v1.types_pb2 import Item

BOOSTS = {"title": 4.0, "people": 2.0, "genres": 2.0, "description": 1.0}
"""Columns of the index and the weight of each in the score."""

MOST_HITS = 200
"""Items that full text finds at most."""

MOST_REMEMBERED = 20_000
"""Queries whose hits are remembered."""

MOST_WORDS = 24
"""Words of a query that are looked for."""

YEAR_BOOST = 1.5
"""Factor on the score of an item of the year that the query names."""

FILLERS = frozenset({"movie", "movies", "film", "films", "a", "some", "any", "good", "best", "the"})
ALIASES = {
    "sciencefiction": "scifi",
    "scifi": "sciencefiction",
    "kid": "children",
    "cartoon": "animation",
    "animated": "animation",
    "romantic": "romance",
    "scary": "horror",
}
"""What people call genres, in the form in which genres are compared."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What a query finds, before popularity: the same in every round."""

    pinned: Ints
    """Items whose title is the query, the year asked for first."""
    pinned_tier: Ints
    """Beside pinned: 0 where the year fits as well."""
    items: Ints
    """The others."""
    scores: Longs
    """Beside items: rounded, so that ties are ties; higher is better."""


@dataclass(frozen=True, slots=True)
class Results:
    """What a query finds, best first."""

    items: Ints
    pinned: int
    """How many of them, at the top, stay there even if watched."""


class CatalogSearch:
    """Finds items by their title, people, genres and description.

    Order of the results: items whose title is the query (whatever its case, accents, article and
    spaces; those of the year named first); then, where the query is a genre (or several), all
    items of it by popularity, else those that full text finds by BM25 score (Robertson and
    Zaragoza, 2009; LanceDB's native index). Ties go to the more popular, then to the earlier in
    the catalogue. What a user has watched comes after the rest, except for exact titles.

    The index is built at the first query that needs it, in a temporary directory that `close`
    (or the end of the program) removes.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._index: _Index | None = None
        self._watches: Longs = np.zeros(len(items), np.int64)
        self._hits: dict[str, Hits] = {}
        self._results: dict[str, Results] = {}
        self._by_title: dict[str, list[int]] = {}
        self._by_genre: dict[str, list[int]] = {}
        self._years: Ints = np.zeros(len(items), np.int32)
        self._known = False

    def rank_by(self, watches: Longs) -> None:
        """Sets what ties and genres are ordered by: watches of each item."""
        self._watches = watches.copy()
        self._results.clear()

    def lists(
        self,
        texts: Sequence[str],
        text_of: Ints,
        watched: Watched,
        rows: Ints,
        offsets: Ints,
        count: int,
    ) -> Ints:
        """[searches, count]: items at ranks offset .. offset + count - 1 of each search, -1
        beyond its end. Search s is for the words texts[text_of[s]] by the user of rows[s]."""
        result = np.full((len(rows), count), -1, np.int32)
        order = np.argsort(text_of, kind="stable")
        bounds = np.searchsorted(text_of[order], np.arange(len(texts) + 1))
        found = self.find(
            [text if bounds[n] < bounds[n + 1] else "" for n, text in enumerate(texts)]
        )
        place = np.full(len(self._items), -1, np.int64)
        for number, results in enumerate(found):
            asking = order[bounds[number] : bounds[number + 1]]
            if not len(asking) or not len(results.items):
                continue
            place[results.items] = np.arange(len(results.items))
            owners, seen = watched.of(rows[asking])
            ranks = place[seen]
            late = ranks >= results.pinned
            unseen = UnseenFirst(owners[late], ranks[late], len(asking), len(results.items))
            ranks = unseen.ranks(np.arange(len(asking)), offsets[asking], count)
            result[asking] = np.where(ranks >= 0, results.items[np.maximum(ranks, 0)], -1)
            place[results.items] = -1
        return result

    def find(self, texts: Sequence[str]) -> list[Results]:
        """What each text finds, for a user who has watched nothing."""
        if not self._known:
            self._read_catalog()
        cleaned = [" ".join(text.split()).casefold() for text in texts]
        missing = [text for text in dict.fromkeys(cleaned) if text not in self._hits]
        if len(self._hits) + len(missing) > MOST_REMEMBERED:
            self._hits.clear()
            missing = list(dict.fromkeys(cleaned))
        self._hits.update(zip(missing, self._look_up(missing), strict=True))
        for text in cleaned:
            if text not in self._results:
                self._results[text] = self._ordered(self._hits[text])
        return [self._results[text] for text in cleaned]

    def close(self) -> None:
        """Removes the index; a later query builds it anew."""
        if self._index is not None:
            self._index.close()
            self._index = None

    # ------------------------------------------------------------------ one query

    def _ordered(self, hits: Hits) -> Results:
        pinned = hits.pinned[np.lexsort((-self._watches[hits.pinned], hits.pinned_tier))]
        others = hits.items[np.lexsort((hits.items, -self._watches[hits.items], -hits.scores))]
        return Results(np.concatenate([pinned, others]), len(pinned))

    def _look_up(self, texts: Sequence[str]) -> list[Hits]:
        """Hits of each text; those that need the index go to it a few at a time."""
        exact = [self._exact(text) for text in texts]
        genres = [self._of_genres(text) for text in texts]
        asked = [n for n, text in enumerate(texts) if genres[n] is None and words(text)]
        scored: dict[int, tuple[Ints, Longs]] = {}
        if asked:
            index = self._index = self._index or _Index(self._items)
            sought = [texts[n] for n in asked]
            with ThreadPoolExecutor(4) as pool:
                answers = pool.map(partial(self._full_text, index), sought)
                scored = dict(zip(asked, answers, strict=True))
        hits: list[Hits] = []
        for n in range(len(texts)):
            pinned, tier = exact[n]
            items = genres[n]
            scores = np.zeros(0 if items is None else len(items), np.int64)
            if items is None:
                items, scores = scored.get(n, (np.empty(0, np.int32), scores))
            others = ~np.isin(items, pinned)
            hits.append(Hits(pinned, tier, items[others], scores[others]))
        return hits

    def _exact(self, text: str) -> tuple[Ints, Ints]:
        """Items whose title is the text, with or without its year, and the tier of each."""
        titled = Titled.of(text)
        whole = self._by_title.get(key(text), [])
        bare = self._by_title.get(key(titled.text), []) if titled.year else []
        items = np.array(list(dict.fromkeys([*whole, *bare])), np.int32)
        first = np.isin(items, whole) | (self._years[items] == titled.year)
        return items, np.where(first, 0, 1).astype(np.int32)

    def _of_genres(self, text: str) -> Ints | None:
        """Items that have all the genres which the words of the text name; None where some word
        names none."""
        rest = [word for word in words(text).split() if word not in FILLERS]
        common: set[int] | None = None
        while rest:
            for length in range(min(len(rest), 4), 0, -1):
                named = self._genre("".join(rest[:length]))
                if named is not None:
                    common = set(named) if common is None else common & set(named)
                    rest = rest[length:]
                    break
            else:
                return None
        return np.array(sorted(common), np.int32) if common else None

    def _genre(self, name: str) -> list[int] | None:
        singular = [name, name.removesuffix("s"), name.removesuffix("ies") + "y"]
        for one in (*singular, *(ALIASES.get(one, "") for one in singular)):
            if one in self._by_genre:
                return self._by_genre[one]
        return None

    def _full_text(self, index: _Index, text: str) -> tuple[Ints, Longs]:
        titled = Titled.of(text)
        sought = " ".join(words(titled.text).split()[:MOST_WORDS])
        items, scores = index.search(sought)
        if titled.year:
            scores = np.where(self._years[items] == titled.year, scores * YEAR_BOOST, scores)
        return items, np.rint(scores * 1e4).astype(np.int64)

    # ------------------------------------------------------------------ the catalogue

    def _read_catalog(self) -> None:
        for number, item in enumerate(self._items):
            for one in title_keys(item.title):
                self._by_title.setdefault(one, []).append(number)
            for genre in item.categories:
                self._by_genre.setdefault(words(genre).replace(" ", ""), []).append(number)
            self._years[number] = year_of(item)
        self._by_genre.pop("", None)
        self._known = True


def attribute(item: Item, name: str) -> Any:
    """A public field of an item, None where it has none."""
    value = item.attributes.fields.get(name)
    if value is None:
        return None
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return " ".join(one.string_value for one in value.list_value.values)
    return getattr(value, kind) if kind in ("string_value", "number_value") else None


def year_of(item: Item) -> int:
    """The year of an item from its attributes, else from the end of its title, else 0."""
    year = attribute(item, "year")
    if isinstance(year, float) and 0 < year < 10_000:
        return int(year)
    return Titled.of(item.title).year if item.title.rstrip().endswith(")") else 0


class _Index:
    """A LanceDB table with a full-text index on each column of BOOSTS."""

    def __init__(self, items: Sequence[Item]) -> None:
        import pyarrow as pa

        from recarena.lance import FTS, lancedb

        folder = tempfile.mkdtemp(prefix="recarena-search-")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        columns = {
            "number": pa.array(range(len(items)), pa.int32()),
            "title": pa.array([words(item.title) for item in items], pa.string()),
            "people": pa.array(
                [words(str(attribute(item, "director") or "")) for item in items], pa.string()
            ),
            "genres": pa.array([words(" ".join(item.categories)) for item in items], pa.string()),
            "description": pa.array([words(item.description) for item in items], pa.string()),
        }
        self._table: Any = lancedb.connect(folder).create_table("items", pa.table(columns))
        for column in BOOSTS:
            # Titles are short and made of stop words as well ("It", "Them!").
            self._table.create_index(column, config=FTS(remove_stop_words=False))

    def search(self, sought: str) -> tuple[Ints, np.ndarray[Any, np.dtype[np.float64]]]:
        """Items that hold some of the words, with their scores; where there are none, items with
        a title one letter off."""
        from lancedb.query import MatchQuery, MultiMatchQuery

        # Their generated signatures have no defaults for a type checker to see.
        multi_match, match = cast("Any", MultiMatchQuery), cast("Any", MatchQuery)
        query = multi_match(sought, list(BOOSTS), boosts=list(BOOSTS.values()))
        found = self._run(query)
        if not len(found[0]):
            found = self._run(match(sought, "title", fuzziness=1, max_expansions=50))
        return found

    def _run(self, query: object) -> tuple[Ints, np.ndarray[Any, np.dtype[np.float64]]]:
        table = (
            self._table.search(query, query_type="fts")
            .select(["number", "_score"])
            .limit(MOST_HITS)
            .to_arrow()
        )
        return (
            table["number"].to_numpy().astype(np.int32),
            table["_score"].to_numpy().astype(np.float64),
        )

    def close(self) -> None:
        self._remove()
