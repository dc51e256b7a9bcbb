"""Who has watched what, against a set of pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.watched import Watched

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20)), max_size=40)


@given(st.lists(pairs, max_size=4))
def test_it_is_a_set_of_pairs(batches):
    watched, expected = Watched(5, 21), set()
    for batch in batches:
        users, items = np.array(batch, np.int32).reshape(-1, 2).T
        watched.add(users, items)
        expected |= set(batch)
    everybody, everything = np.arange(5, dtype=np.int32), np.arange(-1, 21, dtype=np.int32)
    table = watched.has(everybody, np.tile(everything, (5, 1)))
    for user in range(5):
        assert watched.of(user).tolist() == sorted(item for u, item in expected if u == user)
        for column, item in enumerate(everything.tolist()):
            assert table[user, column] == ((user, item) in expected)
            one = watched.has(everybody[user : user + 1], np.array([item], np.int32))
            assert one.tolist() == [(user, item) in expected]


def test_no_item_is_never_watched():
    watched = Watched(1, 1)
    watched.add(np.array([0]), np.array([0]))
    assert not watched.has(np.array([0]), np.array([-1]))[0]
    assert watched.has(np.array([0]), np.array([0]))[0]
