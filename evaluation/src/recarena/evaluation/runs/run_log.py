"""A run folder as numpy columns, read-only; the format is docs/run-folder.md.

Numbers, not ids: a user is its position in `users`, an item its position in `items`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.background import (
    History,
    Reader,
    Table,
    Truth,
    nothing,
    planted,
    read_genres,
    read_history,
    read_truth,
)
from recarena.evaluation.runs.events import Bools, EventKind, Events, Floats, Outcome, Works
from recarena.evaluation.runs.steering import COLUMNS, Steering, changes_in, of_users
from recarena.evaluation.runs.tables import Tables, column
from recarena.evaluation.runs.unreadable import UnreadableRun

FORMAT = "recarena-run"
FORMAT_VERSION = 1
"""The newest format that this release reads."""
NAME_ONE = "Name a folder that a run was written to"


@dataclass(frozen=True, slots=True)
class Arm:
    """Users who get their lists from one recommender."""

    arm_id: str
    recommender: str


@dataclass(frozen=True)
class RunLog:
    """What happened in the committed rounds of one run."""

    path: Path
    manifest: Mapping[str, Any]
    arms: tuple[Arm, ...]
    item_ids: Sequence[str]
    titles: Sequence[str]
    popularity: Floats
    """[items]: watches before the run."""
    user_ids: Sequence[str]
    user_names: Sequence[str]
    arm_of_user: NDArray[np.int16]
    """[users]: position in `arms`, -1: none of them."""
    rounds: int
    """Committed rounds."""
    events: Events
    """What figures are made of: what users did, without the user-rounds that people played unless
    they were asked for."""
    works: Works
    read: Reader = field(default=nothing, repr=False, compare=False)
    """Reads what is asked for later: genres, history, truth."""
    steering: Steering = field(default_factory=Steering)
    """What operators changed, and whom people played."""
    with_people: bool = False
    """Whether `events` have the user-rounds that people played."""
    every: Events | None = None
    """Every row of the log, where `events` are fewer."""
    shared: dict[Any, Any] = field(
        default_factory=dict[Any, Any], init=False, repr=False, compare=False
    )
    """Room for what several measures of this log share; whoever fills it empties it."""
    kept: dict[Any, Any] = field(
        default_factory=dict[Any, Any], init=False, repr=False, compare=False
    )
    """Room for small results that are asked for again: they stay as long as the log does."""
    _of_arm: dict[str, Events] = field(
        default_factory=dict[str, Events], init=False, repr=False, compare=False
    )

    @classmethod
    def open(cls, path: Path | str, *, with_people: bool = False) -> RunLog:
        """The run at `path` as it stands, also while another process goes on writing it; without
        the user-rounds that people played, unless they are asked for.

        UnreadableRun where there is no run folder, a newer format, or a damaged one.
        """
        path = Path(path)
        manifest = _manifest(path)
        arms = _arms(manifest, path)
        tables = Tables(path)
        # First the rounds, then what they name: what is appended meanwhile is passed over.
        rounds = tables.rows("rounds", ("round", "events", "works")).sort_by("round")
        last = len(rounds)
        if rounds["round"].to_pylist() != list(range(1, last + 1)):
            raise UnreadableRun(f"{path}: the table of rounds has gaps. Restore it from a copy")
        events = _events(tables.rounds("events", EVENT_COLUMNS, rounds))
        steering = _steering(tables, events, last)
        works = tables.rounds("works", tables.having("works", WORK_COLUMNS, CAUSES), rounds)
        users = tables.rows("users", ("number", "user_id", "name", "arm")).sort_by("number")
        items = tables.items(("number", "item_id", "title", "popularity"), steering.items())
        items = items.sort_by("number")
        number = {arm.arm_id: at for at, arm in enumerate(arms)}
        return cls(
            path=path,
            manifest=manifest,
            arms=arms,
            item_ids=items["item_id"].to_pylist(),
            titles=items["title"].to_pylist(),
            popularity=column(items, "popularity", np.float32),
            user_ids=users["user_id"].to_pylist(),
            user_names=users["name"].to_pylist(),
            arm_of_user=_numbers(users["arm"].to_pylist(), number),
            rounds=last,
            events=_counted(events, steering, with_people),
            works=_works(works, number),
            read=tables.offered,
            steering=steering,
            with_people=with_people,
            every=events if steering.changes else None,
        )

    @property
    def logged(self) -> Events:
        """Every row of the log, whoever did it: what had happened when something was shown."""
        return self.events if self.every is None else self.every

    @property
    def run_id(self) -> str:
        """As the manifest has it, or the folder's name."""
        return str(self.manifest.get("run_id") or self.path.name)

    @property
    def seed(self) -> int:
        """Everything random followed from it; -1 where the manifest does not say."""
        return int(self.manifest.get("seed", -1))

    @property
    def world(self) -> str:
        """Name of the world that was played."""
        for key in ("world", "dataset"):
            world = self.manifest.get(key)
            if isinstance(world, Mapping) and world.get("name"):
                return str(world["name"])
            if isinstance(world, str) and world:
                return world
        return "unnamed"

    @property
    def mind(self) -> Mapping[str, Any]:
        """Who decided for the users: `kind`, `is_llm`, `note`; empty where it is not said."""
        mind = self.manifest.get("mind")
        return cast("Mapping[str, Any]", mind) if isinstance(mind, Mapping) else {}

    @property
    def genre_names(self) -> tuple[str, ...]:
        """[genres]; empty where the folder does not tell genres."""
        return self._genres[0]

    @property
    def genres(self) -> Bools:
        """[items, genres]: whether an item has a genre."""
        return self._genres[1]

    @cached_property
    def _genres(self) -> tuple[tuple[str, ...], Bools]:
        dataset = self.manifest.get("dataset")
        names = dataset.get("genres", ()) if isinstance(dataset, Mapping) else ()
        return read_genres(self.read, names, len(self.item_ids))

    @cached_property
    def history(self) -> History:
        """What users had watched before the run; without rows where nothing is known."""
        return read_history(self.read)

    @cached_property
    def truth(self) -> Truth | None:
        """The hidden truth behind users and items; None where the folder does not have it."""
        return read_truth(self.read, self.genres)

    @property
    def planted(self) -> Mapping[str, Any]:
        """What was planted in the world beside tastes (groups, edges, strengths); may be empty."""
        return planted(self.manifest)

    @cached_property
    def p_train(self) -> NDArray[np.float64]:
        """[items]: share of each item in the watches before the run, each item counted once more
        than it was watched, so that unseen items have a share, too; the shares add up to 1.

        (c_i + 1) / (sum c + n): Laplace's rule of succession.
        """
        counts = self.popularity.astype(np.float64) + 1
        return counts / counts.sum()

    def arm_number(self, arm_id: str) -> int:
        """Position of an arm in `arms`. KeyError names those that there are."""
        for at, arm in enumerate(self.arms):
            if arm.arm_id == arm_id:
                return at
        known = ", ".join(arm.arm_id for arm in self.arms)
        raise KeyError(f"{self.run_id} has no arm {arm_id!r}; it has {known}")

    def users_of(self, arm_id: str | None = None) -> Bools:
        """[users]: True for the users of an arm; without one, for all."""
        if arm_id is None:
            return np.ones(len(self.user_ids), np.bool_)
        return self.arm_of_user == self.arm_number(arm_id)

    def events_of(self, arm_id: str | None = None) -> Events:
        """Events of the users of an arm; without one, of all."""
        if arm_id is None:
            return self.events
        if arm_id not in self._of_arm:
            users = self.users_of(arm_id)
            self._of_arm[arm_id] = (
                self.events if users.all() else self.events.take(users[self.events.user])
            )
        return self._of_arm[arm_id]

    def works_of(self, arm_id: str | None = None) -> Works:
        """Works of an arm; without one, all."""
        if arm_id is None:
            return self.works
        return self.works.take(self.works.arm == self.arm_number(arm_id))


EVENT_COLUMNS: dict[str, type[np.generic]] = {
    "round": np.int32,
    "user": np.int32,
    "step": np.int16,
    "kind": np.int8,
    "item": np.int32,
    "position": np.int16,
    "value": np.float32,
    "other": np.int32,
    "surface": np.int8,
    "outcome": np.int8,
}
"""Columns of `events` that are read, besides `seq`."""
WORK_COLUMNS = ("round", "arm", "lists", "latency_ms", "outcome", "violations")
CAUSES = ("unknown", "duplicate", "excluded", "short", "token")
"""Further columns of `works`, which older folders do not have."""


def open_runs(paths: Iterable[Path], *, with_people: bool = False) -> list[RunLog]:
    """The runs at `paths`, in their order. UnreadableRun of the first that cannot be read."""
    return [RunLog.open(path, with_people=with_people) for path in paths]


SHARED = "split-"
"""How the names of a competition's runs begin in which recommenders share a world."""


def find_runs(path: Path) -> list[Path]:
    """The run folder at `path`, or those directly in it, by name; of a competition's folder those
    in its `runs`, but the worlds that recommenders shared, which rank nobody. UnreadableRun if
    there is none.

    A folder counts as a run's when its manifest says so; whether it can be read shows later.
    """
    if is_run_folder(path):
        return [path]
    if not path.exists():
        raise UnreadableRun(f"there is no folder {path}. {NAME_ONE}")
    found = _runs_in(path) or [
        run for run in _runs_in(path / "runs") if not run.name.startswith(SHARED)
    ]
    if not found:
        raise UnreadableRun(f"{path} is no run folder and holds none. {NAME_ONE}")
    return found


def _runs_in(path: Path) -> list[Path]:
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [one for one in inside if not one.name.startswith(".") and is_run_folder(one)]


def is_run_folder(path: Path) -> bool:
    """Whether the folder's manifest is a run's."""
    try:
        return json.loads((path / "manifest.json").read_text("utf-8"))["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _manifest(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise UnreadableRun(f"there is no folder {path}. {NAME_ONE}")
    if not is_run_folder(path):
        raise UnreadableRun(
            f"{path} is no run folder (no manifest.json of a run in it). {NAME_ONE}"
        )
    manifest = json.loads((path / "manifest.json").read_text("utf-8"))
    version = manifest.get("format_version", 0)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UnreadableRun(
            f"{path} has run format {version}, this release reads up to {FORMAT_VERSION}. "
            "Update RecArena"
        )
    return manifest


def _arms(manifest: Mapping[str, Any], path: Path) -> tuple[Arm, ...]:
    arms: list[Arm] = []
    for one in manifest.get("arms") or ():
        recommender = one.get("recommender") or one.get("recommender_id") or ""
        arm_id = one.get("arm_id") or one.get("id") or recommender
        arms.append(Arm(str(arm_id), str(recommender or arm_id)))
    if not arms:
        raise UnreadableRun(f"{path}: the manifest names no arms. Restore it from a copy")
    return tuple(arms)


def _numbers(names: Iterable[str], number: Mapping[str, int]) -> NDArray[np.int16]:
    return np.array([number.get(name, -1) for name in names], np.int16)


def _events(table: Table) -> Events:
    columns: dict[str, NDArray[Any]] = {
        name: column(table, name, dtype) for name, dtype in EVENT_COLUMNS.items()
    }
    user, round, kind = columns["user"], columns["round"], columns["kind"]
    rows = np.arange(len(kind))
    page = np.maximum.accumulate(np.where(kind == EventKind.PAGE, rows, -1))
    same = (page >= 0) & (user[page] == user) & (round[page] == round)
    on_page = np.isin(kind, (EventKind.PAGE, EventKind.SHOWN, EventKind.WATCH))
    usable = np.isin(columns["outcome"][page], [one for one in Outcome if one.usable])
    return Events(**columns, own=same & on_page & usable)


def _steering(tables: Tables, events: Events, rounds: int) -> Steering:
    if not (events.kind == EventKind.INTERVENTION).any():
        return Steering()
    chosen = f"kind = {int(EventKind.INTERVENTION)} AND round <= {rounds}"
    return Steering.of(changes_in(tables.rows("events", COLUMNS, chosen).to_pylist()), rounds)


def _counted(events: Events, steering: Steering, with_people: bool) -> Events:
    """Those that figures are made of."""
    if not steering.changes:
        return events
    rows = of_users(events)
    return events.take(rows if with_people else rows & ~steering.by_people(events))


def _works(table: Table, number: Mapping[str, int]) -> Works:
    outcomes = {one.name: int(one) for one in Outcome}
    outcome = [
        outcomes.get(str(name).upper(), 0) for name in table["outcome"].to_pylist()
    ]  # an outcome that a later release may add counts as none
    violations = column(table, "violations", np.int32)
    # Where nothing was wrong, every cause has 0, also where causes were not kept.
    unsaid = np.where(violations > 0, -1, 0).astype(np.int32)
    causes = {
        cause: column(table, cause, np.float64) if cause in table.column_names else unsaid
        for cause in CAUSES
    }
    return Works(
        round=column(table, "round", np.int32),
        arm=_numbers(table["arm"].to_pylist(), number),
        lists=column(table, "lists", np.int32),
        latency_ms=column(table, "latency_ms", np.float32),
        outcome=np.array(outcome, np.int8),
        violations=violations,
        **{
            cause: np.where(np.isnan(counts), unsaid, counts).astype(np.int32)
            for cause, counts in causes.items()
        },
    )
