"""A look at a model before a run, and embeddings that are asked for once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recarena.server.errors import InputError
from recarena.server.llm.embeddings import (
    ATTEMPTS,
    BATCH,
    CompatibleEmbedder,
    asked_vectors,
    dimension_of,
)
from recarena.server.llm.failures import NotRecorded, ProviderFailed
from recarena.server.llm.probe import CANARY, CANARY_CHARACTERS, Probe, probe
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.llm.transport import NotArrived
from support.clock import on_a_virtual_clock
from support.llm_stub import Asked, LlmStub, Switches, scripted_mind
from support.thinkers import EVERY_PROVIDER, NOWHERE, Scripted, arrived, thinking


def attentive(asked: Asked) -> str:
    """Finds the code word where it was sent."""
    found = CANARY if CANARY in asked.first else "none"
    return json.dumps({"colour": found, "number": 7})


# ---------------------------------------------------------------------- the probe


@EVERY_PROVIDER
async def test_a_model_that_does_as_it_is_told_is_found_to(provider):
    async with thinking(provider, attentive) as (stub, thinker):
        found = await probe(thinker)
        assert found == Probe(keeps_schema=True, tells_usage=True, reads_to_the_end=True)
        assert found.as_json()["problem"] == ""
        assert len(stub.calls) == 1
        assert thinker.recorder.rows("SELECT * FROM decisions") == [], "it decides nothing"
        assert await probe(thinker) == found
        assert len(stub.calls) == 1, "the second is taken from the recording"


@EVERY_PROVIDER
async def test_a_model_that_reads_only_the_end_of_a_prompt_is_told_of(provider):
    switches = Switches(caps_context=CANARY_CHARACTERS // 4)
    async with thinking(provider, attentive, switches) as (_, thinker):
        with pytest.raises(InputError, match="nobody said so") as caught:
            await probe(thinker)
    assert caught.value.where == f"{provider} m"
    assert "read only 1,000" in str(caught.value)
    assert "num_ctx" in caught.value.remedy


@pytest.mark.parametrize(
    "switches",
    [
        Switches(caps_context=2000, missing_usage=True),
        Switches(caps_context=CANARY_CHARACTERS - 200),
    ],
    ids=["usage untold", "only the beginning is missing"],
)
async def test_it_is_told_of_also_where_usage_does_not_show_it(switches):
    async with thinking("openai-compatible", attentive, switches) as (_, thinker):
        with pytest.raises(InputError, match="nobody said so"):
            await probe(thinker)


@pytest.mark.parametrize(
    ("switches", "found"),
    [
        (Switches(missing_usage=True), Probe(True, False, True)),
        (Switches(fenced=True), Probe(False, True, True, "something stands around")),
        (Switches(no_schema=True), Probe(False, True, True, "something stands around")),
        (Switches(gibberish=True), Probe(False, True, False, "not one JSON object")),
        (Switches(out_of_range=True), Probe(True, True, True)),
    ],
    ids=["usage", "fenced", "schema", "gibberish", "any number will do"],
)
@EVERY_PROVIDER
async def test_what_a_model_does_not_do_is_noted_and_no_error(provider, switches, found):
    async with thinking(provider, attentive, switches) as (_, thinker):
        got = await probe(thinker)
        assert found.problem in got.problem
        assert got == Probe(
            found.keeps_schema, found.tells_usage, found.reads_to_the_end, got.problem
        )


@EVERY_PROVIDER
async def test_a_model_that_takes_no_question_is_told_of(provider):
    switches = Switches(server_error=True, server_error_status=400)
    async with thinking(provider, attentive, switches) as (_, thinker):
        with pytest.raises(InputError, match=r"does not take a plain question: HTTP 400"):
            await probe(thinker)


@EVERY_PROVIDER
async def test_a_refusal_is_no_cut_prompt(provider):
    async with thinking(provider, attentive, Switches(refusal=True)) as (_, thinker):
        found = await probe(thinker)
        assert (found.keeps_schema, found.reads_to_the_end) == (False, False)


async def test_an_answer_that_is_another_object_is_no_cut_prompt():
    async with thinking("openai", scripted_mind([], {"colour": "blue"})) as (_, thinker):
        assert (await probe(thinker)).problem.startswith("number: ")


# ---------------------------------------------------------------------- embeddings


def embedder(url: str, recorder: Recorder, dimension: int = 8, **more: Any) -> CompatibleEmbedder:
    given = {"strict": False} | more
    return CompatibleEmbedder(f"{url}/v1", "e", "", recorder, dimension, **given)


def vectors(*rows: list[float], order: Callable[[int], int] = lambda at: at) -> Any:
    data = [{"index": at, "embedding": row} for at, row in enumerate(rows)]
    return arrived({"data": sorted(data, key=lambda row: order(row["index"]))})


async def test_vectors_are_asked_for_once_and_have_length_one(tmp_path):
    texts = ["a film", "another film", "a film"]
    async with LlmStub(switches=Switches(dimension=8)) as stub:
        with Recorder(tmp_path / FILE) as recorder:
            asked = embedder(stub.url, recorder)
            first = await asked.embed(texts)
            assert (await asked.embed(texts[:2]) == first[:2]).all()
            assert len(stub.calls) == 1
            await asked.close()
        with Recorder(tmp_path / FILE) as recorder:
            later = embedder(stub.url, recorder)
            assert (await later.embed(texts) == first).all()
            assert (later.embed_now(texts) == first).all()
            assert len(stub.calls) == 1
            await later.close()
    assert first.shape == (3, 8)
    assert first.dtype == np.float32
    assert (first[0] == first[2]).all()
    assert np.linalg.norm(first, axis=1) == pytest.approx(1.0, abs=1e-6)


async def test_many_texts_are_asked_for_in_batches():
    texts = [f"text {n}" for n in range(BATCH * 2 + 1)]
    async with LlmStub(switches=Switches(dimension=4)) as stub:
        with Recorder(None) as recorder:
            asked = embedder(stub.url, recorder, 4)
            assert (await asked.embed(texts)).shape == (len(texts), 4)
            assert len(stub.calls) == 3
            await asked.embed([*texts, "one more"])
            assert len(stub.calls) == 4
            await asked.close()


async def test_a_strict_replay_asks_for_no_vector():
    with Recorder(None) as recorder:
        digest = hashlib.sha256(b"known").hexdigest()
        vector = np.array([1, 0], np.float32)
        await recorder.keep_vectors("openai-compatible:e", {digest: vector.tobytes()})
        asked = embedder(NOWHERE, recorder, 2, strict=True)
        assert (await asked.embed(["known"]) == [[1, 0]]).all()
        assert (await asked.embed([])).shape == (0, 2)
        with pytest.raises(NotRecorded, match="'unknown' is not in the recording"):
            await asked.embed(["known", "unknown"])
        with pytest.raises(InputError, match="'unknown' is not recorded"):
            asked.embed_now(["unknown"])
        await asked.close()


async def test_vectors_of_another_recording_are_taken(tmp_path):
    async with LlmStub(switches=Switches(dimension=8)) as stub:
        with Recorder(tmp_path / "a") as recorder:
            asked = embedder(stub.url, recorder)
            first = await asked.embed(["a film"])
            await asked.close()
        with Recorder(tmp_path / "a", read_only=True) as source, Recorder(None) as recorder:
            other = embedder(stub.url, recorder, source=source)
            assert (await other.embed(["a film"]) == first).all()
            assert (other.embed_now(["a film"]) == first).all()
            await other.close()
        assert len(stub.calls) == 1


async def test_an_embedder_of_another_size_is_refused():
    async with LlmStub(switches=Switches(dimension=8)) as stub:
        assert await dimension_of(f"{stub.url}/v1", "e", "") == 8
        with Recorder(None) as recorder:
            asked = embedder(stub.url, recorder, 9)
            with pytest.raises(InputError, match=r"vectors of 8 numbers.* have 9"):
                await asked.embed(["a film"])
            await asked.close()


async def test_an_embedder_that_is_not_accepted_is_not_asked_again():
    async with LlmStub(switches=Switches(keys=("other",))) as stub:
        with pytest.raises(ProviderFailed, match="embeddings of e: HTTP 401"):
            await dimension_of(f"{stub.url}/v1", "e", "wrong")
        assert len(stub.calls) == 1


@on_a_virtual_clock
async def test_rows_are_put_in_their_order():
    transport: Any = Scripted([vectors([2, 0], [0, 0], [0, 3], order=lambda at: -at)])
    found = await asked_vectors(transport, "e", ["a", "b", "c"])
    assert found.tolist() == [[1, 0], [0, 0], [0, 1]]


@on_a_virtual_clock
@pytest.mark.parametrize(
    "fault",
    [
        NotArrived("reset"),
        arrived(b"busy", 503),
        arrived(b"slow down", 429),
        arrived(b"<html>"),
        arrived(b"[" * 50_000),
        arrived([]),
        arrived({"data": 7}),
        arrived({"data": []}),
        arrived({"data": [7]}),
        vectors([1, 0]),
        vectors([1, 0], [1]),
        vectors([], []),
        arrived({"data": [{"index": n, "embedding": n} for n in range(2)]}),
        arrived({"data": [{"index": n, "embedding": [None, "x"]} for n in range(2)]}),
        arrived(b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [1]}]}'),
    ],
    ids=lambda fault: str(getattr(fault, "body", fault))[:40],
)
async def test_what_is_no_answer_is_asked_for_again_and_then_given_up(fault):
    transport: Any = Scripted([fault, vectors([1, 0], [0, 1])])
    assert (await asked_vectors(transport, "e", ["a", "b"])).shape == (2, 2)
    hopeless: Any = Scripted([fault])
    with pytest.raises(ProviderFailed, match="embeddings of e: "):
        await asked_vectors(hopeless, "e", ["a", "b"])
    assert len(hopeless.sent) == ATTEMPTS
