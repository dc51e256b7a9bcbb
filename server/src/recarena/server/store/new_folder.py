"""Making a run folder that is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import Conflict, InputError
from recarena.server.store.files import sync_path, sync_tree, write_json
from recarena.server.store.manifest import FORMAT, FORMAT_VERSION, OWN_KEYS, arm_ids
from recarena.server.store.run_tables import RunTables
from recarena.server.store.world_tables import describe, tables_from_world


@contextmanager
def new_folder(
    path: Path,
    manifest: Mapping[str, Any],
    world: WorldData,
    arm_of_user: Sequence[str] | NDArray[np.integer],
    *,
    sync: bool,
) -> Generator[RunTables]:
    """A folder with a world and no rounds, which may be filled before it gets its name.

    Conflict where something is at `path` already; InputError for a manifest or arms that do not
    fit. With sync=True it is on the disk at the end.
    """
    if clash := sorted(set(manifest) & set(OWN_KEYS)):
        raise InputError(f"the store writes {', '.join(clash)} itself", where="manifest")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise Conflict(f"there is something at {path} already")
    arms = _arms_by_id(arm_of_user, arm_ids(manifest), len(world.population))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.making")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        dimension = int(dict(manifest.get("memory", {})).get("dimension", 0))
        tables = RunTables.create(fresh / "tables", tables_from_world(world, arms), dimension)
        yield tables
        tables.reopen()
        own = {"format": FORMAT, "format_version": FORMAT_VERSION}
        write_json(fresh / "manifest.json", {**own, **manifest, "dataset": describe(world)})
        write_json(
            fresh / "status.json",
            {
                "state": "created",
                "error": "",
                "text": "created, no round yet",
                "last_round": 0,
                "updated": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
        if sync:
            sync_tree(fresh)
        try:
            fresh.replace(path)
        except OSError:
            raise Conflict(f"there is something at {path} already") from None
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if sync:
        sync_path(path.parent)


def _arms_by_id(
    arm_of_user: Sequence[str] | NDArray[np.integer], arms: Sequence[str], users: int
) -> list[str]:
    if len(arm_of_user) != users:
        raise InputError(f"{len(arm_of_user)} users have an arm, the world has {users}")
    if isinstance(arm_of_user, np.ndarray):
        numbers = arm_of_user.astype(np.int64)
        if users and (numbers.min() < -1 or numbers.max() >= len(arms)):
            raise InputError(f"an arm of a user is not in -1..{len(arms) - 1}")
        return np.array([*arms, ""], object)[numbers].tolist()
    for arm in arm_of_user:
        if arm and arm not in arms:
            raise InputError(f"no arm is called {arm!r}; there are {', '.join(arms)}")
    return list(arm_of_user)
