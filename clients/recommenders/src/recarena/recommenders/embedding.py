"""Texts as vectors: by latent semantic analysis of the catalogue itself, or by an embedding model
behind an OpenAI-compatible server."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from recarena.recommenders.model_options import EXTRA, EmbedderChoice
from recarena.recommenders.search import attribute
from recarena.recommenders.titles import words
from recarena.recommenders.watched import Floats
from recarena.v1.types_pb2 import Item

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    Matrix = csr_array[Any, tuple[int, int]]

logger = logging.getLogger(__name__)

DIMENSIONS, FEWEST, ITEMS_PER_DIMENSION = 128, 8, 4
"""Most and fewest dimensions, and how many items there must be for each: with as many dimensions
as items nothing would be generalised."""
OVERSAMPLING = 16
POWER_STEPS = 2
GRAM = 4
"""Letters of the pieces into which words are cut: `sorcery` and `sorcerer` share most of theirs."""
GRAM_WEIGHT = 0.3
GENRE_WEIGHT = 0.5

BATCH = 128
"""Texts in a request to an embedding server."""
PATIENCE = 20.0
"""Seconds for one request for the catalogue's vectors; it is tried again twice."""
SEARCH_PATIENCE = 4.0
"""Seconds for the vectors of searches, which users wait for; it is not tried again."""


class NoVectors(RuntimeError):
    """An embedding server did not give what it was asked for."""


class Embedder(Protocol):
    """Vectors of length one (or zero: nothing is known of the text), float32."""

    floor: float
    """Cosine below which two texts have nothing to do with each other."""

    def items(self) -> Floats:
        """[items, dimensions] of the catalogue. NoVectors."""
        ...

    def texts(self, texts: Sequence[str]) -> Floats:
        """[texts, dimensions] of what was typed. NoVectors."""
        ...


def embedder_for(choice: EmbedderChoice, items: Sequence[Item]) -> Embedder:
    """The embedder that was chosen, for a catalogue."""
    if choice.model:
        return CompatibleEmbedder(choice, items)
    return LatentSemantics(items)


# ---------------------------------------------------------------------- from the catalogue alone


class LatentSemantics:
    """Latent semantic analysis (Deerwester et al., "Indexing by latent semantic analysis", 1990):
    tf-idf of words and their pieces, projected onto the catalogue's first singular vectors
    (DIMENSIONS of them, fewer where there are few items). Words that stand in the same
    descriptions come to lie near each other.

    The singular vectors are found by random projection with a fixed seed (Halko, Martinsson and
    Tropp, 2011), so the same catalogue has the same vectors.
    """

    floor = 0.25

    def __init__(self, items: Sequence[Item]) -> None:
        documents = [terms_of(item) for item in items]
        frequency = Counter(term for document in documents for term in document)
        self._column = {term: column for column, term in enumerate(sorted(frequency))}
        counts = np.array([frequency[term] for term in self._column], np.float64)
        self._rarity = np.log((1 + len(items)) / (1 + counts)) + 0.1
        weights = self._weights(documents)
        self._projection = leading_directions(weights, dimensions(len(items)))
        self._items = self._projected(weights)

    def items(self) -> Floats:
        """See Embedder."""
        return self._items

    def texts(self, texts: Sequence[str]) -> Floats:
        """See Embedder. Words that are nowhere in the catalogue are left out."""
        documents: list[Counter[str]] = []
        for text in texts:
            document: Counter[str] = Counter()
            add_terms(document, text, 1.0)
            documents.append(document)
        return self._projected(self._weights(documents))

    def _weights(self, documents: list[Counter[str]]) -> Matrix:
        """[documents, terms] of tf-idf, rows of length one (or zero)."""
        from scipy.sparse import csr_array

        rows: list[int] = []
        columns: list[int] = []
        counts: list[float] = []
        for row, document in enumerate(documents):
            known = sorted((self._column[t], n) for t, n in document.items() if t in self._column)
            rows += [row] * len(known)
            columns += [column for column, _ in known]
            counts += [count for _, count in known]
        weights = np.log1p(np.array(counts, np.float64)) * self._rarity[np.array(columns, np.intp)]
        lengths = np.sqrt(np.bincount(np.array(rows, np.intp), weights**2, len(documents)))
        scaled = weights / lengths[rows] if rows else weights
        return csr_array((scaled, (rows, columns)), shape=(len(documents), len(self._column)))

    def _projected(self, weights: Matrix) -> Floats:
        return of_length_one(np.asarray(weights @ self._projection))


def dimensions(item_count: int) -> int:
    """How many are used for a catalogue of so many items."""
    return min(DIMENSIONS, max(FEWEST, item_count // ITEMS_PER_DIMENSION))


def terms_of(item: Item) -> Counter[str]:
    """What an item is about, as weighted terms."""
    found: Counter[str] = Counter()
    add_terms(found, item.title, 1.0)
    add_terms(found, item.description, 1.0)
    add_terms(found, str(attribute(item, "director") or ""), 1.0)
    add_terms(found, " ".join(item.categories), GENRE_WEIGHT)
    return found


def add_terms(found: Counter[str], text: str, weight: float) -> None:
    """Adds the words of a text, and the pieces of each."""
    for word in words(text).split():
        found[f"={word}"] += weight  # pyright: ignore[reportArgumentType]
        for piece in pieces(word):
            found[piece] += weight * GRAM_WEIGHT  # pyright: ignore[reportArgumentType]


@lru_cache(maxsize=65_536)
def pieces(word: str) -> tuple[str, ...]:
    """All runs of GRAM letters of a word with its ends marked; none of a word that is shorter."""
    marked = f"<{word}>"
    if len(word) < GRAM:
        return ()
    return tuple(marked[at : at + GRAM] for at in range(len(marked) - GRAM + 1))


def leading_directions(weights: Matrix, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[columns, at most count]: the right singular vectors of the largest singular values."""
    rows, columns = weights.shape
    count = min(count, rows, columns)
    if not count:
        return np.zeros((columns, 0))
    width = min(count + OVERSAMPLING, rows, columns)
    drawn = np.random.default_rng(0).standard_normal((columns, width))
    basis = np.linalg.qr(weights @ drawn)[0]
    for _ in range(POWER_STEPS):
        basis = np.linalg.qr(weights @ (weights.T @ basis))[0]
    inside = weights.T @ basis
    values, turned = np.linalg.eigh(inside.T @ inside)
    leading = np.argsort(-values, kind="stable")[:count]
    leading = leading[values[leading] > 1e-9 * max(float(values.max()), 1e-300)]
    return (inside @ turned[:, leading]) / np.sqrt(values[leading])


def of_length_one(vectors: np.ndarray[Any, Any]) -> Floats:
    """Each row divided by its length; rows that are next to nothing become zero."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, wide / np.maximum(lengths, 1e-6), 0).astype(np.float32)


# ---------------------------------------------------------------------- from a model


class CompatibleEmbedder:
    """Asks `/embeddings` of an OpenAI-compatible server through OpenAI's SDK."""

    floor = 0.0

    def __init__(self, choice: EmbedderChoice, items: Sequence[Item]) -> None:
        """NoVectors where the SDK is not installed."""
        try:
            import openai
        except ImportError:
            raise NoVectors(f"the package openai is not installed: {EXTRA}") from None
        self._errors: Any = openai.OpenAIError
        self._model = choice.model
        self._where = choice.base_url
        self._client: Any = openai.OpenAI(
            # Servers of one's own seldom want a key, the SDK always does.
            api_key=choice.key or "none",
            base_url=choice.base_url,
            max_retries=2,
            timeout=PATIENCE,
        )
        self._items = items

    def items(self) -> Floats:
        """See Embedder."""
        texts = [described(item) for item in self._items]
        return self._asked(self._client, texts)

    def texts(self, texts: Sequence[str]) -> Floats:
        """See Embedder."""
        quick = self._client.with_options(timeout=SEARCH_PATIENCE, max_retries=0)
        return self._asked(quick, [text or " " for text in texts])

    def _asked(self, client: Any, texts: Sequence[str]) -> Floats:
        parts: list[Floats] = []
        for at in range(0, len(texts), BATCH):
            batch = list(texts[at : at + BATCH])
            try:
                answer = client.embeddings.create(
                    model=self._model, input=batch, encoding_format="float"
                )
                rows = sorted(answer.data, key=lambda one: one.index)
                vectors = np.array([row.embedding for row in rows], np.float64)
            except (self._errors, ValueError, TypeError, AttributeError) as error:
                said = " ".join(str(error).split())[:200]
                raise NoVectors(
                    f"no vectors from {self._model} at {self._where}: {type(error).__name__} {said}"
                ) from None
            if vectors.ndim != 2 or len(vectors) != len(batch) or not np.isfinite(vectors).all():
                raise NoVectors(f"{self._model} at {self._where} gave no vector for each text")
            parts.append(of_length_one(vectors))
        return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def described(item: Item) -> str:
    """An item in the words that are embedded."""
    director = attribute(item, "director")
    by = f" Directed by {director}." if director else ""
    genres = f" {', '.join(item.categories)}." if item.categories else ""
    return f"{item.title}.{genres}{by} {item.description}".strip() or " "
