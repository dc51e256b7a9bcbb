"""What an export tells of a run: tables with ids and words instead of numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from recarena.server.datasets.world_data import WorldData
from recarena.server.interventions import is_injected
from recarena.server.store.tables import Column, RoundRow, Rows, sparse_text
from recarena.server.store.world_tables import genre_lists
from recarena.server.types import (
    EventColumns,
    EventKind,
    Explained,
    InterventionKind,
    MemoryColumns,
    MemoryKind,
    Outcome,
    Surface,
)

pc: Any = pyarrow.compute
"""Its functions are made when it is imported, so that no checker knows them."""
HIDDEN = ("traits", "tastes", "quality")
"""What interventions say that no recommender may know."""


def items(world: WorldData) -> Rows:
    """The public fields of all items, one row each."""
    catalog = world.catalog
    return pa.table(
        {
            "item_id": pa.array(catalog.item_ids, pa.string()),
            "title": pa.array(catalog.titles, pa.string()),
            "year": pa.array(catalog.years, pa.int32(), mask=catalog.years == 0),
            "genres": genre_lists(catalog),
            "director": pa.array(catalog.directors, pa.string()),
            "description": pa.array(catalog.descriptions, pa.string()),
        }
    )


def users(world: WorldData) -> Rows:
    """The public profile of all users, one row each."""
    population = world.population
    return pa.table(
        {
            "user_id": pa.array(population.user_ids, pa.string()),
            "name": pa.array(population.names, pa.string()),
            **{name: pa.array(column, pa.string()) for name, column in population.profile.items()},
        }
    )


def edges(world: WorldData) -> Rows:
    """The ties at the beginning: what `other_id` is to `user_id`."""
    network = world.network
    source = np.repeat(np.arange(network.users), network.degrees())
    return pa.table(
        {
            "user_id": _ids(world.population.user_ids, source),
            "other_id": _ids(world.population.user_ids, network.other),
            "kind": _ids(list(network.kinds), network.kind),
            "closeness": pa.array(network.closeness),
        }
    )


def rounds(rows: Sequence[RoundRow]) -> Rows:
    """The committed rounds; `sim_time` in Unix seconds."""
    integers = {
        name: pa.array([getattr(row, name) for row in rows], pa.int64())
        for name in ("round", "active", "events", "memories", "works")
    }
    return pa.table(
        {
            **integers,
            "sim_time": pa.array([int(row.sim_time.timestamp()) for row in rows], pa.int64()),
            "wall_ms": pa.array([row.wall_ms for row in rows], pa.float32()),
            "digest": pa.array([row.digest for row in rows], pa.string()),
        }
    )


def history(world: WorldData) -> Rows:
    """What was known before the run, as interactions of round 0."""
    past = world.history
    return _interactions(
        world,
        past.user,
        past.item,
        past.rating,
        round=np.zeros(len(past), np.int32),
        sim_time=pa.array(past.time, pa.int64(), mask=past.time == 0),
        position=pa.nulls(len(past), pa.int16()),
        impression=pa.nulls(len(past), pa.string()),
    )


def interactions(world: WorldData, events: EventColumns, at: int) -> Rows:
    """Watches of one round at `at` Unix seconds; an unrated one has no rating."""
    seen = events.of(EventKind.WATCH)
    return _interactions(
        world,
        seen.user,
        seen.item,
        seen.value,
        round=seen.round,
        sim_time=_constant(at, len(seen)),
        position=pa.array(seen.position, mask=seen.position < 0),
        impression=_impression_ids(seen),
    )


def _interactions(
    world: WorldData,
    user: NDArray[np.integer],
    item: NDArray[np.integer],
    rating: NDArray[np.float32],
    *,
    round: NDArray[np.int32],
    sim_time: Column,
    position: Column,
    impression: Column,
) -> Rows:
    return pa.table(
        {
            "user_id": _ids(world.population.user_ids, user),
            "item_id": _ids(world.catalog.item_ids, item),
            "rating": pa.array(rating, pa.float32(), mask=rating == 0),
            "round": pa.array(round),
            "sim_time": sim_time,
            "position": position,
            "impression_id": impression,
        }
    )


def impressions(world: WorldData, events: EventColumns, at: int) -> Rows:
    """Items shown in one round, with their place on the page and what became of the list."""
    shown, pages, seen = (
        events.of(kind) for kind in (EventKind.SHOWN, EventKind.PAGE, EventKind.WATCH)
    )
    page_keys, surface, outcome = _page_key(pages), pages.surface, pages.outcome
    order = np.argsort(page_keys, kind="stable")
    page_keys = page_keys[order]
    keys = _page_key(shown)
    if len(page_keys):
        place = np.minimum(np.searchsorted(page_keys, keys), len(page_keys) - 1)
        known = page_keys[place] == keys
        surface_of = np.where(known, surface[order][place], 0)
        outcome_of = np.where(known, outcome[order][place], 0)
    else:
        surface_of = outcome_of = np.zeros(len(shown), np.int8)
    watched = np.isin(_place_key(shown), _place_key(seen))
    return pa.table(
        {
            "impression_id": _impression_ids(shown),
            "user_id": _ids(world.population.user_ids, shown.user),
            "item_id": _ids(world.catalog.item_ids, shown.item),
            "round": pa.array(shown.round),
            "sim_time": _constant(at, len(shown)),
            "position": pa.array(shown.position),
            "surface": _names(Surface, surface_of),
            "outcome": _names(Outcome, outcome_of),
            "explained": pa.array(shown.code == Explained.SHOWN),
            "withheld": pa.array(shown.code == Explained.WITHHELD),
            "evidence": sparse_text(len(shown), shown.evidence),
            "watched": pa.array(watched),
        }
    )


def messages(
    world: WorldData,
    events: EventColumns,
    at: int,
    words: Callable[[EventColumns], str] | None = None,
) -> Rows:
    """Chats and posts of one round with their words; null where only `words` could tell them.
    `injected`: an operator put it into the user's mouth."""
    said = events.of(EventKind.CHAT, EventKind.POST)
    text = dict(said.text)
    if words:
        for row in range(len(said)):
            if row not in text:
                text[row] = words(said.take(np.array([row])))
    return pa.table(
        {
            "round": pa.array(said.round),
            "sim_time": _constant(at, len(said)),
            "kind": _names(EventKind, said.kind),
            "user_id": _ids(world.population.user_ids, said.user),
            "other_id": _ids(world.population.user_ids, said.other),
            "item_id": _ids(world.catalog.item_ids, said.item),
            "sentiment": pa.array(said.value),
            "injected": pa.array(is_injected(said)),
            "text": sparse_text(len(said), text),
        }
    )


def interventions(world: WorldData, events: EventColumns, at: int) -> Rows:
    """What operators changed before one round was played; `change` is a JSON object, without what
    is hidden of users and items."""
    made = events.of(EventKind.INTERVENTION)
    public: dict[int, str] = {}
    for row, text in made.text.items():
        values = json.loads(text)
        shown = {name: one for name, one in values.items() if name not in HIDDEN}
        public[row] = json.dumps(shown, ensure_ascii=False)
    return pa.table(
        {
            "round": pa.array(made.round),
            "sim_time": _constant(at, len(made)),
            "kind": _names(InterventionKind, made.code),
            "user_id": _ids(world.population.user_ids, made.other),
            "item_id": _ids(world.catalog.item_ids, made.item),
            "change": sparse_text(len(made), public),
        }
    )


def memories(world: WorldData, made: MemoryColumns, at: int) -> Rows:
    """Memories made in one round; `text` is null where a template says it."""
    return pa.table(
        {
            "round": pa.array(made.round),
            "sim_time": _constant(at, len(made)),
            "user_id": _ids(world.population.user_ids, made.user),
            "kind": _names(MemoryKind, made.kind),
            "item_id": _ids(world.catalog.item_ids, made.item),
            "source_id": _ids(world.population.user_ids, made.source),
            "importance": pa.array(made.importance),
            "value": pa.array(made.value),
            "text": sparse_text(len(made), made.text),
        }
    )


def _ids(ids: Sequence[str], numbers: NDArray[np.integer]) -> Column:
    """The id of each number, null for a negative one."""
    wanted = pa.array(numbers.astype(np.int64), mask=numbers < 0)
    return pa.array(ids, pa.string()).take(wanted)


def _names(kind: Any, numbers: NDArray[np.integer]) -> Column:
    """The member's name in small letters for each number, null for a number without one."""
    names: list[str | None] = [None] * (max(int(one) for one in kind) + 1)
    for one in kind:
        names[int(one)] = one.name.lower()
    fits = (numbers >= 0) & (numbers < len(names))
    return pa.array(names, pa.string()).take(pa.array(numbers.astype(np.int64), mask=~fits))


def _constant(value: int, size: int) -> Column:
    return pa.array(np.full(size, value, np.int64))


def _page_key(events: EventColumns) -> NDArray[np.int64]:
    """One number per page of a round."""
    return (events.user.astype(np.int64) << 16) + events.step


def _place_key(events: EventColumns) -> NDArray[np.int64]:
    """One number per place on a page of a round."""
    return (_page_key(events) << 16) + events.position


def _impression_ids(events: EventColumns) -> Column:
    """`round-user-step`, by numbers: the page that an event of one round is about."""
    numbers = (events.round, events.user, events.step)
    parts = [pa.array(column).cast(pa.string()) for column in numbers]
    return pc.binary_join_element_wise(*parts, "-")
