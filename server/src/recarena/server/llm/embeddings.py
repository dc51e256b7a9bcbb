"""Embeddings of an OpenAI-compatible server: asked once per text and recorded."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np

from recarena.server.errors import InputError
from recarena.server.llm.apis import decode, encode
from recarena.server.llm.failures import NotRecorded, ProviderFailed
from recarena.server.llm.recorder import Recorder
from recarena.server.llm.transport import Endpoint, NotArrived, SdkTransport
from recarena.server.types import Floats

BATCH = 128
"""Texts a request."""
ATTEMPTS = 5
PATH = "/embeddings"


class CompatibleEmbedder:
    """An Embedder that asks `/embeddings`. What it answered once is taken from the recording."""

    is_lexical = False
    similar_above = 0.75

    def __init__(
        self, base_url: str, model: str, key: str, recorder: Recorder, dimension: int, *,
        strict: bool, source: Recorder | None = None,
    ) -> None:  # fmt: skip
        """`strict`: no request is ever made. `source`: another recording to take vectors from."""
        self.id = f"openai-compatible:{model}"
        self.dimension = dimension
        self._model, self._recorder, self._strict = model, recorder, strict
        self._source = source
        self._endpoint = Endpoint("openai-compatible", base_url, PATH, (key or "none",), 60.0, 8)
        self._transport: SdkTransport | None = None

    async def embed(self, texts: Sequence[str]) -> Floats:
        """See Embedder. ProviderFailed where the server fails for good."""
        known = self._recorded(texts)
        missing = [text for text in dict.fromkeys(texts) if _hash(text) not in known]
        if missing and self._strict:
            raise NotRecorded(
                f"the vector of {missing[0][:60]!r} is not in the recording, and a strict replay "
                "asks for none"
            )
        for at in range(0, len(missing), BATCH):
            batch = missing[at : at + BATCH]
            vectors = await self._ask(batch)
            made = {
                _hash(text): vector.tobytes() for text, vector in zip(batch, vectors, strict=True)
            }
            await self._recorder.keep_vectors(self.id, made)
            known |= made
        return self._matrix(texts, known)

    def embed_now(self, texts: Sequence[str]) -> Floats:
        """See Embedder. InputError where one is not recorded."""
        known = self._recorded(texts)
        for text in texts:
            if _hash(text) not in known:
                raise InputError(
                    f"the vector of {text[:60]!r} is not recorded", where=str(self._recorder.path)
                )
        return self._matrix(texts, known)

    async def close(self) -> None:
        """Closes all connections."""
        if self._transport:
            await self._transport.close()

    def _recorded(self, texts: Sequence[str]) -> dict[str, bytes]:
        wanted = dict.fromkeys(map(_hash, texts))
        found = self._source.vectors(self.id, wanted) if self._source else {}
        return found | self._recorder.vectors(self.id, wanted)

    def _matrix(self, texts: Sequence[str], known: dict[str, bytes]) -> Floats:
        made = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            made[row] = np.frombuffer(known[_hash(text)], np.float32)
        return made

    async def _ask(self, texts: Sequence[str]) -> Floats:
        vectors = await asked_vectors(self._sender(), self._model, texts)
        if vectors.shape[1] != self.dimension:
            raise InputError(
                f"{self.id} gives vectors of {vectors.shape[1]} numbers, and the run's memories "
                f"have {self.dimension}",
                remedy="Use the embedder that the run was begun with",
            )
        return vectors

    def _sender(self) -> SdkTransport:
        if self._transport is None:
            self._transport = SdkTransport(self._endpoint)
        return self._transport


async def dimension_of(base_url: str, model: str, key: str) -> int:
    """Numbers of a vector. ProviderFailed where the server does not answer."""
    transport = SdkTransport(
        Endpoint("openai-compatible", base_url, PATH, (key or "none",), 60.0, 1)
    )
    try:
        return int((await asked_vectors(transport, model, ["size"])).shape[1])
    finally:
        await transport.close()


async def asked_vectors(transport: SdkTransport, model: str, texts: Sequence[str]) -> Floats:
    """[texts, dimension] of length 1, from the server. ProviderFailed where it fails for good."""
    body = encode({"model": model, "input": list(texts), "encoding_format": "float"})
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(min(0.5 * 2**attempt, 10))
        try:
            arrived = await transport.post(0, body)
        except NotArrived as error:
            problem = str(error)
            continue
        problem = f"HTTP {arrived.status}: {arrived.body[:200].decode('utf-8', 'replace')}"
        if arrived.status == 200:
            vectors = _vectors_in(arrived.body, len(texts))
            if vectors is None:
                problem = "the response does not hold a vector for each text"
                continue
            length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
            return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
        if arrived.status in (400, 401, 403, 404):
            break
    raise ProviderFailed(f"embeddings of {model}: {problem}")


def _vectors_in(body: bytes, count: int) -> Floats | None:
    """As they were sent, in their order; None where there is not one for each text."""
    try:
        rows = sorted(decode(body)["data"], key=lambda row: row["index"])
        vectors = np.array([row["embedding"] for row in rows], np.float32)
    except (ValueError, KeyError, TypeError):
        return None
    whole = vectors.ndim == 2 and len(vectors) == count and vectors.shape[1] > 0
    return vectors if whole and np.isfinite(vectors).all() else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
