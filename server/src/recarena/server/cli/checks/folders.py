"""Checks of the folder of runs, and of the runs in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from recarena.server.cli.checks import Finding, Level
from recarena.server.errors import RecArenaError
from recarena.server.founding import settings_of
from recarena.server.store.run_folder import UNREADABLE, RunFolder

MIB, GIB = 2**20, 2**30
LITTLE, TOO_LITTLE = GIB, 100 * MIB


def runs_folder(path: Path) -> Finding:
    """Whether runs can be made there."""
    if path.exists() and not path.is_dir():
        return Finding("runs", Level.FAIL, f"{path} is no folder", "Choose another with --runs")
    there = _existing(path)
    try:
        with tempfile.TemporaryFile(dir=there, prefix=".recarena-doctor-"):
            pass
    except OSError as error:
        remedy = f"Let this user write {there}, or choose another folder with --runs"
        return Finding("runs", Level.FAIL, f"{there}: {error.strerror}", remedy)
    if there != path:
        return Finding("runs", Level.NOTE, f"{path} is not there yet and will be made")
    return Finding("runs", Level.OK, f"{path} can be written")


def disk_space(path: Path) -> Finding:
    """Whether there is room for more rounds."""
    free = shutil.disk_usage(_existing(path)).free
    text = f"{free / GIB:.1f} GiB free" if free >= GIB else f"{free / MIB:.0f} MiB free"
    if free >= LITTLE:
        return Finding("disk", Level.OK, text)
    level = Level.FAIL if free < TOO_LITTLE else Level.WARN
    return Finding("disk", level, text, "Make room, or choose another disk with --runs")


def run_folders(path: Path) -> list[Finding]:
    """Whether each run that is there could be taken up."""
    manifests = sorted(path.glob("*/manifest.json"))
    found = [one for manifest in manifests if (one := _run(manifest.parent))]
    bad = sum(one.level is Level.FAIL for one in found)
    if not bad:
        found.insert(0, Finding("run folders", Level.OK, f"{len(manifests)}, all can be read"))
    if left := sorted(one.name for one in path.glob(".*.making")):
        text = f"left behind by a killed creation: {', '.join(left)}"
        found.append(Finding("run folders", Level.NOTE, text, "They can be deleted"))
    return found


def _run(path: Path) -> Finding | None:
    """What is to be said of one run; None where all is well."""
    name = f"run {path.name}"
    try:
        with RunFolder.open(path) as folder:
            rounds = folder.last_round
            settings_of(folder)
    except (RecArenaError, KeyError, *UNREADABLE) as error:
        why = " ".join(str(error).split())[:200]
        remedy = "Put a copy back, or move it out of the folder"
        return Finding(name, Level.FAIL, f"cannot be read: {why}", remedy)
    if holder := _holder(path / "lock"):
        text = f"round {rounds}, being written by process {holder}"
        return Finding(name, Level.NOTE, text, "Another server cannot play it meanwhile")
    return None


def _holder(lock: Path) -> str:
    """The process that writes a run, "" for none."""
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.read(handle, 32).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(handle)
    return ""


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.exists())
