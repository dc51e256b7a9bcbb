"""The lists of a shadow beside those that were shown, one row a list, for other tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recarena.server.comparison import NOT_OFFERED, ArmRound
from recarena.server.errors import AlreadyThere, InputError
from recarena.server.types import NOTHING, Ints, Outcome, Surface

Column: TypeAlias = Any
"""A pyarrow.Array (pyarrow has no types)."""
ITEMS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("round", pa.int32()),
        ("arm", pa.string()),
        ("user_id", pa.string()),
        ("step", pa.int16()),
        ("surface", pa.string()),
        ("offset", pa.int32()),
        ("words", pa.string()),
        ("recorded_outcome", pa.string()),
        ("recorded_items", ITEMS),
        ("watched_items", ITEMS),
        ("shadow_outcome", pa.string()),
        ("shadow_items", ITEMS),
        ("compared", pa.bool_()),
        ("overlap", pa.float64()),
        ("rbo", pa.float64()),
        ("kendall", pa.float64()),
        ("identical", pa.bool_()),
        ("hits", pa.int32()),
    ]
)
MEASURES = ("overlap", "rbo", "kendall", "identical", "hits")
"""Null where a list is not compared; kendall also where fewer than two items are in both."""
LISTS, COMPARISON = "lists.parquet", "comparison.json"
"""Files of a folder."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the lists go: a file by its ending, or else a folder for lists and comparison."""

    path: Path

    @classmethod
    def checked(cls, path: Path, run: Path) -> Target:
        """AlreadyThere where something would be overwritten; InputError inside the run, which is
        not changed, or without a folder to be in."""
        if path.resolve().is_relative_to(run.resolve()):
            raise InputError(
                f"{path} is in the run, which is not changed", where="--out",
                remedy="Name a file or a folder elsewhere",
            )  # fmt: skip
        if path.suffix not in ("", ".parquet", ".jsonl"):
            raise InputError(
                f"{path.suffix} files are not written", where="--out",
                remedy="Name a .parquet or a .jsonl file, or a folder",
            )  # fmt: skip
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise AlreadyThere(f"--out: {path} is there already. Choose another, or remove it")
        if not path.resolve().parent.is_dir():
            raise InputError(
                f"there is no folder {path.parent} for it", where="--out",
                remedy=f"Make it first: mkdir -p {path.parent}",
            )  # fmt: skip
        return cls(path)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder for lists and comparison."""
        return self.path.suffix not in (".parquet", ".jsonl")

    @property
    def lists(self) -> Path:
        """The file of the lists."""
        return self.path / LISTS if self.is_folder else self.path


@dataclass(slots=True)
class ListWriter:
    """Writes lists as they are compared; the file is there from the first round on, and whole
    after `close`."""

    target: Target
    user_ids: list[str]
    item_ids: list[str]
    texts: list[str]
    """What was typed, by number; it may grow."""
    rows: int = 0
    _parquet: pq.ParquetWriter | None = None
    _users: Column = field(init=False)
    _items: Column = field(init=False)

    def __post_init__(self) -> None:
        self._users, self._items = pa.array(self.user_ids), pa.array(self.item_ids)

    def write(self, parts: Sequence[ArmRound]) -> None:
        """The lists of one round."""
        if self.target.is_folder:
            self.target.path.mkdir(exist_ok=True)
        for part in parts:
            table = self._table(part)
            self.rows += len(table)
            if self.target.lists.suffix == ".jsonl":
                with self.target.lists.open("a", encoding="utf-8") as file:
                    file.writelines(
                        json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()
                    )
                continue
            self._parquet = self._parquet or pq.ParquetWriter(self.target.lists, SCHEMA)
            self._parquet.write_table(table)

    def close(self, comparison: dict[str, Any]) -> None:
        """Ends the file; a folder has the comparison beside it."""
        if self._parquet:
            self._parquet.close()
        if self.target.is_folder and self.rows:
            text = json.dumps(comparison, indent=2, ensure_ascii=False) + "\n"
            (self.target.path / COMPARISON).write_text(text, encoding="utf-8")

    def _table(self, part: ArmRound) -> Any:
        pages, size = part.pages, len(part.pages)
        found, compared = pages.agreement(), pages.compared
        watched = np.where(pages.watched, pages.recorded, NOTHING)
        words = pa.array(pages.text, mask=pages.text < 0)
        texts = pa.array(self.texts, pa.string())
        columns = {
            "round": np.full(size, part.round, np.int32),
            "arm": pa.array([part.arm]).take(np.zeros(size, np.int32)),
            "user_id": self._users.take(pages.user),
            "step": pages.step,
            "surface": _names(Surface, pages.surface),
            "offset": pages.offset,
            "words": texts.take(words),
            "recorded_outcome": _names(Outcome, pages.recorded_outcome),
            "recorded_items": self._lists(pages.recorded),
            "watched_items": self._lists(watched),
            "shadow_outcome": _names(Outcome, pages.shadow_outcome, {NOT_OFFERED: "not_offered"}),
            "shadow_items": self._lists(pages.shadow),
            "compared": compared,
            "overlap": pa.array(found.overlap, mask=~compared),
            "rbo": pa.array(found.rbo, mask=~compared),
            "kendall": pa.array(found.kendall, mask=~compared | np.isnan(found.kendall)),
            "identical": pa.array(found.identical, mask=~compared),
            "hits": pa.array(pages.hits().sum(axis=1).astype(np.int32), mask=~compared),
        }
        return pa.table([pa.array(columns[one.name], one.type) for one in SCHEMA], schema=SCHEMA)

    def _lists(self, items: Ints) -> Column:
        """Lists of ids, without the gaps."""
        there = items != NOTHING
        ends = np.concatenate([[0], there.sum(axis=1).cumsum()]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(ends), self._items.take(pa.array(items[there])))


def _names(
    kind: type[Outcome] | type[Surface],
    codes: NDArray[np.int8],
    other: dict[int, str] | None = None,
) -> Column:
    names = pa.array([(other or {}).get(one, one.name.lower()) for one in kind])
    return names.take(pa.array(codes))
