"""`recarena doctor`: looks whether a server would work here, and says what to do where not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recarena.server.cli.output import JSON, console, emit

if TYPE_CHECKING:
    from recarena.server.cli.checks import Finding

STYLES = {"ok": "green", "note": "cyan", "warn": "yellow", "FAIL": "bold red"}


def doctor(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where a server is to listen.")
    ] = "127.0.0.1:7788",
    runs: Annotated[Path, typer.Option(help="Folder of the run folders.")] = Path("runs"),
    tls_cert: Annotated[Path | None, typer.Option(help="The server's certificate.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="The authority that clients' certificates come from.")
    ] = None,
    tokens: Annotated[Path | None, typer.Option(help="File of tokens.")] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where metrics are to be served.")
    ] = None,
    llm: Annotated[bool, typer.Option("--llm", help="Whether runs are to have LLM minds.")] = False,
    llm_url: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Server of models; repeatable.")
    ] = None,
    llm_recordings: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Run folders with recorded calls.")
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Look whether a server would work here; say what to do where not. Changes nothing.

    Takes the options that recarena serve takes. Exit code 1 where anything has failed.

    Example: recarena doctor --listen 127.0.0.1:7788 --runs runs
    """
    failed = False
    table: list[Finding] = []
    asked = (listen, runs, tls_cert, tls_key, client_ca, tokens, metrics, llm, llm_url or ())
    for finding in findings(*asked, llm_recordings):
        failed = failed or finding.level == "FAIL"
        if as_json:
            emit(
                {
                    "check": finding.name,
                    "level": str(finding.level),
                    "text": finding.text,
                    "remedy": finding.remedy,
                }
            )
        table.append(finding)
    if not as_json:
        _show(table)
    raise typer.Exit(1 if failed else 0)


def findings(
    listen: str,
    runs: Path,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    client_ca: Path | None = None,
    tokens: Path | None = None,
    metrics: str | None = None,
    llm: bool = False,
    llm_urls: Sequence[str] = (),
    llm_recordings: Path | None = None,
) -> Iterator[Finding]:
    """All findings, in order. Where the packages do not fit, the rest could not even be loaded."""
    from recarena.server.cli.checks import Level, installed

    first = [installed.python_version(), installed.own_packages()]
    first += [installed.dependencies(), installed.generated_code()]
    yield from first
    yield from installed.extras()
    if any(one.level is Level.FAIL for one in first):
        return
    from recarena.server.cli.checks import addresses, folders, machine, models, secrets

    yield machine.clock()
    yield machine.open_files()
    yield addresses.can_be_bound("--listen", listen)
    callers = tokens is not None or client_ca is not None
    yield addresses.is_guarded(listen, tls=tls_cert is not None, callers=callers)
    if metrics:
        yield addresses.can_be_bound("--metrics", metrics)
    yield from secrets.certificates(tls_cert, tls_key, client_ca, listen)
    yield from secrets.tokens(tokens)
    yield from models.minds(llm=llm, urls=llm_urls)
    if llm_recordings:
        yield models.recordings(llm_recordings)
    yield folders.runs_folder(runs)
    yield folders.disk_space(runs)
    yield from folders.run_folders(runs)
    yield machine.loopback()


def _show(found: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for finding in found:
        level = str(finding.level)
        # As Text: brackets in it are no markup.
        table.add_row(Text(level, STYLES[level]), Text(finding.name), Text(finding.text))
        if finding.remedy:
            table.add_row("", "", Text(f"→ {finding.remedy}", "dim"))
    out = console()
    out.print(table)
    levels = [str(finding.level) for finding in found]
    failed, warned = levels.count("FAIL"), levels.count("warn")
    out.print(
        f"{failed} failed, {warned} to look at."
        if failed or warned
        else "All is well: recarena serve would work here."
    )
