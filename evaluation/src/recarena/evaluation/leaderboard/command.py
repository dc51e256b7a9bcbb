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
    primary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help="What to rank by. Several may be given; the first one sorts. Without it: "
            "watch_rate.",
        ),
    ] = None,
    max_p95_ms: Annotated[
        float | None, typer.Option(min=0, help="Gate: 95th percentile of the latency.")
    ] = None,
    max_unusable_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Gate: share of pages without a list of its own, 0 to 1."),
    ] = None,
    max_violations_per_list: Annotated[
        float | None, typer.Option(min=0, help="Gate: items dropped and short lists, a list.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the rank intervals' resampling.")] = 1,
    with_people: Annotated[
        bool,
        typer.Option("--with-people", help="Count what people did who played users, too."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Compare the recommenders of finished runs over mirrored worlds.

    Runs are grouped by recommender and paired by world (name, seed and size). The gate passes or
    fails beside the ranking, and changes no place. Rounds of users whom people played are left out
    unless asked for.

    Example: recarena leaderboard runs/demo-1 --max-p95-ms 200 --csv
    """
    from rich.console import Console
    from rich.text import Text

    from recarena.evaluation.leaderboard.board import build
    from recarena.evaluation.leaderboard.comparing import checked_primaries
    from recarena.evaluation.leaderboard.forms import as_csv, as_json_lines, as_table, notes
    from recarena.evaluation.leaderboard.gate import Gate
    from recarena.evaluation.metrics.measures import PRIMARY
    from recarena.evaluation.runs.run_log import UnreadableRun, find_runs, open_runs

    def refuse(text: str) -> typer.Exit:
        Console(stderr=True, highlight=False).print(Text(text, "red"), soft_wrap=True)
        return typer.Exit(1)

    try:
        primaries = checked_primaries(primary or PRIMARY.name)
    except ValueError as error:
        raise refuse(f"--primary: {error}") from None
    try:
        gate = Gate(max_p95_ms, max_unusable_rate, max_violations_per_list)
    except ValueError as error:
        raise refuse(str(error)) from None
    try:
        folders = {run.resolve(): run for path in runs for run in find_runs(path)}
        logs = open_runs(folders.values(), with_people=with_people)
    except UnreadableRun as error:
        raise refuse(str(error)) from None
    board = build(logs, primaries, gate, seed)
    if as_json or csv:
        sys.stdout.write(as_json_lines(board) if as_json else as_csv(board))
        return
    console = Console(highlight=False)
    console.width = min(console.width, 100) if console.is_terminal else 100
    console.print(as_table(board, console.width))
    for note in notes(board):
        console.print(Text(note, "dim"))
