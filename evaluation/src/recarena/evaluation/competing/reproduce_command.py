"""`recarena reproduce`: a published competition, played again and compared."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recarena.evaluation.competing.reproduce import Attempt, Difference
    from recarena.evaluation.playing.mirrored import Played, Progress

MOST_ROWS = 40
"""Rows of a table for people; --json has them all."""


def command(
    competition: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of a competition, or its manifest.json with results.json beside it.",
        ),
    ],
    world: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Play this world alone; may be given several times."),
    ] = None,
    world_folder: Annotated[
        list[Path] | None,
        typer.Option(help="Where a world's folder is here; it is recognised by its hash."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder to keep what is played in. Default: nowhere.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Play a published competition again and say whether it comes out the same.

    Compares the digest of every event log, and every metric that does not depend on time. Exit
    code 0: all that was published is as it was; 1: something differs, or could not be played.

    Example: recarena reproduce runs/competition-1 --world 0
    """
    from recarena.evaluation.competing.telling import told

    voice = _Json() if as_json else _Text()

    def act() -> int:
        from recarena.evaluation.competing.folder import CompetitionFolder
        from recarena.evaluation.competing.plan import BadPlan
        from recarena.evaluation.competing.reproduce import attempt

        if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise BadPlan(f"{out} is not empty. Name another folder with --out")
        tried = attempt(CompetitionFolder.open(competition), world_folder or (), world or ())
        with ExitStack() as stack:
            folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            return _reproduce(tried, folder, voice)

    raise typer.Exit(told(act, voice.error))


def _reproduce(tried: Attempt, folder: Path, voice: _Text | _Json) -> int:
    from recarena.evaluation.competing.reproduce import compare

    for warning in tried.warnings:
        voice.warning(warning)
    played: Sequence[Played] = ()
    if tried.bouts:
        played = asyncio.run(_play(tried, folder, voice))
    differences = compare(tried, folder / "runs", played)
    matches = bool(tried.bouts) and not differences and not tried.impossible
    voice.result(tried, differences, matches)
    return 0 if matches else 1


async def _play(tried: Attempt, folder: Path, voice: _Text | _Json) -> Sequence[Played]:
    from recarena.evaluation.competing.minds import server_options
    from recarena.evaluation.playing.arena import Watch
    from recarena.evaluation.playing.hall import Hosting, opened

    needed = {name for bout in tried.bouts for name in bout.recommenders}
    recommenders = [one for one in tried.plan.recommenders if one.name in needed]
    options = server_options(tried.plan.settings)
    if tried.recordings:
        options += ("--llm-recordings", str(tried.recordings))
    hosting = Hosting(folder / "runs", folder / "logs", options=options)
    async with opened(hosting, recommenders) as hall:
        arena = replace(hall.arena, made_with=tried.prepared)
        with voice.playing(len(tried.bouts) * tried.plan.rounds) as progress:
            return await hall.while_served(
                arena.play(tried.bouts, tried.plan.rounds, Watch(round=progress))
            )


class _Text:
    """For people: the table on stdout, the rest on stderr."""

    def __init__(self) -> None:
        from rich.console import Console

        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)

    @contextmanager
    def playing(self, rounds: int) -> Generator[Progress]:
        from rich.progress import Progress

        with Progress(console=self._err, disable=not self._err.is_terminal) as bars:
            task = bars.add_task("playing again", total=rounds)
            yield lambda _bout, _round: bars.advance(task)

    def warning(self, text: str) -> None:
        from rich.text import Text

        self._err.print(Text(f"Note: {text}", "yellow"), soft_wrap=True)

    def error(self, text: str) -> None:
        from rich.text import Text

        self._err.print(Text(text, "red"), soft_wrap=True)

    def result(self, tried: Attempt, differences: Sequence[Difference], matches: bool) -> None:
        from rich.table import Table
        from rich.text import Text

        say = self._out.print
        if differences:
            table = Table(box=None, padding=(0, 2, 0, 0))
            for head in ("run", "what", "published", "here"):
                table.add_column(head, overflow="fold")
            for one in differences[:MOST_ROWS]:
                table.add_row(*map(Text, (one.run_id, one.what, one.expected, one.got)))
            say(table)
            if len(differences) > MOST_ROWS:
                say(f"and {len(differences) - MOST_ROWS} more; --json lists them all")
        for text in (*tried.impossible, *tried.not_asked):
            say(Text(f"Not played again: {text}" if text.startswith(("Run", "World")) else text))
        for line in verdict(tried, differences, matches):
            say(Text(line, "bold"))


class _Json:
    """For programs: every line on stdout is a JSON object with the key `event`."""

    @contextmanager
    def playing(self, rounds: int) -> Generator[Progress]:
        self._say("playing", rounds=rounds)
        yield lambda _bout, _round: None

    def warning(self, text: str) -> None:
        self._say("warning", message=text)

    def error(self, text: str) -> None:
        self._say("error", message=text)

    def result(self, tried: Attempt, differences: Sequence[Difference], matches: bool) -> None:
        for one in differences:
            self._say(
                "difference", run_id=one.run_id, what=one.what, expected=one.expected, got=one.got
            )
        self._say(
            "done", matches=matches, runs=len(tried.bouts), differences=len(differences),
            impossible=list(tried.impossible), not_played=list(tried.not_asked),
            warnings=list(tried.warnings),
        )  # fmt: skip

    def _say(self, event: str, **values: object) -> None:
        sys.stdout.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def verdict(tried: Attempt, differences: Sequence[Difference], matches: bool) -> list[str]:
    """What came of it, in sentences."""
    name, runs = tried.published.manifest.get("name"), len(tried.bouts)
    if matches:
        return [f"{name} matches: {runs} runs, equal digests and equal metrics."]
    if not runs:
        return [f"Nothing of {name} can be played again here."]
    wrong = len({one.run_id for one in differences})
    lines = [f"{name} does not match: {wrong} of {runs} runs differ."] if wrong else []
    if not wrong:
        lines.append(f"{name}: {runs} runs match, but not everything could be played again.")
    return lines
