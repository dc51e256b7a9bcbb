"""Everything that the page of a competition shows, read from its folder.

A part whose file is not there is absent: no card, no results, no manifest of a competition. The
statistics are the leaderboard's; here they are only gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from recarena.evaluation.believability.card import FILE, Card, read_card
from recarena.evaluation.competing.folder import CompetitionFolder, read_json
from recarena.evaluation.competing.manifest import FORMAT, MANIFEST
from recarena.evaluation.competing.plan import Design
from recarena.evaluation.leaderboard.board import Entrant, Leaderboard, build
from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.metrics.measures import METRICS, PRIMARY, Metric
from recarena.evaluation.report.courses import Courses, courses
from recarena.evaluation.report.shown import Shown, shown
from recarena.evaluation.runs.conduct import Conduct, conduct_of
from recarena.evaluation.runs.run_log import RunLog, UnreadableRun, find_runs

FINISHED = "succeeded"
STATUS = "status.json"


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
    board: Leaderboard | None
    """None where no run was played to its end."""
    primary: Metric
    shown: Mapping[str, Shown]
    """By recommender."""
    courses: Courses
    conduct: Mapping[str, Conduct]
    """By recommender, over all runs, also those that did not come to their end."""
    runs: tuple[RunRecord, ...]
    manifest: Mapping[str, Any]
    """Of the competition; without one, of the first run."""
    is_competition: bool
    manifest_sha256: str
    """Empty where there is no competition."""
    results: Mapping[str, Any]
    """Empty where there is no results.json."""
    card: Card | None
    remarks: tuple[str, ...]
    """What is not in the figures, and what is odd about what is, as sentences."""
    steps: tuple[Step, ...]


def content_of(folder: Path, *more: Path) -> Content:
    """Of a competition's folder, or of run folders and folders that hold them.

    BadCard, UnreadableCompetition and UnreadableRun where there is nothing to show.
    """
    if not more and _is_competition(folder):
        return _of_competition(CompetitionFolder.open(folder))
    return _of_runs((folder, *more))


def _of_competition(competition: CompetitionFolder) -> Content:
    plan, results = competition.plan, competition.results or {}
    name = competition.path.resolve().name
    runs = tuple(_records(results) if results else _so_far(competition))
    logs, unreadable = _opened(competition, runs)
    gate = Gate.of(plan_gate) if (plan_gate := competition.manifest.get("gate")) else None
    return Content(
        title=plan.name,
        board=build(logs, plan.primary, gate, entrants=_entrants(competition)) if logs else None,
        primary=_metric(plan.primary),
        shown=shown(logs),
        courses=courses(logs),
        conduct=conduct_of(competition.run_folders().values()),
        runs=runs,
        manifest=competition.manifest,
        is_competition=True,
        manifest_sha256=competition.manifest_sha256,
        results=results,
        card=_card(competition.path),
        remarks=(*_remarks(runs, results, bool(results)), *unreadable),
        steps=(
            Step(
                f"recarena reproduce {name}/{MANIFEST}",
                "plays everything again in a new folder, and says whether it matches",
            ),
            Step(f"recarena report {name}", "makes this page again from the folder"),
        ),
    )


def _of_runs(paths: Sequence[Path]) -> Content:
    folders = {run.resolve(): run for path in paths for run in find_runs(path)}
    opened = [RunLog.open(run) for run in folders.values()]
    logs = [log for log in opened if log.rounds]
    names = " ".join(path.resolve().name for path in paths)
    runs = tuple(_record(log) for log in opened)
    return Content(
        title=paths[0].resolve().name,
        board=build(logs) if logs else None,
        primary=PRIMARY,
        shown=shown(logs),
        courses=courses(logs),
        conduct=conduct_of(folders.values()),
        runs=runs,
        manifest=opened[0].manifest,
        is_competition=False,
        manifest_sha256="",
        results={},
        card=_card(paths[0]),
        remarks=tuple(
            f"Run {run.run_id} of {', '.join(run.recommenders)} did not come to its end, and its "
            f"{run.rounds} rounds are in the figures: {run.error}"
            for run in runs
            if run.error
        ),
        steps=(
            Step(f"recarena leaderboard {names}", "the leaderboard of these runs, for a terminal"),
            Step(
                f"recarena digest {next(iter(folders.values()))} --replay",
                "plays a run again from its log, and says whether it comes out the same",
            ),
            Step(f"recarena report {names}", "makes this page again from the run folders"),
        ),
    )


def _is_competition(folder: Path) -> bool:
    file = folder if folder.is_file() else folder / MANIFEST
    return file.is_file() and read_json(file).get("format") == FORMAT


def _card(folder: Path) -> Card | None:
    return read_card(folder) if (folder / FILE).is_file() else None


def _metric(name: str) -> Metric:
    return next(metric for metric in METRICS if metric.name == name)


def _entrants(competition: CompetitionFolder) -> dict[str, Entrant]:
    return {
        str(one["name"]): Entrant(_text(one.get("version")))
        for one in competition.manifest.get("recommenders") or ()
    }


def _records(results: Mapping[str, Any]) -> Iterator[RunRecord]:
    for run in results.get("runs") or ():
        yield RunRecord(
            run_id=_text(run.get("id")),
            recommenders=tuple(_text(one) for one in run.get("recommenders") or ()),
            world=_text(run.get("world")),
            seed=run.get("seed"),
            rounds=run.get("rounds"),
            digest=_text(run.get("digest")),
            error=_text(run.get("error")),
        )


def _so_far(competition: CompetitionFolder) -> Iterator[RunRecord]:
    """What was played of a competition without results."""
    folders = competition.run_folders()
    for bout in competition.plan.bouts():
        if bout.run_id not in folders:
            yield RunRecord(
                bout.run_id, bout.recommenders, bout.world, bout.seed, 0, "", "not played yet"
            )
            continue
        yield _record(RunLog.open(folders[bout.run_id]))


def _record(log: RunLog) -> RunRecord:
    path = log.path / STATUS
    status = read_json(path) if path.is_file() else {"state": FINISHED}
    finished = status.get("state") == FINISHED
    return RunRecord(
        run_id=log.run_id,
        recommenders=tuple(arm.recommender for arm in log.arms),
        world=log.world,
        seed=log.seed,
        rounds=log.rounds,
        digest="",
        error="" if finished else _text(status.get("error") or status.get("text") or "unknown"),
    )


def _opened(
    competition: CompetitionFolder, runs: Iterable[RunRecord]
) -> tuple[list[RunLog], list[str]]:
    """The logs that the ranking rests on, and what is said of those that are not there."""
    logs: list[RunLog] = []
    unreadable: list[str] = []
    shared = competition.plan.design is not Design.SPLIT
    folders = competition.run_folders()
    for run in runs:
        if run.error or (shared and len(run.recommenders) > 1):
            continue
        try:
            logs.append(RunLog.open(folders[run.run_id]))
        except (KeyError, UnreadableRun):
            unreadable.append(f"Run {run.run_id} is left out: its folder cannot be read here.")
    return logs, unreadable


def _remarks(
    runs: Sequence[RunRecord], results: Mapping[str, Any], finished: bool
) -> Iterator[str]:
    if not finished:
        yield "The competition is not at its end: there is no results.json yet."
    for run in runs:
        if run.error:
            yield f"Run {run.run_id} of {', '.join(run.recommenders)} is left out: {run.error}"
    if results.get("interrupted"):
        yield "The competition was interrupted; only what was finished is shown."
    if stopped := results.get("stopped_early"):
        yield f"The competition was stopped early: {_text(stopped)}"


def _text(value: Any) -> str:
    """A name or a sentence; of an object its name."""
    if isinstance(value, Mapping):
        value = cast("Mapping[str, Any]", value).get("name")
    return "" if value is None else str(value)
