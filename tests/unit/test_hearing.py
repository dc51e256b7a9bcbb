"""Word of mouth: who hears what, and what is still ringing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.hearing import CLOSENESS_OF_STRANGERS, Deliveries, Hearsay, deliver
from recarena.server.network import Network
from recarena.server.types import NOBODY, NOTHING, EventColumns, EventKind
from support.worlds import tiny_world

USERS = 6


@st.composite
def talk(draw: st.DrawFn) -> EventColumns:
    """Chats and posts of a round, and other events among them, in order of users."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, USERS - 1),
                st.sampled_from([EventKind.CHAT, EventKind.POST, EventKind.WATCH, EventKind.IDLE]),
                st.integers(NOBODY, USERS - 1),
                st.integers(NOTHING, 7),
                st.integers(-4, 4),
            ),
            max_size=25,
        )
    )
    rows.sort(key=lambda row: row[0])
    user, kind, other, item, value = zip(*rows, strict=True) if rows else ([],) * 5
    return EventColumns.make(
        len(rows), round=1, user=user, kind=[int(one) for one in kind], other=other, item=item,
        value=np.array(value, np.float32) / 2,
    )  # fmt: skip


def told(events: EventColumns, network: Network) -> list[tuple[int, int, int, float, float, bool]]:
    """(recipient, sender, item, sentiment, closeness, is_post), the slow way."""
    found = []
    for row in range(len(events)):
        sender, item = int(events.user[row]), int(events.item[row])
        ties = network.ties_of(sender)
        others = network.other[ties].tolist()
        closeness = network.closeness[ties].tolist()
        if events.kind[row] == EventKind.POST:
            found += [
                (other, sender, item, float(events.value[row]), close, True)
                for other, close in zip(others, closeness, strict=True)
            ]
        if events.kind[row] == EventKind.CHAT and events.other[row] != NOBODY:
            other = int(events.other[row])
            close = dict(zip(others, closeness, strict=True)).get(
                other, float(CLOSENESS_OF_STRANGERS)
            )
            found.append((other, sender, item, float(events.value[row]), close, False))
    return found


def rows_of(heard: Deliveries) -> list[tuple[int, int, int, float, float, bool]]:
    return [
        (int(r), int(s), int(i), float(v), float(c), bool(p))
        for r, s, i, v, c, p in zip(
            heard.recipient, heard.sender, heard.item, heard.sentiment, heard.closeness,
            heard.is_post, strict=True,
        )
    ]  # fmt: skip


@given(talk())
def test_deliveries_are_what_the_slow_way_gives_in_the_order_of_events(events: EventColumns):
    network = tiny_world(USERS).network
    heard = deliver(events, network)
    assert rows_of(heard) == told(events, network)
    assert (np.diff(heard.event) >= 0).all()


def test_a_post_reaches_all_acquaintances_and_a_chat_its_partner():
    network = tiny_world(USERS).network
    events = EventColumns.make(
        2, round=1, user=[2, 3], kind=[EventKind.POST, EventKind.CHAT],
        other=[NOBODY, 0], item=[5, 6],
    )  # fmt: skip
    heard = deliver(events, network)
    assert heard.recipient.tolist() == [*network.other[network.ties_of(2)], 0]
    assert heard.sender.tolist() == [2] * (len(heard) - 1) + [3]
    assert heard.item.tolist() == [5] * (len(heard) - 1) + [6]


def test_a_chat_with_somebody_unknown_counts_as_of_a_stranger():
    network = Network.empty(3)
    chat = EventColumns.make(1, round=1, user=0, kind=EventKind.CHAT, other=2, item=1)
    assert deliver(chat, network).closeness.tolist() == [CLOSENESS_OF_STRANGERS]
    post = EventColumns.make(1, round=1, user=0, kind=EventKind.POST, item=1)
    assert len(deliver(post, network)) == 0


@given(st.lists(talk(), max_size=6))
def test_the_ring_keeps_the_newest_mentions_of_each_user(rounds: list[EventColumns]):
    network = tiny_world(USERS).network
    hearsay = Hearsay(USERS)
    kept: dict[int, list[tuple[int, int, float, int]]] = {user: [] for user in range(USERS)}
    for number, events in enumerate(rounds, start=1):
        heard = deliver(events, network)
        hearsay.add(number, heard)
        for recipient, sender, item, sentiment, close, _ in rows_of(heard):
            if item != NOTHING:
                strength = float(np.float32(close) * np.float32(sentiment))
                kept[recipient] = [*kept[recipient], (item, sender, strength, number)][-6:]
    for user in range(USERS):
        filled = hearsay.item[user] != NOTHING
        found = [
            (int(hearsay.item[user, slot]), int(hearsay.sender[user, slot]),
             float(hearsay.strength[user, slot]), int(hearsay.round[user, slot]))
            for slot in np.flatnonzero(filled)
        ]  # fmt: skip
        assert sorted(found) == sorted(kept[user])
        assert not filled[len(kept[user]) :].any()


def test_of_many_mentions_in_one_round_the_last_delivered_stay():
    hearsay = Hearsay(2)
    n = 9
    hearsay.add(
        1,
        Deliveries(
            np.zeros(n, np.int32), np.ones(n, np.int32), np.arange(n, dtype=np.int32),
            np.ones(n, np.float32), np.ones(n, np.float32), np.zeros(n, bool), np.arange(n),
        ),
    )  # fmt: skip
    assert sorted(hearsay.item[0].tolist()) == [3, 4, 5, 6, 7, 8]
    assert (hearsay.item[1] == NOTHING).all()


def test_words_fade_by_half_every_half_life():
    hearsay = Hearsay(1)
    one = np.ones(1, np.float32)
    none = np.zeros(1, np.int32)
    hearsay.add(
        3, Deliveries(none, none, none, 2 * one, one, np.zeros(1, bool), np.zeros(1, np.int64))
    )
    for ago in (0, 1, 4, 8):
        faded = hearsay.faded(np.array([0], np.int32), 3 + ago, 4.0)[0]
        assert faded[0] == np.float32(2 * 2 ** (-ago / 4))
        assert (faded[1:] == 0).all()
