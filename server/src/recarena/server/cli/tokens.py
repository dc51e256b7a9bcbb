"""`recarena token`: tokens given out, listed and taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from recarena.server.cli.output import JSON, console, emit, say

app = typer.Typer(
    no_args_is_help=True,
    help="Give out tokens that a server lets callers in by, and take them back.\n\n"
    "Example: `recarena token new --recommender ease`",
)

File = Annotated[
    Path, typer.Option("--tokens", metavar="FILE", help="The file that the server is given, too.")
]
DEFAULT = Path("recarena-tokens.json")


@app.command("new")
def new(
    recommender: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="For the recommender of this name, to serve its arms."),
    ] = None,
    operator: Annotated[
        str | None, typer.Option(metavar="NAME", help="For somebody who drives and reads runs.")
    ] = None,
    observer: Annotated[
        str | None, typer.Option(metavar="NAME", help="For somebody who only reads.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is valid.")] = 90,
    sessions: Annotated[
        int, typer.Option(min=0, help="Sessions a recommender may hold at once; 0: any number.")
    ] = 2,
    tokens: File = DEFAULT,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Make a token and print it. It is shown this once: the file keeps only a digest of it.

    Example: recarena token new --recommender ease
    """
    from recarena.server.errors import InputError
    from recarena.server.rpc.callers import Role
    from recarena.server.rpc.tokens import TokenFile

    asked = {Role.RECOMMENDER: recommender, Role.OPERATOR: operator, Role.OBSERVER: observer}
    named = [(role, name) for role, name in asked.items() if name is not None]
    if len(named) != 1:
        raise InputError(
            "a token is for one caller",
            remedy="Say --recommender NAME, --operator NAME or --observer NAME",
        )
    (role, name) = named[0]
    secret, token = TokenFile(tokens).new(role, name, timedelta(days=days), sessions)
    if as_json:
        emit({"token": secret, **_shown(token), "file": str(tokens)})
        return
    typer.echo(secret)
    say(
        f"The token {token.id} of {token.role} {token.name}, valid until {token.expires:%Y-%m-%d}. "
        f"It is not shown again. Take it back with recarena token revoke {token.id}"
    )


@app.command("list")
def list_(tokens: File = DEFAULT, as_json: Annotated[bool, JSON] = False) -> None:
    """List the tokens of a file, never their secrets.

    Example: recarena token list
    """
    from rich.table import Table

    from recarena.server.rpc.tokens import TokenFile

    rows = [_shown(token) for token in TokenFile(tokens).tokens()]
    if as_json:
        for row in rows:
            emit(row)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "role", "name", "created", "expires", "state"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row["id"], row["role"], row["name"], row["created"][:10], row["expires"][:10],
            row["state"],
        )  # fmt: skip
    console().print(table)


@app.command("revoke")
def revoke(
    id: Annotated[str, typer.Argument(help="The token's id, as recarena token list shows it.")],
    tokens: File = DEFAULT,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Take a token back. Servers under way end its calls within two seconds.

    Example: recarena token revoke 1f3a09bc
    """
    from recarena.server.rpc.tokens import TokenFile

    token = TokenFile(tokens).revoke(id)
    if as_json:
        emit(_shown(token))
        return
    say(f"The token {token.id} of {token.role} {token.name} opens nothing any more.")


def _shown(token: Any) -> dict[str, Any]:
    """What may be told of a token."""
    return {
        "id": token.id,
        "role": token.role,
        "name": token.name,
        "created": token.created.isoformat(),
        "expires": token.expires.isoformat(),
        "state": token.state(datetime.now(UTC)),
        "max_sessions": token.max_sessions,
    }
