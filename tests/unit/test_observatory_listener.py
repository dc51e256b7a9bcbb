"""A page gets every message in order, or a snapshot in place of what it missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from recarena.observatory.listener import MOST_WAITING, Listener


class Source:
    """Numbers that are published one after another; a snapshot says "at N"."""

    def __init__(self) -> None:
        self.last = 0

    def snapshot(self) -> str:
        return f"at {self.last}"

    def publish(self, listener: Listener) -> None:
        self.last += 1
        listener.offer(f"new {self.last}", self.snapshot)


def test_messages_come_in_the_order_they_were_offered():
    async def act() -> list[str]:
        source, listener = Source(), Listener()
        listener.begin_afresh(source.snapshot)
        got = [await listener.next()]
        for _ in range(3):
            source.publish(listener)
        return got + [await listener.next() for _ in range(3)]

    assert asyncio.run(act()) == ["at 0", "new 1", "new 2", "new 3"]


@given(st.lists(st.integers(0, 2 * MOST_WAITING), max_size=30), st.integers(0, 3))
def test_whatever_it_misses_nothing_is_lost_or_told_twice(batches, tells):
    """The reader takes one message after each batch. What it knows then follows from what it was
    sent: a snapshot sets it, a message adds the one that comes next and no other."""

    async def act() -> None:
        source, listener = Source(), Listener()
        listener.begin_afresh(source.snapshot)
        known = -1

        async def take() -> None:
            nonlocal known
            word, number = (await listener.next()).split()
            if word == "own":
                return
            if word == "at":
                assert int(number) >= known
                known = int(number)
            else:
                assert int(number) == known + 1
                known = int(number)

        for size in batches:
            for _ in range(size):
                source.publish(listener)
            assert listener.waiting <= MOST_WAITING + 2
            for number in range(tells):
                listener.tell("own", f"own {number}")
            if listener.waiting:
                await take()
        while listener.waiting:
            await take()
        assert known == source.last

    asyncio.run(act())


def test_a_page_that_takes_nothing_keeps_a_bounded_number_of_messages():
    source, listener = Source(), Listener()
    listener.begin_afresh(source.snapshot)
    for _ in range(10_000):
        source.publish(listener)
        listener.tell("turn", "x")
    assert listener.waiting <= MOST_WAITING + 2


def test_overflows_are_counted():
    async def act() -> Listener:
        source, listener = Source(), Listener()
        for _ in range(MOST_WAITING):
            source.publish(listener)
        assert listener.overflows == 0
        source.publish(listener)
        assert await listener.next() == f"at {MOST_WAITING + 1}"
        return listener

    assert asyncio.run(act()).overflows == 1


def test_of_own_messages_of_a_kind_the_newest_is_sent():
    async def act() -> list[str]:
        listener = Listener()
        for text in ("a", "b", "c"):
            listener.tell("turn", text)
        listener.tell("pong", "p")
        return [await listener.next(), await listener.next()]

    assert asyncio.run(act()) == ["c", "p"]


def test_who_waits_is_woken_by_the_next_message():
    async def act(put: Callable[[Listener], None]) -> str:
        listener = Listener()
        waiting = asyncio.create_task(listener.next())
        await asyncio.sleep(0)
        put(listener)
        return await asyncio.wait_for(waiting, 5)

    assert asyncio.run(act(lambda one: one.offer("x", str))) == "x"
    assert asyncio.run(act(lambda one: one.tell("k", "y"))) == "y"
    assert asyncio.run(act(lambda one: one.begin_afresh(lambda: "z"))) == "z"
