"""The run folder: one LanceDB database, a manifest and a status (docs/run-folder.md).

A round has happened when its row stands in `rounds`, and only then: the rows of the other tables
are appended before it, and what a killed commit left behind is deleted when the folder is opened
for writing, passed over when it is opened for reading.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import Conflict, InputError, NotFound
from recarena.server.store.digest import BEFORE_ROUND_1, round_digest
from recarena.server.store.files import WriterLock, read_json, write_json
from recarena.server.store.manifest import arm_ids, read_manifest
from recarena.server.store.new_folder import new_folder
from recarena.server.store.redo import RedoLog
from recarena.server.store.run_tables import RunTables, windows
from recarena.server.store.tables import (
    LOGS,
    RoundRow,
    Rows,
    event_table,
    events_from,
    memories_from,
    memory_table,
    round_table,
    rounds_from,
    work_table,
    works_from,
)
from recarena.server.store.world_tables import WORLD_TABLES, world_from_tables
from recarena.server.types import EventColumns, MemoryColumns, RoundResult, WorkRecord

SMALL_APPEND = 100_000
"""Rows a round; a table that grows by more has fragments large enough and is not compacted."""
UNREADABLE = (RuntimeError, ValueError, OSError, InputError)
"""What reading damaged tables raises."""


class RunFolder:
    """The RunStore of a run on disk. One process writes it at a time, any number may read."""

    def __init__(
        self, path: Path, lock: WriterLock | None, *, fsync: bool, optimize_every: int
    ) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.manifest: dict[str, Any] = read_manifest(path)
        self.arms = arm_ids(self.manifest)
        self.tables = RunTables(path / "tables", live=lock is None)
        self._lock, self._fsync, self._optimize_every = lock, fsync, optimize_every
        self._redo = RedoLog(path / "redo", path / "tables")
        self._writing = threading.Lock()
        self._tail = False
        self._rows: list[RoundRow] = []

    @classmethod
    def create(
        cls,
        path: Path,
        manifest: Mapping[str, Any],
        world: WorldData,
        arm_of_user: Sequence[str] | NDArray[np.integer],
        *,
        fsync: bool = False,
        optimize_every: int = 20,
    ) -> RunFolder:
        """A new run without rounds, open for writing; it is there as a whole or not at all.

        `manifest` holds JSON values, among them `arms`: a list of dicts with an `arm_id`.
        `arm_of_user` holds arm_ids, or positions in that list, -1 for nobody's arm. Conflict where
        something is at `path` already.
        """
        with new_folder(path, manifest, world, arm_of_user, sync=fsync):
            pass
        return cls.open(path, writable=True, fsync=fsync, optimize_every=optimize_every)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        writable: bool = False,
        fsync: bool = False,
        optimize_every: int = 20,
    ) -> RunFolder:
        """The run at `path`. Opened for writing it is as it was after its last committed round.

        NotFound, InputError where there is no run folder or one of a newer format; Conflict where
        another process writes it. Opened for reading, nothing is written, and what another process
        commits is seen from then on.
        """
        read_manifest(path)
        lock = WriterLock(path / "lock", f"run {path.name}") if writable else None
        try:
            folder = cls(path, lock, fsync=fsync, optimize_every=optimize_every)
            if writable:
                folder._recover()
        except BaseException:
            if lock:
                lock.release()
            raise
        return folder

    def close(self) -> None:
        """Lets other processes write, after a commit under way."""
        with self._writing:
            if self._lock:
                self._lock.release()
                self._lock = None
            self.tables.reopen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ what is there

    @property
    def run_id(self) -> str:
        """`run_id` of the manifest, or the folder's name."""
        return str(self.manifest.get("run_id", self.path.name))

    @property
    def last_round(self) -> int:
        """Last committed round, 0 before the first."""
        return len(self.round_rows())

    @property
    def digest(self) -> str:
        """Canonical hash of the event log so far (hex), "" before round 1."""
        return _digest_of(self.round_rows())

    def round_rows(self) -> list[RoundRow]:
        """One row per committed round, in order; a reader looks anew each time."""
        if self._lock is None:
            self._rows = self.tables.round_rows()
        return list(self._rows)

    def rounds(self, first: int, last: int) -> Iterator[tuple[EventColumns, MemoryColumns]]:
        """Events and memories of committed rounds first..last, a round at a time.

        NotFound where one of them is not committed.
        """
        rows = self.round_rows()
        if first < 1 or last > len(rows):
            raise NotFound(f"{self.run_id} has rounds 1 to {len(rows)}, not {first} to {last}")
        return self._rounds(rows, first, last)

    def _rounds(
        self, rows: list[RoundRow], first: int, last: int
    ) -> Iterator[tuple[EventColumns, MemoryColumns]]:
        sizes = [row.events + row.memories for row in rows[first - 1 : last]]
        for begin, end in windows(sizes, first):
            events = self.tables.read("events", rows, begin, end)
            memories = self.tables.read("memories", rows, begin, end)
            event = memory = 0
            for row in rows[begin - 1 : end]:
                yield (
                    events_from(events.slice(event, row.events)),
                    memories_from(memories.slice(memory, row.memories)),
                )
                event, memory = event + row.events, memory + row.memories

    def events_of(self, user: int) -> EventColumns:
        """All committed events of one user, in order."""
        return events_from(self._of_user("events", user))

    def memories_of(self, user: int) -> MemoryColumns:
        """All committed memories of one user, in order."""
        return memories_from(self._of_user("memories", user))

    def _of_user(self, name: str, user: int) -> Rows:
        found = self.tables.where(name, f"user = {int(user)} AND round <= {self.last_round}")
        return found.sort_by([("round", "ascending"), ("seq", "ascending")])

    def works(self) -> list[WorkRecord]:
        """All works of committed rounds, in order."""
        rows = self.round_rows()
        return works_from(self.tables.read("works", rows, 1, len(rows)), self.arms)

    def world(self) -> WorldData:
        """The world that the run began with, exactly as it was given."""
        tables = {name: self.tables.all_rows(name) for name in WORLD_TABLES}
        return world_from_tables(tables, self.manifest["dataset"])

    def arm_of_user(self) -> NDArray[np.int8]:
        """[users]: position in `arms`, -1 without an arm."""
        users = self.tables.all_rows("users").sort_by("number")
        number = {arm: at for at, arm in enumerate(self.arms)}
        return np.array([number.get(arm, -1) for arm in users["arm"].to_pylist()], np.int8)

    def verify_digest(self) -> str:
        """Computes the digest from the tables. InputError names the first round that differs."""
        rows = self.round_rows()
        digest = BEFORE_ROUND_1
        for row, (events, _) in zip(rows, self._rounds(rows, 1, len(rows)), strict=True):
            digest = round_digest(digest, events)
            if digest != row.digest:
                raise InputError(
                    f"the events of round {row.round} do not give the digest in its row",
                    where=str(self.path),
                    remedy="The tables were changed; use a copy",
                )
        return digest

    @property
    def status(self) -> dict[str, Any]:
        """What `set_status` wrote last: state, error, text (for people), last_round, updated."""
        return read_json(self.path / "status.json")

    def set_status(self, state: str, error: str = "") -> None:
        """Says how the run stands, in a file of its own that is replaced as a whole."""
        self._may_write()
        rounds = len(self._rows)
        text = f"{state} after round {rounds}" if rounds else f"{state}, no round yet"
        write_json(
            self.path / "status.json",
            {
                "state": state,
                "error": error,
                "text": f"{text}: {error}" if error else text,
                "last_round": rounds,
                "updated": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

    def note(self, entry: str, values: Mapping[str, Any]) -> None:
        """Adds values to an object in the manifest: what was found out after it was written."""
        self._may_write()
        self.manifest[entry] = {**dict(self.manifest.get(entry, {})), **values}
        write_json(self.path / "manifest.json", self.manifest)

    def note_conduct(self, values: Mapping[str, Any]) -> None:
        """Appends a line to `conduct.jsonl`: how a recommender behaved until it was let go."""
        self._may_write()
        with (self.path / "conduct.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, ensure_ascii=False) + "\n")

    # ------------------------------------------------------------------ writing

    async def commit(self, result: RoundResult, sim_time: datetime) -> None:
        """Keeps a round; Conflict unless it is last_round + 1.

        Runs in a thread, so that the event loop goes on; one that is cancelled may still finish.
        """
        await asyncio.to_thread(self._commit, result, sim_time)

    def _commit(self, result: RoundResult, sim_time: datetime) -> None:
        started = time.perf_counter()
        with self._writing:
            self._may_write()
            round, last = result.round, len(self._rows)
            if sim_time.tzinfo is None:
                raise ValueError("sim_time needs a time zone")
            if round != last + 1:
                raise Conflict(f"round {round} cannot follow round {last} of {self.run_id}")
            logs = {
                "events": event_table(result.events),
                "memories": memory_table(result.memories, round),
                "works": work_table(result.works, self.arms),
            }
            for name, rows in logs.items():
                if not np.all(rows["round"].to_numpy() == round):
                    raise ValueError(f"{name} of round {round} are of another round")
            row = RoundRow(
                round=round,
                sim_time=sim_time.astimezone(UTC),
                active=result.active,
                events=len(result.events),
                memories=len(logs["memories"]),
                works=len(result.works),
                wall_ms=result.wall_ms,
                commit_ms=0.0,
                training_ms={self.arms[arm]: ms for arm, ms in result.training_ms.items()},
                digest=round_digest(_digest_of(self._rows), result.events),
                events_version=0,
                memories_version=0,
                works_version=0,
                surfaces={self.arms[arm]: names for arm, names in result.surfaces.items()},
            )
            if self._tail:
                self.tables.drop_after(last)
            self._tail = True
            if self._fsync:
                self._redo.write(round, logs | {"rounds": round_table([row])})
            self._append(logs, row, started)
            self._tail = False

    def _append(self, logs: Mapping[str, Rows], row: RoundRow, started: float) -> None:
        """Appends to the logs, then the row that makes the round exist."""
        for name, rows in logs.items():
            self.tables.append(name, rows)
        due = row.round % self._optimize_every == 0
        small = [name for name in LOGS if self._grew(name, row) <= SMALL_APPEND]
        if due:
            self.tables.compact(small)
        versions = self.tables.versions()
        row = replace(
            row,
            commit_ms=(time.perf_counter() - started) * 1000,
            **{f"{name}_version": versions[name] for name in LOGS},
        )
        written = round_table([row])
        self.tables.append("rounds", written)
        self._rows += rounds_from(written)
        if due:
            self.tables.compact(["rounds"])
            if self._fsync:
                self._redo.rebase(row.round, self.tables.versions())
            self.tables.prune([*small, "rounds"])

    def _grew(self, name: str, row: RoundRow) -> float:
        """Mean rows a round since the last compaction."""
        recent = [*self._rows[-self._optimize_every + 1 :], row]
        return sum(getattr(one, name) for one in recent) / len(recent)

    def truncate(self, round: int) -> None:
        """Makes `round` the last one (0: none), for good. NotFound where it is not committed."""
        with self._writing:
            self._may_write()
            if not 0 <= round <= len(self._rows):
                raise NotFound(f"{self.run_id} has no round {round}")
            self._redo.forget_after(round)
            self.tables.drop_after(round, ("rounds", *LOGS))
            del self._rows[round:]
            self._tail = False
            if self._fsync:
                self._redo.rebase(round, self.tables.versions())

    def _may_write(self) -> None:
        if self._lock is None:
            raise Conflict(f"run {self.run_id} is not open for writing")

    # ------------------------------------------------------------------ after a kill

    def _recover(self) -> None:
        """Undoes what a killed commit began, and redoes from the redo log what a power cut took."""
        redo = self._redo.rounds() if self._redo.exists else []
        if redo and not self._holds(redo):
            self._redo.back_to_base()
            self.tables.reopen()
        self.tables.add_new_columns()
        self._rows = self.tables.round_rows()
        self.tables.drop_after(len(self._rows))
        for round in redo:
            if round > len(self._rows):
                rows = self._redo.read(round)
                (row,) = rounds_from(rows.pop("rounds"))
                self._append(rows, row, time.perf_counter())
        if self._fsync and not self._redo.exists:
            self._redo.rebase(len(self._rows), self.tables.versions())
        elif not self._fsync and self._redo.exists:
            self._redo.drop()

    def _holds(self, redo: Sequence[int]) -> bool:
        """Whether the tables can be read and agree with the redo log wherever both have a round."""
        try:
            rows = self.tables.round_rows()
            if len(rows) < redo[0] - 1:
                return False
            for round in redo:
                if round <= len(rows):
                    kept = self._redo.read(round)
                    for name, schema in LOGS.items():
                        found = self.tables.read(name, rows, round, round).cast(schema)
                        if not found.equals(kept[name]):
                            return False
        except UNREADABLE:
            return False
        return True


def _digest_of(rows: Sequence[RoundRow]) -> str:
    return rows[-1].digest if rows else BEFORE_ROUND_1
