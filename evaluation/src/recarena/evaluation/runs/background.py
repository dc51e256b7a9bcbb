"""What a run folder says of items and users beside their names: read when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import Bools, Floats, Ints

Table: TypeAlias = Any
"""A pyarrow.Table: pyarrow has no types."""
Reader: TypeAlias = Callable[[str, Sequence[str]], Table]
"""The named columns of a table of the folder; None where the folder does not have them all."""
GENRES = ("number", "genres")
"""Columns of `items` that tell genres."""


def nothing(table: str, columns: Sequence[str]) -> Table:
    """The Reader of a log that has no folder."""
    return None


@dataclass(frozen=True, slots=True)
class History:
    """What users had watched before the run, in order of time; columns [history]."""

    user: Ints
    item: Ints
    rating: Floats
    """1 to 5."""

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True, slots=True)
class Truth:
    """What decides for the users and recommenders never see. Where a world was imported it is an
    estimate, where it was made up or planted it is the truth."""

    quality: Floats
    """[items]: rating points above the average item, for everybody."""
    attributes: Floats
    """[items, genres + factors]: the item's genres with a common length of 1, then its factors."""
    taste: Floats
    """[users, genres + factors]: rating points per unit of each attribute."""
    mean_rating: Floats
    """[users]: on the scale 1 to 5, not cut."""


def read_genres(read: Reader, names: Sequence[str], items: int) -> tuple[tuple[str, ...], Bools]:
    """Names of the genres in the manifest's order (without one: by name), and [items, genres]
    whether the item has the genre. No genres where the folder does not tell any."""
    table = read("items", GENRES)
    if table is None:
        return (), np.zeros((items, 0), np.bool_)
    lists = table.sort_by("number")["genres"].combine_chunks()
    told = lists.flatten().to_pylist()
    names = tuple(names) or tuple(sorted(set(told)))
    number = {name: at for at, name in enumerate(names)}
    genres = np.zeros((items, len(names)), np.bool_)
    genres[lists.value_parent_indices().to_numpy(), [number[name] for name in told]] = True
    return names, genres


def read_history(read: Reader) -> History:
    """The table `history`; without rows where there is none."""
    table = read("history", ("user", "item", "rating"))
    if table is None:
        none = np.empty(0, np.int32)
        return History(none, none, np.empty(0, np.float32))
    return History(
        _column(table, "user", np.int32),
        _column(table, "item", np.int32),
        _column(table, "rating", np.float32),
    )


def read_truth(read: Reader, genres: Bools) -> Truth | None:
    """The hidden columns; None where the folder does not have them."""
    items = read("items", ("number", "quality", "factors"))
    users = read("users", ("number", "taste", "mean_rating"))
    if items is None or users is None:
        return None
    items, users = items.sort_by("number"), users.sort_by("number")
    count = np.maximum(genres.sum(axis=1, keepdims=True), 1)
    shares = (genres / np.sqrt(count)).astype(np.float32)
    return Truth(
        quality=_column(items, "quality", np.float32),
        attributes=np.concatenate([shares, _matrix(items, "factors")], axis=1),
        taste=_matrix(users, "taste"),
        mean_rating=_column(users, "mean_rating", np.float32),
    )


def planted(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was planted in the world beside tastes, as its origin has it; empty for nothing."""
    dataset: Any = manifest.get("dataset")
    origin: Any = dataset.get("origin") if isinstance(dataset, Mapping) else None
    found: Any = origin.get("planted") if isinstance(origin, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _column(table: Table, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    return table[name].to_numpy().astype(dtype, copy=False)


def _matrix(table: Table, name: str) -> Floats:
    """A column of lists of one length as [rows, length]."""
    rows = len(table)
    flat = table[name].combine_chunks().flatten().to_numpy()
    return flat.astype(np.float32, copy=False).reshape(rows, -1 if rows and len(flat) else 0)
