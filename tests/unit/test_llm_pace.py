"""How many calls are under way at once, and who goes next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.llm.pace import AllKeysDead, KeyPool, Pace, Verdict
from support.clock import now, on_a_virtual_clock

CLEAN, LIMITED, FAULT = Verdict.CLEAN, Verdict.LIMITED, Verdict.FAULT


def pace_of(limit: float = 2.0, ceiling: int = 1000) -> Pace:
    return Pace(0, limit, ceiling)


def window(pace: Pace, verdict: Verdict = CLEAN) -> None:
    """As many calls at once as may be, and all come back alike."""
    calls = int(pace.limit)
    for _ in range(calls):
        assert pace.free(0.0)
        pace.begin()
    assert not pace.free(0.0)
    for _ in range(calls):
        pace.end(verdict, 0.0, None)


async def turns() -> None:
    """Everybody who can go on does."""
    for _ in range(8):
        await asyncio.sleep(0)


# ---------------------------------------------------------------------- one pace


def test_a_limit_doubles_until_the_first_refusal():
    pace = pace_of(2.0)
    limits = []
    for _ in range(5):
        window(pace)
        limits.append(pace.limit)
    assert limits == [4, 8, 16, 32, 64]


def test_a_refusal_takes_a_fifth_and_then_it_grows_by_a_twentieth():
    pace = pace_of(100.0)
    pace.begin()
    pace.end(LIMITED, 0.0, None)
    assert pace.limit == pytest.approx(80.0)
    window(pace)
    assert pace.limit == pytest.approx(84.0)
    window(pace)
    assert pace.limit == pytest.approx(88.2)


def test_a_small_limit_grows_by_one():
    pace = pace_of(5.0)
    pace.begin()
    pace.end(LIMITED, 0.0, None)
    window(pace)
    assert pace.limit == pytest.approx(5.0)


def test_a_window_that_was_not_full_says_nothing_of_room():
    pace = pace_of(4.0)
    for _ in range(100):
        pace.begin()
        pace.end(CLEAN, 0.0, None)
    assert pace.limit == 4.0


def test_faults_say_nothing_of_room():
    pace = pace_of(4.0)
    for _ in range(10):
        window(pace, FAULT)
    assert pace.limit == 4.0
    assert pace.refused == 0


def test_a_key_is_left_alone_for_as_long_as_its_provider_says():
    pace = pace_of()
    pace.begin()
    pace.end(LIMITED, 100.0, 3.0)
    assert (pace.free(102.9), pace.free(103.0)) == (False, True)
    pace.begin()
    pace.end(LIMITED, 101.0, 1.0)
    assert not pace.free(102.9), "a shorter wait does not end a longer one"


@given(
    st.floats(1, 50),
    st.integers(1, 60),
    st.lists(st.sampled_from([CLEAN, CLEAN, CLEAN, LIMITED, FAULT]), max_size=300),
    st.randoms(use_true_random=False),
)
def test_a_limit_stays_between_one_and_the_ceiling(start, ceiling, verdicts, rng: Random):
    pace = Pace(0, min(start, float(ceiling)), ceiling)
    for verdict in verdicts:
        while pace.free(0.0) and (pace.in_flight == 0 or rng.random() < 0.7):
            pace.begin()
        pace.end(verdict, 0.0, None)
        assert 1 <= pace.limit <= ceiling
    assert pace.in_flight >= 0
    assert pace.most_in_flight <= ceiling
    assert pace.refused == verdicts.count(LIMITED)


# ---------------------------------------------------------------------- a pool


async def test_who_waits_goes_first_come_first_served():
    pool = KeyPool(1, start=1, ceiling=1)
    order: list[int] = []

    async def call(number: int) -> None:
        pace = await pool.take()
        order.append(number)
        await asyncio.sleep(0)
        pool.give_back(pace, CLEAN)

    await asyncio.gather(*(call(number) for number in range(20)))
    assert order == list(range(20))
    assert (pool.waiting, pool.paces[0].in_flight) == (0, 0)


async def test_nobody_overtakes_those_who_wait():
    pool = KeyPool(1, start=1, ceiling=1)
    held = await pool.take()
    first = asyncio.ensure_future(pool.take())
    await turns()
    late = asyncio.ensure_future(pool.take())
    pool.give_back(held, CLEAN)
    await turns()
    assert (first.done(), late.done()) == (True, False)
    pool.give_back(first.result(), CLEAN)
    pool.give_back(await late, CLEAN)


async def test_the_key_with_most_room_is_taken():
    pool = KeyPool(3, start=4, ceiling=4)
    taken = [(await pool.take()).key for _ in range(12)]
    assert [taken.count(key) for key in range(3)] == [4, 4, 4]
    assert set(taken[:3]) == {0, 1, 2}


async def test_a_key_to_avoid_is_taken_only_where_no_other_has_room():
    pool = KeyPool(2, start=2, ceiling=2)
    assert [(await pool.take([0])).key for _ in range(3)] == [1, 1, 0]


async def test_a_dead_key_is_not_used_and_without_any_all_hear_why():
    pool = KeyPool(2, start=1, ceiling=1)
    one, other = await pool.take(), await pool.take()
    waiting = [asyncio.ensure_future(pool.take()) for _ in range(3)]
    await turns()
    pool.give_back(one, FAULT)
    pool.bury(one, "no money")
    pool.give_back(other, CLEAN)
    assert [(await waiting[0]).key, (await waiting[1]).key] == [0, 1]
    pool.give_back(waiting[0].result(), CLEAN)
    await turns()
    assert not waiting[2].done(), "the key that has room is dead"
    pool.bury(other, "wrong key")
    with pytest.raises(AllKeysDead, match="wrong key"):
        await waiting[2]
    with pytest.raises(AllKeysDead, match="wrong key"):
        await pool.take()


@on_a_virtual_clock
async def test_who_waits_for_a_blocked_key_goes_when_the_block_ends():
    pool = KeyPool(2, start=4, ceiling=4)
    began = now()
    pool.give_back(await pool.take(), LIMITED, 30.0)
    other = await pool.take()
    assert other.key == 1
    pool.give_back(other, LIMITED, 12.5)
    back = await asyncio.gather(pool.take(), pool.take())
    assert now() == began + 12.5
    assert [pace.key for pace in back] == [1, 1]


async def test_a_cancelled_caller_leaves_its_place_to_the_next():
    pool = KeyPool(1, start=1, ceiling=1)
    held = await pool.take()
    first, second = (asyncio.ensure_future(pool.take()) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    pool.give_back(held, CLEAN)
    pool.give_back(await second, CLEAN)
    assert first.cancelled()
    assert (pool.waiting, pool.paces[0].in_flight) == (0, 0)


async def test_who_is_cancelled_while_it_is_passed_over_is_just_cancelled():
    """It has not yet heard of it when the next is served."""
    pool = KeyPool(1, start=1, ceiling=1)
    held = await pool.take()
    first, second = (asyncio.ensure_future(pool.take()) for _ in range(2))
    await turns()
    first.cancel()
    pool.give_back(held, CLEAN)
    pool.give_back(await second, CLEAN)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (pool.waiting, pool.paces[0].in_flight) == (0, 0)


async def test_who_is_cancelled_as_it_is_served_gives_back_what_it_got():
    pool = KeyPool(1, start=1, ceiling=1)
    held = await pool.take()
    first, second = (asyncio.ensure_future(pool.take()) for _ in range(2))
    await turns()
    pool.give_back(held, CLEAN)
    first.cancel()
    pool.give_back(await second, CLEAN)
    assert first.cancelled()
    assert (pool.waiting, pool.paces[0].in_flight) == (0, 0)


async def test_who_is_cancelled_as_the_last_key_dies_is_just_cancelled():
    pool = KeyPool(1, start=1, ceiling=1)
    held = await pool.take()
    first = asyncio.ensure_future(pool.take())
    await turns()
    first.cancel()
    pool.give_back(held, FAULT)
    pool.bury(held, "no money")
    with pytest.raises(asyncio.CancelledError):
        await first


@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.lists(
        st.tuples(
            st.integers(0, 3),  # when it comes
            st.integers(0, 4),  # how long its call takes
            st.sampled_from([CLEAN, CLEAN, LIMITED, FAULT]),
            st.sampled_from([None, None, 0.5, 3.0]),  # how long its provider has no room
            st.none() | st.integers(0, 8),  # when it is cancelled
        ),
        max_size=30,
    ),
)
def test_in_any_order_of_events_nothing_leaks_and_all_are_served(keys, start, calls):
    @on_a_virtual_clock
    async def run() -> None:
        pool = KeyPool(keys, start=start, ceiling=4)
        served = await asyncio.gather(*(come(pool, *call) for call in calls))
        for was_served, call in zip(served, calls, strict=True):
            assert was_served or call[-1] is not None
        assert pool.waiting == 0
        assert [pace.in_flight for pace in pool.paces] == [0] * keys
        assert all(pace.most_in_flight <= 4 for pace in pool.paces)
        everybody = [await pool.take() for _ in pool.paces]
        assert all(pace.in_flight for pace in everybody)

    run()


async def come(
    pool: KeyPool, at: int, takes: int, verdict: Verdict, wait: float | None, cancel: int | None
) -> bool:
    """One call; whether it was served."""
    served: Sequence[Pace] = []

    async def call() -> None:
        nonlocal served
        pace = await pool.take()
        served = [pace]
        try:
            await asyncio.sleep(takes)
        finally:
            pool.give_back(pace, verdict, wait)

    await asyncio.sleep(at)
    task = asyncio.ensure_future(call())
    if cancel is not None:
        asyncio.get_running_loop().call_later(cancel, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return bool(served)
