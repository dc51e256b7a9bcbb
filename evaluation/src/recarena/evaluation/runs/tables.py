"""The tables of a run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.background import GENRES, Table
from recarena.evaluation.runs.unreadable import UnreadableRun


class Tables:
    """The tables of one folder, each as it is when it is read."""

    def __init__(self, path: Path) -> None:
        from recarena.lance import lancedb

        self._path = path
        if not (path / "tables").is_dir():
            raise UnreadableRun(f"{path} has no folder `tables`. Restore it from a copy")
        self._database = lancedb.connect(
            str(path / "tables"), read_consistency_interval=timedelta(0)
        )
        self._open: dict[str, Any] = {}
        self._genres: Table = None
        self._added: Sequence[Mapping[str, Any]] = ()

    def rows(self, name: str, columns: Iterable[str], condition: str = "") -> Table:
        """The columns of the rows for which an SQL condition holds."""
        try:
            query = self._table(name).search().select(list(columns))
            return (query.where(condition) if condition else query).to_arrow()
        except (ValueError, RuntimeError, OSError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UnreadableRun(
                f"{self._path}: the table {name} cannot be read ({first[:200]}). "
                "Restore it from a copy"
            ) from error

    def _table(self, name: str) -> Any:
        if name not in self._open:
            self._open[name] = self._database.open_table(name)
        return self._open[name]

    def having(self, name: str, columns: Sequence[str], optional: Sequence[str]) -> list[str]:
        """The columns, and those of the optional ones that the table has."""
        there = self._names(name)
        return [*columns, *(column for column in optional if column in there)]

    def _names(self, name: str) -> set[str]:
        """Columns of a table; none where it is missing or damaged."""
        try:
            return set(self._table(name).schema.names)
        except (ValueError, RuntimeError, OSError):
            return set()

    def items(self, columns: Sequence[str], added: Sequence[Mapping[str, Any]] = ()) -> Table:
        """The columns of all items, here and from now on also of those that were `added` to the
        run's catalogue. Genres, which nearly every reader asks for, are read with them and offered
        later."""
        self._added = added
        found = self._with_added(self.rows("items", self.having("items", columns, GENRES[1:])))
        if set(GENRES) <= set(found.column_names):
            self._genres = found.select(GENRES)
        return found

    def offered(self, name: str, columns: Sequence[str]) -> Table:
        """The columns of all rows of a table; None where the folder does not have them all."""
        if (name, tuple(columns)) == ("items", GENRES) and self._genres is not None:
            return self._genres
        if not set(columns) <= self._names(name):
            return None
        found = self.rows(name, columns)
        return self._with_added(found) if name == "items" else found

    def _with_added(self, items: Table) -> Table:
        """Items in a table with those that it does not have; what is not said of these is 0, empty,
        or a row of zeros that is as long as the others."""
        if not self._added:
            return items
        import pyarrow as pa

        numbers = [factor * 0 for factor in items["factors"][0].as_py()] if (
            "factors" in items.column_names and len(items)
        ) else []  # fmt: skip
        names = items.column_names
        rows = [{"factors": numbers, **one} for one in self._added]
        more = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows],
                                    items.schema)  # fmt: skip
        return pa.concat_tables([items, more])

    def rounds(self, name: str, columns: Iterable[str], rounds: Table) -> Table:
        """Rows of a log in committed rounds, in the order in which they were made."""
        found = self.rows(
            name, ("seq", *columns) if name == "events" else columns, f"round <= {len(rounds)}"
        )
        counted = np.bincount(column(found, "round", np.int64), minlength=len(rounds) + 1)[1:]
        if not np.array_equal(counted, column(rounds, name, np.int64)):
            raise UnreadableRun(
                f"{self._path}: the rows of {name} are not those that were committed. If the run "
                "was reset just now, read it again; otherwise restore it from a copy"
            )
        if name != "events":
            return found
        order = np.lexsort((column(found, "seq", np.int64), column(found, "round", np.int64)))
        in_order = bool(np.all(order[1:] > order[:-1]))
        return found if in_order else found.take(order)


def column(table: Table, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    """[rows]"""
    return table[name].to_numpy().astype(dtype, copy=False)
