"""`recarena report`: a competition as one HTML file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer


class Unwritable(Exception):
    """The page cannot be written; the text is one line with the remedy."""


class OtherReport(Exception):
    """A folder that has a report of another kind; the text is one line with the remedy."""


def report_command(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="A competition's folder, or run folders, or folders with run folders in them.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to write it. Without it: report.html in the first folder."
        ),
    ] = None,
    with_people: Annotated[
        bool,
        typer.Option("--with-people", help="Count what people did who played users, too."),
    ] = False,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Write the report of a competition: one HTML file that needs no network.

    Rounds of users whom people played are left out of all figures unless asked for.

    Example: recarena report competitions/spring --out spring.html
    """
    from rich.console import Console
    from rich.text import Text

    from recarena.evaluation.believability.card import BadCard
    from recarena.evaluation.competing.manifest import UnreadableCompetition
    from recarena.evaluation.report.content import content_of
    from recarena.evaluation.report.render import render
    from recarena.evaluation.runs.run_log import UnreadableRun

    began = time.monotonic()
    first = folders[0]
    target = out or (first.parent if first.is_file() else first) / "report.html"
    try:
        for folder in folders:
            _check_kind(folder)
        page = render(content_of(*folders, with_people=with_people))
        _write(target, page)
    except (BadCard, OtherReport, UnreadableCompetition, UnreadableRun, Unwritable) as error:
        if as_json:
            sys.stderr.write(json.dumps({"event": "error", "text": str(error)}) + "\n")
        else:
            Console(stderr=True, highlight=False).print(Text(str(error), "red"), soft_wrap=True)
        raise typer.Exit(1) from None
    size, took = len(page.encode()), time.monotonic() - began
    if as_json:
        record = {"event": "report", "file": str(target), "bytes": size, "seconds": round(took, 3)}
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        Console(highlight=False).print(
            Text(f"{target}: {size / 1000:,.0f} kB, in {took:.1f} s"), soft_wrap=True
        )
    if show:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())


def _check_kind(folder: Path) -> None:
    """OtherReport where it is a study of explanations, whose page this one would replace."""
    if (folder / "study.json").is_file() and (folder / "replies.jsonl").is_file():
        raise OtherReport(
            f"{folder} is a study of explanations: its page is {folder / 'report.html'}, and "
            f"recarena explain {folder} makes it again. For a report of its runs name "
            f"{folder / 'runs'}"
        )


def _write(target: Path, page: str) -> None:
    from recarena.evaluation.competing.results import write_whole

    try:
        write_whole(target, page)
    except OSError as error:
        raise Unwritable(
            f"{target} cannot be written ({error.strerror}). Name another file with --out"
        ) from None
