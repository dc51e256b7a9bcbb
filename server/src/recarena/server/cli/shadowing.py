"""`recarena shadow`: another recommender is asked what a recorded one was asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recarena.server.cli.output import JSON, set_up_logging


def shadow(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the recorded run.")],
    recommender: Annotated[
        str,
        typer.Option(
            "--recommender", "-r", metavar="NAME[=COMMAND]",
            help="The shadow: a reference recommender, or a program of yours ({server}: the "
            "address); one is started for each arm.",
        ),
    ] = "",
    remote: Annotated[
        str,
        typer.Option(metavar="NAME", help="Wait for a shadow that dials in by this name."),
    ] = "",
    arm: Annotated[
        list[str] | None,
        typer.Option(help="Only this arm's requests; may be given several times. Default: all."),
    ] = None,
    rounds: Annotated[
        str,
        typer.Option(
            metavar="N|A:B",
            help="Compare the first N rounds, or rounds A to B; earlier ones are told as past.",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Write each list: FILE.parquet, FILE.jsonl, or a new folder for lists and "
            "comparison.",
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for the shadow.")
    ] = 300.0,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where it dials in; port 0: any free one.")
    ] = "127.0.0.1:0",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen without TLS off loopback.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:  # fmt: skip
    """Ask another recommender what a recorded run asked, and compare lists and latency.

    No user sees its lists, no model is asked, and the run is not changed. Ctrl-C ends with what was
    compared so far.

    Example: recarena shadow runs/films-1 -r ease
    """
    import re

    from recarena.server.cli.programs import command_of, words_of
    from recarena.server.cli.serving import refuse_open_plaintext
    from recarena.server.cli.shadow_lists import Target
    from recarena.server.cli.shadow_stage import Staging, stage
    from recarena.server.config import NAME
    from recarena.server.errors import InputError
    from recarena.server.shadowing import plan_of
    from recarena.server.store.run_folder import RunFolder

    set_up_logging("warning", as_json)
    refuse_open_plaintext(listen, insecure)
    if bool(recommender) == bool(remote):
        raise InputError(
            "two shadows are named" if remote else "no shadow is named",
            where="--recommender, --remote",
            remedy="Say either --recommender popular, or --remote NAME for one that dials in",
        )
    name, command = command_of(recommender) if recommender else (remote, None)
    if not re.fullmatch(NAME, name):
        raise InputError(
            f"{name!r} is no name of a recommender",
            where="--recommender" if recommender else "--remote",
            remedy="A name has 1 to 63 of a-z, 0-9, '.', '_', '-'",
        )
    if command:
        words_of(command)
    plan = plan_of(RunFolder.open(folder), name, arm or (), rounds)
    target = Target.checked(out, folder) if out else None
    raise typer.Exit(stage(plan, Staging(command, listen, wait, target, as_json)))
