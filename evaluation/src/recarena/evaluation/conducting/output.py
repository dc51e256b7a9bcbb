"""How a competition speaks: a bar and tables for people, or one JSON object a line."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from recarena.evaluation.competing.results import FAILED, FINISHED, UNFINISHED, complete_worlds

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from recarena.evaluation.competing.folder import CompetitionFolder
    from recarena.evaluation.competing.plan import Plan
    from recarena.evaluation.competing.results import Found
    from recarena.evaluation.competing.standing import Standing
    from recarena.evaluation.playing.mirrored import Played

EVERY_S = 1.0
"""Between two lines of progress."""


class Output(Protocol):
    """Told of everything a competition has to say."""

    def planned(self, plan: Plan, folder: Path, advice: str) -> None:
        """Before anything is started."""
        ...

    def starting(self, plan: Plan) -> AbstractContextManager[None]:
        """While the programs start."""
        ...

    def serving(self, address: str, waiting: Sequence[str]) -> None:
        """The server is there; these remote recommenders are waited for."""
        ...

    def playing(self, standing: Standing) -> AbstractContextManager[Callable[[], None]]:
        """While the runs are played; what is entered is called whenever something happened."""
        ...

    def run_ended(self, played: Played) -> None:
        """A run goes no further."""
        ...

    def result(self, folder: CompetitionFolder, found: Found, report: Path | None) -> None:
        """At the end."""
        ...

    def note(self, text: str) -> None:
        """Something that somebody should look at while it goes on."""
        ...

    def error(self, text: str) -> None:
        """Something went wrong, or was stopped."""
        ...


class Terminal:
    """For people: results on stdout; what goes on meanwhile, on a terminal, and errors on
    stderr."""

    def __init__(self) -> None:
        from rich.console import Console

        self._out = Console(highlight=False)
        self._out.width = min(self._out.width, 100) if self._out.is_terminal else 100
        self._err = Console(stderr=True, highlight=False)

    def planned(self, plan: Plan, folder: Path, advice: str) -> None:
        """Two lines."""
        names = ", ".join(plan.names)
        worlds = "1 world" if len(plan.worlds) == 1 else f"{len(plan.worlds)} worlds"
        self._note(
            f"{names}: {worlds}, {plan.rounds} rounds each, {plan.design}; ranked by "
            f"{plan.primary}. Everything is kept in {folder}."
        )
        if advice:
            self._note(advice)

    @contextmanager
    def starting(self, plan: Plan) -> Generator[None]:
        """A spinner."""
        with self._err.status("Starting a server, and a process for each recommender"):
            yield

    def serving(self, address: str, waiting: Sequence[str]) -> None:
        """A line for each that is waited for."""
        for name in waiting:
            self._note(
                f"Waiting for {name} to dial in at {address}, for example: "
                f"recarena-recommender popular --id {name} --server {address}",
                always=True,
            )

    @contextmanager
    def playing(self, standing: Standing) -> Generator[Callable[[], None]]:
        """One bar over all rounds; nothing where there is no terminal."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(30),
            MofNCompleteColumn(),
            TextColumn("rounds"),
            TextColumn("{task.fields[more]}"),
        )
        shown = self._err.is_terminal
        with Progress(*columns, console=self._err, disable=not shown, transient=True) as bars:
            task = bars.add_task(_worlds(standing), total=standing.rounds_in_all, more="")
            said = 0.0

            def tell() -> None:
                nonlocal said
                if not shown or time.monotonic() - said < 0.2:
                    return
                said = time.monotonic()
                bars.update(
                    task,
                    description=_worlds(standing),
                    completed=standing.rounds_done,
                    more=_speed(standing),
                )

            yield tell

    def run_ended(self, played: Played) -> None:
        """A line where it failed."""
        if played.error:
            self.error(f"Run {played.bout.run_id} ended after {played.rounds} rounds: "
                       f"{played.error}")  # fmt: skip

    def result(self, folder: CompetitionFolder, found: Found, report: Path | None) -> None:
        """The leaderboard, what it rests on, and what to do next."""
        from rich.text import Text

        from recarena.evaluation.leaderboard.forms import as_table, notes

        say = self._out.print
        for line in summary(folder, found):
            say(Text(line, "bold"))
        if found.board:
            say(as_table(found.board, self._out.width))
            for note in notes(found.board):
                say(Text(note, "dim"))
        for line in spillover_lines(found):
            say(Text(line))
        say()
        say("Try next:")
        for line in next_steps(folder, found, report):
            say(Text(f"  {line}"), soft_wrap=True)

    def note(self, text: str) -> None:
        """A yellow line."""
        from rich.text import Text

        self._err.print(Text(text, "yellow"), soft_wrap=True)

    def error(self, text: str) -> None:
        """One red line, or several where a program's last lines are quoted."""
        from rich.text import Text

        self._err.print(Text(text, "red"), soft_wrap=True)

    def _note(self, text: str, *, always: bool = False) -> None:
        from rich.text import Text

        if always or self._err.is_terminal:
            self._err.print(Text(text), soft_wrap=True)


class JsonLines:
    """For programs: every line on stdout is a JSON object with the key `event`."""

    def planned(self, plan: Plan, folder: Path, advice: str) -> None:
        """A `planned` line."""
        self._say(
            "planned", name=plan.name, out=str(folder), recommenders=list(plan.names),
            worlds=len(plan.worlds), rounds=plan.rounds, runs=len(plan.bouts()),
            design=str(plan.design), primary=plan.primary, minimum_effect=plan.minimum_effect,
            advice=advice,
        )  # fmt: skip

    @contextmanager
    def starting(self, plan: Plan) -> Generator[None]:
        """Nothing."""
        yield

    def serving(self, address: str, waiting: Sequence[str]) -> None:
        """A `serving` line."""
        self._say("serving", address=address, waiting_for=list(waiting))

    @contextmanager
    def playing(self, standing: Standing) -> Generator[Callable[[], None]]:
        """`progress` lines, one a second at most, and one at the end."""
        said = 0.0

        def tell() -> None:
            nonlocal said
            if time.monotonic() - said >= EVERY_S:
                said = time.monotonic()
                self._say("progress", **standing.as_json())

        try:
            yield tell
        finally:
            self._say("progress", **standing.as_json())

    def run_ended(self, played: Played) -> None:
        """A `run` line."""
        self._say(
            "run", run_id=played.bout.run_id, recommenders=list(played.bout.recommenders),
            rounds=played.rounds, error=played.error,
        )  # fmt: skip

    def result(self, folder: CompetitionFolder, found: Found, report: Path | None) -> None:
        """`leaderboard` rows, best first, `spillover` lines, and `done`."""
        from recarena.evaluation.leaderboard.forms import as_records, notes

        for record in as_records(found.board) if found.board else ():
            self._say("leaderboard", **record)
        for record in found.spillover:
            self._say("spillover", **record)
        self._say(
            "done", out=str(folder.path), seconds=round(found.seconds, 3),
            interrupted=found.interrupted, stopped_early=found.stopped_early or None,
            complete_worlds=complete_worlds(folder.plan, found.runs),
            failures=[one.bout.run_id for one in found.runs if one.state == FAILED],
            report=str(report) if report else None,
            notes=notes(found.board) if found.board else [],
            next=next_steps(folder, found, report),
        )  # fmt: skip

    def note(self, text: str) -> None:
        """A `note` line."""
        self._say("note", message=text)

    def error(self, text: str) -> None:
        """An `error` line."""
        self._say("error", message=text)

    def _say(self, event: str, **values: object) -> None:
        sys.stdout.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def summary(folder: CompetitionFolder, found: Found) -> list[str]:
    """What was played, in sentences."""
    plan = folder.plan
    complete = complete_worlds(plan, found.runs)
    finished = sum(run.state == FINISHED for run in found.runs)
    kind = {"mirrored": "mirrored ", "both": "mirrored "}.get(str(plan.design), "shared ")
    lines = [
        f"{plan.name}: {len(complete)} of {len(plan.worlds)} {kind}worlds are complete, "
        f"{finished} of {len(found.runs)} runs finished, {plan.rounds} rounds each."
    ]
    if found.interrupted:
        lines.append("It was stopped: the leaderboard rests on the complete worlds alone.")
    if found.stopped_early:
        lines.append(f"It was ended early: {found.stopped_early}.")
    failed = [run for run in found.runs if run.state == FAILED]
    if failed:
        names = ", ".join(dict.fromkeys(name for run in failed for name in run.bout.recommenders))
        lines.append(f"{len(failed)} runs failed ({names}); --retry-failed plays them again.")
    if not found.board:
        lines.append("No world is complete: there is no leaderboard yet.")
    return lines


def spillover_lines(found: Found) -> list[str]:
    """What sharing a world did to the differences, a sentence each."""
    return [str(one["sentence"]) for one in found.spillover if one.get("sentence")]


def next_steps(folder: CompetitionFolder, found: Found, report: Path | None) -> list[str]:
    """Commands that go on from here."""
    path = str(_short(folder.path))
    steps: list[str] = []
    unfinished = [run for run in found.runs if run.state == UNFINISHED]
    if unfinished and not found.stopped_early:
        capped = any("the budget is used up" in run.error for run in unfinished)
        more = ["--max-cost", "MORE"] if capped else []
        steps.append(shlex.join(["recarena", "compete", "--resume", path, *more]))
    elif any(run.state == FAILED for run in found.runs):
        steps.append(shlex.join(["recarena", "compete", "--resume", path, "--retry-failed"]))
    if report:
        steps.append(f"open {_short(report)} in a browser")
    finished = [run.bout.run_id for run in found.runs if run.state == FINISHED]
    if finished:
        steps.append(shlex.join(["recarena", "log", f"{path}/runs/{finished[0]}"]))
        steps.append(shlex.join(["recarena", "reproduce", path]))
    return steps


def _worlds(standing: Standing) -> str:
    return f"worlds {standing.worlds_done}/{len(standing.plan.worlds)}"


def _speed(standing: Standing) -> str:
    parts: list[str] = []
    if standing.rounds_per_second is not None:
        parts.append(f"{standing.rounds_per_second:.1f}/s")
    if standing.seconds_left is not None:
        minutes, seconds = divmod(round(standing.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    if standing.cost is not None:
        cap = "" if standing.cap is None else f" of {standing.cap:g}"
        parts.append(f"cost {standing.cost:.2f}{cap}")
    if standing.waiting_for:
        parts.append(f"waiting for {', '.join(sorted(standing.waiting_for))}")
    if standing.failed:
        parts.append(f"{len(standing.failed)} failed")
    return ", ".join(parts)


def _short(path: Path) -> Path:
    """Relative to the working directory where it is inside."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path
