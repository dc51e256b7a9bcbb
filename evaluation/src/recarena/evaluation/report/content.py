"""Everything that the page of a competition shows, read from its folder.

A part whose file is not there is absent: no card, no results, no manifest of a competition. The
statistics are the leaderboard's; here they are only gathered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from recarena.evaluation.leaderboard.board import Leaderboard, build
from recarena.evaluation.report.shown import Shown, shown
from recarena.evaluation.runs.run_log import RunLog, UnreadableRun, find_runs
from recarena.evaluation.runs.thinking import Thinking, thinking_of, together

COMPETITION = "recarena-competition"
COMPETITION_VERSION = 1
"""The newest format of a competition that this release reads."""


class UnreadableCompetition(Exception):
    """A folder cannot be shown; the text is one line that ends with the remedy."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run that was to be played."""

    run_id: str
    recommenders: tuple[str, ...]
    world: str
    seed: int | None
    rounds: int | None
    digest: str
    error: str
    """Empty: it was played to its end."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command that somebody can type, and what it is for."""

    command: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Content:
    """What the page shows."""

    title: str
    folder: str
    """Its name, without where it lies."""
    board: Leaderboard | None
    """None where no run was played to its end."""
    shown: Mapping[str, Shown]
    """By recommender."""
    thinking: Mapping[str, Thinking]
    """What LLM minds cost, by recommender; only those in whose runs users had one."""
    runs: tuple[RunRecord, ...]
    manifest: Mapping[str, Any]
    """Of the competition; without one, of the first run."""
    is_competition: bool
    manifest_sha256: str
    results: Mapping[str, Any]
    """Empty where there is no results.json."""
    card: Mapping[str, Any] | None
    left_out: tuple[str, ...]
    """What is not in the figures, as sentences."""
    steps: tuple[Step, ...]


def content_of(folder: Path, *more: Path) -> Content:
    """Of a competition's folder, or of run folders and folders that hold them.

    UnreadableCompetition and UnreadableRun where there is nothing to show.
    """
    manifest = _competition(folder) if not more else None
    if manifest is None:
        return _of_runs((folder, *more))
    text = (folder / "manifest.json").read_bytes()
    results = _object(folder / "results.json") or {}
    runs = tuple(_records(results)) or tuple(_found(folder / "runs"))
    logs, unreadable = _opened(folder / "runs", [run for run in runs if not run.error])
    return _content(
        title=str(manifest.get("name") or folder.resolve().name),
        folder=folder.resolve().name,
        logs=logs,
        runs=runs,
        manifest=manifest,
        is_competition=True,
        manifest_sha256=hashlib.sha256(text).hexdigest(),
        results=results,
        card=_object(folder / "card.json"),
        left_out=(*_left_out(runs, results, bool(results)), *unreadable),
        steps=(
            Step(
                "recarena reproduce manifest.json",
                "plays everything again in a new folder and says whether it matches",
            ),
            Step(
                f"recarena report {folder.resolve().name}",
                "makes this page again from the folder",
            ),
        ),
    )


def _of_runs(paths: Sequence[Path]) -> Content:
    folders = {run.resolve(): run for path in paths for run in find_runs(path)}
    logs = [RunLog.open(run) for run in folders.values()]
    runs = tuple(_record(log) for log in logs)
    unplayed = {run.run_id for run in runs if run.error}
    names = " ".join(path.resolve().name for path in paths)
    return _content(
        title=paths[0].resolve().name,
        folder=names,
        logs=[log for log in logs if log.run_id not in unplayed],
        runs=runs,
        manifest=dict(logs[0].manifest),
        is_competition=False,
        manifest_sha256="",
        results={},
        card=_object(paths[0] / "card.json"),
        left_out=tuple(_left_out(runs, {}, True)),
        steps=(
            Step(f"recarena leaderboard {names}", "the leaderboard of these runs, for a terminal"),
            Step(
                f"recarena digest {folders[next(iter(folders))].resolve().name} --replay",
                "plays a run again from its log and says whether it comes out the same",
            ),
            Step(f"recarena report {names}", "makes this page again from the run folders"),
        ),
    )


def _content(*, logs: Sequence[RunLog], **parts: Any) -> Content:
    thinking: dict[str, list[Thinking | None]] = {}
    for log in logs:
        cost = thinking_of(log.path, log.manifest, log.rounds)
        for arm in log.arms:
            thinking.setdefault(arm.recommender, []).append(cost)
    summed = {name: together(costs) for name, costs in thinking.items()}
    return Content(
        board=build(logs) if logs else None,
        shown=shown(logs),
        thinking={name: cost for name, cost in summed.items() if cost is not None},
        **parts,
    )


def _competition(folder: Path) -> dict[str, Any] | None:
    """Its manifest; None where the folder is no competition's."""
    manifest = _object(folder / "manifest.json")
    if manifest is None or manifest.get("format") != COMPETITION:
        return None
    version = manifest.get("format_version", 0)
    if not isinstance(version, int) or version > COMPETITION_VERSION:
        raise UnreadableCompetition(
            f"{folder} has competition format {version}, this release reads up to "
            f"{COMPETITION_VERSION}. Update RecArena"
        )
    return manifest


def _object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no file."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UnreadableCompetition(
            f"{path} cannot be read as JSON ({error}). Restore it from a copy"
        ) from None
    if not isinstance(value, dict):
        raise UnreadableCompetition(f"{path} is no JSON object. Restore it from a copy")
    return cast("dict[str, Any]", value)


def _records(results: Mapping[str, Any]) -> Iterator[RunRecord]:
    for run in results.get("runs") or ():
        yield RunRecord(
            run_id=str(run.get("id") or run.get("run_id") or ""),
            recommenders=_names(run.get("recommenders") or run.get("recommender")),
            world=_text(run.get("world")),
            seed=run.get("seed"),
            rounds=run.get("rounds"),
            digest=_text(run.get("digest")),
            error=_text(run.get("error")),
        )


def _found(folder: Path) -> Iterator[RunRecord]:
    """What was played of a competition without results."""
    try:
        folders = find_runs(folder)
    except UnreadableRun:
        return
    for path in folders:
        yield _record(RunLog.open(path))


def _record(log: RunLog) -> RunRecord:
    try:
        status = _object(log.path / "status.json") or {}
    except UnreadableCompetition:
        status = {}
    error = ""
    if not log.rounds:
        error = "no round was played"
    elif status.get("state") == "failed":
        error = str(status.get("error") or status.get("text") or "failed")
    return RunRecord(
        log.run_id, tuple(arm.recommender for arm in log.arms), log.world, log.seed, log.rounds,
        "", error,
    )  # fmt: skip


def _opened(folder: Path, runs: Sequence[RunRecord]) -> tuple[list[RunLog], list[str]]:
    """The logs of runs, and what is said of those that are not there."""
    logs: list[RunLog] = []
    unreadable: list[str] = []
    for run in runs:
        path = folder / run.run_id
        if not run.run_id or path.parent != folder:
            unreadable.append(f"Run {run.run_id!r} has a name that is no folder's.")
            continue
        try:
            logs.append(RunLog.open(path))
        except UnreadableRun:
            unreadable.append(f"Run {run.run_id} is in the results, and cannot be read here.")
    return logs, unreadable


def _left_out(
    runs: Sequence[RunRecord], results: Mapping[str, Any], finished: bool
) -> Iterator[str]:
    if not finished:
        yield "The competition was not played to its end: there is no results.json."
    for run in runs:
        if run.error:
            who = ", ".join(run.recommenders)
            yield f"Run {run.run_id} ({who}) is left out: {run.error}"
    if results.get("interrupted"):
        yield "The competition was interrupted; only what was finished is shown."
    stopped = results.get("stopped_early") or results.get("early_stop")
    if stopped:
        yield f"The competition was stopped early: {_text(stopped)}"


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(_text(one) for one in value or ())


def _text(value: Any) -> str:
    """A name or a sentence; of an object its name, else its JSON."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        return str(named.get("name") or json.dumps(value, sort_keys=True))
    return str(value)
