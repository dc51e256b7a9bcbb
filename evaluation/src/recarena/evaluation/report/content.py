"""Everything that the page of a competition shows, read from its folder.

A part whose file is not there is absent: no card, no results, no manifest of a competition. The
statistics are the leaderboard's; here they are only gathered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from recarena.evaluation.believability.card import FILE, Card, read_card
from recarena.evaluation.competing.folder import CompetitionFolder, read_json
from recarena.evaluation.competing.manifest import FORMAT, MANIFEST
from recarena.evaluation.competing.results import (
    FAILED,
    UNFINISHED,
    Read,
    RunResult,
    complete_worlds,
    ranked,
    read,
)
from recarena.evaluation.leaderboard.board import Leaderboard, build
from recarena.evaluation.metrics.measures import METRICS, PRIMARY, Metric
from recarena.evaluation.report.courses import Courses, courses
from recarena.evaluation.report.shown import Shown, shown
from recarena.evaluation.runs.conduct import Conduct, conduct_of
from recarena.evaluation.runs.run_log import RunLog, find_runs, open_runs

FINISHED = "succeeded"
STATUS = "status.json"
LONGEST_ERROR = 240
"""Letters of an error among the remarks; the runs have it in full."""


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
    """Why it was not played to its end; empty: it was."""


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


def content_of(folder: Path, *more: Path, with_people: bool = False) -> Content:
    """Of a competition's folder, or of run folders and folders that hold them; what people did who
    played users is in the figures only if asked for.

    BadCard, UnreadableCompetition and UnreadableRun where there is nothing to show.
    """
    if not more and _is_competition(folder):
        competition = CompetitionFolder.open(folder)
        return of_competition(competition, read(competition, with_people=with_people))
    return _of_runs((folder, *more), with_people)


def of_competition(competition: CompetitionFolder, read: Read) -> Content:
    """Of a competition's folder, whose runs are read. BadCard."""
    plan, results = competition.plan, competition.results or {}
    name = competition.path.resolve().name
    found = read.runs
    ranking = [read.logs[run.bout.run_id] for run in ranked(plan, found)]
    return Content(
        title=plan.name,
        board=read.board,
        primary=_metric(plan.primary),
        shown=shown(ranking),
        courses=courses(ranking),
        conduct=conduct_of(competition.run_folders().values()),
        runs=tuple(map(_planned, found)),
        manifest=competition.manifest,
        is_competition=True,
        manifest_sha256=competition.manifest_sha256,
        results=results,
        card=_card(competition.path),
        remarks=tuple(_remarks(competition, found)),
        steps=(
            *_going_on(name, results, found),
            Step(
                f"recarena reproduce {name}/{MANIFEST}",
                "plays everything again in a new folder, and says whether it matches",
            ),
            Step(f"recarena report {name}", "makes this page again from the folder"),
        ),
    )


def _of_runs(paths: Sequence[Path], with_people: bool) -> Content:
    folders = {run.resolve(): run for path in paths for run in find_runs(path)}
    every = open_runs(folders.values(), with_people=with_people)
    logs = [log for log in every if log.rounds]
    names = " ".join(path.resolve().name for path in paths)
    runs = tuple(map(_record, every))
    return Content(
        title=paths[0].resolve().name,
        board=build(logs) if logs else None,
        primary=PRIMARY,
        shown=shown(logs),
        courses=courses(logs),
        conduct=conduct_of(folders.values()),
        runs=runs,
        manifest=every[0].manifest,
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


def _planned(run: RunResult) -> RunRecord:
    return RunRecord(
        run.bout.run_id, run.bout.recommenders, run.bout.world, run.bout.seed, run.rounds,
        run.digest, run.error,
    )  # fmt: skip


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


def _going_on(name: str, results: Mapping[str, Any], runs: Sequence[RunResult]) -> Iterator[Step]:
    if not results.get("stopped_early") and any(run.state == UNFINISHED for run in runs):
        yield Step(f"recarena compete --resume {name}", "plays what is not finished")


def _remarks(competition: CompetitionFolder, runs: Sequence[RunResult]) -> Iterator[str]:
    results = competition.results
    if results is None:
        yield "The competition is not at its end: there is no results.json yet."
    else:
        if results.get("manifest_sha256") not in (None, competition.manifest_sha256):
            yield (
                "manifest.json was changed after it was played: its SHA-256 is not the one in "
                "results.json."
            )
        if results.get("interrupted"):
            yield "The competition was interrupted; what was finished is shown."
        if results.get("stopped_early"):
            yield f"The competition was ended early: {results['stopped_early']}"
    failed: dict[str, list[str]] = {}
    for run in runs:
        if run.state == FAILED:
            failed.setdefault(run.error, []).append(run.bout.run_id)
    for error, names in failed.items():
        why = error if len(error) <= LONGEST_ERROR else f"{error[:LONGEST_ERROR]}… (see Runs)"
        yield f"Failed, and left out: {', '.join(names)}: {why}"
    if unfinished := sum(run.state == UNFINISHED for run in runs):
        yield f"Not finished, and left out: {unfinished:,} of {len(runs):,} runs (see Runs)."
    incomplete = {run.world.number for run in runs} - set(complete_worlds(competition.plan, runs))
    if incomplete:
        worlds = ", ".join(map(str, sorted(incomplete)))
        yield f"Worlds that are not complete are left out of the ranking: {worlds}."


def _text(value: Any) -> str:
    """A name or a sentence; of an object its name."""
    if isinstance(value, Mapping):
        value = cast("Mapping[str, Any]", value).get("name")
    return "" if value is None else str(value)
