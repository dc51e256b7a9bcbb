"""results.json of a competition: what came of each run, and the leaderboard of what is complete."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recarena.evaluation.competing.folder import (
    RESULTS,
    RESULTS_FORMAT,
    RESULTS_VERSION,
    CompetitionFolder,
)
from recarena.evaluation.competing.plan import Design, Plan, World
from recarena.evaluation.playing.mirrored import Bout, Played
from recarena.evaluation.runs.last_round import last_round

if TYPE_CHECKING:
    from recarena.evaluation.leaderboard.board import Leaderboard
    from recarena.evaluation.runs.run_log import RunLog

FINISHED, FAILED, UNFINISHED = "finished", "failed", "unfinished"
OF_COST = re.compile(r"recarena resume RUN --max-cost \S+")
OF_TOKENS = re.compile(r"recarena resume RUN (--max-tokens \S+)")
"""What a run says that has used up its budget, to somebody who plays it alone."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of one run."""

    bout: Bout
    world: World
    state: str
    """finished; failed: it ended with an error and is not played again unless that is asked for;
    unfinished: it was not begun, or can be gone on with."""
    rounds: int
    digest: str
    error: str
    """Empty where it is finished."""
    conduct: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, "Mapping[str, Any]"], hash=False
    )
    """By recommender: software, unsolicited, quarantined; missing where nobody said."""


def run_results(
    folder: CompetitionFolder, played: Mapping[str, Played], reason: str = ""
) -> list[RunResult]:
    """Of all runs of the plan, in its order: from the run folders, from what was played just now
    (by run_id), and from the results of before. `reason`: why those that were not begun were not.
    """
    plan = folder.plan
    before = {str(one.get("id")): one for one in (folder.results or {}).get("runs") or ()}
    return [
        _result(folder, plan, world, bout, played.get(bout.run_id), before.get(bout.run_id), reason)
        for world in plan.worlds
        for bout in plan.bouts_in(world)
    ]


def _result(
    folder: CompetitionFolder,
    plan: Plan,
    world: World,
    bout: Bout,
    now: Played | None,
    before: Mapping[str, Any] | None,
    reason: str,
) -> RunResult:
    stands = last_round(folder.runs / bout.run_id)
    conduct: dict[str, Any] = {}
    if before:
        conduct = dict(before.get("conduct") or {})
    if now:
        conduct |= {
            name: {
                "software": one.software,
                "unsolicited": one.unsolicited,
                "quarantined": one.quarantined,
            }
            for name, one in now.conduct.items()
        }
    round, digest = (stands.round, stands.digest) if stands else (0, "")
    error = ""
    if stands and stands.state == "succeeded":
        state = FINISHED
    elif now and now.error and not now.error.startswith("paused"):
        state, error = FAILED, now.error
    elif stands and stands.state in ("failed", "stopped"):
        said = str(before.get("error") or "") if before and before.get("state") == FAILED else ""
        state = FAILED
        error = said or stands.error or f"{stands.state}: its recommender was gone"
    elif before and before.get("state") == FAILED and not stands:
        state, error = FAILED, str(before.get("error"))
    else:
        state = UNFINISHED
        why = (stands.error if stands else "") or reason
        error = f"ended after {round} of {plan.rounds} rounds" if round else "not played"
        said = str(before.get("error") or "") if before and before.get("state") == state else ""
        if why:
            error += f": {why}"
        elif said.startswith(f"{error}:"):
            error = said
    return RunResult(
        bout, world, state, round, digest, here(error, folder.path, bout.run_id), conduct
    )


def here(error: str, folder: Path, run_id: str) -> str:
    """An error of a run as it is told of the competition in `folder`: paths begin there, and a cap
    is raised where the competition is gone on with."""
    for path in dict.fromkeys((folder.resolve(), folder.absolute())):
        error = error.replace(f"{path}/", "")
    name = shlex.quote(folder.resolve().name)
    error = OF_COST.sub(f"recarena compete --resume {name} --max-cost MORE", error)
    return OF_TOKENS.sub(
        rf"recarena resume {name}/runs/{run_id} \1 --only-change, "
        f"then recarena compete --resume {name}",
        error,
    )


def complete_worlds(plan: Plan, runs: Iterable[RunResult]) -> list[int]:
    """Numbers of the worlds in which every recommender has finished or failed, and one at least has
    finished: what a result may rest on."""
    by_world: dict[int, list[str]] = {world.number: [] for world in plan.worlds}
    for run in runs:
        by_world[run.world.number].append(run.state)
    return [
        number
        for number, states in by_world.items()
        if UNFINISHED not in states and FINISHED in states
    ]


def ranked(plan: Plan, runs: Sequence[RunResult]) -> list[RunResult]:
    """The finished runs of complete worlds that the leaderboard rests on: mirrored ones, and those
    of shared worlds only where there are no others."""
    worlds = set(complete_worlds(plan, runs))
    shared = plan.design is Design.SPLIT
    return [
        run
        for run in runs
        if run.state == FINISHED
        and run.world.number in worlds
        and (len(run.bout.recommenders) > 1) is shared
    ]


def board_of(
    folder: CompetitionFolder, runs: Sequence[RunResult], logs: Mapping[str, RunLog]
) -> Leaderboard | None:
    """The leaderboard of `ranked` runs; None where there is none. `logs`: by run_id."""
    from recarena.evaluation.competing.stopping import rule_of
    from recarena.evaluation.leaderboard.board import Entrant, build, looked_at

    plan = folder.plan
    chosen = ranked(plan, runs)
    if not chosen:
        return None
    software = {
        name: str(one.get("software") or "") for run in runs for name, one in run.conduct.items()
    }
    versions = {
        str(one["name"]): str(one.get("version") or "") for one in folder.manifest["recommenders"]
    }
    board = build(
        (logs[run.bout.run_id] for run in chosen),
        plan.primary,
        plan.gate,
        entrants={
            name: Entrant(software.get(name) or version) for name, version in versions.items()
        },
    )
    may_end_early = plan.stop_early and plan.design is not Design.SPLIT
    return looked_at(board, rule_of(plan)) if may_end_early else board


def spillover_records(
    plan: Plan, runs: Sequence[RunResult], logs: Mapping[str, RunLog]
) -> list[dict[str, Any]]:
    """What sharing a world did to each difference in the primary metric; empty unless both designs
    were played in some complete world."""
    if plan.design is not Design.BOTH:
        return []
    from recarena.evaluation.competing.spillover import spillovers
    from recarena.evaluation.leaderboard.board import CONFIDENCE

    shared = [
        run for run in runs if run.state == FINISHED and len(run.bout.recommenders) > 1
    ]  # fmt: skip
    worlds = set(complete_worlds(plan, runs)) & {run.world.number for run in shared}
    alone = [logs[run.bout.run_id] for run in ranked(plan, runs) if run.world.number in worlds]
    together = [logs[run.bout.run_id] for run in shared if run.world.number in worlds]
    if not alone or not together:
        return []
    return [one.as_json() for one in spillovers(alone, together, (plan.primary,), CONFIDENCE)]


@dataclass(frozen=True, slots=True)
class Read:
    """What a competition's runs hold: read once, for all who tell of it."""

    runs: Sequence[RunResult]
    logs: Mapping[str, RunLog]
    """By run_id, of the finished runs."""
    board: Leaderboard | None


def read(
    folder: CompetitionFolder, played: Mapping[str, Played] | None = None, reason: str = "",
    *, with_people: bool = False,
) -> Read:  # fmt: skip
    """The runs as `run_results` tells them, opened and compared; with what people did who played
    users only if asked for. UnreadableRun."""
    runs = run_results(folder, played or {}, reason)
    logs = opened(folder, runs, with_people=with_people)
    return Read(runs, logs, board_of(folder, runs, logs))


@dataclass(frozen=True, slots=True)
class Found(Read):
    """What a competition came to."""

    interrupted: bool
    stopped_early: str
    """Why it was ended after some worlds; empty: it was not."""
    seconds: float
    spillover: Sequence[Mapping[str, Any]] = ()


def opened(
    folder: CompetitionFolder, runs: Iterable[RunResult], *, with_people: bool = False
) -> dict[str, RunLog]:
    """The logs of the finished runs, by run_id."""
    from recarena.evaluation.runs.run_log import open_runs

    names = [run.bout.run_id for run in runs if run.state == FINISHED]
    folders = (folder.runs / name for name in names)
    return dict(zip(names, open_runs(folders, with_people=with_people), strict=True))


def results_of(folder: CompetitionFolder, found: Found) -> dict[str, Any]:
    """results.json as JSON values."""
    from recarena.evaluation.leaderboard.forms import as_records
    from recarena.evaluation.runs.thinking import thinking_of, together

    plan = folder.plan
    costs = together(thinking_of(log.path, log.manifest, log.rounds) for log in found.logs.values())
    return {
        "format": RESULTS_FORMAT,
        "format_version": RESULTS_VERSION,
        "manifest_sha256": folder.manifest_sha256,
        "interrupted": found.interrupted,
        "stopped_early": found.stopped_early or None,
        "seconds": round(found.seconds, 3),
        "complete_worlds": complete_worlds(plan, found.runs),
        "runs": [_as_json(run, found.logs.get(run.bout.run_id)) for run in found.runs],
        "failures": [
            {"run": run.bout.run_id, "recommenders": list(run.bout.recommenders),
             "world": run.world.number, "round": run.rounds, "reason": run.error}
            for run in found.runs
            if run.state == FAILED
        ],
        "costs": costs.as_json() if costs else None,
        "leaderboard": list(as_records(found.board)) if found.board else [],
        "spillover": list(found.spillover),
    }  # fmt: skip


def write_results(folder: CompetitionFolder, found: Found) -> CompetitionFolder:
    """Writes results.json, leaderboard.jsonl and leaderboard.csv, each whole or not at all; the
    folder with them."""
    from recarena.evaluation.leaderboard.forms import as_csv, as_json_lines

    text = json.dumps(results_of(folder, found), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(folder.path / RESULTS, text + "\n")
    if found.board:
        write_whole(folder.path / "leaderboard.jsonl", as_json_lines(found.board))
        write_whole(folder.path / "leaderboard.csv", as_csv(found.board))
    return CompetitionFolder.open(folder.path)


def write_whole(path: Path, text: str) -> None:
    """Replaces a file: readers see the old one or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)


def _as_json(run: RunResult, log: RunLog | None) -> dict[str, Any]:
    return {
        "id": run.bout.run_id,
        "recommenders": list(run.bout.recommenders),
        "world": run.world.number,
        "spec": run.world.spec,
        "seed": run.world.seed,
        "state": run.state,
        "rounds": run.rounds,
        "digest": run.digest,
        "error": run.error,
        "conduct": dict(run.conduct),
        "metrics": _metrics(log) if log else {},
    }


def _metrics(log: RunLog) -> dict[str, dict[str, float | None]]:
    """By recommender and name of the metric; null where there was nothing to measure."""
    from recarena.evaluation.metrics.measures import measure_all

    return {
        arm.recommender: {
            name: value if math.isfinite(value) else None
            for name, value in measure_all(log, arm.arm_id).items()
        }
        for arm in log.arms
    }
