"""Whatever a re-ranking model or its provider does, every page is whole and in time."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Any

import pytest

from recarena.recommenders import llm_models, llm_rerank
from recarena.recommenders.llm_budget import Budget
from recarena.recommenders.popular import Popular
from recarena.v1.types_pb2 import Evidence
from support.injections import INSTRUCTIONS
from support.llm_stub import Asked, LlmStub, Switches, obedient_mind
from support.rerankers import (
    PAGE,
    USERS,
    WATCHED,
    choice,
    films,
    ids,
    plain_pages,
    query,
    reranker,
    reversing,
    run,
    taught,
)

PROVIDERS = ["anthropic", "openai", "openai-compatible"]
EVERYBODY = range(USERS)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the re-ranker warned of, without the line at its end."""
    said = [record.getMessage() for record in caplog.records if record.name == llm_rerank.__name__]
    return [line for line in said if not line.startswith("pages of ")]


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "server errors": ({"server_error": 1.0}, "InternalServerError"),
    "no room": ({"rate_limited": 1.0}, "RateLimitError"),
    "no money": ({"spend_limit": 1.0}, ""),
    "broken connections": ({"reset": 1.0}, "APIConnectionError"),
    "refusals": ({"refusal": 1.0}, "refused"),
    "cut answers": ({"truncation": 1.0}, "cut"),
    "gibberish": ({"gibberish": 1.0}, "malformed"),
    "numbers of nothing": ({"out_of_range": 1.0}, "malformed"),
    "silence": ({"hang": 1.0}, "late"),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("failure", FAILURES)
async def test_what_the_model_cannot_do_the_first_stage_does(
    failure: str, provider: str, caplog, monkeypatch
):
    monkeypatch.setattr(llm_models, "RETRIES", 0)
    faults, kind = FAILURES[failure]
    users = range(4)
    patience = 0.5 if kind == "late" else 20.0
    async with (
        LlmStub(reversing(), Switches(**faults)) as stub,
        reranker(choice(stub, provider), about=run(work_timeout=patience)) as made,
    ):
        pages = await made.rank([query(user) for user in users])
        assert [ids(page) for page in pages] == plain_pages(users)
        assert sum(made.counts[one] for one in made.counts if one != "unknown items") == len(users)
        assert "by the model" not in made.counts
        assert not kind or made.counts[kind] == len(users)
    (line,) = logged(caplog)
    assert line.startswith("a page is the first stage's, not the model's (")
    assert caplog.records[-1].getMessage().startswith("pages of stub: 4 ")


async def test_a_page_of_the_first_stage_has_the_first_stages_reasons():
    about = run()
    alone = Popular()
    taught(alone, about)
    queries = [query(user, explain=True) for user in EVERYBODY]
    expected = alone.rank(queries)
    alone.close()
    async with (
        LlmStub(reversing(), Switches(gibberish=1.0)) as stub,
        reranker(choice(stub), about=about, first=Popular) as made,
    ):
        assert await made.rank(queries) == expected
    assert any(one.HasField("explanation") for page in expected for one in page)


async def test_answers_are_in_time_also_where_the_model_is_slow():
    async with (
        LlmStub(reversing(), Switches(latency_s=0.05, latency_spread_s=4.0)) as stub,
        reranker(choice(stub), about=run(work_timeout=1.5)) as made,
    ):
        began = time.monotonic()
        pages = await made.rank([query(user) for user in EVERYBODY])
        assert time.monotonic() - began < 1.5
        assert all(len(set(ids(page))) == PAGE for page in pages)
        assert made.counts["late"] > 0
        assert made.counts["late"] + made.counts["by the model"] == USERS
        await stub.idle()


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_no_more_calls_are_under_way_than_allowed(concurrency: int):
    async with (
        LlmStub(reversing(), Switches(latency_s=0.02)) as stub,
        reranker(choice(stub, concurrency=concurrency)) as made,
    ):
        works = [[query(user) for user in EVERYBODY[at::3]] for at in range(3)]
        await asyncio.gather(*(made.rank(work) for work in works))
        assert stub.most_in_flight == concurrency
        assert made.counts == {"by the model": USERS}


async def test_a_withdrawn_work_withdraws_its_calls():
    asked, both = list[Asked](), asyncio.Event()

    def noting(one: Asked) -> str:
        asked.append(one)
        if len(asked) == 2:
            both.set()
        return reversing()(one)

    async with (
        LlmStub(noting, Switches(latency_s=60.0)) as stub,
        reranker(choice(stub)) as made,
    ):
        work = asyncio.create_task(made.rank([query(0), query(1)]))
        await asyncio.wait_for(both.wait(), 10)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await stub.idle()
        stub.switches.latency_s = 0.0
        await made.rank([query(0)])
        assert made.counts == {"by the model": 1}


async def test_a_key_that_is_not_known_is_not_tried_again(caplog):
    async with (
        LlmStub(reversing(), Switches(keys=("other",))) as stub,
        reranker(choice(stub, concurrency=1)) as made,
    ):
        pages = await made.rank([query(user) for user in EVERYBODY])
        assert [ids(page) for page in pages] == plain_pages(EVERYBODY)
        assert len(stub.calls) == 1
        assert made.counts == {"AuthenticationError": 1, "not asked": USERS - 1}
    assert "the model is not asked any more in this run" in caplog.text


class Choosy(LlmStub):
    """A provider whose model takes no temperature."""

    asked_with = 0

    def _reply(self, exchange: Any, dice: Any) -> Any:
        if b'"temperature"' in exchange.body:
            self.asked_with += 1
            return 400, {"error": {"message": "Unsupported parameter: 'temperature'"}}
        return super()._reply(exchange, dice)


@pytest.mark.parametrize("provider", ["openai", "openai-compatible"])
async def test_a_model_that_takes_no_temperature_is_asked_without(provider: str):
    async with Choosy(reversing()) as stub, reranker(choice(stub, provider)) as made:
        await made.rank([query(0)])
        await made.rank([query(user) for user in range(1, 5)])
        assert made.counts == {"by the model": 5}
        assert stub.asked_with == 1


async def test_a_cap_of_calls_holds_over_all_runs_and_is_said_once(caplog):
    async with LlmStub(reversing()) as stub:
        chosen = choice(stub, max_calls=7)
        budget = Budget(chosen)
        for _ in range(2):
            async with reranker(chosen, budget=budget) as made:
                pages = await made.rank([query(user) for user in range(5)])
                assert all(len(set(ids(page))) == PAGE for page in pages)
        assert stub.answered.total() == 7
        assert made.counts == {"by the model": 2, "over budget": 3}
    assert logged(caplog) == ["the first stage alone from now on: --max-calls 7 is used up"]


async def test_a_cap_of_tokens_is_not_passed_however_many_calls_are_under_way():
    async with LlmStub(reversing(), Switches(latency_s=0.01)) as stub:
        cap = 9000
        chosen = choice(stub, "openai", max_tokens=cap, answer_tokens=200)
        async with reranker(chosen) as made:
            await made.rank([query(user) for user in EVERYBODY])
            await made.rank([query(user, 5) for user in EVERYBODY])
            assert 0 < made.counts["by the model"] < 2 * USERS
            assert made.counts["over budget"] > 0
            budget: Budget = made._budget  # pyright: ignore[reportPrivateUsage]
            assert cap / 2 < budget.tokens <= cap


@pytest.mark.parametrize("seed", [1, 2])
async def test_titles_that_give_orders_change_neither_form_nor_choice(seed: int):
    """The worst reader there is obeys them; all the same a page is of the catalogue, unwatched,
    each item once, and no reason is shown without evidence that is true."""
    titles = Random(seed).sample(INSTRUCTIONS, 40)
    about = run(films(titles))
    async with LlmStub(obedient_mind(seed)) as stub, reranker(choice(stub), about=about) as made:
        pages = await made.rank([query(user, explain=True) for user in EVERYBODY])
        assert stub.answered.total() == USERS
    allowed = [set(p + q + r) for p, q, r in zip(
        plain_pages(EVERYBODY, 0, about), plain_pages(EVERYBODY, 5, about),
        plain_pages(EVERYBODY, 10, about), strict=True)]  # fmt: skip
    for user, page in enumerate(pages):
        assert len(set(ids(page))) == PAGE
        assert set(ids(page)) <= allowed[user]
        for one in page:
            for piece in one.explanation.evidence:
                if piece.kind == Evidence.KIND_ITEM:
                    assert int(piece.reference[1:]) in WATCHED[user]
                else:
                    assert piece.reference.startswith("genre=")
            assert not one.explanation.text or one.explanation.evidence
