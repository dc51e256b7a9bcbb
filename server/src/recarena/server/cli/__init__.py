"""The `recarena` program. Commands import what they need when they run: `--help` stays quick."""

from __future__ import annotations

import os
import sys
from importlib import metadata

import typer

from recarena.server.cli import (
    doctor,
    interviewing,
    playing,
    reading,
    recalling,
    remembering,
    serving,
    shadowing,
    tokens,
    worlds,
)

app = typer.Typer(
    name="recarena",
    help="RecArena: where recommender systems meet simulated users.\n\n"
    "Start with recarena demo. Users are simulated; by default by a choice model, not a language "
    "model.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"recarena {metadata.version('recarena-server')}")
        raise typer.Exit


@app.callback()
def _program(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


worlds.app.command("recall")(recalling.recall)
app.add_typer(worlds.app, name="world")
app.add_typer(tokens.app, name="token")
app.command("serve")(serving.serve)
app.command("doctor")(doctor.doctor)
app.command("run")(playing.run)
app.command("resume")(playing.resume)
app.command("fork")(reading.fork)
app.command("show")(reading.show)
app.command("memory")(remembering.memory)
app.command("interview")(interviewing.interview)
app.command("log")(reading.log)
app.command("digest")(reading.digest)
app.command("export")(reading.export)
app.command("shadow")(shadowing.shadow)

for _command in metadata.entry_points(group="recarena.commands"):
    try:
        _loaded = _command.load()
    except ModuleNotFoundError as _missing:
        if not str(_missing.name).startswith("recarena."):
            raise
        sys.exit(
            f"recarena: {_command.name} was installed from another version of the code "
            f"({_missing.name} is not there). Run `make setup`"
        )
    if isinstance(_loaded, typer.Typer):
        app.add_typer(_loaded, name=_command.name)
    else:
        app.command(_command.name)(_loaded)


def main() -> None:
    """Runs the program. Errors of the product are one line on stderr and exit code 1."""
    from recarena.server.errors import RecArenaError

    # gRPC's own notes on stderr say less than our errors and come before them.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        app()
    except RecArenaError as error:
        typer.echo(f"recarena: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
