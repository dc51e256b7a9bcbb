"""`recarena demo`: recommenders compete for simulated users, from nothing to a leaderboard."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc.aio

    from recarena.evaluation.demo.output import Outcome, Output, Plan
    from recarena.evaluation.demo.watching import Watching
    from recarena.evaluation.playing.mirrored import Bout, Played
    from recarena.evaluation.runs.excerpt import Line

ROUNDS, WATCHED_ROUNDS = 10, 1000
WORLDS = 5
PACE_S = 1.0
MOST_ROUNDS = 1_000_000
RECOMMENDERS = ("popular", "random", "item-knn", "ease", "content")


def command(
    users: Annotated[int, typer.Option(min=1, help="Simulated users in each world.")] = 200,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_ROUNDS, help="Rounds to play. Without it: 10; with --watch 1000."
        ),
    ] = None,
    worlds: Annotated[
        int | None,
        typer.Option(min=1, help="Worlds; each recommender plays a copy of each. Without it: 5."),
    ] = None,
    recommender: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=COMMAND]",
            help="A recommender that takes part: a reference recommender, or a command of your own "
            "with {server} in it. May be given several times. "
            f"Without it: {', '.join(RECOMMENDERS)}.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="World w (from 0) has the seed SEED + w.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for runs and logs. Without it: runs/demo-TIME."),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Play one world in which all take part, slowly, with a page to watch it on, until "
            "Ctrl-C.",
        ),
    ] = False,
    pace: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=30,
            metavar="SECONDS",
            help="With --watch: least time of a round. Without it: 1.",
        ),
    ] = None,
    opened: Annotated[
        bool,
        typer.Option(
            "--open/--no-open", help="With --watch: open the page in the browser of this machine."
        ),
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line instead of tables.")
    ] = False,
) -> None:
    """Watch recommenders compete for simulated users: no key, no network, no download.

    Starts a server and a process per recommender, plays mirrored worlds (the same users, catalogue,
    network and seed for each recommender), and shows what a few users did and who won.

    Example: recarena demo --worlds 10 --recommender popular --recommender ease
    """
    from recarena.evaluation.demo.output import JsonLines, Plan, Terminal
    from recarena.evaluation.demo.watching import Watching
    from recarena.evaluation.playing.contenders import BadContender, contenders
    from recarena.evaluation.playing.stage import FAILED

    output = JsonLines() if as_json else Terminal()
    folder = out or Path("runs") / f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    try:
        taking_part = contenders(recommender or RECOMMENDERS)
    except BadContender as error:
        output.error(str(error))
        raise typer.Exit(FAILED) from None
    if watch and worlds is not None:
        output.error("--worlds is not for --watch, which plays one world. Leave it out")
        raise typer.Exit(FAILED)
    if pace is not None and not watch:
        output.error("--pace is for --watch alone. Add --watch, or leave --pace out")
        raise typer.Exit(FAILED)
    length = rounds or (WATCHED_ROUNDS if watch else ROUNDS)
    plan = Plan(users, length, 1 if watch else worlds or WORLDS, taking_part, seed, folder)
    watching = Watching(PACE_S if pace is None else pace, opened) if watch else None
    raise typer.Exit(run_demo(plan, output, watching))


def run_demo(plan: Plan, output: Output, watching: Watching | None = None) -> int:
    """Plays and shows it. 0 when every run succeeded, or was watched until Ctrl-C; 1 when something
    failed, 128 + the signal's number when it was stopped; no program is left behind."""
    from recarena.evaluation.demo.watching import watched
    from recarena.evaluation.playing.stage import FAILED, finished

    def act() -> int:
        if plan.folder.exists() and any(plan.folder.iterdir()):
            output.error(f"{plan.folder} is not empty. Name another folder with --out")
            return FAILED
        if watching is not None:
            return watched(plan, watching, output)
        return _show(plan, asyncio.run(_compete(plan, output)), output)

    return finished(act, output.error, lambda: _stopped(plan.folder))


async def _compete(plan: Plan, output: Output) -> Outcome:
    """Plays all bouts; what it started has ended when it returns."""
    from recarena.evaluation.demo.output import Outcome
    from recarena.evaluation.playing.mirrored import mirrored
    from recarena.evaluation.playing.stage import staged

    started = time.monotonic()
    starting = output.starting(plan)
    async with staged(plan.folder, plan.recommenders, plan.worlds, starting) as stage:
        bouts = mirrored(plan.names, plan.worlds, plan.users, plan.seed)
        with output.playing(plan) as progress:
            played = await stage.play(bouts, plan.rounds, progress)
        told_of, lines = await stage.programs.while_alive(_excerpt(stage.channel, played))
    return Outcome(played, lines, told_of, time.monotonic() - started)


async def _excerpt(
    channel: grpc.aio.Channel, played: Sequence[Played]
) -> tuple[Bout | None, list[Line]]:
    """What a few users did in the first bout that was played to its end."""
    from recarena.evaluation.runs.excerpt import choose, read_lines
    from recarena.evaluation.runs.run_log import RunLog
    from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub

    finished = [one for one in played if not one.error]
    if not finished:
        return None, []
    log = await asyncio.to_thread(RunLog.open, finished[0].folder)
    stub = SimulationObserveServiceStub(channel)
    return finished[0].bout, await read_lines(stub, log, choose(log))


def _show(plan: Plan, outcome: Outcome, output: Output) -> int:
    from recarena.evaluation.leaderboard.board import build
    from recarena.evaluation.playing.stage import FAILED
    from recarena.evaluation.runs.run_log import RunLog

    finished = [one for one in outcome.played if not one.error]
    failed = [one for one in outcome.played if one.error]
    if finished:
        output.result(plan, outcome, build(RunLog.open(one.folder) for one in finished))
    for one in failed:
        output.error(
            f"Run {one.bout.run_id} {one.error} (after round {one.rounds}; kept in {one.folder})"
        )
    return FAILED if failed else 0


def _stopped(folder: Path) -> str:
    from recarena.evaluation.runs.run_log import UnreadableRun, find_runs

    try:
        find_runs(folder)
    except UnreadableRun:
        return f"Stopped before a run began; what the programs said is in {folder / 'logs'}"
    compare = f"recarena leaderboard {folder}"
    return f"Stopped. Finished runs are kept in {folder}; `{compare}` compares them"
