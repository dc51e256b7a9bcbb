"""Schemas of the tables of a run folder, and the way between them and the server's columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recarena.server.types import (
    EVENT_COLUMNS,
    MEMORY_COLUMNS,
    NOBODY,
    NOTHING,
    EventColumns,
    Faults,
    Floats,
    MemoryColumns,
    MemoryKind,
    Outcome,
    WorkRecord,
)

Rows: TypeAlias = Any
"""A pyarrow.Table (pyarrow has no types)."""
Column: TypeAlias = Any
"""A pyarrow.Array or ChunkedArray."""
Schema: TypeAlias = Any
"""A pyarrow.Schema."""

EVENTS = pa.schema(
    [
        pa.field("seq", pa.int32(), nullable=False),
        *(
            pa.field(name, pa.from_numpy_dtype(dtype), nullable=False)
            for name, (dtype, _) in EVENT_COLUMNS.items()
        ),
        pa.field("text", pa.string()),
        pa.field("evidence", pa.string()),
    ]
)
MEMORIES = pa.schema(
    [
        pa.field("seq", pa.int32(), nullable=False),
        *(
            pa.field(name, pa.from_numpy_dtype(dtype), nullable=False)
            for name, dtype in MEMORY_COLUMNS.items()
        ),
        pa.field("text", pa.string()),
        pa.field("rests_on", pa.string()),
    ]
)
VECTOR = "vector"
"""Column of `memories` in runs whose users' memories are embedded."""
CAUSES = ("unknown", "duplicate", "excluded", "short", "token")
"""Columns of `works` that `violations` is the sum of."""
WORKS = pa.schema(
    {
        "round": pa.int32(),
        "arm": pa.string(),
        "kind": pa.string(),
        "lists": pa.int32(),
        "latency_ms": pa.float32(),
        "outcome": pa.string(),
        "violations": pa.int32(),
        **{cause: pa.int32() for cause in CAUSES},
    }
)
ROUNDS = pa.schema(
    {
        "round": pa.int32(),
        "sim_time": pa.timestamp("us", tz="UTC"),
        "active": pa.int32(),
        "events": pa.int64(),
        "memories": pa.int64(),
        "works": pa.int64(),
        "wall_ms": pa.float32(),
        "commit_ms": pa.float32(),
        "training_ms": pa.string(),
        "digest": pa.string(),
        "events_version": pa.int64(),
        "memories_version": pa.int64(),
        "works_version": pa.int64(),
        "surfaces": pa.string(),
    }
)
LOGS: dict[str, Schema] = {"events": EVENTS, "memories": MEMORIES, "works": WORKS}
"""The tables that a commit appends to before it writes the row to `rounds`."""
GROWING: dict[str, Schema] = {**LOGS, "rounds": ROUNDS}
"""The tables that are appended to at all."""


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One row of `rounds`: without it a round has not happened."""

    round: int
    sim_time: datetime
    """In UTC."""
    active: int
    events: int
    """Rows of this round in the table of that name; likewise memories and works."""
    memories: int
    works: int
    wall_ms: float
    commit_ms: float
    """Time of this commit up to the writing of this row."""
    training_ms: dict[str, float]
    """arm_id -> milliseconds."""
    digest: str
    """Of rounds 1 up to this one."""
    events_version: int
    """Version of the table in which the round became complete; likewise the others."""
    memories_version: int
    works_version: int
    surfaces: dict[str, tuple[str, ...]]
    """arm_id -> what its users had beside the feed; an arm that is not there: unknown."""


def numpy_column(table: Rows, name: str) -> NDArray[Any]:
    """A column without nulls as an array of its own type."""
    column = table[name].combine_chunks()
    return column.to_numpy(zero_copy_only=False)


def sparse_text(size: int, text: Mapping[int, str]) -> Column:
    """A string column of `size` rows, null but where `text` has the row."""
    if not text:
        return pa.nulls(size, pa.string())
    at = np.full(size, -1, np.int64)
    at[np.fromiter(text.keys(), np.int64, len(text))] = np.arange(len(text))
    return pa.array(list(text.values()), pa.string()).take(pa.array(at, mask=at < 0))


def text_of(table: Rows, name: str = "text") -> dict[int, str]:
    """The inverse of `sparse_text` for a column; one that the table has not holds nothing."""
    if name not in table.column_names:
        return {}
    column = table[name].combine_chunks()
    if column.null_count == len(column):
        return {}
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    return dict(zip(rows.tolist(), column.drop_null().to_pylist(), strict=True))


def with_new_columns(table: Rows, schema: Schema) -> Rows:
    """Rows that were written before some columns of the schema were there, nulls in those; the
    order of the schema. Other columns of the rows are left out."""
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(schema.names)


def event_table(events: EventColumns) -> Rows:
    """Events of one round as rows of `events`."""
    rows = _dense(events, EVENT_COLUMNS)
    words = [sparse_text(len(events), column) for column in (events.text, events.evidence)]
    return pa.Table.from_arrays([*rows, *words], schema=EVENTS)


def vector_field(dimension: int) -> Any:
    """The column VECTOR for vectors of this size."""
    return pa.field(VECTOR, pa.list_(pa.float32(), dimension))


def memory_table(memories: MemoryColumns, round: int) -> Rows:
    """Memories of one round as rows of `memories`; after them a row of kind RECALL for each user
    to whose mind older ones came."""
    size = len(memories)
    ids = {row: json.dumps(found) for row, found in memories.rests_on.items()}
    columns = [*_dense(memories, MEMORY_COLUMNS), sparse_text(size, memories.text)]
    made = pa.Table.from_arrays([*columns, sparse_text(size, ids)], schema=MEMORIES)
    if memories.vector is not None:
        made = _with_vectors(made, memories.vector)
    if memories.recalled:
        recalls = _recall_rows(round, size, memories.recalled)
        made = pa.concat_tables([made, recalls], promote_options="default")
    return made


def _with_vectors(table: Rows, vectors: Floats) -> Rows:
    field = vector_field(vectors.shape[1])
    blank = pa.array(~vectors.any(axis=1))
    column = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel(), pa.float32()), vectors.shape[1], mask=blank
    )
    return table.append_column(field, column)


def _recall_rows(round: int, first: int, recalled: Mapping[int, tuple[int, ...]]) -> Rows:
    """One row a user, in their order."""
    users = sorted(recalled)
    made: dict[str, Any] = {name: np.zeros(len(users), d) for name, d in MEMORY_COLUMNS.items()}
    made |= {"seq": first + np.arange(len(users)), "user": users}
    made |= {"item": np.full(len(users), NOTHING), "source": np.full(len(users), NOBODY)}
    made |= {"kind": np.full(len(users), MemoryKind.RECALL)}
    made["round"] = np.full(len(users), round)
    made["text"] = pa.nulls(len(users), pa.string())
    made["rests_on"] = [json.dumps(recalled[user]) for user in users]
    arrays = [pa.array(made[field.name], field.type) for field in MEMORIES]
    return pa.Table.from_arrays(arrays, schema=MEMORIES)


def _dense(columns: EventColumns | MemoryColumns, names: Iterable[str]) -> list[Column]:
    """`seq` and the columns that have a value in every row."""
    seq = pa.array(np.arange(len(columns), dtype=np.int32))
    return [seq, *(pa.array(getattr(columns, name)) for name in names)]


def events_from(table: Rows) -> EventColumns:
    """Rows of `events`, in their order."""
    arrays = {name: numpy_column(table, name) for name in EVENT_COLUMNS}
    return EventColumns(**arrays, text=text_of(table), evidence=text_of(table, "evidence"))


def memories_from(table: Rows) -> MemoryColumns:
    """Rows of `memories`, in their order."""
    recalled: dict[int, tuple[int, ...]] = {}
    is_recall = numpy_column(table, "kind") == MemoryKind.RECALL
    if is_recall.any():
        recalls = table.filter(pa.array(is_recall))
        ids = text_of(recalls, "rests_on")
        for row, user in enumerate(recalls["user"].to_pylist()):
            recalled[user] = (*recalled.get(user, ()), *json.loads(ids[row]))
        table = table.filter(pa.array(~is_recall))
    arrays = {name: numpy_column(table, name) for name in MEMORY_COLUMNS}
    rests_on = {row: tuple(json.loads(ids)) for row, ids in text_of(table, "rests_on").items()}
    return MemoryColumns(**arrays, text=text_of(table), rests_on=rests_on, recalled=recalled)


def work_table(works: Sequence[WorkRecord], arms: Sequence[str]) -> Rows:
    """Works as rows of `works`, arms by their ids."""
    ids = dict(enumerate(arms))
    rows = [
        {
            "round": work.round,
            "arm": ids[work.arm],
            "kind": work.kind,
            "lists": work.lists,
            "latency_ms": work.latency_ms,
            "outcome": Outcome(work.outcome).name.lower(),
            "violations": work.violations,
            **{cause: getattr(work.faults, cause) for cause in CAUSES},
        }
        for work in works
    ]
    return pa.Table.from_pylist(rows, WORKS)


def works_from(table: Rows, arms: Sequence[str]) -> list[WorkRecord]:
    """Rows of `works`, in their order."""
    number = {arm: at for at, arm in enumerate(arms)}
    works: list[WorkRecord] = []
    for row in table.to_pylist():
        row["arm"] = number[row["arm"]]
        row["outcome"] = Outcome[row["outcome"].upper()]
        violations, causes = row.pop("violations"), {cause: row.pop(cause) for cause in CAUSES}
        told = None not in causes.values()
        faults = Faults(**causes) if told else Faults(untold=violations)
        works.append(WorkRecord(**row, faults=faults))
    return works


def round_table(rows: Sequence[RoundRow]) -> Rows:
    """Rows of `rounds`."""
    plain = [
        {f.name: getattr(row, f.name) for f in fields(RoundRow)}
        | {
            "training_ms": json.dumps(row.training_ms, sort_keys=True),
            "surfaces": json.dumps(row.surfaces, sort_keys=True),
        }
        for row in rows
    ]
    return pa.Table.from_pylist(plain, ROUNDS)


def rounds_from(table: Rows) -> list[RoundRow]:
    """Rows of `rounds`, in order of the round."""
    rows: list[RoundRow] = []
    for row in table.to_pylist():
        row["training_ms"] = json.loads(row["training_ms"])
        surfaces = json.loads(row.get("surfaces") or "{}")
        row["surfaces"] = {arm: tuple(names) for arm, names in surfaces.items()}
        row["sim_time"] = row["sim_time"].astimezone(UTC)
        rows.append(RoundRow(**row))
    return sorted(rows, key=lambda row: row.round)
