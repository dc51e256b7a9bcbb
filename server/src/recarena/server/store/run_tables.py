"""The LanceDB tables of a run folder: appending whole rounds, reading them back in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recarena.server.errors import InputError
from recarena.server.store.heap import give_back, return_large_blocks
from recarena.server.store.tables import (
    GROWING,
    LOGS,
    RoundRow,
    Rows,
    numpy_column,
    rounds_from,
    vector_field,
    with_new_columns,
)

PRUNE_AGE = timedelta(minutes=5)
"""Younger versions stay, for readers in the middle of a query."""
FOREVER = timedelta(days=36_500)
Counts: TypeAlias = NDArray[np.int64]
WINDOW = 1_000_000
"""Rows read or copied at a time."""
CACHE_BYTES = 8 * 1024 * 1024
"""Of LanceDB's two caches, for all runs of the process. Each commit makes four versions, and what
is kept of an old one is never asked for again: larger ones grow with every round and speed up
nothing (LanceDB's own are gigabytes)."""


@cache
def _session() -> Any:
    """LanceDB's caches; made once, before LanceDB does anything."""
    from recarena.lance import lancedb

    return_large_blocks()
    return lancedb.Session(
        index_cache_size_bytes=CACHE_BYTES, metadata_cache_size_bytes=CACHE_BYTES
    )


class RunTables:
    """All tables of one run. Each append, deletion and compaction happens whole or not at all."""

    def __init__(self, path: Path, *, live: bool) -> None:
        """With live=True every read sees what other processes have written until then."""
        self.path = path
        self._interval = timedelta(0) if live else None
        self._database: Any = None
        self._open: dict[str, Any] = {}

    @classmethod
    def create(cls, path: Path, world: Mapping[str, Rows], dimension: int = 0) -> RunTables:
        """A new database: the world's tables filled, those of the rounds empty. `dimension`: size
        of the vectors of memories, 0: they have none."""
        tables = cls(path, live=False)
        database = tables._connected()
        for name, rows in world.items():
            tables._open[name] = database.create_table(name, data=rows)
        for name, schema in GROWING.items():
            own = (
                schema.append(vector_field(dimension))
                if name == "memories" and dimension
                else schema
            )
            tables._open[name] = database.create_table(name, schema=own)
        return tables

    def _connected(self) -> Any:
        if self._database is None:
            from recarena.lance import lancedb

            self._database = lancedb.connect(
                str(self.path), read_consistency_interval=self._interval, session=_session()
            )
        return self._database

    def _table(self, name: str) -> Any:
        if name not in self._open:
            self._open[name] = self._connected().open_table(name)
        return self._open[name]

    def reopen(self) -> None:
        """Forgets all handles; the tables are opened again when they are used."""
        self._open.clear()
        self._database = None

    def add_new_columns(self) -> None:
        """Gives tables of an older folder the columns that came later, nulls in all their rows;
        writes nothing where none is missing."""
        for name, schema in GROWING.items():
            table = self._table(name)
            there = set(table.schema.names)
            if missing := [field for field in schema if field.name not in there]:
                table.add_columns(missing)

    def append(self, name: str, rows: Rows) -> None:
        if len(rows):
            self._table(name).add(rows)

    def drop_after(self, round: int, names: Iterable[str] = LOGS) -> None:
        """Deletes the rows of later rounds; writes nothing where there are none."""
        later = f"round > {round}"
        for name in names:
            if self._table(name).count_rows(later):
                self._table(name).delete(later)

    def versions(self) -> dict[str, int]:
        """Current version of each table that grows."""
        return {name: int(self._table(name).version) for name in GROWING}

    def compact(self, names: Iterable[str]) -> None:
        """Merges small fragments; every older version stays readable."""
        for name in names:
            self._table(name).optimize(cleanup_older_than=FOREVER)

    def prune(self, names: Iterable[str]) -> None:
        """Deletes versions older than PRUNE_AGE, never the current one; what compacting took of
        memory goes back to the system."""
        for name in names:
            self._table(name).optimize(cleanup_older_than=PRUNE_AGE)
        give_back()

    def all_rows(self, name: str) -> Rows:
        return self._table(name).to_arrow()

    def where(self, name: str, condition: str, columns: Sequence[str] | None = None) -> Rows:
        """The rows for which an SQL condition holds; some columns of them, or all."""
        found = self._table(name).search().where(condition)
        return (found.select(list(columns)) if columns else found).to_arrow()

    def slice(self, name: str, offset: int, count: int) -> Rows:
        """Rows by their place in the table."""
        return self._table(name).search().offset(offset).limit(count).to_arrow()

    def round_rows(self) -> list[RoundRow]:
        """The committed rounds. InputError where the folder is damaged."""
        rows = rounds_from(self.all_rows("rounds"))
        if [row.round for row in rows] != list(range(1, len(rows) + 1)):
            raise InputError("the table of rounds has gaps", where=str(self.path))
        return rows

    def read(
        self, name: str, rows: Sequence[RoundRow], first: int, last: int, also: Sequence[str] = ()
    ) -> Rows:
        """Rows of a log in committed rounds first..last, in the order in which they were made.
        `also`: columns to keep, where they are there, beside those that every run has.

        Rounds stand in the table one after another, so that a place is known from the counts in
        `rounds` and no column need be searched. InputError where counts and rows differ.
        """
        counts = np.array([getattr(row, name) for row in rows[:last]], np.int64)
        if not counts[first - 1 :].any():
            return LOGS[name].empty_table()
        found = self._in_order(name, counts, first, last)
        made = with_new_columns(found, LOGS[name])
        for column in also:
            if column in found.column_names:
                made = made.append_column(found.schema.field(column), found[column])
        return made

    def _in_order(self, name: str, counts: Counts, first: int, last: int) -> Rows:
        start, size = int(counts[: first - 1].sum()), int(counts[first - 1 :].sum())
        expected = np.repeat(np.arange(first, last + 1), counts[first - 1 :])
        found = self.slice(name, start, size)
        if not _in_place(found, expected):
            found = self.where(name, f"round >= {first} AND round <= {last}")
            keys = [key for key in ("round", "seq") if key in found.schema.names]
            found = found.sort_by([(key, "ascending") for key in keys])
            if not _in_place(found, expected):
                raise InputError(
                    f"the rows of {name} in rounds {first} to {last} are not as many as were "
                    "committed",
                    where=str(self.path),
                    remedy="Restore the folder from a copy",
                )
        return found


def _in_place(found: Rows, expected: Counts) -> bool:
    if not np.array_equal(numpy_column(found, "round"), expected):
        return False
    if "seq" not in found.schema.names:
        return True
    at = np.arange(len(expected))
    begins = np.flatnonzero(np.diff(expected, prepend=expected[0] - 1))
    starts = np.zeros(len(expected), np.int64)
    starts[begins] = begins
    return np.array_equal(numpy_column(found, "seq"), at - np.maximum.accumulate(starts))


def windows(sizes: Sequence[int], first: int) -> Iterable[tuple[int, int]]:
    """Cuts rounds from `first` on, with these numbers of rows, into (first, last) of up to WINDOW
    rows or of one round."""
    start, total = first, 0
    for number, size in enumerate(sizes, first):
        if number > start and total + size > WINDOW:
            yield start, number - 1
            start, total = number, 0
        total += size
    if sizes:
        yield start, first + len(sizes) - 1
