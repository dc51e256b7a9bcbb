"""A run that goes on differently from a round of another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from recarena.server.errors import InputError, NotFound
from recarena.server.store.digest import BEFORE_ROUND_1
from recarena.server.store.journal import begin_fork
from recarena.server.store.manifest import OWN_KEYS, arm_ids
from recarena.server.store.new_folder import new_folder
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.run_tables import windows
from recarena.server.store.steered import interventions_of
from recarena.server.store.tables import LOGS, VECTOR, WORKS, Rows, round_table


def fork(
    source: RunFolder, target: Path, round: int, *, fsync: bool = False, **changes: Any
) -> RunFolder:
    """A new folder, open for writing, with rounds 1..round of `source` and its world. Whoever is
    played by a person then is handed back when the next round begins.

    Its manifest is the source's with `changes` put over it and `forked_from`: run_id, round,
    digest. Other `arms` take the place of the old ones by position. NotFound where the round is
    not committed; Conflict where something is at `target` already.
    """
    rows = source.round_rows()
    if not 0 <= round <= len(rows):
        raise NotFound(f"{source.run_id} has rounds 1 to {len(rows)}, not {round}")
    rows = rows[:round]
    origin = {
        "run_id": source.run_id,
        "round": round,
        "digest": rows[-1].digest if rows else BEFORE_ROUND_1,
    }
    kept = {key: value for key, value in source.manifest.items() if key not in OWN_KEYS}
    manifest = {**kept, **changes, "forked_from": origin}
    arms = arm_ids(manifest)
    if len(arms) < len(source.arms):
        raise InputError(f"the fork needs at least {len(source.arms)} arms", where="arms")
    renamed = dict(zip(source.arms, arms, strict=False))
    same = manifest.get("memory") == source.manifest.get("memory")
    also = (VECTOR,) if same else ()
    with new_folder(target, manifest, source.world(), source.arm_of_user(), sync=fsync) as tables:
        for name in LOGS:
            for first, last in windows([getattr(row, name) for row in rows], 1):
                found = source.tables.read(name, rows, first, last, also)
                tables.append(name, _renamed(found, renamed) if name == "works" else found)
        begin_fork(tables.path.parent, source.path, interventions_of(source, round), round)
        versions = tables.versions()
        now = {f"{name}_version": versions[name] for name in LOGS}
        tables.append(
            "rounds",
            round_table(
                [
                    replace(
                        row,
                        **now,
                        training_ms={renamed[a]: ms for a, ms in row.training_ms.items()},
                        surfaces={renamed[a]: names for a, names in row.surfaces.items()},
                    )
                    for row in rows
                ]
            ),
        )
    return RunFolder.open(target, writable=True, fsync=fsync)


def _renamed(works: Rows, renamed: dict[str, str]) -> Rows:
    arms = pa.array([renamed[arm] for arm in works["arm"].to_pylist()], pa.string())
    return works.set_column(WORKS.get_field_index("arm"), "arm", arms)
