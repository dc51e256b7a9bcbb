"""The redo log beside the tables: what a power cut may not take (Lance does not fsync).

`redo/base.json` names the last round up to which everything is on the disk, and the version of
each table then. Every later round is one synced Arrow IPC file until the next base.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from recarena.server.store.files import read_json, sync_path, sync_tree, write_json
from recarena.server.store.tables import GROWING, Column, Rows, with_new_columns

NEWEST_MANIFEST = 2**64 - 1
"""Lance names the manifest of version v by this number minus v, so that the newest sorts first."""


class RedoLog:
    """The folder `redo` of a run folder."""

    def __init__(self, folder: Path, tables: Path) -> None:
        self.folder, self.tables = folder, tables

    @property
    def exists(self) -> bool:
        """Whether the run was written with fsync and not moved on without it since."""
        return (self.folder / "base.json").exists()

    @property
    def base_round(self) -> int:
        """Everything up to this round is on the disk."""
        return int(read_json(self.folder / "base.json")["round"])

    def rounds(self) -> list[int]:
        """Rounds after the base without a gap, in order."""
        last = first = self.base_round + 1
        while self._path(last).exists():
            last += 1
        return list(range(first, last))

    def _path(self, round: int) -> Path:
        return self.folder / f"round-{round:06d}.arrow"

    def write(self, round: int, rows: Mapping[str, Rows]) -> None:
        """Returns when the rows of one round (of all GROWING) have reached the disk."""
        columns = {name: _as_list(rows[name]) for name in GROWING}
        record = pa.table(columns)
        fresh = self.folder / ".round.new"
        with fresh.open("wb") as file:
            with pa.ipc.new_file(file, record.schema) as writer:
                writer.write_table(record)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path(round))
        sync_path(self.folder)

    def read(self, round: int) -> dict[str, Rows]:
        """What was given to `write`."""
        with self._path(round).open("rb") as file, pa.ipc.open_file(file) as reader:
            record = reader.read_all()
        found: dict[str, Rows] = {}
        for name, schema in GROWING.items():
            rows = pa.Table.from_struct_array(record[name].combine_chunks().flatten())
            found[name] = with_new_columns(rows, schema).cast(schema)
        return found

    def forget_after(self, round: int) -> None:
        """Drops what would bring later rounds back."""
        if not self.exists:
            return
        for later in self.rounds():
            if later > round:
                self._path(later).unlink()
        sync_path(self.folder)

    def rebase(self, round: int, versions: Mapping[str, int]) -> None:
        """Makes `round` the base: syncs all tables, then drops the files of rounds."""
        self.folder.mkdir(exist_ok=True)
        sync_tree(self.tables)
        write_json(self.folder / "base.json", {"round": round, "versions": versions}, sync=True)
        sync_path(self.folder.parent)
        for path in self.folder.glob("round-*.arrow"):
            path.unlink()

    def drop(self) -> None:
        """Ends the log, for a run that goes on without it."""
        sync_tree(self.tables)
        (self.folder / "base.json").unlink()
        sync_path(self.folder)
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()

    def back_to_base(self) -> None:
        """Takes every table back to the base although what came after may be unreadable."""
        for name, version in read_json(self.folder / "base.json")["versions"].items():
            for path in list(_newer_manifests(self.tables / f"{name}.lance", int(version))):
                path.unlink()


def _newer_manifests(table: Path, version: int) -> Iterator[Path]:
    """Manifests of versions after this one, and the hint that names the newest."""
    for path in (table / "_versions").iterdir():
        if path.suffix != ".manifest" or NEWEST_MANIFEST - int(path.stem) > version:
            yield path


def _as_list(table: Rows) -> Column:
    """All rows of a table as the one list in a column of one row."""
    rows = table.combine_chunks().to_struct_array()
    if isinstance(rows, pa.ChunkedArray):
        rows = rows.combine_chunks()
    return pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows)
