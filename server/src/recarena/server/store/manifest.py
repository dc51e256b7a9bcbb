"""The manifest of a run folder: what determines the run, and which format it is kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recarena.server.errors import InputError, NotFound
from recarena.server.store.files import read_json

FORMAT = "recarena-run"
FORMAT_VERSION = 1
OWN_KEYS = ("format", "format_version", "dataset")
"""Keys of the manifest that the store writes itself."""


def arm_ids(manifest: Mapping[str, Any]) -> list[str]:
    """The arm_id of each arm, by its number. InputError where they are missing or repeated."""
    try:
        arms = [str(arm["arm_id"]) for arm in manifest["arms"]]
    except (KeyError, TypeError):
        raise InputError(
            "the manifest needs `arms`, a list of objects with an `arm_id`", where="manifest"
        ) from None
    if len(set(arms)) != len(arms) or "" in arms:
        raise InputError(f"arm ids are unique and not empty, got {arms}", where="manifest")
    return arms


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a run folder that this release can read."""
    if not path.exists():
        raise NotFound(f"there is no run folder {path}")
    try:
        manifest = read_json(path / "manifest.json")
        foreign = manifest["format"] != FORMAT
        version = int(manifest["format_version"])
    except (OSError, json.JSONDecodeError, KeyError, TypeError, ValueError):
        foreign, manifest, version = True, {}, 0
    if foreign:
        raise InputError(
            "not a run folder (its manifest.json is missing or something else)",
            where=str(path),
            remedy="Name a folder that RecArena made",
        )
    if version > FORMAT_VERSION:
        raise InputError(
            f"the run folder has format {version}, this release reads up to {FORMAT_VERSION}",
            where=str(path),
            remedy="Update RecArena",
        )
    return manifest
