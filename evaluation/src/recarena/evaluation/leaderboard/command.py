"""Commands over run folders that are there already."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def leaderboard_command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, or folders with run folders in them."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Compare the recommenders of finished runs over mirrored worlds.

    Runs are grouped by recommender and paired by world (name, seed and size).

    Example: recarena leaderboard runs/demo-1 --csv
    """
    from rich.console import Console
    from rich.text import Text

    from recarena.evaluation.leaderboard.board import build
    from recarena.evaluation.leaderboard.forms import as_csv, as_json_lines, as_table, notes
    from recarena.evaluation.runs.run_log import RunLog, UnreadableRun, find_runs

    try:
        folders = {run.resolve(): run for path in runs for run in find_runs(path)}
        board = build(RunLog.open(folder) for folder in folders.values())
    except UnreadableRun as error:
        Console(stderr=True, highlight=False).print(Text(str(error), "red"), soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json or csv:
        sys.stdout.write(as_json_lines(board) if as_json else as_csv(board))
        return
    console = Console(highlight=False)
    console.width = min(console.width, 100) if console.is_terminal else 100
    console.print(as_table(board, console.width))
    for note in notes(board):
        console.print(Text(note, "dim"))
