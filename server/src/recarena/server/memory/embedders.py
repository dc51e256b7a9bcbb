"""Embedders: texts as vectors of length 1, so that memories can be compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from recarena.server.errors import InputError
from recarena.server.types import Floats

_WORD = re.compile(r"\w+")
_STOP_WORDS = """
a about after all also an and are as at be been but by did do for from had has have he her him his
i if in into is it its just me more my no not of on one or our out said she so some that the their
them then they this to too up very was we were what when which who will with would you your
watched took gave told posted star stars 0 1 2 3 4 5
"""
"""Words that say nothing of what a text is about, the last line those in which memories are put:
with them every two watches would be similar."""
_STOP = frozenset(_STOP_WORDS.split())


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def id(self) -> str:
        """Name and version: vectors of different ids are not compared."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers a vector has."""
        ...

    @property
    def similar_above(self) -> float:
        """Cosine from which on two memories say about the same."""
        ...

    @property
    def is_lexical(self) -> bool:
        """Whether it compares words rather than meanings."""
        ...

    async def embed(self, texts: Sequence[str]) -> Floats:
        """[texts, dimension] of length 1; zeros for a text without words."""
        ...

    def embed_now(self, texts: Sequence[str]) -> Floats:
        """The same without waiting, for texts that were embedded before."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


class HashEmbedder:
    """Words and letters hashed into a vector (feature hashing, Weinberger et al., 2009): whole
    words, their stems of five letters and trigrams within words. It knows nothing of meaning: two
    texts are near where they share words, so it is *lexical*. Needs no weights; the same on every
    machine."""

    id = "hash-1"
    dimension = 384
    similar_above = 0.55
    is_lexical = True

    async def embed(self, texts: Sequence[str]) -> Floats:
        """See Embedder."""
        return self.embed_now(texts)

    async def close(self) -> None:
        """Nothing to let go of."""

    def embed_now(self, texts: Sequence[str]) -> Floats:
        """The same without waiting."""
        made = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                if word not in _STOP:
                    at, weight = _features(word, self.dimension)
                    np.add.at(made[row], at, weight)
        length = np.sqrt((made * made).sum(axis=1, keepdims=True))
        return (made / np.where(length > 0, length, 1)).astype(np.float32)


@lru_cache(maxsize=65536)
def _features(word: str, dimension: int) -> tuple[Any, Any]:
    """Places and signed weights of a word: itself 1, its stem 0.7, its trigrams 0.7 in all."""
    edged = f"^{word}$"
    grams = [edged[n : n + 3] for n in range(len(edged) - 2)]
    named = [(f"w:{word}", 1.0), (f"s:{word[:5]}", 0.7)]
    named += [(f"g:{gram}", 0.7 / np.sqrt(len(grams))) for gram in grams]
    at = np.empty(len(named), np.int64)
    weight = np.empty(len(named), np.float32)
    for number, (name, value) in enumerate(named):
        digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        at[number] = digest % dimension
        weight[number] = value if digest >> 63 else -value
    return at, weight


class MiniLmEmbedder:
    """A sentence encoder of MiniLM's kind in ONNX, from a folder with model.onnx and
    tokenizer.json: mean of the token vectors under the attention mask."""

    is_lexical = False
    similar_above = 0.7

    def __init__(self, folder: Path) -> None:
        """InputError where the extra or a file is missing."""
        try:
            import onnxruntime
            import tokenizers
        except ImportError as error:
            raise InputError(
                f"the embedder minilm needs a package that is not installed ({error.name})",
                remedy="Install recarena-server[minilm], or use the embedder hash",
            ) from None
        for name in ("model.onnx", "tokenizer.json"):
            if not (folder / name).is_file():
                raise InputError(
                    f"there is no {name}", where=str(folder),
                    remedy="Put the weights there, or use the embedder hash",
                )  # fmt: skip
        self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_padding()
        self._tokenizer.enable_truncation(256)
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the same sums on every machine
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        weights = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
        self.id = f"minilm-{weights[:12]}"
        self.dimension = int(self.embed_now(["size"]).shape[1])

    async def embed(self, texts: Sequence[str]) -> Floats:
        """See Embedder."""
        return self.embed_now(texts)

    async def close(self) -> None:
        """Nothing to let go of."""

    def embed_now(self, texts: Sequence[str]) -> Floats:
        """The same without waiting."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        encoded = self._tokenizer.encode_batch(list(texts))
        mask = np.array([one.attention_mask for one in encoded], np.int64)
        given = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(mask),
        }
        wanted = {one.name for one in self._session.get_inputs()}
        (tokens, *_) = self._session.run(None, {n: v for n, v in given.items() if n in wanted})
        weight = mask[:, :, None].astype(np.float32)
        mean = (tokens * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
        length = np.sqrt((mean * mean).sum(axis=1, keepdims=True))
        return (mean / np.where(length > 0, length, 1)).astype(np.float32)


class CachedEmbedder:
    """An embedder that embeds each text once while the process lives."""

    def __init__(self, inner: Embedder, size: int = 65536) -> None:
        self._inner, self._size = inner, size
        self.id, self.dimension = inner.id, inner.dimension
        self.similar_above, self.is_lexical = inner.similar_above, inner.is_lexical
        self._known: dict[str, Floats] = {}

    async def embed(self, texts: Sequence[str]) -> Floats:
        """See Embedder."""
        missing = self._missing(texts)
        fresh = await self._inner.embed(missing) if missing else None
        return self._taken(texts, missing, fresh)

    def embed_now(self, texts: Sequence[str]) -> Floats:
        """See Embedder."""
        missing = self._missing(texts)
        fresh = self._inner.embed_now(missing) if missing else None
        return self._taken(texts, missing, fresh)

    async def close(self) -> None:
        """See Embedder."""
        await self._inner.close()

    def _missing(self, texts: Sequence[str]) -> list[str]:
        """Texts that are not known yet; "" is known to everybody."""
        return [text for text in dict.fromkeys(texts) if text and text not in self._known]

    def _taken(self, texts: Sequence[str], missing: list[str], vectors: Floats | None) -> Floats:
        fresh = {} if vectors is None else dict(zip(missing, vectors, strict=True))
        made = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            if text:
                made[row] = fresh[text] if text in fresh else self._known[text]
        if len(self._known) + len(fresh) > self._size:
            self._known.clear()
        self._known.update(fresh)
        return made
