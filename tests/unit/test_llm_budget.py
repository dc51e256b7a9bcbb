"""What calls may cost, what they cost, and what would stop a run before its first call."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.errors import InputError
from recarena.server.llm.budget import Budget, CapReached
from recarena.server.llm.calls import Usage
from recarena.server.llm.opening import check, keys_of, open_thinker, price_of
from recarena.server.llm.prices import Price, PriceTable
from recarena.server.llm.settings import LlmSettings
from support.clock import on_a_virtual_clock
from support.thinkers import settings_at

DAY = date(2025, 6, 1)
ADDRESSED = {"openai-compatible": "http://127.0.0.1:9/v1"}


def priced(model: str = "m", since: date = DAY, **more: Any) -> Price:
    given: dict[str, Any] = {"provider": "openai", "input": 1.0, "output": 2.0, "source": "us"}
    return Price.model_validate(given | {"model": model, "effective_from": since} | more)


def settings(provider: str = "openai", **more: Any) -> LlmSettings:
    address = {"base_url": ADDRESSED[provider]} if provider in ADDRESSED else {}
    return LlmSettings.model_validate({"provider": provider, "model": "m"} | address | more)


async def turns() -> None:
    """Everybody who can go on does."""
    for _ in range(4):
        await asyncio.sleep(0)


# ---------------------------------------------------------------------- caps


async def test_a_call_waits_for_open_ones_that_may_leave_more_than_was_set_aside():
    budget = Budget(max_cost=1.0)
    first = await budget.reserve(0.8, 0)
    second = asyncio.ensure_future(budget.reserve(0.8, 0))
    await turns()
    assert not second.done()
    budget.settle(first, 0.1, 10)
    budget.settle(await second, 0.2, 10)
    assert budget.spent == pytest.approx(0.3)
    assert (budget.reserved, budget.open, budget.tokens) == (0.0, 0, 20)


async def test_a_cap_is_reached_only_when_no_call_is_open():
    budget = Budget(max_cost=1.0)
    first = await budget.reserve(0.8, 0)
    waiting = [asyncio.ensure_future(budget.reserve(0.8, 0)) for _ in range(3)]
    await turns()
    assert not any(one.done() for one in waiting)
    budget.settle(first, 0.7, 10)
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(one, CapReached) for one in found)
    assert "0.7000 of 1 USD" in str(found[0])
    assert "recarena resume RUN --max-cost" in str(found[0])


async def test_tokens_are_capped_as_money_is():
    budget = Budget(max_tokens=1000)
    budget.settle(await budget.reserve(None, 600), None, 500)
    with pytest.raises(CapReached, match="500 of 1,000 tokens"):
        await budget.reserve(None, 501)
    budget.settle(await budget.reserve(None, 500), None, 500)
    assert (budget.tokens, budget.spent) == (1000, 0.0)


async def test_what_is_unknown_counts_as_the_worst_case():
    budget = Budget(max_cost=1.0, max_tokens=1000)
    budget.settle(await budget.reserve(0.6, 700), None, None)
    assert (budget.spent, budget.tokens) == (0.6, 700)
    with pytest.raises(CapReached):
        await budget.reserve(0.5, 10)


async def test_a_call_that_was_not_made_costs_nothing():
    budget = Budget(max_cost=1.0)
    budget.release(await budget.reserve(1.0, 10))
    assert (budget.spent, budget.reserved, budget.open) == (0.0, 0.0, 0)


async def test_who_is_cancelled_while_it_waits_has_set_nothing_aside():
    budget = Budget(max_tokens=100)
    first = await budget.reserve(None, 100)
    second = asyncio.ensure_future(budget.reserve(None, 100))
    await turns()
    second.cancel()
    budget.settle(first, None, 0)
    await turns()
    assert second.cancelled()
    assert (budget.open, budget.reserved_tokens) == (0, 0)


@given(
    st.integers(0, 60),
    st.integers(0, 60),
    st.lists(
        st.tuples(
            st.integers(0, 5),  # when it comes
            st.integers(1, 5),  # how long it takes
            st.integers(0, 20),  # money and tokens at worst
            st.none() | st.floats(0, 1),  # which part it comes to; None: unknown
            st.sampled_from(["settled", "settled", "released", "cancelled"]),
        ),
        max_size=20,
    ),
)
def test_a_cap_is_never_exceeded_in_any_order_of_events(max_cost, max_tokens, calls):
    @on_a_virtual_clock
    async def run() -> None:
        budget = Budget(float(max_cost), max_tokens)
        refused: list[int] = []

        def holds() -> None:
            assert budget.spent + budget.reserved <= max_cost + 1e-9
            assert budget.tokens + budget.reserved_tokens <= max_tokens

        async def call(at: int, takes: int, worst: int, part: float | None, ends: str) -> None:
            await asyncio.sleep(at)
            try:
                held = await budget.reserve(float(worst), worst)
            except CapReached:
                assert budget.open == 0
                refused.append(worst)
                return
            holds()
            try:
                await asyncio.sleep(takes)
            except asyncio.CancelledError:
                budget.release(held)
                raise
            if ends == "settled":
                used = None if part is None else int(part * worst)
                budget.settle(held, None if used is None else float(used), used)
            else:
                budget.release(held)
            holds()

        tasks = [asyncio.ensure_future(call(*one)) for one in calls]
        for task, one in zip(tasks, calls, strict=True):
            if one[-1] == "cancelled":  # while it waits or is under way
                asyncio.get_running_loop().call_later(one[0] + 0.5, task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            assert task.cancelled() or task.exception() is None
        assert (budget.open, budget.reserved_tokens) == (0, 0)
        assert budget.reserved == pytest.approx(0.0, abs=1e-9)
        left = min(max_cost - budget.spent, max_tokens - budget.tokens)
        assert all(worst > left for worst in refused), "it would have fitted in the end"

    run()


# ---------------------------------------------------------------------- prices


def test_the_row_in_force_on_the_day_is_taken():
    old, new = priced(since=date(2025, 1, 1)), priced(since=date(2025, 7, 1), input=9.0)
    table = PriceTable((new, old))
    assert table.price("openai", "m", date(2024, 12, 31)) is None
    assert table.price("openai", "m", date(2025, 1, 1)) is old
    assert table.price("openai", "m", date(2025, 6, 30)) is old
    assert table.price("openai", "m", date(2025, 7, 1)) is new


def test_what_is_not_in_the_table_has_no_price():
    table = PriceTable((priced(), priced("mini*")))
    assert table.price("openai", "m-2", DAY) is None
    assert table.price("anthropic", "m", DAY) is None
    assert PriceTable.embedded().price("openai", "a-model-of-tomorrow", DAY) is None


def test_a_star_stands_for_dated_names_and_a_full_name_goes_before_it():
    star, full = priced("mini*"), priced("mini-2025", since=date(2025, 1, 1))
    table = PriceTable((star, full))
    assert table.price("openai", "mini", DAY) is star
    assert table.price("openai", "mini-2026", DAY) is star
    assert table.price("openai", "mini-2025", DAY) is full


def test_ones_own_row_goes_before_one_of_the_same_day_that_comes_with_the_product():
    first = PriceTable.embedded().rows[0]
    own = first.model_copy(update={"input": 99.0})
    table = PriceTable.embedded([own])
    assert table.price(first.provider, first.model, first.effective_from) is own


def test_every_row_that_comes_with_the_product_has_a_source_and_can_be_found():
    table = PriceTable.embedded()
    for row in table.rows:
        assert row.source
        name = row.model.removesuffix("*")
        assert table.price(row.provider, name, row.effective_from) is row


def test_tokens_from_a_cache_have_a_price_of_their_own():
    row = priced(cache_read=0.1, cache_write=1.25)
    assert row.of(Usage(10, 5, 70, 20)) == pytest.approx((10 + 10 + 7 + 25) / 1e6)
    assert priced().of(Usage(10, 5, 70, 20)) == pytest.approx((100 + 10) / 1e6)


@pytest.mark.parametrize("usage", [Usage(), Usage(None, 5), Usage(10, None)])
def test_what_unknown_usage_costs_is_unknown(usage):
    assert priced().of(usage) is None


RATE = st.floats(0, 100)


@given(RATE, RATE, st.none() | RATE, st.none() | RATE, *[st.integers(0, 10**6)] * 4)
def test_no_call_costs_more_than_its_worst_case(sent, said, read, write, a, b, c, out):
    row = priced(input=sent, output=said, cache_read=read, cache_write=write)
    cost = row.of(Usage(a, out, b, c))
    assert cost is not None
    assert cost <= row.at_most(a + b + c, out) * (1 + 1e-9) + 1e-12


# ---------------------------------------------------------------------- before the first call


def test_a_cap_on_money_without_a_price_is_refused(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(InputError, match=r"llm\.max_cost: .*'m'.*--max-tokens") as caught:
        check(settings(max_cost=1.0))
    assert caught.value.where == "llm.max_cost"
    check(settings(max_cost=1.0, prices=[priced()]))
    check(settings(max_tokens=1000))


def test_a_price_that_begins_tomorrow_is_none_yet():
    assert price_of(settings(prices=[priced(since=date(9999, 1, 1))])) is None
    assert price_of(settings(prices=[priced()])) is not None


@pytest.mark.parametrize(
    ("provider", "variable"), [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")]
)
def test_a_missing_key_is_told_by_its_variable_and_by_what_needs_none(provider, variable):
    with pytest.raises(InputError) as caught:
        check(settings(provider))
    assert variable in str(caught.value)
    assert "leave --mind away" in str(caught.value)
    assert "openai-compatible:MODEL --base-url http://localhost" in str(caught.value)


def test_a_server_of_ones_own_needs_no_key():
    check(settings("openai-compatible"))
    assert keys_of(settings("openai-compatible"), {"OPENAI_API_KEY": "secret"}) == ("none",)


def test_variables_may_hold_several_keys_and_each_counts_once():
    asked = settings(api_key_env=["A", "B"])
    assert keys_of(asked, {"A": "one, two,,", "B": "two,three"}) == ("one", "two", "three")
    with pytest.raises(InputError, match="B is not set"):
        keys_of(asked, {"A": "one", "B": " , "})


def test_a_strict_replay_needs_no_key():
    check(settings(replay="strict"))


def test_a_recording_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no recording of calls"):
        check(settings_at("openai-compatible", recording=str(tmp_path)))
    (tmp_path / "llm.sqlite").write_text("no database")
    with pytest.raises(InputError, match="no recording of calls"):
        check(settings_at("openai-compatible", recording=str(tmp_path)))


async def test_a_thinker_is_opened_without_a_key_and_asks_for_it_with_its_first_call(tmp_path):
    thinker = open_thinker(settings(), tmp_path)
    with pytest.raises(InputError, match="OPENAI_API_KEY is not set"):
        _ = thinker.pool
    await thinker.close()
