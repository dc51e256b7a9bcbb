"""A run on stage: the server, the programs it needs, progress, and the end of it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from recarena.server.addresses import address_of
from recarena.server.cli.output import console, emit, say
from recarena.server.cli.programs import Programs
from recarena.server.cli.signals import stop_asked
from recarena.server.cli.summary import RESUME, summary, summary_table
from recarena.server.errors import Conflict
from recarena.server.founding import RunState, settings_of
from recarena.server.llm.settings import Replay
from recarena.server.mind_rules import MindRules
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.store.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run is played and shown."""

    listen: str
    as_json: bool


def play(path: Path, manner: Manner) -> int:
    """Plays the run at `path` until it settles or is interrupted; the exit code."""
    return asyncio.run(_play(path, manner))


def own_minds(path: Path, listen: str) -> MindRules:
    """Whom those who reach the server of one run may ask: on loopback the models of that run, whose
    key is theirs too; off loopback none."""
    with RunFolder.open(path) as folder:
        settings = settings_of(folder)
    if settings.llm.provider is None or not address_of(listen, "--listen").is_loopback:
        return MindRules()
    urls = settings.llm.base_url, settings.memory.base_url
    return MindRules(llm=True, urls=tuple(url for url in urls if url))


async def _play(path: Path, manner: Manner) -> int:
    """Serves one run until it settles or is interrupted; the exit code."""
    stopped = stop_asked()
    async with Server(path.parent, manner.listen, minds=own_minds(path, manner.listen)) as server:
        run = server.house.run(path.name)
        if run.state is RunState.SUCCEEDED:
            raise Conflict(f"{path} is finished: {run.round} of {run.settings.rounds} rounds")
        programs = Programs(path / "logs")
        try:
            run.start()
            waiting: list[str] = []
            for arm in run.settings.arms:
                if arm.command:
                    for name in _names(arm.id, arm.replicas):
                        await programs.start(name, arm.command, server.address)
                else:
                    waiting.append(arm.recommender)
            _announce(run, server.address, waiting, manner)
            problem = await _watch(run, programs, stopped, manner)
        finally:
            await run.close()
            await programs.stop()
        return _report(path, run, problem, stopped.is_set(), manner)


def _names(arm: str, replicas: int) -> list[str]:
    """What the programs of an arm are called in messages and log files."""
    return [arm] if replicas == 1 else [f"{arm}-{number}" for number in range(1, replicas + 1)]


async def _watch(run: Run, programs: Programs, stopped: asyncio.Event, manner: Manner) -> str:
    """Shows progress until the run settles; what went wrong, or ""."""
    settled = asyncio.ensure_future(run.settled())
    died = asyncio.ensure_future(programs.ended())
    asked = asyncio.ensure_future(stopped.wait())
    shown = asyncio.ensure_future(_show_progress(run, manner))
    try:
        await asyncio.wait({settled, died, asked}, return_when=asyncio.FIRST_COMPLETED)
        if died.done() and not settled.done():
            return died.result()
        return run.error
    finally:
        for task in (settled, died, asked, shown):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await shown


async def _show_progress(run: Run, manner: Manner) -> None:
    """A bar on a terminal, a line per round for machines."""
    seen, told = run.changes, run.round
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rounds"),
        TimeRemainingColumn(), transient=True, disable=manner.as_json,
    ) as progress:  # fmt: skip
        bar = progress.add_task(run.run_id, total=run.settings.rounds, completed=run.round)
        while True:
            seen = await run.changed(seen)
            progress.update(bar, completed=run.round)
            if manner.as_json and run.newest and run.round > told:
                told = run.round
                emit(
                    {"event": "round", "round": told, "events": len(run.newest.events),
                     "wall_ms": round(run.newest.wall_ms, 1)}
                )  # fmt: skip


def _announce(run: Run, address: str, waiting: list[str], manner: Manner) -> None:
    if manner.as_json:
        emit({"event": "serving", "address": address, "run": str(run.folder.path),
              "waiting_for": waiting})  # fmt: skip
        return
    say(
        f"{run.run_id}: {run.world.users:,} users, {run.world.items:,} items, rounds "
        f"{run.round + 1} to {run.settings.rounds}, on {address}"
    )
    if waiting:
        say(f"Waiting for {', '.join(waiting)} to dial in at {address}")


def _report(path: Path, run: Run, problem: str, interrupted: bool, manner: Manner) -> int:
    """The end of it for people and machines; the exit code."""
    finished = run.state is RunState.SUCCEEDED
    folder = RunFolder.open(path)
    result = summary(folder)
    if manner.as_json:
        emit({"event": "end", **result, "error": problem})
    else:
        if folder.last_round:
            console().print(summary_table(result))
        if finished:
            say(f"Finished. Look closer: recarena log {path} --user {result['example_user']}")
        else:
            told = problem.replace(RESUME, f"recarena resume {path}")
            say("Stopped" if interrupted else f"Stopped: {told}" if told else "Paused")
            kept = f"{folder.last_round} rounds are kept."
            # A replay that misses a call misses it again; and nobody is told two ways to go on.
            strict = run.settings.llm.replay is Replay.STRICT and not interrupted
            go_on = "" if RESUME in problem or strict else f" Go on with: recarena resume {path}"
            say(kept + go_on)
    if finished:
        return 0
    return 130 if interrupted else 1
