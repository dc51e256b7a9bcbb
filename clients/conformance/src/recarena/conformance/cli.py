"""The `recarena-conformance` program."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recarena.conformance import reporting
from recarena.conformance.case import Case, Outcome
from recarena.conformance.catalog import BadCatalog, built_in, load
from recarena.conformance.playing import play
from recarena.conformance.program import PLACEHOLDER, VARIABLE, NotPlayable
from recarena.conformance.suites import Probe, Suite, Wire
from recarena.conformance.wire.settings import Settings

WRONG_USE, FAILED, INTERRUPTED = 2, 1, 130


class WrongUse(Exception):
    """The command line cannot be obeyed."""


class SuiteName(StrEnum):
    """Which cases."""

    WIRE = "wire"
    PROBE = "probe"


class Encoding(StrEnum):
    """Which form works come in."""

    AUTO = "auto"
    RICH = "rich"


app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"recarena-conformance {metadata.version('recarena-conformance')}")
        raise typer.Exit


@app.command()
def conformance(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- COMMAND...",
            help=f"How the recommender is started; {PLACEHOLDER} in it becomes the server's"
            f" HOST:PORT. Without it the program has to read {VARIABLE}.",
        ),
    ] = None,
    suite: Annotated[
        SuiteName,
        typer.Option(
            help="wire: cases for any recommender. probe: cases for the author of a client,"
            " played with a program that the README describes."
        ),
    ] = SuiteName.WIRE,
    catalog: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Items for a recommender that knows only its own: CSV with the header"
            " item_id,title[,categories,...], or JSON lines.",
        ),
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="Users of the run: u000001 and so on.")] = 100,
    encoding: Annotated[
        Encoding, typer.Option(help="auto: columnar where the program offers it. rich: never.")
    ] = Encoding.AUTO,
    words: Annotated[
        str,
        typer.Option(
            "-k", metavar="WORDS", help="Play cases whose area or name has one of these words."
        ),
    ] = "",
    jobs: Annotated[
        int, typer.Option(min=0, help="Cases to play side by side; 0: one a core.")
    ] = 0,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that any one answer may take.")
    ] = 10.0,
    start_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that the program may take until it dials in.")
    ] = 30.0,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML there.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object in place of the table.")
    ] = False,
    log_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the program's output there, a file for each case."),
    ] = None,
    list_cases: Annotated[bool, typer.Option("--list", help="List the cases and exit.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """See whether a recommender, in any language, does as the contract of RecArena says.

    Example: recarena-conformance -- python my_recommender.py --server {server}

    Example: recarena-conformance --junit report.xml -- ./my-recommender {server}

    Exit code 0: no required case failed; 1: one did; 2: wrong use; 130: stopped.
    """
    settings = Settings(
        command=command or (),
        items=load(catalog) if catalog else built_in(),
        users=users,
        encoding=encoding.value,
        patience=timeout,
        dial_in=start_timeout,
    )
    plays: Suite = Wire(settings) if suite is SuiteName.WIRE else Probe(settings)
    cases = picked(list(plays.cases.values()), words)
    if list_cases:
        return reporting.listing(console(), cases)
    if not command:
        raise WrongUse("no command: recarena-conformance [OPTIONS] -- COMMAND...")
    if junit and not junit.parent.is_dir():
        raise WrongUse(f"--junit {junit}: there is no folder {junit.parent}")
    began = time.monotonic()
    outcomes = performed(plays, cases, jobs or cores(), log_dir)
    took = time.monotonic() - began
    if junit:
        written(junit, reporting.as_junit(suite.value, outcomes, took))
    if as_json:
        value = reporting.as_json(suite.value, command, outcomes, took)
        typer.echo(json.dumps(value, ensure_ascii=False))
    else:
        reporting.show(console(), outcomes, took, logs=log_dir is not None)
    raise typer.Exit(FAILED if any(one.is_failure for one in outcomes) else 0)


def picked(cases: Sequence[Case], words: str) -> list[Case]:
    """The cases whose area or name has one of the words. WrongUse where none has."""
    wanted = words.replace(",", " ").lower().split()
    found = [
        case
        for case in cases
        if not wanted or any(word in f"{case.area} {case.name}".lower() for word in wanted)
    ]
    if not found:
        raise WrongUse(f"-k {words!r} picks none of the {len(cases)} cases; --list shows them")
    return found


def performed(
    suite: Suite, cases: Sequence[Case], jobs: int, log_dir: Path | None
) -> list[Outcome]:
    """The outcomes, with a line of progress on a terminal's stderr."""
    with log_folder(log_dir) as logs, Console(stderr=True).status("starting the program") as status:
        done = 0

        def told(_: Outcome) -> None:
            nonlocal done
            done += 1
            status.update(f"{done} of {len(cases)} cases")

        async def until_told_to_stop() -> list[Outcome]:
            task, loop = asyncio.current_task(), asyncio.get_running_loop()
            assert task is not None
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, task.cancel)
            return await play(suite, cases, jobs=jobs, logs=logs, told=told)

        # gRPC logs a stream that ends with its server as an error, with a traceback.
        logging.getLogger("grpc._cython.cygrpc").setLevel(logging.CRITICAL)
        return asyncio.run(until_told_to_stop())


@contextlib.contextmanager
def log_folder(asked: Path | None) -> Generator[Path]:
    """Where the program's output goes; a folder that nobody asked for is gone afterwards."""
    if asked is None:
        with tempfile.TemporaryDirectory(prefix="recarena-conformance-") as folder:
            yield Path(folder)
        return
    try:
        asked.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"--log-dir {asked}: {error.strerror}") from None
    yield asked


def written(path: Path, content: bytes) -> None:
    """Writes a report. WrongUse where that cannot be."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise WrongUse(f"--junit {path}: {error.strerror}") from None


def console() -> Console:
    """Where tables go: as wide as the terminal, and wide enough where there is none."""
    found = Console(highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = max(found.width, reporting.NARROWEST)
    return found


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Runs the program. What is wrong with its use is told on stderr, with exit code 2."""
    # gRPC's own notes on stderr would say of the program's faults what the cases say better.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        app()
    except (WrongUse, BadCatalog, NotPlayable) as error:
        typer.echo(f"recarena-conformance: {reporting.plain(str(error))}", err=True)
        sys.exit(WRONG_USE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("recarena-conformance: stopped before the end", err=True)
        sys.exit(INTERRUPTED)
