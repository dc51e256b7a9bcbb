"""`recarena offline`: recommenders measured on held-out ratings, and in the simulator beside it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from numpy.typing import NDArray

    from recarena.evaluation.leaderboard.board import Leaderboard
    from recarena.evaluation.offline.agreement import Agreement
    from recarena.evaluation.offline.measures import Offline, Relevant
    from recarena.evaluation.playing.contenders import Contender
    from recarena.evaluation.playing.mirrored import Bout, Played, Progress

RECOMMENDERS = ("als", "bpr", "ease", "item-knn", "content", "popular", "random")
SIMULATED = ("watch_rate", "satisfaction")
"""Measures of the simulator that offline orders are held against."""


@dataclass(frozen=True, slots=True)
class Study:
    """What is measured."""

    world: Path
    recommenders: tuple[Contender, ...]
    k: int
    at_least: float
    min_history: int
    worlds: int
    """Copies that are simulated; 0: none."""
    rounds: int
    seed: int
    folder: Path

    @property
    def names(self) -> list[str]:
        """Of the recommenders."""
        return [one.name for one in self.recommenders]

    def asked_once(self) -> list[Bout]:
        """Runs in which every user opens the recommender once and is given a page of k items."""
        from recarena.evaluation.playing.mirrored import Bout

        settings: dict[str, Any] = {
            "visits": {"page_size": self.k, "step_cap": 1, "repeats": "forbid"},
            "choice": {"active": 1000.0, "sociable": -1000.0, "conversation": -1000.0},
        }
        world = str(self.world.absolute())
        return [Bout(f"offline-{one}", (one,), world, self.seed, settings) for one in self.names]

    def simulated(self) -> list[Bout]:
        """Mirrored copies of the world, each with a seed of its own for what users decide."""
        from recarena.evaluation.playing.mirrored import Bout, run_name

        world = str(self.world.absolute())
        return [
            Bout(run_name(number, name), (name,), world, self.seed + number)
            for number in range(self.worlds)
            for name in self.names
        ]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it, in the order of the offline NDCG."""

    relevant: Relevant
    offline: Sequence[Offline]
    board: Leaderboard | None
    """None: nothing was simulated."""
    agreements: dict[tuple[str, str], Agreement]
    """(offline measure, simulated measure) -> how far they order alike."""
    failed: Sequence[Played]


def command(
    world: Annotated[Path, typer.Argument(help="World folder that was split by time.")],
    recommender: Annotated[
        list[str] | None,
        typer.Option(
            "--recommender",
            "-r",
            metavar="NAME[=COMMAND]",
            help="A reference recommender, or a command of your own with {server} in it. May be "
            f"given several times. Without it: {', '.join(RECOMMENDERS)}.",
        ),
    ] = None,
    at: Annotated[int, typer.Option(min=1, max=100, help="Length of the lists.")] = 10,
    at_least: Annotated[
        float, typer.Option(min=1, max=5, help="Rating from which on an item was liked.")
    ] = 4.0,
    min_history: Annotated[
        int, typer.Option(min=0, help="Measure users with so many ratings before the split.")
    ] = 5,
    worlds: Annotated[
        int, typer.Option(min=0, help="Copies of the world to simulate; 0: offline only.")
    ] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds to simulate in each.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Copy w (from 0) has the seed SEED + w.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for runs and logs. Without it: runs/offline-TIME."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Measure recommenders on held-out ratings and in the simulator: do the orders agree?

    Each recommender gets the ratings before the split as its history, and gives every user one
    list, by the same calls as in any run; NDCG and recall are taken against what the user liked
    after the split. Then the same recommenders play mirrored copies of the same world.

    Example: recarena offline worlds/ml-100k -r ease -r item-knn -r popular -r random
    """  # fmt: skip
    from recarena.evaluation.playing.contenders import BadContender, contenders
    from recarena.evaluation.playing.stage import FAILED, finished

    say = _error_line if as_json else _error_text
    folder = out or Path("runs") / f"offline-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    try:
        chosen = contenders(recommender or RECOMMENDERS)
    except BadContender as error:
        say(str(error))
        raise typer.Exit(FAILED) from None
    study = Study(world, chosen, at, at_least, min_history, worlds, rounds, seed, folder)

    def act() -> int:
        if folder.exists() and any(folder.iterdir()):
            say(f"{folder} is not empty. Name another folder with --out")
            return FAILED
        found = run_study(study, quiet=as_json)
        show_json(study, found) if as_json else show(study, found)
        for one in found.failed:
            say(f"Run {one.bout.run_id} {one.error} (kept in {one.folder})")
        return FAILED if found.failed else 0

    raise typer.Exit(finished(act, say, lambda: f"Stopped. What was played is in {folder}"))


def run_study(study: Study, quiet: bool = True) -> Found:
    """Plays and measures it. Raises what `stage.EXPECTED` names."""
    from recarena.evaluation.leaderboard.board import build
    from recarena.evaluation.offline.measures import measure, relevant
    from recarena.evaluation.runs.run_log import RunLog

    found = relevant(study.world, study.at_least, study.min_history)
    once, lived = asyncio.run(_play(study, quiet))
    offline = [measure(RunLog.open(one.folder), found, study.k) for one in once if not one.error]
    offline.sort(key=lambda one: (-float(one.ndcg.mean()), one.recommender))
    succeeded = [one for one in lived if not one.error]
    board = build(RunLog.open(one.folder) for one in succeeded) if succeeded else None
    return Found(
        relevant=found,
        offline=offline,
        board=board,
        agreements=_agreements(offline, board) if board else {},
        failed=[one for one in (*once, *lived) if one.error],
    )


def _agreements(offline: Sequence[Offline], board: Leaderboard) -> dict[tuple[str, str], Agreement]:
    import numpy as np

    from recarena.evaluation.offline.agreement import agreement

    rows = {row.recommender: row for row in board.rows if len(row.measured) == len(board.played)}
    both = [one for one in offline if one.recommender in rows]
    if len(both) < 2:
        return {}

    def by_world(one: Offline, metric: str) -> NDArray[np.float64]:
        measured = rows[one.recommender].measured
        return np.array([measured[world][metric] for world in board.played])

    return {
        (measure, simulated): agreement(
            [getattr(one, measure) for one in both], [by_world(one, simulated) for one in both]
        )
        for measure in ("ndcg", "recall")
        for simulated in SIMULATED
    }


async def _play(study: Study, quiet: bool) -> tuple[Sequence[Played], Sequence[Played]]:
    from recarena.evaluation.playing.stage import staged

    names = ", ".join(study.names)
    starting: AbstractContextManager[Any] = nullcontext()
    if not quiet:
        starting = _spinner(f"Starting a server, and a process each for {names}")
    runs = max(study.worlds, 1)
    async with staged(study.folder, study.recommenders, runs, starting) as stage:
        with _bar("held-out ratings", len(study.names), quiet) as progress:
            once = await stage.play(study.asked_once(), 1, progress)
        bouts = study.simulated()
        with _bar("simulated rounds", len(bouts) * study.rounds, quiet or not bouts) as progress:
            lived = await stage.play(bouts, study.rounds, progress)
    return once, lived


# ------------------------------------------------------------------ what is said


@contextmanager
def _spinner(text: str) -> Generator[None]:
    from rich.console import Console

    with Console(stderr=True, highlight=False).status(text):
        yield


@contextmanager
def _bar(what: str, total: int, quiet: bool) -> Generator[Progress]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False)
    with Progress(console=console, disable=quiet or not console.is_terminal) as bars:
        task = bars.add_task(what, total=total)
        yield lambda _bout, _round: bars.advance(task)


def show(study: Study, found: Found) -> None:
    """The table for people: offline measures, those of the simulator, and how far they agree."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from recarena.evaluation.leaderboard.forms import notes
    from recarena.evaluation.offline.measures import mean_with_error

    console = Console(highlight=False)
    console.width = min(console.width, 100) if console.is_terminal else 100
    rows = {row.recommender: row for row in found.board.rows} if found.board else {}
    table = Table(title=f"{study.world}: held-out ratings, and the simulator", title_style="bold")
    heads = ["recommender", f"NDCG@{study.k}", f"recall@{study.k}"]
    if rows:
        heads += ["place", "watch rate", "rating"]
    for at, head in enumerate(heads):
        table.add_column(head, justify="right" if at else "left", no_wrap=True)
    for one in found.offline:
        cells = [_plus_minus(*mean_with_error(values)) for values in (one.ndcg, one.recall)]
        if row := rows.get(one.recommender):
            tied = f"{row.first_place}–{row.last_place}"
            cells += [
                tied if row.tied else str(row.first_place),
                *(_plus_minus(row.intervals[name].mean, row.intervals[name].half_width)
                  for name in SIMULATED),
            ]  # fmt: skip
        table.add_row(one.recommender, *cells)
    console.print(table)
    for (measure, simulated), one in found.agreements.items():
        console.print(
            f"Kendall τ of {measure}@{study.k} and {simulated.replace('_', ' ')}: "
            f"{one.tau:+z.2f}  (95 % {one.low:+z.2f} to {one.high:+z.2f}, p = {one.p_value:.3f})"
        )
    for note in (*_notes(study, found), *(notes(found.board) if found.board else ())):
        console.print(Text(note, "dim"))
    console.print(f"Runs and logs: {study.folder}")


def _notes(study: Study, found: Found) -> list[str]:
    known = found.relevant
    text = (
        f"Offline: {len(known.users)} users with at least {study.min_history} ratings before the "
        f"split who liked something new after it (at least {study.at_least:g}); {known.left_out} "
        f"others are left out. {known.unseen:.0%} of what they liked was rated by nobody before. "
        "± is the 95 % interval over users."
    )
    if not found.agreements:
        return [text]
    return [
        text,
        "τ: 1 is the same order, 0 no relation. Its interval draws users and worlds again; the "
        f"{len(found.offline)} recommenders are taken as they are.",
    ]


def _plus_minus(mean: float, half: float) -> str:
    return f"{mean:.3f}" if half != half else f"{mean:.3f} ±{half:.3f}"


def show_json(study: Study, found: Found) -> None:
    """`offline` lines best first, `leaderboard` lines, `agreement` lines, and `done`."""
    from recarena.evaluation.leaderboard.forms import as_records
    from recarena.evaluation.offline.measures import mean_with_error

    for one in found.offline:
        measured = {
            name: dict(zip(("mean", "half_width"), mean_with_error(values), strict=True))
            for name, values in (("ndcg", one.ndcg), ("recall", one.recall))
        }
        _say("offline", recommender=one.recommender, k=one.k, users=len(one.ndcg), **measured)
    for record in as_records(found.board) if found.board else ():
        _say("leaderboard", **record)
    for (measure, simulated), one in found.agreements.items():
        _say(
            "agreement", offline=measure, simulated=simulated, tau=one.tau, p_value=one.p_value,
            low=one.low, high=one.high,
        )  # fmt: skip
    _say("done", world=str(study.world), out=str(study.folder), notes=_notes(study, found))


def _say(event: str, **values: object) -> None:
    line = json.dumps({"event": event, **values}, ensure_ascii=False).replace("NaN", "null")
    sys.stdout.write(line + "\n")


def _error_line(text: str) -> None:
    _say("error", message=text)


def _error_text(text: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False).print(Text(text, "red"), soft_wrap=True)
