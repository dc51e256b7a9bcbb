"""The house of runs: a folder of run folders, and the runs that are open in it."""

from __future__ import annotations

import asyncio
import re
import shutil
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recarena.server.assembly import mind_entries
from recarena.server.config import NAME, Settings, parse_settings, reseeded
from recarena.server.datasets.specs import open_world
from recarena.server.door import Door
from recarena.server.errors import AlreadyThere, Conflict, InputError, NotFound, RecArenaError
from recarena.server.founding import (
    RunState,
    create_run,
    settings_entries,
    settings_in,
    settings_of,
)
from recarena.server.llm.recorder import copy_recording
from recarena.server.mind_rules import MindRules
from recarena.server.runs import Run
from recarena.server.store.fork import fork as fork_folder
from recarena.server.store.run_folder import RunFolder

INQUIRIES = "inquiries"
"""Folder beside the runs with the recordings of what was asked beside them: no run is named so."""


class House:
    """Opens, creates, resets and forks runs under one folder. A run is opened when it is first
    asked for and stays open until `close`."""

    def __init__(self, folder: Path, door: Door, minds: MindRules | None = None) -> None:
        """`minds`: what those who call `create` may ask for; default: the choice mind."""
        self.folder, self._door, self._minds = folder, door, minds or MindRules()
        self._open: dict[str, Run] = {}

    def run(self, run_id: str) -> Run:
        """A run by its name. NotFound; Conflict where another process has it."""
        if run_id not in self._open:
            self._open[run_id] = self._load(self.folder_of(run_id))
        return self._open[run_id]

    def folder_of(self, run_id: str) -> Path:
        """The folder of a run, which is not opened for it: to be read while whoever has the run
        goes on. NotFound; InputError for what is no name."""
        path = self._path(run_id)
        if not (path / "manifest.json").exists():
            raise NotFound(f"no run {run_id!r} in {self.folder}")
        return path

    def runs(self) -> list[Run]:
        """All runs of the house by name, but those that another process is writing."""
        found: list[Run] = []
        for manifest in sorted(self.folder.glob("*/manifest.json")):
            try:
                found.append(self.run(manifest.parent.name))
            except RecArenaError:
                continue
        return found

    def opened(self) -> list[Run]:
        """The runs that were asked for since the house began, in that order."""
        return list(self._open.values())

    def check(self, run_id: str, world: str, settings: Settings) -> None:
        """Raises what `create` would raise for a bad name, a name in use, a bad world or minds
        that are not allowed."""
        self._minds.check(settings)
        if run_id and self._path(run_id).exists():
            raise AlreadyThere(f"there is a run {run_id!r} already")
        open_world(world)

    async def create(self, run_id: str, world: str, settings: Settings) -> Run:
        """A new run; without a name it gets one."""
        self._minds.check(settings)
        run_id = run_id or f"run-{uuid.uuid4().hex[:8]}"
        path = self._path(run_id)
        if path.exists():
            raise AlreadyThere(f"there is a run {run_id!r} already")
        data = await asyncio.to_thread(open_world, world)
        folder = await asyncio.to_thread(create_run, path, settings, data)
        self._open[run_id] = self._take_up(folder)
        return self._open[run_id]

    async def reset(self, run_id: str, seed: int | None) -> Run:
        """Round 0 again, with the next epoch and, if given, another seed. Conflict while live,
        InputError for a seed that cannot be. A reset that fails leaves the rounds that were
        there; the run may have to be asked for again."""
        run = self.run(run_id)
        if run.state.is_live:
            raise Conflict(f"run {run_id} is {run.state}: pause or stop it first")
        settings = run.settings if seed is None else reseeded(run.settings, seed)
        data, path, epoch = run.folder.world(), run.folder.path, run.epoch + 1
        fresh, old = (path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}") for _ in range(2))
        try:
            create_run(fresh, settings, data, run_id=run_id, epoch=epoch).close()
            try:
                await run.close()
            finally:  # it is opened again when it is asked for
                del self._open[run_id]
            copy_recording(path, fresh, 0)
            path.rename(old)
            try:
                fresh.rename(path)
                new = self.run(run_id)
            except BaseException:
                if path.exists():
                    path.rename(fresh)
                old.rename(path)
                raise
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)
        return new

    async def fork(self, run_id: str, round: int, new_run_id: str) -> Run:
        """A copy up to a committed round, paused."""
        source = self.run(run_id)
        new_run_id = new_run_id or f"{run_id[:50]}-{uuid.uuid4().hex[:6]}"
        target = self._path(new_run_id)
        if target.exists():
            raise AlreadyThere(f"there is a run {new_run_id!r} already")
        folder = await asyncio.to_thread(fork_run, source.folder, target, round)
        self._open[new_run_id] = self._take_up(folder)
        return self._open[new_run_id]

    async def close(self) -> None:
        """Pauses what is live at its last committed round and lets go of all folders."""
        await asyncio.gather(*(run.close() for run in self._open.values()))
        self._open.clear()

    def _load(self, path: Path) -> Run:
        folder = RunFolder.open(path, writable=True)
        try:
            store = settings_of(folder).store
        except BaseException:
            folder.close()
            raise
        if store.fsync:
            folder.close()
            folder = RunFolder.open(
                path, writable=True, fsync=True, optimize_every=store.optimize_every
            )
        return self._take_up(folder)

    def _take_up(self, folder: RunFolder) -> Run:
        """The run of a folder, which is let go of where it cannot be one: whoever asks next is
        told what is wrong with it, not that it is in use."""
        try:
            return Run(folder, self._door)
        except BaseException:
            folder.close()
            raise

    def _path(self, run_id: str) -> Path:
        if run_id == INQUIRIES:
            raise InputError(f"the name {run_id!r} is taken for recordings", where="run_id")
        if not re.fullmatch(NAME, run_id):
            raise InputError(
                f"{run_id!r} is no name of a run",
                where="run_id",
                remedy="A name has 1 to 63 of a-z, 0-9, '.', '_', '-'",
            )
        return self.folder / run_id


def fork_run(
    source: RunFolder, target: Path, round: int, settings: Mapping[str, Any] | None = None
) -> RunFolder:
    """A new run folder with rounds 1..round of `source`, paused and open for writing; with other
    settings from there on, if given (their arms take the place of the old ones)."""
    changes: dict[str, Any] = {}
    if settings is not None:
        checked = parse_settings(settings, f"fork of {source.run_id}")
        if checked.rounds < round:
            raise InputError(
                f"{checked.rounds} rounds in all, but {round} are copied", where="rounds"
            )
        world = source.world()
        checked = settings_in(world, checked)
        changes = settings_entries(checked) | mind_entries(checked, world)
        if assignment := source.manifest.get("assignment"):
            arms = [arm.id for arm in checked.arms]
            sizes = [*assignment["users"].values(), *(0 for _ in arms)]
            changes["assignment"] = {**assignment, "users": dict(zip(arms, sizes, strict=False))}
    folder = fork_folder(
        source,
        target,
        round,
        run_id=target.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **changes,
    )
    copy_recording(source.path, target, round)
    folder.set_status(RunState.PAUSED)
    return folder
