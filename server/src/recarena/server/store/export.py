"""A run in the formats that other tools read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from recarena.server.errors import Conflict, InputError
from recarena.server.store.exported import (
    edges,
    history,
    impressions,
    interactions,
    interventions,
    items,
    memories,
    messages,
    rounds,
    users,
)
from recarena.server.store.people import People
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.steered import world_after
from recarena.server.store.tables import Column, Rows
from recarena.server.types import EventColumns, MemoryColumns

pc: Any = pyarrow.compute
"""Its functions are made when it is imported, so that no checker knows them."""

FORMATS = ("parquet", "csv", "recbole", "movielens")
Words: TypeAlias = Callable[[EventColumns], str]
"""Words of one event (one row), for events whose words were made from a template."""


def export_run(
    folder: RunFolder,
    target: Path,
    format: str,
    words: Words | None = None,
    *,
    include_history: bool = True,
) -> dict[str, int]:
    """Writes the committed rounds to `target`; returns the number of rows in each file.

    parquet, csv: interactions, impressions, edges, messages, interventions, people (the rounds of
    users that people played), memories, items, users, rounds; items and users as interventions have
    left them, edges as they were at the beginning, no interventions and no people where there were
    none.
    recbole: atomic files named after `target`. movielens: movies.csv and ratings.csv. The last two
    hold rated watches only, for neither has a place for an unrated one. History comes first, as
    round 0. Nothing that recommenders may not know of items and users is written. Conflict where
    `target` is not empty, InputError for any other format.
    """
    if format not in FORMATS:
        raise InputError(
            f"there is no format {format!r}", remedy=f"Choose from {', '.join(FORMATS)}"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Conflict(f"there is something at {target} already")
    target.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        if format in ("parquet", "csv"):
            sink = Sink(target, format, files)
            _everything(sink, folder, words, include_history)
        elif format == "recbole":
            sink = Sink(target, "tab", files)
            _recbole(sink, target.name, folder, include_history)
        else:
            sink = Sink(target, "csv", files)
            _movielens(sink, folder, include_history)
    return sink.rows


class Sink:
    """Files of one export, each of which grows by tables of the same columns."""

    def __init__(self, target: Path, format: str, files: ExitStack) -> None:
        self.target, self.format, self._files = target, format, files
        self._writers: dict[str, Any] = {}
        self.rows: dict[str, int] = {}

    def add(self, name: str, table: Rows) -> None:
        """Appends to the file `name`; without an extension it gets that of the format."""
        if "." not in name:
            name = f"{name}.{self.format}"
        if self.format != "parquet":
            table = _flat(table)
        if self.format == "tab":
            table = _without_structure(table, name)
        if name not in self._writers:
            self._writers[name] = self._files.enter_context(self._writer(name, table.schema))
            self.rows[name] = 0
        self._writers[name].write_table(table)
        self.rows[name] += len(table)

    def _writer(self, name: str, schema: Any) -> Any:
        path = str(self.target / name)
        if self.format == "parquet":
            return pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")
        if self.format == "csv":
            return pyarrow.csv.CSVWriter(path, schema)
        options = pyarrow.csv.WriteOptions(
            include_header=True, delimiter="\t", quoting_style="none", quoting_header="none"
        )
        return pyarrow.csv.CSVWriter(path, schema, write_options=options)


def _everything(sink: Sink, folder: RunFolder, words: Words | None, include_history: bool) -> None:
    rows = folder.round_rows()
    sink.add("edges", edges(folder.world()))
    world = world_after(folder)
    sink.add("items", items(world))
    sink.add("users", users(world))
    sink.add("rounds", rounds(rows))
    past = history(world)
    sink.add("interactions", past if include_history else past.slice(0, 0))
    people, nothing = People(world), EventColumns.empty()
    for name, made in (("impressions", impressions), ("messages", messages)):
        sink.add(name, made(world, nothing, 0))
    sink.add("memories", memories(world, MemoryColumns.empty(), 0))
    for row, (event, memory) in zip(rows, folder.rounds(1, len(rows)), strict=True):
        at = int(row.sim_time.timestamp())
        sink.add("interactions", interactions(world, event, at))
        sink.add("impressions", impressions(world, event, at))
        sink.add("messages", messages(world, event, at, words))
        if changes := interventions(world, event, at):
            sink.add("interventions", changes)
        if played := people.of_round(row.round, event, at):
            sink.add("people", played)
        sink.add("memories", memories(world, memory, at))


def _ratings(folder: RunFolder, include_history: bool) -> Iterator[Rows]:
    """Interactions that have a rating, in order."""
    world, rows = world_after(folder), folder.round_rows()
    yield history(world) if include_history else history(world).slice(0, 0)
    for row, (event, _) in zip(rows, folder.rounds(1, len(rows)), strict=True):
        made = interactions(world, event, int(row.sim_time.timestamp()))
        yield made.filter(made["rating"].is_valid())


def _recbole(sink: Sink, dataset: str, folder: RunFolder, include_history: bool) -> None:
    world = world_after(folder)
    item, user, tie = items(world), users(world), edges(folder.world())
    genres = [[g.replace(" ", "_") for g in one] for one in item["genres"].to_pylist()]
    sink.add(
        f"{dataset}.item",
        pa.table(
            {
                "item_id:token": item["item_id"],
                "title:token_seq": item["title"],
                "release_year:token": item["year"],
                "genres:token_seq": pa.array([" ".join(one) for one in genres], pa.string()),
                "director:token": item["director"],
            }
        ),
    )
    sink.add(f"{dataset}.user", user.rename_columns([f"{n}:token" for n in user.column_names]))
    sink.add(
        f"{dataset}.net",
        pa.table(
            {
                "source_id:token": tie["user_id"],
                "target_id:token": tie["other_id"],
                "kind:token": tie["kind"],
                "closeness:float": tie["closeness"],
            }
        ),
    )
    for part in _ratings(folder, include_history):
        sink.add(
            f"{dataset}.inter",
            pa.table(
                {
                    "user_id:token": part["user_id"],
                    "item_id:token": part["item_id"],
                    "rating:float": part["rating"],
                    "timestamp:float": pc.fill_null(part["sim_time"], 0),
                }
            ),
        )


def _movielens(sink: Sink, folder: RunFolder, include_history: bool) -> None:
    world = world_after(folder)
    genres = ["|".join(one) or "(no genres listed)" for one in items(world)["genres"].to_pylist()]
    sink.add(
        "movies.csv",
        pa.table(
            {
                "movieId": pa.array(world.catalog.item_ids, pa.string()),
                "title": pa.array(
                    [world.catalog.label(n) for n in range(len(world.catalog))], pa.string()
                ),
                "genres": pa.array(genres, pa.string()),
            }
        ),
    )
    for part in _ratings(folder, include_history):
        sink.add(
            "ratings.csv",
            pa.table(
                {
                    "userId": part["user_id"],
                    "movieId": part["item_id"],
                    "rating": part["rating"],
                    "timestamp": pc.fill_null(part["sim_time"], 0),
                }
            ),
        )


def _flat(table: Rows) -> Rows:
    """Lists as one string with `|` between the names."""
    for at, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            table = table.set_column(at, field.name, pc.binary_join(table[field.name], "|"))
    return table


STRUCTURE = '["\t\r\n]+'


def _without_structure(table: Rows, name: str) -> Rows:
    """Strings fit for a file that knows no quoting; InputError where an id is not."""
    for at, field in enumerate(table.schema):
        if not pa.types.is_string(field.type):
            continue
        column: Column = table[field.name]
        found = pc.match_substring_regex(column, STRUCTURE)
        if pc.any(found).as_py():
            if "_id:" in field.name:
                bad = column.filter(found)[0].as_py()
                raise InputError(
                    f"{bad!r} has a tab, a quotation mark or a line break in it, which {name} "
                    "cannot hold",
                    remedy="Export as parquet or csv",
                )
            column = pc.replace_substring_regex(column, '"', "'")
            column = pc.replace_substring_regex(column, STRUCTURE, " ")
            table = table.set_column(at, field.name, column)
    return table
