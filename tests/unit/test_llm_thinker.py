"""Decisions: asked, repaired once, counted, paid for and recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from recarena.server.llm import thinker as thinkers
from recarena.server.llm.budget import Budget, CapReached
from recarena.server.llm.calls import Failure, Outcome, Source, Usage
from recarena.server.llm.failures import NotRecorded, TooManyFailures
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.llm.tally import Tally
from support.llm_stub import Asked, Switches, scripted_mind
from support.thinkers import (
    EVERY_PROVIDER,
    FORM,
    GOOD,
    PRICE,
    PROVIDERS,
    RATED,
    Scripted,
    arrived,
    asker,
    prompt,
    replied,
    thinker_by,
    thinking,
    until,
)

SPOILT: dict[Failure, str] = {
    Failure.NOT_IN_FORM: "I had rather not say.",
    Failure.OUT_OF_RANGE: json.dumps(GOOD | {"rating": 9}),
    Failure.WRONG_FIELDS: json.dumps({"item": 1}),
    Failure.TRUNCATED: "word " * 200,
    Failure.EMPTY: "",
}
EVERY_FAILURE = pytest.mark.parametrize("failure", SPOILT)


def first_then(first: str, then: str) -> tuple[Callable[[Asked], str], list[Asked]]:
    """A mind that answers a second try otherwise than a first, and what it was asked."""
    asked: list[Asked] = []

    def answer(one: Asked) -> str:
        asked.append(one)
        return then if one.repairs else first

    return answer, asked


def scripted(*answers: str, provider: str = "openai", **more: Any) -> tuple[Scripted, Any]:
    """A thinker without a network."""
    transport = Scripted([arrived(replied(provider, text)) for text in answers or (str(GOOD),)])
    return transport, thinker_by(lambda: (transport, 1), provider, **more)


def nobody() -> Any:
    raise AssertionError("a call was to be made")


# ---------------------------------------------------------------------- one decision


@EVERY_PROVIDER
async def test_a_decision_is_asked_for_once_and_read(provider):
    async with thinking(provider, price=PRICE) as (stub, thinker):
        outcome = await thinker.decide(prompt(), FORM, asker())
        assert (outcome.value, outcome.source, outcome.failure) == (RATED, Source.LLM, None)
        assert (outcome.calls, outcome.raw) == (1, json.dumps(GOOD))
        assert outcome.cost == PRICE.of(outcome.usage)
        assert outcome.cost == pytest.approx(thinker.budget.spent)
        assert outcome.usage.total == thinker.budget.tokens > 0
        assert len(stub.calls) == 1
        assert thinker.recorder.find(outcome.request_hash)


@EVERY_PROVIDER
@EVERY_FAILURE
async def test_an_answer_that_cannot_be_read_is_asked_for_once_more(provider, failure):
    mind, asked = first_then(SPOILT[failure], json.dumps(GOOD))
    async with thinking(provider, mind, price=PRICE) as (stub, thinker):
        outcome = await thinker.decide(prompt(), FORM, asker())
        assert (outcome.value, outcome.source) == (RATED, Source.REPAIRED)
        assert (outcome.failure, outcome.calls, len(stub.calls)) == (None, 2, 2)
        assert thinker.tally.failures.total() == 0
        assert outcome.cost == pytest.approx(thinker.budget.spent)
    (_, first), (role, answer), (_, remark) = asked[1].messages
    assert first == prompt().turns[0].text
    assert (role, bool(answer.strip())) == ("assistant", True)
    assert remark.startswith("That answer cannot be used: ")
    assert outcome.problem in remark
    assert asked[1].schema == asked[0].schema


@EVERY_PROVIDER
@EVERY_FAILURE
async def test_a_second_answer_that_cannot_be_read_is_a_failure_that_counts(provider, failure):
    async with thinking(provider, scripted_mind([], SPOILT[failure])) as (stub, thinker):
        outcome = await thinker.decide(prompt(), FORM, asker())
        assert (outcome.value, outcome.source) == (None, Source.FALLBACK)
        assert (outcome.failure, outcome.calls, len(stub.calls)) == (failure, 2, 2)
        assert outcome.problem
        assert thinker.tally.failures == {f"page: {failure}": 1}
        rows = thinker.recorder.rows("SELECT source, failure, calls FROM decisions")
        assert rows == [("fallback", str(failure), 2)]


@EVERY_PROVIDER
@pytest.mark.parametrize("blank", [" ", "\n\t\n"])
async def test_an_answer_of_blanks_is_as_good_as_none(provider, blank):
    mind, _ = first_then(blank, json.dumps(GOOD))
    async with thinking(provider, mind) as (_, thinker):
        outcome = await thinker.decide(prompt(), FORM, asker())
        assert (outcome.source, outcome.problem) == (Source.REPAIRED, "the answer is empty")


@EVERY_PROVIDER
@pytest.mark.parametrize(
    ("switches", "failure"),
    [
        (Switches(refusal=True), Failure.REFUSAL),
        (Switches(server_error=True, server_error_status=400), Failure.REJECTED),
        (Switches(server_error=True, server_error_status=413), Failure.REJECTED),
    ],
    ids=["refused", "rejected", "too long"],
)
async def test_what_is_refused_or_rejected_is_not_asked_again(provider, switches, failure):
    async with thinking(provider, switches=switches) as (stub, thinker):
        for _ in range(2):  # nor is it where it was recorded
            outcome = await thinker.decide(prompt(), FORM, asker())
            assert (outcome.value, outcome.source) == (None, Source.FALLBACK)
            assert (outcome.failure, outcome.calls) == (failure, 1)
        assert len(stub.calls) == 1


@EVERY_PROVIDER
@pytest.mark.parametrize("switches", [Switches(fenced=True), Switches(no_schema=True)])
async def test_what_stands_around_an_answer_is_tolerated_and_counted(provider, switches):
    async with thinking(provider, switches=switches) as (stub, thinker):
        outcome = await thinker.decide(prompt(), FORM, asker())
        assert (outcome.value, outcome.source, outcome.calls) == (RATED, Source.LLM, 1)
        assert (thinker.tally.tolerated, thinker.tally.failures.total()) == (1, 0)
        assert thinker.recorder.rows("SELECT tolerated FROM decisions") == [(1,)]
        assert len(stub.calls) == 1


async def test_half_of_a_character_does_not_end_a_run():
    odd = 'so \ud83d, {"\\ud83d": 1, "item": 1, "rating": 4, "feeling": "fine"}'
    transport, thinker = scripted(odd, odd)
    outcome = await thinker.decide(prompt(), FORM, asker())
    assert outcome.failure is Failure.WRONG_FIELDS
    assert len(transport.sent) == 2
    await thinker.close()


# ---------------------------------------------------------------------- recorded calls


@EVERY_PROVIDER
async def test_a_call_that_was_recorded_is_never_made_again(provider, tmp_path):
    path = tmp_path / FILE
    mind, _ = first_then("No.", json.dumps(GOOD))
    async with thinking(provider, mind, path=path, price=PRICE) as (stub, thinker):
        first = await thinker.decide(prompt(), FORM, asker())
        again = await thinker.decide(prompt(), FORM, asker())
        assert len(stub.calls) == 2
    async with thinking(provider, mind, path=path, price=PRICE) as (stub, thinker):
        later = await thinker.decide(prompt(), FORM, asker())
        assert stub.calls == []
    assert first.source is Source.REPAIRED
    for one in (again, later):
        assert (one.value, one.source, one.cost) == (RATED, Source.REPLAY, 0.0)
        assert (one.usage, one.request_hash) == (first.usage, first.request_hash)


async def test_what_differs_is_another_call(tmp_path):
    async with thinking("openai", path=tmp_path / FILE) as (stub, thinker):
        for other in (prompt(), prompt(1), prompt(system="Be Bob."), prompt(max_tokens=99)):
            assert (await thinker.decide(other, FORM, asker())).source is Source.LLM
        assert len(stub.calls) == 4
    async with thinking("openai", path=tmp_path / FILE, parameters={"top_p": 1}) as (stub, thinker):
        assert (await thinker.decide(prompt(), FORM, asker())).source is Source.LLM


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_strict_replay_needs_neither_a_network_nor_a_key(provider, tmp_path):
    path = tmp_path / FILE
    async with thinking(provider, path=path) as (_, thinker):
        await thinker.decide(prompt(), FORM, asker())
    for sender in (None, nobody):
        thinker = thinker_by(sender, provider, path=path, replay="strict")
        outcome = await thinker.decide(prompt(), FORM, asker())
        assert (outcome.value, outcome.source) == (RATED, Source.REPLAY)
        with pytest.raises(NotRecorded, match="round 3, user 7, page 0: this call is not in"):
            await thinker.decide(prompt(1), FORM, asker(7, round=3))
        await thinker.close()


async def test_calls_of_another_recording_are_taken_and_copied_unpaid(tmp_path):
    async with thinking("openai", path=tmp_path / "a", price=PRICE) as (_, thinker):
        await thinker.decide(prompt(), FORM, asker())
    source = Recorder(tmp_path / "a", read_only=True)
    async with thinking("openai", path=tmp_path / "b", price=PRICE, source=source) as (
        stub,
        thinker,
    ):
        outcome = await thinker.decide(prompt(), FORM, asker())
        assert (outcome.source, outcome.cost, stub.calls) == (Source.REPLAY, 0.0, [])
        await thinker.decide(prompt(1), FORM, asker(1))
        assert thinker.recorder.rows("SELECT paid FROM calls ORDER BY paid") == [(0,), (1,)]
        assert thinker.budget.spent == pytest.approx(thinker.recorder.spent()[0])
    alone = thinker_by(None, "openai", path=tmp_path / "b")
    assert (await alone.decide(prompt(), FORM, asker())).source is Source.REPLAY
    await alone.close()


# ---------------------------------------------------------------------- money


@EVERY_PROVIDER
async def test_usage_that_is_not_told_costs_the_worst_case(provider):
    switches = Switches(missing_usage=True)
    async with thinking(provider, switches=switches, price=PRICE) as (_, thinker):
        outcome = await thinker.decide(prompt(), FORM, asker())
        assert (outcome.usage.total, outcome.cost) == (None, None)
        request = thinker.recorder.request(outcome.request_hash)
        assert request is not None
        worst = len(request) + thinkers.OVERHEAD
        assert thinker.budget.tokens == worst + 100
        assert thinker.budget.spent == pytest.approx(PRICE.at_most(worst, 100))
        assert thinker.recorder.spent() == (thinker.budget.spent, thinker.budget.tokens)


@EVERY_PROVIDER
async def test_no_cap_is_broken_by_calls_beside_each_other(provider):
    budget = Budget(max_cost=5.0, max_tokens=2000)
    async with thinking(provider, price=PRICE, budget=budget) as (stub, thinker):
        decisions = (thinker.decide(prompt(n), FORM, asker(n)) for n in range(120))
        found = await asyncio.gather(*decisions, return_exceptions=True)
        made = [one for one in found if isinstance(one, Outcome)]
        assert all(isinstance(one, Outcome | CapReached) for one in found)
        assert 0 < len(made) == len(stub.calls) < 120
        assert budget.tokens <= 2000
        assert budget.spent <= 5.0
        assert budget.tokens == sum(one.usage.total or 0 for one in made)
        assert (budget.open, budget.reserved_tokens) == (0, 0)


# ---------------------------------------------------------------------- who is cancelled


@EVERY_PROVIDER
async def test_a_call_of_somebody_who_was_cancelled_is_recorded_all_the_same(provider, tmp_path):
    switches = Switches(latency_s=0.1)
    path = tmp_path / FILE
    async with thinking(provider, switches=switches, path=path) as (stub, thinker):
        task = asyncio.ensure_future(thinker.decide(prompt(), FORM, asker()))
        await until(lambda: stub.in_flight)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await thinker.close()
        assert stub.answered.total() == 1
    again = thinker_by(None, provider, path=path)
    assert (await again.decide(prompt(), FORM, asker())).value == RATED
    await again.close()


async def test_a_call_that_still_waits_for_room_is_not_made_for_somebody_who_was_cancelled():
    async with thinking("openai", switches=Switches(latency_s=0.05), concurrency=1) as (
        stub,
        thinker,
    ):
        first = asyncio.ensure_future(thinker.decide(prompt(), FORM, asker()))
        await until(lambda: stub.in_flight)
        second = asyncio.ensure_future(thinker.decide(prompt(1), FORM, asker(1)))
        await until(lambda: thinker.pool.waiting)
        second.cancel()
        assert (await first).value == RATED
        await thinker.decide(prompt(2), FORM, asker(2))
        assert (thinker.budget.open, thinker.pool.paces[0].in_flight) == (0, 0)
        assert len(stub.calls) == 2


async def test_a_call_that_never_comes_home_does_not_keep_a_run_from_closing(monkeypatch):
    monkeypatch.setattr(thinkers, "HOME_COMING_S", 0.01)

    class Silent(Scripted):
        async def post(self, key: int, body: bytes, path: str = "") -> Any:
            await asyncio.get_running_loop().create_future()

    made: list[Silent] = []

    def sender() -> tuple[Silent, int]:
        made.append(Silent([]))
        return made[-1], 1

    thinker = thinker_by(sender)
    task = asyncio.ensure_future(thinker.decide(prompt(), FORM, asker()))
    await until(lambda: thinker.pool.paces[0].in_flight)
    pool = thinker.pool
    await thinker.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [one.closed for one in made] == [True]
    assert (pool.paces[0].in_flight, thinker.budget.open) == (0, 0)


# ---------------------------------------------------------------------- too many failures


def counted(tally: Tally, good: int, bad: int, kind: Failure = Failure.EMPTY) -> None:
    value: Outcome[Any] = Outcome(RATED, Source.LLM, None, "", Usage(), None, 1, "", "")
    none: Outcome[Any] = Outcome(None, Source.FALLBACK, kind, "", Usage(), None, 2, "", "")
    for outcome in [value] * good + [none] * bad:
        tally.add(asker(), outcome, clean=True)


def test_one_or_two_failures_say_nothing_unless_none_may_fail():
    tally = Tally(limit=0.02)
    counted(tally, 8, 2)
    tally.check()
    counted(tally, 0, 1)
    with pytest.raises(TooManyFailures, match=r"3 of 11 decisions.*--failure-limit 0\.33$"):
        tally.check()
    none = Tally(limit=0.0)
    counted(none, 99, 0)
    none.check()
    counted(none, 0, 1)
    with pytest.raises(TooManyFailures, match="1 of 100 decisions"):
        none.check()


def test_too_many_failures_are_told_by_their_kinds():
    tally = Tally(limit=0.1)
    counted(tally, 90, 7, Failure.REFUSAL)
    counted(tally, 0, 3)
    tally.check()
    counted(tally, 0, 1)
    with pytest.raises(TooManyFailures) as caught:
        tally.check()
    assert "11 of 101 decisions" in str(caught.value)
    assert "7 page: refusal, 4 page: empty" in str(caught.value)
    assert "recarena resume RUN --failure-limit" in str(caught.value)


def test_a_round_that_is_hopeless_is_not_played_to_its_end():
    tally = Tally(limit=0.02)
    with pytest.raises(TooManyFailures):
        counted(tally, 150, 100)
    assert 200 <= tally.decisions < 250


async def test_failures_of_committed_rounds_count_on(tmp_path):
    mind = scripted_mind([(lambda asked: '"number": 0' in asked.first, "No.")], GOOD)
    async with thinking("openai", mind, path=tmp_path / FILE) as (_, thinker):
        thinker.round_begins(1)
        for number in range(30):
            await thinker.decide(prompt(number), FORM, asker(number))
        thinker.tally.check()
    _, thinker = scripted(json.dumps(GOOD), path=tmp_path / FILE, failure_limit=0.02)
    thinker.round_begins(2)
    assert (thinker.tally.decisions, thinker.tally.failures) == (30, {"page: not_in_form": 1})
    for number in range(30, 49):
        await thinker.decide(prompt(number), FORM, asker(number, round=2))
    thinker.tally.check()
    thinker.round_begins(2)  # the round was not committed, and is played anew
    assert thinker.tally.decisions == 30
    await thinker.close()
