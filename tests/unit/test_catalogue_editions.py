"""Versions of a catalogue: what a session that knows one of them has to read of the newest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.catalog import Catalog, NewItem
from recarena.server.rpc.editions import MAX_NAMED, Editions

STEPS = st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 11), max_size=3)), max_size=6)
"""Items that are added, and items that are withdrawn."""


def made(items: int = 12) -> Catalog:
    ids = [f"m{n}" for n in range(items)]
    return Catalog(
        ids, [f"Film {n}" for n in range(items)], np.full(items, 2000, np.int32), ("Drama",),
        np.ones((items, 1), bool), [""] * items, [""] * items, np.zeros(items, np.float32),
        np.zeros(items, np.float32), np.zeros((items, 0), np.float32),
    )  # fmt: skip


def public(catalog: Catalog) -> list[tuple[str, str, bool]]:
    """What recommenders see, by item."""
    return list(zip(catalog.item_ids, catalog.titles, catalog.available.tolist(), strict=True))


def changed_by(catalog: Catalog, adding: int, withdrawing: set[int]) -> np.ndarray:
    """Changes a catalogue; numbers of the items that are not what they were."""
    first = len(catalog)
    for number in range(first, first + adding):
        catalog.add(NewItem(f"m{number}", f"Film {number}", ("Drama",)))
    gone = [item for item in sorted(withdrawing) if catalog.available[item]]
    for item in gone:
        catalog.withdraw(item)
    return np.array([*gone, *range(first, first + adding)], np.int32)


@given(STEPS)
def test_what_is_named_since_a_version_is_what_differs_from_it(steps):
    catalog = made()
    editions = Editions(catalog, Catalog.snapshot)
    known = [editions.current]
    for adding, withdrawing in steps:
        changed = changed_by(catalog, adding, withdrawing)
        assert editions.renew(changed) == bool(len(changed))
        known.append(editions.current)
    newest = public(catalog)
    assert public(editions.current) == newest
    for one in known:
        told = editions.since(one.version)
        before = public(one)
        assert told.catalog_version == catalog.version
        assert told.catalog_size == len(newest)
        assert list(told.changed_items) == [
            n for n, now in enumerate(newest) if n >= len(before) or before[n] != now
        ]


@pytest.mark.parametrize(("adding", "named"), [(MAX_NAMED, MAX_NAMED), (MAX_NAMED + 1, 0)])
def test_a_thousand_items_are_named_and_one_more_are_not(adding, named):
    catalog = made()
    editions = Editions(catalog, Catalog.snapshot)
    first = editions.current.version
    editions.renew(changed_by(catalog, adding, set()))
    assert len(editions.since(first).changed_items) == named


def test_of_a_version_that_was_never_in_force_all_has_to_be_read():
    catalog = made()
    editions = Editions(catalog, Catalog.snapshot)
    editions.renew(changed_by(catalog, 1, {2}))
    assert not editions.since("another").changed_items


def test_a_version_that_was_handed_out_never_changes():
    catalog = made()
    editions = Editions(catalog, Catalog.snapshot)
    first, version = editions.current, editions.current.version
    seen = public(first)
    editions.renew(changed_by(catalog, 2, {0}))
    assert public(first) == seen
    assert first.version == version != editions.current.version
