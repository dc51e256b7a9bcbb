"""`recarena observatory`: the page where one watches runs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    import socket

    from recarena.observatory.guard import Doors
    from recarena.observatory.output import Output
    from recarena.observatory.upstream import Access

TOKEN = "RECARENA_TOKEN"
"""Where the token is looked for: other users of the machine see a command line."""


def command(
    server: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where recarena serve or recarena run listens.")
    ] = "127.0.0.1:7788",
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to serve the page; 0: any free port.")
    ] = "127.0.0.1:0",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser of this machine.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show runs, and change nothing.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The token that the RecArena server wants; without it $RECARENA_TOKEN.",
        ),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS, and trust the authorities of the system.")
    ] = False,
    tls_ca: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Speak TLS, and trust this authority alone.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="PEM", help="The certificate to show, and its chain.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="The key of that certificate.")
    ] = None,
    public_url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="By which a proxy is asked for the page, which has TLS; repeatable."
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Serve the page off loopback, in the clear.")
    ] = False,
    run: Annotated[
        str, typer.Option("--run", metavar="RUN", help="With --bundle: the run to write down.")
    ] = "",
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the run's pages as files that open from disk, and end."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Watch runs in a browser: live or again, steer them, play their users.

    The address that is printed has a token in it: whoever opens it is let in. Ctrl-C ends the page;
    the runs go on.

    Example: recarena observatory --server 127.0.0.1:7788 --open
    """
    from recarena.observatory.output import Output

    output = Output(as_json)
    access = _access(server, token_file, tls or bool(tls_cert), (tls_ca, tls_cert, tls_key))
    if bundle is not None or run:
        if bundle is None or not run:
            fail("--bundle DIR and --run RUN go together")
        _export(access, run, bundle, output)
        return
    _serve(access, listen, output, open_browser=open_browser, read_only=read_only,
           public=tuple(public_url or ()), insecure=insecure)  # fmt: skip


def _serve(
    access: Access, listen: str, output: Output, *, open_browser: bool, read_only: bool,
    public: tuple[str, ...], insecure: bool,
) -> None:  # fmt: skip
    from recarena.observatory.guard import origin_of
    from recarena.observatory.serving import Serving, serve
    from recarena.observatory.upstream import NotLetIn

    for one in public:
        try:
            origin_of(one)
        except ValueError:
            fail(f"--public-url: {one!r} is no address. For example https://arena.example.org")
    with _door(listen, insecure) as door:

        def announce(doors: Doors) -> None:
            address = output.serving(doors, access.address, read_only=read_only)
            if open_browser:
                import webbrowser

                webbrowser.open(address)

        try:
            asyncio.run(
                serve(
                    Serving(access, door, public, read_only),
                    announce,
                    lambda: output.waiting(access.address),
                    output.refused,
                )
            )
        except NotLetIn as error:
            fail(str(error))


def _export(access: Access, run: str, folder: Path, output: Output) -> None:
    from recarena.observatory.bundle import CannotExport, Contents, export
    from recarena.observatory.joining import CannotJoin
    from recarena.observatory.serving import knocked
    from recarena.observatory.upstream import NotLetIn, Upstream

    async def act() -> Contents:
        upstream = Upstream(access)
        try:
            await knocked(upstream, lambda: output.waiting(access.address))
            return await export(upstream, run, folder, output.progress)
        finally:
            await upstream.close()

    try:
        output.exported(asyncio.run(act()), run)
    except (NotLetIn, CannotExport, CannotJoin) as error:
        fail(str(error))


def _access(
    server: str,
    token_file: Path | None,
    tls: bool,
    files: tuple[Path | None, Path | None, Path | None],
) -> Access:
    from recarena.client import BadCredentials
    from recarena.client import tls as credentials_of
    from recarena.observatory.upstream import Access

    _address(server, "--server")
    token = os.environ.get(TOKEN, "").strip()
    if token_file is not None:
        try:
            token = token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            fail(f"--token-file: {token_file} cannot be read: {why}")
        if not token or any(c.isspace() for c in token):
            fail(f"--token-file: {token_file} does not hold one token in one line")
    if not (token.isascii() and token.isprintable()):
        fail(
            f"{'--token-file' if token_file else f'${TOKEN}'}: a token is made of plain letters, "
            "digits and signs, and this one has others in it. Give the one that recarena token "
            f"new printed, with --token-file or ${TOKEN}"
        )
    try:
        credentials = credentials_of(*files) if tls or any(files) else None
    except BadCredentials as error:
        fail(str(error))
    return Access(server, token, credentials)


def _door(listen: str, insecure: bool) -> socket.socket:
    """A socket that is bound to an address."""
    import ipaddress
    import socket

    host, port = _address(listen, "--listen")
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not insecure:
        fail(
            f"--listen: {host} can be reached from outside, and the page is served in the clear. "
            "Listen on 127.0.0.1 and put a proxy with TLS before it (--public-url), or say "
            "--insecure"
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        fail(f"--listen: there is no host {host}")
    door = socket.socket(found[0], socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(found[4])
        door.listen(128)
    except OSError as error:
        door.close()
        remedy = "Take another port, or 0 for any free one"
        fail(f"--listen: cannot listen on {listen}: {error.strerror}. {remedy}")
    return door


def _address(text: str, option: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdecimal() and int(port) <= 65535):
        fail(f"{option}: {text!r} is no HOST:PORT. For example 127.0.0.1:7788")
    return host, int(port)


def fail(text: str) -> NoReturn:
    """Ends the program with a line on stderr."""
    typer.echo(f"recarena: {text}", err=True)
    sys.exit(1)
