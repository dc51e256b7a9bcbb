"""`recarena competition`: host a competition, take part in one, and check it afterwards."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Host a competition in hidden worlds, or take part in one.\n\n"
    "Example: `recarena competition new my-competition`",
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Config = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="The competition's settings.")
]
Server = Annotated[
    str, typer.Option(metavar="URL", help="The competition server.", envvar="RECARENA_COMPETITION")
]
Token = Annotated[
    str,
    typer.Option(
        metavar="TOKEN",
        help="Your token; better in RECARENA_TOKEN, which other users of the machine do not see.",
        envvar="RECARENA_TOKEN",
        show_envvar=False,
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option("--tls-ca", metavar="PEM", help="The authority behind its certificate."),
]
DEFAULT_CONFIG = Path("competition.toml")
DEFAULT_SERVER = "http://127.0.0.1:8080"


@app.command("new")
def new(
    folder: Annotated[Path, typer.Argument(help="Where to write competition.toml.")],
    as_json: Json = False,
) -> None:
    """Write a competition.toml to start from, every setting explained.

    Example: recarena competition new my-competition
    """

    def act() -> None:
        from recarena.evaluation.hosting.config import write_template

        file = write_template(folder)
        if as_json:
            _emit("written", file=str(file))
        else:
            typer.echo(
                f"{file} is written. Look through it, then:\n"
                f"  recarena competition serve --config {file}"
            )

    _finished(act, as_json)


@app.command("serve")
def serve(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Host the competition until Ctrl-C; started again it goes on where it was.

    Example: recarena competition serve --config competition.toml
    """

    def act() -> None:
        import asyncio

        from recarena.evaluation.hosting.config import load
        from recarena.evaluation.hosting.serving import Serving
        from recarena.evaluation.hosting.serving import serve as host
        from recarena.evaluation.playing.processes import Interrupted

        def announce(told: Serving) -> None:
            if as_json:
                _emit(
                    "serving", http=told.http, grpc=told.grpc, commitment=told.commitment,
                    season=told.season,
                )  # fmt: skip
                return
            typer.echo(
                f"Season {told.season} is on at {told.http}; recommenders dial in to {told.grpc}.\n"
                f"Commitment: {told.commitment}\n"
                "Publish it now, where nobody can change it. Ctrl-C stops; what is played then "
                "goes on at the next start."
            )

        def say(line: str) -> None:
            if as_json:
                _emit("note", text=line)
            else:
                typer.echo(line, err=True)

        try:
            asyncio.run(host(load(config), announce, say))
        except Interrupted:
            say("Stopped. Submissions under way go on when the season is served again.")

    _finished(act, as_json)


@app.command("submit")
def submit(
    server: Server = DEFAULT_SERVER,
    track: Annotated[
        str, typer.Option(help="hidden, which counts; or practice, in public worlds.")
    ] = "hidden",
    version: Annotated[
        str, typer.Option(help="What to call this version of your recommender.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, and say it.")] = False,
    token: Token = "",
    tls_ca: Ca = None,
    as_json: Json = False,
) -> None:
    """Submit your recommender, which must be running and dialled in. RECARENA_TOKEN says whose.

    Example: recarena competition submit --server http://127.0.0.1:8080 --track practice --wait
    """

    def act() -> None:
        client = _client(server, token, tls_ca, needs_token=True)
        one = client.post("/api/submissions", {"track": track, "version": version})
        if wait:
            one = _waited(client, one, as_json)
        _show(one, as_json)

    _finished(act, as_json)


@app.command("status")
def status(
    id: Annotated[str, typer.Argument(help="The submission, such as s00012.")],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    tls_ca: Ca = None,
    as_json: Json = False,
) -> None:
    """Say how a submission of yours stands, and what went wrong.

    Example: recarena competition status s00012 --server http://127.0.0.1:8080
    """

    def act() -> None:
        _show(_client(server, token, tls_ca, needs_token=True).submission(id), as_json)

    _finished(act, as_json)


@app.command("cancel")
def cancel(
    id: Annotated[str, typer.Argument(help="The submission, such as s00012.")],
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    tls_ca: Ca = None,
    as_json: Json = False,
) -> None:
    """End a submission of yours; with an operator's token, anybody's.

    Example: recarena competition cancel s00012 --server http://127.0.0.1:8080
    """

    def act() -> None:
        from urllib.parse import quote

        client = _client(server, token, tls_ca, needs_token=True)
        _show(client.post(f"/api/submissions/{quote(id, safe='')}/cancel"), as_json)

    _finished(act, as_json)


@app.command("leaderboard")
def leaderboard(server: Server = DEFAULT_SERVER, tls_ca: Ca = None, as_json: Json = False) -> None:
    """Show the leaderboard of a competition server. No token is needed.

    Example: recarena competition leaderboard --server http://127.0.0.1:8080
    """

    def act() -> None:
        client = _client(server, "", tls_ca, needs_token=False)
        about, board = client.get("/api/competition"), client.get("/api/leaderboard")
        if as_json:
            for row in board["rows"]:
                _emit("row", **row)
            _emit("notes", notes=board["notes"], commitment=about["commitment"])
            return
        from recarena.evaluation.hosting.shown import board_table

        _print(board_table(about, board))
        for note in board["notes"]:
            typer.echo(note)

    _finished(act, as_json)


@app.command("reveal")
def reveal(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Close the season: publish seed and salt, and everything that was played, to be checked.

    Example: recarena competition reveal --config competition.toml
    """

    def act() -> None:
        from recarena.evaluation.hosting.config import load
        from recarena.evaluation.hosting.reveal import reveal as publish

        place = publish(load(config))
        if as_json:
            _emit("revealed", folder=str(place))
            return
        typer.echo(
            f"The season is over. {place} is for everybody; a server that is running shows seed "
            "and salt from now on. Next:\n"
            f"  recarena competition verify {place / 'reveal.json'} --commitment …\n"
            f"  recarena report {place}\n"
            f"  recarena reproduce {place}"
        )

    _finished(act, as_json)


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="reveal.json", help="What was revealed.")],
    commitment: Annotated[
        str, typer.Option(metavar="SHA256", help="What was published before the season.")
    ],
    base_world: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The world that was disguised.")
    ] = None,
    worlds: Annotated[
        bool, typer.Option("--worlds/--no-worlds", help="Make the hidden worlds again.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Check that a season was played in the worlds that its organiser had committed to.

    Example: recarena competition verify reveal.json --commitment 6308f6e2…
    """

    async def checks() -> bool:
        from recarena.evaluation.hosting.verify import verify as check

        fine = True
        async for one in check(file, commitment, base_world, worlds):
            fine = fine and one.fine
            if as_json:
                _emit("check", what=one.what, fine=one.fine, text=one.text)
            else:
                typer.echo(f"{'ok  ' if one.fine else 'FAIL'}  {one.what}: {one.text}")
        return fine

    def act() -> None:
        import asyncio

        if not asyncio.run(checks()):
            raise typer.Exit(1)

    _finished(act, as_json)


def _client(server: str, token: str, ca: Path | None, needs_token: bool) -> Any:
    from recarena.evaluation.hosting.client import Client
    from recarena.evaluation.hosting.settings import BadCompetition

    if needs_token and not token:
        raise BadCompetition(
            "no token: put the one that the organiser gave you into the variable RECARENA_TOKEN"
        )
    return Client(server, token, ca)


def _waited(client: Any, one: dict[str, Any], as_json: bool) -> dict[str, Any]:
    """The submission when it has ended; how far it is meanwhile goes to stderr."""
    import time

    from recarena.evaluation.hosting.shown import progress

    said = ""
    while one["status"] in ("queued", "playing"):
        line = progress(one)
        if line != said:
            said = line
            if as_json:
                _emit("progress", text=line, id=one["id"])
            else:
                typer.echo(line, err=True)
        time.sleep(1.0)
        one = client.submission(one["id"])
    return one


def _show(one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _emit("submission", **one)
        return
    from recarena.evaluation.hosting.shown import submission_lines

    for line in submission_lines(one):
        typer.echo(line)


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.width = min(console.width, 110) if console.is_terminal else 110
    console.print(table)


def _emit(event: str, **values: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _finished(act: Callable[[], None], as_json: bool) -> None:
    """Acts; what a user can mend is one line, and exit code 1."""
    from recarena.evaluation.hosting.settings import BadCompetition
    from recarena.evaluation.playing.stage import EXPECTED

    try:
        act()
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        raise
    except (BadCompetition, *EXPECTED) as error:
        if as_json:
            _emit("error", message=str(error))
        else:
            typer.echo(f"recarena: {error}", err=True)
        raise typer.Exit(1) from None
