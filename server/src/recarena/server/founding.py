"""A run as it is founded: who is in which arm, what determines it, its folder and its state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from recarena.server.allocation import (
    Allocation,
    AllocationUnit,
    allocate_clusters,
    allocate_users,
)
from recarena.server.assembly import mind_entries
from recarena.server.config import Settings, parse_settings
from recarena.server.datasets.planting import world_settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.network import Network
from recarena.server.store.run_folder import RunFolder


class RunState(StrEnum):
    """State of a run, as stored and shown."""

    CREATED = "created"
    WAITING = "waiting_for_recommenders"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_live(self) -> bool:
        """Whether a task is playing the run."""
        return self in (RunState.WAITING, RunState.RUNNING)

    @property
    def is_final(self) -> bool:
        """Whether StartRun can do nothing more."""
        return self in (RunState.SUCCEEDED, RunState.STOPPED)


def assign_arms(settings: Settings, network: Network) -> Allocation:
    """The arm of each user of a network, in proportion to the weights, as the settings say."""
    weights = [arm.weight for arm in settings.arms]
    if settings.assignment.by is AllocationUnit.CLUSTERS:
        return allocate_clusters(
            weights, settings.seed, network, settings.assignment.clusters_per_arm
        )
    return allocate_users(weights, settings.seed, network.users)


def new_manifest(
    run_id: str, settings: Settings, world: WorldData, epoch: int, allocation: Allocation
) -> dict[str, Any]:
    """What determines a run, as its folder keeps it."""
    return {
        "run_id": run_id,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": metadata.version("recarena-server"),
        "epoch": epoch,
        "world": {
            "name": world.name,
            "users": len(world.population),
            "items": len(world.catalog),
            "catalog_version": world.catalog.version,
            "origin": world.origin,
        },
        "assignment": allocation.entry(world.network, [arm.id for arm in settings.arms]),
        **mind_entries(settings, world),
        **settings_entries(settings),
    }


def settings_entries(settings: Settings) -> dict[str, Any]:
    """The entries of a manifest that follow from the settings."""
    return {
        "seed": settings.seed,
        "rounds": settings.rounds,
        "arms": [
            {
                "arm_id": arm.id,
                "recommender": arm.recommender,
                "weight": arm.weight,
                "failure_policy": arm.failure_policy,
            }
            for arm in settings.arms
        ],
        "settings": settings.model_dump(mode="json"),
    }


def create_run(
    path: Path, settings: Settings, world: WorldData, *, run_id: str = "", epoch: int = 1
) -> RunFolder:
    """A run folder without rounds, named after `path` unless said otherwise. Conflict where
    something is at `path`.

    What the world says of the settings of its runs holds where `settings` does not say otherwise.
    """
    settings = settings_in(world, settings)
    allocation = assign_arms(settings, world.network)
    folder = RunFolder.create(
        path,
        new_manifest(run_id or path.name, settings, world, epoch, allocation),
        world,
        allocation.arm_of_user,
        fsync=settings.store.fsync,
        optimize_every=settings.store.optimize_every,
    )
    folder.set_status(RunState.CREATED)
    return folder


def settings_in(world: WorldData, settings: Settings) -> Settings:
    """The settings over those that are planted in the world, coefficient by coefficient."""
    planted = world_settings(world)
    if not planted:
        return settings
    values = settings.model_dump(mode="json")
    for table, coefficients in planted.items():
        values[table] = {**coefficients, **dict(values.get(table, {}))}
    return parse_settings(values, f"world {world.name}")


def settings_of(folder: RunFolder) -> Settings:
    """The settings that a run was made with."""
    return parse_settings(folder.manifest["settings"], str(folder.path / "manifest.json"))


def adjust_llm(folder: RunFolder, changes: Mapping[str, Any]) -> None:
    """Puts changes over the settings of a run's LLM minds: caps, limits and how calls are made,
    which decide nothing. InputError where they are wrong."""
    stored = dict(folder.manifest["settings"])
    changed = {**stored, "llm": {**dict(stored.get("llm", {})), **changes}}
    settings = parse_settings(changed, str(folder.path / "manifest.json"))
    folder.note("settings", {"llm": settings.model_dump(mode="json")["llm"]})
