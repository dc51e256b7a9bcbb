"""A competition from its plan to its results: programs started, runs played, everything written
down, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recarena.evaluation.competing.folder import CARD, CompetitionFolder
from recarena.evaluation.competing.lock import held
from recarena.evaluation.competing.manifest import MANIFEST, manifest_of, write_manifest
from recarena.evaluation.competing.minds import Purse, change_cap, server_options, spent
from recarena.evaluation.competing.plan import Design, Plan
from recarena.evaluation.competing.play import compete
from recarena.evaluation.competing.results import (
    FAILED,
    FINISHED,
    Found,
    here,
    read,
    run_results,
    spillover_records,
    write_results,
    write_whole,
)
from recarena.evaluation.competing.standing import Standing
from recarena.evaluation.competing.stopping import Stopper
from recarena.evaluation.playing.arena import Watch, create
from recarena.evaluation.playing.hall import Hall, Hosting
from recarena.evaluation.playing.hall import opened as opened_hall
from recarena.evaluation.playing.processes import Interrupted, ProgramDied
from recarena.evaluation.playing.stage import ServerRefused
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub

if TYPE_CHECKING:
    from recarena.evaluation.conducting.output import Output
    from recarena.evaluation.playing.mirrored import Bout, Played

PROBLEM = 1
HINT_AFTER_S = 20.0
"""How long a program that was started may not have registered before that is said."""


@dataclass(frozen=True, slots=True)
class Job:
    """A competition to play, or to go on with."""

    plan: Plan
    folder: Path
    hosting: Hosting
    max_cost: float | None = None
    """Of all runs together, where users have LLM minds."""
    retry_failed: bool = False
    private: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    """Values of `[llm]` that are of this playing only, such as how many calls at once."""

    @property
    def is_begun(self) -> bool:
        """Whether its manifest is written."""
        return (self.folder / MANIFEST).is_file()


@dataclass(slots=True)
class _Book:
    """What has happened in this playing."""

    played: dict[str, Played] = field(default_factory=dict[str, "Played"])
    stopped_early: str = ""


def conduct(job: Job, output: Output) -> int:
    """Plays what is not played yet, writes down what came of it, and tells. 0 when every run has
    finished, or the competition was ended early; 1 when something failed; 128 + the signal's
    number when it was stopped.

    Where no round could be played nothing is left behind, and what went wrong is raised:
    ServerRefused, and what is in `stage.EXPECTED`. BadPlan while another command plays it.
    """
    with held(job.folder, output.note) as lock:
        return _conduct(replace(job, hosting=replace(job.hosting, keeps=(lock,))), output)


def _conduct(job: Job, output: Output) -> int:
    started = time.monotonic()
    book, code = _Book(), 0
    try:
        asyncio.run(_play(job, book, output))
    except Interrupted as stop:
        code = stop.exit_code
        if not job.is_begun:
            _forget(job.folder)
            output.error("Stopped before a round was played; nothing is kept.")
            return code
    except (ProgramDied, ServerRefused) as error:
        if not job.is_begun:
            raise
        code = PROBLEM
        output.error(str(error))
    interrupted = code > PROBLEM
    found = find(job.folder, book, interrupted=interrupted, seconds=time.monotonic() - started)
    folder = write_results(CompetitionFolder.open(job.folder), found)
    output.result(folder, found, write_report(folder, found))
    if code:
        return code
    unfinished = any(run.state != FINISHED for run in found.runs)
    return PROBLEM if unfinished and not found.stopped_early else 0


def find(path: Path, book: _Book, *, interrupted: bool, seconds: float) -> Found:
    """What the folder holds now."""
    folder = CompetitionFolder.open(path)
    reason = ""
    if book.stopped_early:
        reason = "the competition was ended early"
    elif interrupted:
        reason = "the competition was stopped"
    now = read(folder, book.played, reason)
    before = float((folder.results or {}).get("seconds") or 0.0)
    return Found(
        now.runs,
        now.logs,
        now.board,
        interrupted=interrupted,
        stopped_early=book.stopped_early,
        seconds=before + seconds,
        spillover=spillover_records(folder.plan, now.runs, now.logs),
    )


def write_report(folder: CompetitionFolder, found: Found) -> Path:
    """report.html of a competition's folder with its results in it; its path."""
    from recarena.evaluation.report.content import of_competition
    from recarena.evaluation.report.render import render

    path = folder.path / "report.html"
    write_whole(path, render(of_competition(folder, found)))
    return path


async def _play(job: Job, book: _Book, output: Output) -> None:
    """Plays on from where the folder stands. What it started has ended when it returns."""
    if job.is_begun:
        left = _left(job)
        if not left:
            return
        if job.max_cost is not None and _thinks(job.plan):
            await _raise_caps(job, left)
    hosting = replace(
        job.hosting, options=(*job.hosting.options, *server_options(job.plan.settings))
    )
    with ExitStack() as starting:
        starting.enter_context(output.starting(job.plan))
        try:
            async with opened_hall(hosting, job.plan.recommenders) as hall:
                if not job.is_begun:
                    await hall.while_served(_seal(hall, job))
                starting.close()
                await _play_on(hall, job, book, output)
        except BaseException as error:
            if not job.is_begun and not isinstance(error, Interrupted):
                _forget(job.folder)
            raise


async def _seal(hall: Hall, job: Job) -> None:
    """Writes the manifest, from a run that is made and not started. Worlds of other places are
    looked at, too, so that a mistake shows now."""
    control = SimulationControlServiceStub(hall.channel)
    first, *others = job.plan.bouts()
    run = await create(control, _purse(job, ()).begin(first, job.private), job.plan.rounds)
    kinds = {_place(first)}
    for bout in others:
        if _place(bout) not in kinds:
            kinds.add(_place(bout))
            await create(control, bout, job.plan.rounds, only_check=True)
    made = json.loads((job.hosting.runs / first.run_id / MANIFEST).read_text("utf-8"))
    assert run.run_id == made["run_id"]
    manifest = await asyncio.to_thread(manifest_of, job.plan, made)
    write_manifest(job.folder, manifest)


async def _play_on(hall: Hall, job: Job, book: _Book, output: Output) -> None:
    folder = CompetitionFolder.open(job.folder)
    plan = folder.plan
    left = _left(job)
    without = {bout.run_id for bout in plan.bouts()} - set(left)
    again = [name for name, state in left.items() if state == FAILED]
    purse = _purse(job, without)
    standing = Standing(
        plan,
        (lambda run_id: spent(folder.runs / run_id)) if _thinks(plan) else None,
        job.max_cost,
    )
    standing.already(without)
    waited_for = [one.name for one in plan.recommenders if one.is_remote]
    output.serving(hall.address, waited_for)
    stopper = Stopper(folder) if plan.stop_early and plan.design is not Design.SPLIT else None
    world_ended = asyncio.Event()
    with output.playing(standing) as tell:
        watch = _watch(standing, purse, book, world_ended, (output, tell), job.folder)
        arena = replace(
            hall.arena, again=again, made_with=lambda bout: purse.begin(bout, job.private)
        )
        playing = compete(plan, arena, watch, without=without)
        await hall.while_served(_until_decided(playing, stopper, world_ended, book))


def _left(job: Job) -> dict[str, str]:
    """State of each run, by name, that is to be played or gone on with."""
    kept = (FINISHED,) if job.retry_failed else (FINISHED, FAILED)
    runs = run_results(CompetitionFolder.open(job.folder), {})
    return {run.bout.run_id: run.state for run in runs if run.state not in kept}


def _watch(
    standing: Standing,
    purse: Purse,
    book: _Book,
    world_ended: asyncio.Event,
    tell: tuple[Output, Callable[[], None]],
    folder: Path,
) -> Watch:
    """Keeps the books while runs are played; `tell`: of what is worth a line, and of anything."""
    output, something = tell
    started = {one.name for one in standing.plan.recommenders if not one.is_remote}
    hinted: set[str] = set()

    def hint(bout: Bout) -> None:
        for name in sorted(started & standing.waiting_for & set(bout.recommenders) - hinted):
            hinted.add(name)
            output.note(
                f"{bout.run_id} still waits for {name}. Does its program register by that name? "
                f"What it said is in logs/recommender-{name}.log"
            )

    def round(bout: Bout, number: int) -> None:
        standing.round(bout, number)
        something()

    def waiting(bout: Bout) -> None:
        standing.waiting_for |= set(bout.recommenders)
        asyncio.get_running_loop().call_later(HINT_AFTER_S, hint, bout)
        something()

    def playing(bout: Bout) -> None:
        standing.waiting_for -= set(bout.recommenders)
        something()

    def ended(played: Played) -> None:
        book.played[played.bout.run_id] = played
        worlds = standing.worlds_done
        standing.end(played)
        purse.end(played.bout.run_id)
        output.run_ended(replace(played, error=here(played.error, folder, played.bout.run_id)))
        something()
        if standing.worlds_done > worlds:
            world_ended.set()

    return Watch(round=round, waiting=waiting, playing=playing, ended=ended)


async def _until_decided(
    playing: Any, stopper: Stopper | None, world_ended: asyncio.Event, book: _Book
) -> None:
    """Returns when all is played, or the worlds so far decide."""
    task: asyncio.Task[list[Played]] = asyncio.ensure_future(playing)
    try:
        while stopper and not task.done():
            book.stopped_early = await asyncio.to_thread(stopper.look)
            if book.stopped_early:
                return
            world_ended.clear()
            looked_for = asyncio.ensure_future(world_ended.wait())
            await asyncio.wait({task, looked_for}, return_when=asyncio.FIRST_COMPLETED)
            looked_for.cancel()
        await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _purse(job: Job, without: Collection[str]) -> Purse:
    """What the runs that are not played yet may cost."""

    def cost_of(run_id: str) -> float:
        return spent(job.hosting.runs / run_id)

    names = [bout.run_id for bout in job.plan.bouts()]
    made = {name for name in names if (job.hosting.runs / name).is_dir()}
    purse = Purse(job.max_cost, len(set(names) - set(without) - made), cost_of)
    for name in made:
        if name in without:
            purse.count(cost_of(name))
        else:
            purse.hold(name, _cap_of(job.hosting.runs / name))
    return purse


async def _raise_caps(job: Job, left: Collection[str]) -> None:
    """Gives the runs that were begun before an equal share of what no run has spent, if that is
    more than they may spend now: nobody else changes the cap of a run that is there."""
    runs = {bout.run_id: job.hosting.runs / bout.run_id for bout in job.plan.bouts()}
    begun = [name for name in left if (runs[name] / MANIFEST).is_file()]
    free = (job.max_cost or 0.0) - sum(map(spent, runs.values()))
    for name in begun:
        cap = spent(runs[name]) + max(free, 0.0) / len(left)
        if cap > _cap_of(runs[name]):
            await change_cap(runs[name], cap)


def _cap_of(run: Path) -> float:
    """What a run that was made before may cost; 0 where it has no cap, or cannot be read."""
    try:
        made = json.loads((run / MANIFEST).read_text("utf-8"))
        return float(made["settings"]["llm"]["max_cost"] or 0.0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _thinks(plan: Plan) -> bool:
    return bool((plan.settings.get("llm") or {}).get("provider"))


def _place(bout: Bout) -> str:
    """The world of a bout without its seed."""
    return ",".join(one for one in bout.world.split(",") if not one.startswith("seed="))


def _forget(folder: Path) -> None:
    """Takes away what was made for a competition of which no round was played."""
    for name in ("runs", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / CARD).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()  # where nothing else is in it
