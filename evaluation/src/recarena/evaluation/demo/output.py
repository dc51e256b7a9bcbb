"""How the demo speaks: tables and bars for people, or one JSON object a line for programs."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from recarena.evaluation.leaderboard.board import Leaderboard
    from recarena.evaluation.playing.contenders import Contender
    from recarena.evaluation.playing.mirrored import Bout, Played, Progress
    from recarena.evaluation.runs.excerpt import Line

MOST_COLUMNS = 100
"""Wider terminals are not filled: lines stay readable, and what is pasted stays whole."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a demo plays."""

    users: int
    rounds: int
    worlds: int
    recommenders: tuple[Contender, ...]
    seed: int
    folder: Path

    @property
    def names(self) -> list[str]:
        """Of the recommenders."""
        return [one.name for one in self.recommenders]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    played: Sequence[Played]
    excerpt: Sequence[Line]
    told_of: Bout | None
    """The bout that the excerpt is from."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Page:
    """What is told of a run that is watched."""

    url: str
    run_id: str
    folder: Path
    server: str
    paced: bool
    """Whether rounds come in the beat that was asked for."""


class Output(Protocol):
    """Told of everything the demo has to say."""

    def starting(self, plan: Plan) -> AbstractContextManager[None]:
        """While the programs start."""
        ...

    def playing(self, plan: Plan) -> AbstractContextManager[Progress]:
        """While the runs are played; what is entered is called with every committed round."""
        ...

    def result(self, plan: Plan, outcome: Outcome, board: Leaderboard) -> None:
        """At the end, where a run has succeeded."""
        ...

    def watching(self, page: Page) -> None:
        """The page of a run that is watched is served."""
        ...

    def watched(self, folder: Path) -> None:
        """A run was watched as long as was wished; it is kept in the folder."""
        ...

    def error(self, text: str) -> None:
        """Something went wrong, or was stopped."""
        ...


class Terminal:
    """For people: results on stdout, what goes on meanwhile and errors on stderr."""

    def __init__(self) -> None:
        from rich.console import Console

        self._out = Console(highlight=False)
        self._out.width = min(self._out.width, MOST_COLUMNS) if self._out.is_terminal else 100
        self._err = Console(stderr=True, highlight=False)

    @contextmanager
    def starting(self, plan: Plan) -> Generator[None]:
        """A spinner."""
        names = ", ".join(plan.names)
        with self._err.status(f"Starting a server, and a process each for {names}"):
            yield

    @contextmanager
    def playing(self, plan: Plan) -> Generator[Progress]:
        """One bar per recommender, over the rounds of all its worlds; a line at the first round
        where there is no terminal to draw bars on."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        columns = (
            TextColumn("{task.description}"),
            BarColumn(40),
            MofNCompleteColumn(),
            TextColumn("rounds"),
            Elapsed(),
        )
        with Progress(*columns, console=self._err) as bars:
            width = max(map(len, plan.names))
            task = {
                name: bars.add_task(name.ljust(width), total=plan.rounds * plan.worlds)
                for name in plan.names
            }
            told = self._err.is_terminal

            def progress(bout: Bout, _: int) -> None:
                nonlocal told
                if not told:
                    told = True
                    self._err.print(
                        f"Rounds are being played: {plan.rounds} in each of {plan.worlds} worlds "
                        f"for each of {len(plan.recommenders)} recommenders"
                    )
                bars.advance(task[bout.recommender])

            yield progress

    def result(self, plan: Plan, outcome: Outcome, board: Leaderboard) -> None:
        """The excerpt, the leaderboard, and what to do next."""
        from rich.padding import Padding
        from rich.text import Text

        from recarena.evaluation.leaderboard.forms import as_table, notes
        from recarena.evaluation.runs.excerpt import as_table as excerpt_table

        say = self._out.print
        say()
        if outcome.told_of and outcome.excerpt:
            say(Text(f"What a few users did in run {outcome.told_of.run_id}", "bold"))
            say(Padding(excerpt_table(outcome.excerpt), (1, 0, 1, 0)))
        worlds = "1 world" if plan.worlds == 1 else f"{plan.worlds} mirrored worlds"
        say(Text(f"Leaderboard: {worlds} of {plan.users} users, {plan.rounds} rounds each", "bold"))
        say(as_table(board, self._out.width))
        for note in notes(board):
            say(Text(note, "dim"))
        say(Text("p95: all runs shared this machine while it was measured.", "dim"))
        say()
        say(
            Text(
                f"{len(outcome.played)} runs in {outcome.seconds:.1f} s; their folders are in "
                f"{plan.folder}, what the programs said in {plan.folder / 'logs'}."
            )
        )
        say("Try next:")
        for line in next_steps(outcome):
            say(Text(f"  {line}"), soft_wrap=True)

    def watching(self, page: Page) -> None:
        """Where to look, and how it ends."""
        from rich.text import Text

        say = self._out.print
        say(Text("Watch the run at", "bold"))
        say()
        say(Text(f"  {page.url}"), soft_wrap=True)
        say()
        say(Text("Whoever opens this address is let in, and can pause, change and play the run."))
        if not page.paced:
            slower = "--pace needs a reference recommender among those that take part"
            say(Text(f"It goes as fast as it can: {slower}.", "dim"))
        say(Text(f"Its folder is {_short(page.folder)}. Ctrl-C ends everything."), soft_wrap=True)

    def watched(self, folder: Path) -> None:
        """What is left."""
        from rich.text import Text

        say = self._out.print
        short = str(_short(folder))
        say(Text(f"Ended. The run is kept in {short}. Try next:"), soft_wrap=True)
        for line in (["recarena", "log", short], ["recarena", "leaderboard", short]):
            say(Text(f"  {shlex.join(line)}"), soft_wrap=True)

    def error(self, text: str) -> None:
        """One red line, or several where a program's last lines are quoted."""
        from rich.text import Text

        self._err.print(Text(text, "red"), soft_wrap=True)


class JsonLines:
    """For programs: every line on stdout is a JSON object with the key `event`."""

    @contextmanager
    def starting(self, plan: Plan) -> Generator[None]:
        """Nothing."""
        yield

    @contextmanager
    def playing(self, plan: Plan) -> Generator[Progress]:
        """Nothing."""
        yield lambda _bout, _round: None

    def result(self, plan: Plan, outcome: Outcome, board: Leaderboard) -> None:
        """`excerpt` lines, `leaderboard` rows, best first, and a `run` line for each folder."""
        from recarena.evaluation.leaderboard.forms import as_records, notes
        from recarena.evaluation.runs.excerpt import as_record

        for line in outcome.excerpt:
            assert outcome.told_of
            self._say("excerpt", run_id=outcome.told_of.run_id, **as_record(line))
        for record in as_records(board):
            self._say("leaderboard", **record)
        for one in outcome.played:
            self._say(
                "run", run_id=one.bout.run_id, recommender=one.bout.recommender,
                world=one.bout.world, seed=one.bout.seed, rounds=one.rounds, error=one.error,
                folder=str(one.folder),
            )  # fmt: skip
        self._say(
            "done", out=str(plan.folder), seconds=round(outcome.seconds, 3),
            notes=notes(board), next=next_steps(outcome),
        )  # fmt: skip

    def watching(self, page: Page) -> None:
        """A `watching` line with the address of the page."""
        self._say(
            "watching", url=page.url, server=page.server, run_id=page.run_id,
            folder=str(page.folder), paced=page.paced,
        )  # fmt: skip

    def watched(self, folder: Path) -> None:
        """A `watched` line."""
        self._say("watched", folder=str(folder))

    def error(self, text: str) -> None:
        """An `error` line."""
        self._say("error", message=text)

    def _say(self, event: str, **values: object) -> None:
        sys.stdout.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def next_steps(outcome: Outcome) -> list[str]:
    """Three commands that go on from here."""
    finished = [one for one in outcome.played if not one.error]
    told = [one for one in finished if one.bout == outcome.told_of] or finished
    folder = str(_short(told[0].folder))
    user = ["--user", outcome.excerpt[0].user_id] if outcome.excerpt else []
    return [
        shlex.join(["recarena", "log", folder, *user]),
        shlex.join(["recarena", "show", folder]),
        shlex.join(["recarena", "export", folder, f"{folder}-export"]),
    ]


def _short(path: Path) -> Path:
    """Relative to the working directory where it is inside."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path
