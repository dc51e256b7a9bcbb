"""`recarena serve`: a server that operators drive over gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recarena.server.cli.output import JSON, set_up_logging

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def serve(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0: any free one.")
    ] = "127.0.0.1:7788",
    runs: Annotated[Path, typer.Option(help="Folder of the run folders.")] = Path("runs"),
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen without TLS off loopback.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Host runs. Recommenders dial in; operators create and start runs over gRPC.

    Ctrl-C pauses live runs at their last committed round.

    Example: recarena serve --listen 127.0.0.1:7788 --runs runs
    """
    set_up_logging("debug" if verbose else "info", as_json)
    refuse_open_plaintext(listen, insecure)
    from recarena.server.cli.hosting import host

    host(runs, listen, as_json)


def refuse_open_plaintext(listen: str, insecure: bool) -> None:
    """InputError for a plaintext address that others can reach, unless that was asked for."""
    from recarena.server.errors import InputError

    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InputError(
            f"{listen!r} is no HOST:PORT", where="--listen", remedy="For example 127.0.0.1:7788"
        )
    if host not in LOOPBACK and not insecure:
        raise InputError(
            f"{host} can be reached from outside, and there is no TLS yet",
            where="--listen",
            remedy="Listen on 127.0.0.1, or say --insecure",
        )
