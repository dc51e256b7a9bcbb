"""A published competition played again: what can be, where, and whether it comes out the same."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from recarena.evaluation.competing.folder import CompetitionFolder
from recarena.evaluation.competing.manifest import PACKAGES, UnreadableCompetition, folder_sha256
from recarena.evaluation.competing.plan import Plan, World
from recarena.evaluation.competing.results import FINISHED
from recarena.evaluation.playing.mirrored import Bout, Played
from recarena.evaluation.runs.last_round import last_round
from recarena.evaluation.runs.thinking import FILE

TOLERANCE = 1e-9
"""Relative: of metrics that another version of numpy may sum in another order."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that did not come out as it was published."""

    run_id: str
    what: str
    """`digest`, `rounds`, `error`, or RECOMMENDER METRIC."""
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is to be played again."""

    published: CompetitionFolder
    bouts: Sequence[Bout]
    plan: Plan
    """The published plan, with worlds where they are here."""
    impossible: tuple[str, ...]
    """What cannot be played here although it was published; a sentence each."""
    not_asked: tuple[str, ...]
    """What nobody could play again, or was not asked for; a sentence each."""
    warnings: tuple[str, ...]
    """What is otherwise here than it was there."""

    @property
    def recordings(self) -> Path | None:
        """Where the calls of LLM minds are taken from; None where there were none."""
        return self.published.runs.absolute() if _thinks(self.plan) else None

    def prepared(self, bout: Bout) -> Bout:
        """What a run is made with: LLM minds say what was recorded, and ask nobody."""
        if not _thinks(self.plan):
            return bout
        recording = self.published.runs.absolute() / bout.run_id
        llm = {**bout.settings["llm"], "replay": "strict", "recording": str(recording)}
        return replace(bout, settings={**bout.settings, "llm": llm})


def attempt(
    published: CompetitionFolder,
    places: Sequence[Path] = (),
    only_worlds: Sequence[int] = (),
) -> Attempt:
    """What of a published competition can be played again here. `places`: folders of worlds that
    lay elsewhere when it was played, recognised by their hash; those inside what was published are
    found by themselves. UnreadableCompetition where nothing
    was published, or a world is asked for that there is none of."""
    if published.results is None:
        raise UnreadableCompetition(
            f"{published.path} has no results.json, so there is nothing to compare with. "
            "Put it beside manifest.json"
        )
    plan = published.plan
    numbers = [world.number for world in plan.worlds]
    for number in only_worlds:
        if number not in numbers:
            raise UnreadableCompetition(
                f"there is no world {number} in {published.path}: they are {numbers[0]} to "
                f"{numbers[-1]}"
            )
    impossible: list[str] = []
    not_asked: list[str] = []
    here = tuple(
        _found(world, wanted, (published.path / world.spec, *places), impossible)
        for world, wanted in zip(plan.worlds, _hashes(published.manifest), strict=True)
        if not only_worlds or world.number in only_worlds
    )
    plan = replace(plan, worlds=tuple(world for world in here if world) or plan.worlds)
    there = {world.number for world in here if world}
    states = {str(run["id"]): str(run.get("state")) for run in published.results["runs"]}
    remote = {one.name for one in plan.recommenders if one.is_remote}
    bouts: list[Bout] = []
    for world in plan.worlds:
        for bout in plan.bouts_in(world) if world.number in there else ():
            if states.get(bout.run_id) != FINISHED:
                not_asked.append(f"Run {bout.run_id} was not finished when it was published.")
            elif remote & set(bout.recommenders):
                names = ", ".join(sorted(remote & set(bout.recommenders)))
                not_asked.append(f"Run {bout.run_id}: {names} was remote and is not here.")
            elif _thinks(plan) and not (published.runs / bout.run_id / FILE).is_file():
                impossible.append(
                    f"Run {bout.run_id}: its users had LLM minds, and their recording "
                    f"runs/{bout.run_id}/{FILE} is not there."
                )
            else:
                bouts.append(bout)
    not_asked.append("Metrics of operations, such as latency, depend on the machine.")
    return Attempt(
        published, bouts, plan, tuple(impossible), tuple(not_asked),
        tuple(_warnings(published.manifest)),
    )  # fmt: skip


def compare(attempt: Attempt, runs: Path, played: Sequence[Played]) -> list[Difference]:
    """What came out otherwise, run by run: its length, its digest, and each metric that does not
    depend on time. `runs`: where they were played again."""
    published = {str(run["id"]): run for run in (attempt.published.results or {})["runs"]}
    errors = {one.bout.run_id: one.error for one in played}
    found: list[Difference] = []
    for bout in attempt.bouts:
        wanted = published[bout.run_id]
        error = errors.get(bout.run_id, "it was not played")
        if error:
            found.append(Difference(bout.run_id, "error", "none", error))
            continue
        found += _differences(bout, wanted, runs / bout.run_id)
    return found


def _differences(bout: Bout, wanted: Mapping[str, Any], path: Path) -> Iterator[Difference]:
    from recarena.evaluation.metrics.measures import METRICS, measure_all
    from recarena.evaluation.runs.run_log import RunLog

    stands = last_round(path)
    rounds, digest = (stands.round, stands.digest) if stands else (0, "")
    for what, expected, got in (
        ("rounds", wanted["rounds"], rounds), ("digest", wanted["digest"], digest)
    ):  # fmt: skip
        if expected != got:
            yield Difference(bout.run_id, what, str(expected), str(got))
    timed = {metric.name for metric in METRICS if metric.kind == "operations"}
    log = RunLog.open(path)
    for arm in log.arms:
        measured = measure_all(log, arm.arm_id)
        published = (wanted.get("metrics") or {}).get(arm.recommender) or {}
        for name, expected in published.items():
            if name in measured and name not in timed and not _same(expected, measured[name]):
                got = "nothing to measure" if math.isnan(measured[name]) else repr(measured[name])
                yield Difference(bout.run_id, f"{arm.recommender} {name}", repr(expected), got)


def _same(expected: float | None, got: float) -> bool:
    if expected is None:
        return not math.isfinite(got)
    return math.isclose(expected, got, rel_tol=TOLERANCE, abs_tol=1e-12)


def _hashes(manifest: Mapping[str, Any]) -> list[str | None]:
    return [one.get("sha256") for one in manifest["worlds"]]


def _found(
    world: World, wanted: str | None, places: Sequence[Path], impossible: list[str]
) -> World | None:
    """The world as it is here; None, and said, where it is not."""
    if wanted is None:
        return world
    for place in (Path(world.spec), *places):
        if place.is_dir() and folder_sha256(place) == wanted:
            return replace(world, spec=str(place.absolute()))
    is_there = Path(world.spec).is_dir()
    what = "is another one by now" if is_there else "is not here"
    impossible.append(
        f"World {world.number}: the folder {world.spec} {what}; wanted is one with sha256 "
        f"{wanted}. Say where it is: --world-folder FOLDER"
    )
    return None


def _warnings(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What is of another version than it was."""
    here: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            here[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            here[name] = None
    for name, there in (manifest.get("packages") or {}).items():
        if here.get(name) != there:
            yield f"{name} was {there}, here it is {here.get(name)}."
    if manifest.get("python") != platform.python_version():
        yield f"Python was {manifest.get('python')}, here it is {platform.python_version()}."
    if (manifest.get("git") or {}).get("changed"):
        yield "The code had changes that were not committed when this was played."
    for one in manifest["recommenders"]:
        for file, wanted in (one.get("files") or {}).items():
            if not Path(file).is_file():
                yield f"{one['name']}: there is no file {file} here."
            elif hashlib.sha256(Path(file).read_bytes()).hexdigest() != wanted:
                yield f"{one['name']}: the file {file} is another one than it was."


def _thinks(plan: Plan) -> bool:
    return bool((plan.settings.get("llm") or {}).get("provider"))
