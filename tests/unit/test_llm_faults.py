"""What goes wrong with a provider, and what becomes of the calls."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from recarena.server.errors import RunPaused
from recarena.server.llm import thinker as thinkers
from recarena.server.llm.calls import Source
from recarena.server.llm.failures import ProviderFailed
from recarena.server.llm.thinker import Thinker
from recarena.server.llm.transport import Arrived, NotArrived
from support.clock import now, on_a_virtual_clock
from support.llm_stub import Switches, scripted_mind
from support.llm_stub.replies import error, no_money
from support.thinkers import (
    EVERY_PROVIDER,
    FORM,
    GOOD,
    RATED,
    Scripted,
    arrived,
    asker,
    prompt,
    replied,
    thinker_by,
    thinking,
)

API = {"anthropic": "anthropic", "openai": "openai", "openai-compatible": "chat"}
A_MOMENT = 0.01
"""Recording takes less."""
LIMITED = arrived(error("openai", 429, "Slow down."), 429)


@pytest.fixture
def quick(monkeypatch):
    """Nobody waits long before the next try."""
    monkeypatch.setattr(thinkers, "BACK_OFF_S", 0.001)


class ByKey(Scripted):
    """Answers each key in its own way; a call takes a moment."""

    def __init__(self, answer: Callable[[int], Arrived]) -> None:
        super().__init__([])
        self.answer = answer
        self.by_key: Counter[int] = Counter()

    async def post(self, key: int, body: bytes, path: str = "") -> Arrived:
        self.by_key[key] += 1
        await asyncio.sleep(0.001)
        return self.answer(key)


def answering(*answers: Arrived | Exception, **more: Any) -> tuple[Scripted, Thinker]:
    """A thinker without a network; the last answer stays."""
    transport = Scripted(answers)
    return transport, thinker_by(lambda: (transport, 1), "openai", **more)


async def decided(thinker: Thinker, calls: int) -> None:
    """All these decisions come to what the model says."""
    decisions = (thinker.decide(prompt(n), FORM, asker(n)) for n in range(calls))
    for outcome in await asyncio.gather(*decisions):
        assert (outcome.value, outcome.source) == (RATED, Source.LLM)


# ---------------------------------------------------------------------- over a real connection


@EVERY_PROVIDER
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"rate_limited": 0.5, "retry_after_s": 0.01}, 429),
        ({"rate_limited": 0.5}, 429),
        ({"rate_limit_above": 3, "latency_s": 0.005}, 429),
        ({"server_error": 0.5}, 500),
        ({"server_error": 0.5, "server_error_status": 529}, 529),
        ({"reset": 0.5}, 0),
        ({"hang": 0.3}, 0),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
@pytest.mark.usefixtures("quick")
async def test_what_passes_is_tried_again_until_it_succeeds(provider, fault, status):
    switches = Switches(**fault)
    timeout = 0.3 if "hang" in fault else 20.0
    async with thinking(provider, switches=switches, attempts=30, timeout_s=timeout) as (
        stub,
        thinker,
    ):
        await decided(thinker, 16)
        assert stub.by_status[status] > 0
        assert stub.by_status[200] == 16, "no answer was asked for twice"
        assert thinker.tally.again.total() == len(stub.calls) - 16
        assert [pace.in_flight for pace in thinker.pool.paces] == [0]


@EVERY_PROVIDER
@pytest.mark.parametrize("fault", ["server_error", "reset", "hang"])
@pytest.mark.usefixtures("quick")
async def test_after_so_many_tries_the_run_pauses_and_says_why(provider, fault):
    switches = Switches(**{fault: True})
    timeout = 0.05 if fault == "hang" else 20.0
    async with thinking(provider, switches=switches, attempts=3, timeout_s=timeout) as (
        stub,
        thinker,
    ):
        with pytest.raises(ProviderFailed) as caught:
            await thinker.decide(prompt(), FORM, asker(7, round=2))
        told = str(caught.value)
        assert isinstance(caught.value, RunPaused)
        assert f"{provider} failed 3 times (round 2, user 7, page 0): " in told
        assert "recarena resume RUN" in told
        assert {"server_error": "HTTP 500", "reset": "Error", "hang": "within 0.05 s"}[
            fault
        ] in told
        await stub.idle()
        assert len(stub.calls) == 3
        assert (thinker.budget.open, thinker.budget.spent) == (0, 0.0)


@EVERY_PROVIDER
async def test_a_model_that_is_not_there_is_asked_for_once(provider):
    async with thinking(provider, switches=Switches(models=("other",))) as (stub, thinker):
        with pytest.raises(ProviderFailed, match=r"HTTP 404: .*model: m"):
            await thinker.decide(prompt(), FORM, asker())
        assert len(stub.calls) == 1


@EVERY_PROVIDER
async def test_several_keys_share_the_load(provider):
    keys = ("a", "b", "c")
    switches = Switches(latency_s=0.01)
    async with thinking(provider, switches=switches, keys=keys, concurrency_start=4) as (
        stub,
        thinker,
    ):
        await decided(thinker, 60)
        assert stub.by_key.total() == 60
        assert all(10 <= stub.by_key[key] <= 30 for key in keys)
        assert stub.most_in_flight > 4


@EVERY_PROVIDER
async def test_a_key_that_is_not_accepted_leaves_its_work_to_the_others(provider):
    switches = Switches(keys=("good", "better"), latency_s=0.002)
    async with thinking(provider, switches=switches, keys=("bad", "good", "better")) as (
        stub,
        thinker,
    ):
        await decided(thinker, 30)
        assert stub.by_key["good"] > 5 < stub.by_key["better"]
        assert "the key is not accepted" in thinker.pool.paces[0].dead
        assert "incorrect API key" in thinker.pool.paces[0].dead


@EVERY_PROVIDER
async def test_without_any_key_the_run_pauses_and_says_why(provider):
    switches = Switches(spend_limit=True)
    async with thinking(provider, switches=switches, keys=("a", "b"), concurrency_start=1) as (
        stub,
        thinker,
    ):
        decisions = (thinker.decide(prompt(n), FORM, asker(n)) for n in range(20))
        for one in await asyncio.gather(*decisions, return_exceptions=True):
            assert isinstance(one, ProviderFailed)
            assert f"{provider}: no money or quota left" in str(one)
            assert "recarena resume RUN" in str(one)
        assert stub.by_key == {"a": 1, "b": 1}, "a dead key is asked nothing more"


# ---------------------------------------------------------------------- by a script


@EVERY_PROVIDER
async def test_a_key_without_money_leaves_its_work_to_the_others(provider):
    status, body = no_money(API[provider])
    poor, rich = arrived(body, status), arrived(replied(provider))
    transport = ByKey(lambda key: poor if key == 0 else rich)
    thinker = thinker_by(lambda: (transport, 2), provider, concurrency_start=2)
    await decided(thinker, 20)
    assert transport.by_key[1] == 20
    assert transport.by_key[0] <= 2, "those that were under way"
    await thinker.close()


@on_a_virtual_clock
async def test_a_provider_is_left_alone_for_as_long_as_it_says():
    slow = Arrived(429, {"retry-after": "7"}, LIMITED.body)
    busy = Arrived(503, {"retry-after": "5"}, b"busy")
    _, thinker = answering(slow, busy, arrived(replied("openai")))
    began = now()
    await decided(thinker, 1)
    assert now() - began == pytest.approx(12, abs=A_MOMENT)
    assert thinker.tally.again == {"limited": 1, "transient": 1}
    await thinker.close()


@on_a_virtual_clock
async def test_how_long_a_provider_is_left_alone_is_capped():
    slow = Arrived(429, {"retry-after": "86400"}, LIMITED.body)
    _, thinker = answering(slow, arrived(replied("openai")), retry_after_cap_s=60)
    began = now()
    await decided(thinker, 1)
    assert now() - began == pytest.approx(60, abs=A_MOMENT)
    await thinker.close()


@on_a_virtual_clock
async def test_a_provider_that_says_it_is_used_up_is_left_alone_before_it_refuses():
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "4s"}
    last = arrived(replied("openai"), headers=headers)
    transport, thinker = answering(last, arrived(replied("openai")))
    await decided(thinker, 1)
    began = now()
    await thinker.decide(prompt(99), FORM, asker(99))
    assert now() - began == pytest.approx(4, abs=A_MOMENT)
    assert len(transport.sent) == 2
    await thinker.close()


@on_a_virtual_clock
async def test_an_idle_key_is_taken_rather_than_waiting_for_one_that_refused():
    slow, good = Arrived(429, {"retry-after": "50"}, LIMITED.body), arrived(replied("openai"))
    transport = ByKey(lambda key: slow if key == 0 else good)
    thinker = thinker_by(lambda: (transport, 2), "openai")
    began = now()
    await decided(thinker, 10)
    assert now() - began < 5
    assert transport.by_key[1] == 10
    await thinker.close()


@on_a_virtual_clock
@pytest.mark.parametrize("headers", [{}, {"retry-after": "0"}, {"retry-after": "nan"}])
async def test_without_a_word_of_how_long_the_wait_doubles_up_to_half_a_minute(headers):
    transport, thinker = answering(Arrived(429, headers, LIMITED.body), attempts=2)
    began = now()
    with pytest.raises(ProviderFailed, match="failed 20 times"):
        await thinker.decide(prompt(), FORM, asker())
    assert len(transport.sent) == 20
    assert 300 < now() - began < 19 * thinkers.BACK_OFF_CAP_S
    await thinker.close()


@on_a_virtual_clock
async def test_a_thousand_refusals_are_waited_for_as_well():
    transport, thinker = answering(LIMITED, attempts=100, concurrency=1)
    with pytest.raises(ProviderFailed, match="failed 1000 times"):
        await thinker.decide(prompt(), FORM, asker())
    assert len(transport.sent) == 1000
    await thinker.close()


@on_a_virtual_clock
async def test_a_call_without_an_answer_is_over_after_its_time():
    class Silent(Scripted):
        async def post(self, key: int, body: bytes, path: str = "") -> Arrived:
            self.sent.append((key, body))
            return await asyncio.get_running_loop().create_future()

    transport = Silent([])
    thinker = thinker_by(lambda: (transport, 1), attempts=2, timeout_s=30)
    began = now()
    with pytest.raises(ProviderFailed, match="no answer within 30 s"):
        await thinker.decide(prompt(), FORM, asker())
    assert 60 < now() - began < 62
    await thinker.close()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'"text"', b"\xff\xfe", b"[" * 50_000, b'{"output": 7}'],
    ids=lambda body: str(body[:10]),
)
async def test_a_response_that_is_none_of_the_providers_is_tried_again(body):
    transport, thinker = answering(arrived(body), arrived(replied("openai")))
    await decided(thinker, 1)
    assert len(transport.sent) == 2
    assert thinker.recorder.rows("SELECT COUNT(*) FROM calls") == [(1,)]
    await thinker.close()


@pytest.mark.usefixtures("quick")
async def test_faults_do_not_slow_a_key_down_and_refusals_do():
    _, thinker = answering(NotArrived("reset"), NotArrived("reset"), arrived(replied("openai")))
    await decided(thinker, 1)
    assert thinker.pool.paces[0].limit == thinker.settings.concurrency_start
    await thinker.close()
    _, thinker = answering(LIMITED, arrived(replied("openai")))
    await decided(thinker, 1)
    assert thinker.pool.paces[0].limit == pytest.approx(0.8 * thinker.settings.concurrency_start)
    assert thinker.pool.paces[0].refused == 1
    await thinker.close()


@pytest.mark.usefixtures("quick")
async def test_one_call_that_fails_for_good_leaves_the_others_alone():
    rejected = arrived(error("openai", 400, "too long"), 400)

    class Picky(Scripted):
        async def post(self, key: int, body: bytes, path: str = "") -> Arrived:
            asked = json.loads(body)["input"][0]["content"]
            return rejected if '"number": 3' in asked else arrived(replied("openai"))

    thinker = thinker_by(lambda: (Picky([]), 1), "openai")
    found = await asyncio.gather(*(thinker.decide(prompt(n), FORM, asker(n)) for n in range(6)))
    assert [n for n, outcome in enumerate(found) if outcome.value is None] == [3]
    assert "too long" in found[3].problem
    await thinker.close()


@EVERY_PROVIDER
async def test_faults_and_bad_answers_together_end_in_decisions(provider, monkeypatch):
    monkeypatch.setattr(thinkers, "BACK_OFF_S", 0.001)
    switches = Switches(
        rate_limited=0.2, server_error=0.2, reset=0.1, gibberish=0.2, out_of_range=0.2, fenced=0.2,
        latency_spread_s=0.01,
    )  # fmt: skip
    async with thinking(
        provider, scripted_mind([], GOOD), switches, keys=("a", "b"), attempts=40, failure_limit=1
    ) as (stub, thinker):
        decisions = (thinker.decide(prompt(n), FORM, asker(n)) for n in range(60))
        found = await asyncio.gather(*decisions)
        by_source = Counter(outcome.source for outcome in found)
        assert by_source[Source.LLM] > by_source[Source.FALLBACK] > 0
        assert by_source[Source.REPAIRED] > 0
        assert stub.by_status[200] == sum(outcome.calls for outcome in found)
        assert max(stub.answered.values()) == 1
        assert thinker.tally.failures.total() == by_source[Source.FALLBACK]
        assert (thinker.budget.open, thinker.pool.waiting) == (0, 0)
