"""Content: more of what the user liked, by genres, people and words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from recarena.recommenders.item_to_item import ItemToItem, nearest
from recarena.recommenders.search import attribute
from recarena.recommenders.titles import words
from recarena.recommenders.watched import Floats, Longs
from recarena.v1.types_pb2 import Item

if TYPE_CHECKING:
    from recarena.recommenders.item_to_item import Matrix

NEIGHBOURS = 300
GENRES, WORDS = 1.0, 0.5
"""Weights of the two parts of an item's vector."""


class Content(ItemToItem):
    """A user's profile is the mean of the vectors of what was watched, each times how much better
    than usual it was found (so what was disliked is taken away); an item's score is its product
    with the profile. That is the common formula with R_ji = v_j . v_i, kept for the NEIGHBOURS
    items j most like i.

    v_i is [GENRES * shares of its genres, WORDS * tf-idf of description and director], each part
    of length one (Salton and Buckley, 1988; idf = log((1 + n) / (1 + df)) + 1). Nothing is
    learned about items from users but their worth, which new users get alone.
    """

    method = "content"
    follows = True
    WATCHED = 0.2
    GAIN = 2.0

    def relate(self, affinities: Matrix) -> Matrix:
        """Products of the item vectors; they never change with feedback."""
        if self._alike is None:
            self._vectors, self._features = vectors_and_features(self.run.catalog.items)
            vectors = self._vectors
            others: Any = vectors.T.tocsr()

            def similar(begin: int, end: int) -> Floats:
                products = (vectors[begin:end] @ others).toarray()
                products[np.arange(end - begin), np.arange(begin, end)] = 0
                return products

            self._alike = nearest(similar, self.item_count, NEIGHBOURS)
        return self._alike

    def in_common(self, watched: int, item: int) -> list[tuple[str, float]]:
        """Genres and director that both have, by their part in the product of the vectors; words
        of descriptions have no name that a user would know."""
        both: Any = self._vectors[[watched]].multiply(self._vectors[[item]]).tocoo()
        total = float(both.data.sum())
        parts = zip(both.coords[1].tolist(), both.data.tolist(), strict=True)
        named = [(self._features[column], value / total) for column, value in parts]
        shared = [(name, part) for name, part in named if name and part > 0]
        return sorted(shared, key=lambda feature: (-feature[1], feature[0]))

    def trust(self, counts: Longs) -> Floats:
        """1 / (watches + 3), times a constant: a mean, drawn to nothing for users with few."""
        return (10 / (counts + 3.0)).astype(np.float32)

    def _forget(self) -> None:
        super()._forget()
        self._alike: Matrix | None = None


def item_vectors(items: list[Item]) -> Matrix:
    """[items, genres + words]: see Content."""
    return vectors_and_features(items)[0]


def vectors_and_features(items: list[Item]) -> tuple[Matrix, list[str]]:
    """The vectors, and for each column the feature it stands for ("genre=Comedy"), "" for words."""
    genres: list[Counter[str]] = [Counter(set(item.categories)) for item in items]
    texts: list[Counter[str]] = []
    directors: dict[str, str] = {}
    for item in items:
        name = str(attribute(item, "director") or "")
        director = words(name).replace(" ", "")
        directors.setdefault(f"by {director}", name)
        found = [word for word in words(item.description).split() if len(word) > 2]
        texts.append(Counter([*found, f"by {director}"] if director else found))
    from scipy.sparse import hstack

    parts = [GENRES * tf_idf(genres, by_rarity=False), WORDS * tf_idf(texts, by_rarity=True)]
    joined: Any = hstack(parts, format="csr", dtype=np.float32)
    features = [f"genre={genre}" for genre in shared_terms(genres)]
    features += [f"director={directors[t]}" if t in directors else "" for t in shared_terms(texts)]
    return joined, features


def shared_terms(documents: list[Counter[str]]) -> list[str]:
    """Terms that more than one document has, sorted."""
    frequency = Counter(term for document in documents for term in document)
    return sorted(term for term, documents_with in frequency.items() if documents_with > 1)


def tf_idf(documents: list[Counter[str]], *, by_rarity: bool) -> Matrix:
    """[documents, shared_terms] of rows of length one (or zero); terms that only one document has
    are left out, since they relate it to nothing."""
    from scipy.sparse import csr_array

    frequency = Counter(term for document in documents for term in document)
    terms = {term: n for n, term in enumerate(shared_terms(documents))}
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for number, document in enumerate(documents):
        for term, count in document.items():
            if term in terms:
                idf = np.log((1 + len(documents)) / (1 + frequency[term])) + 1
                rows.append(number)
                columns.append(terms[term])
                values.append((1 + np.log(count)) * idf if by_rarity else 1.0)
    weights = np.array(values)
    lengths = np.sqrt(np.bincount(rows, weights**2, len(documents))) if rows else np.zeros(0)
    data = weights / lengths[rows] if rows else weights
    return csr_array((data.astype(np.float32), (rows, columns)), shape=(len(documents), len(terms)))
