"""Options that any recommender's command line has: where the server is, and how to be let in.

parser = argparse.ArgumentParser()
add_connection_options(parser)
given = parser.parse_args()
check_connection(parser, given)
serve(Mine, "mine", **connection_of(given))
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from grpc import ChannelCredentials

TOKEN = "RECARENA_TOKEN"
"""Where the token is looked for: other users of the machine see a command line."""


class Connection(TypedDict):
    """Options of `serve`."""

    server: str
    sessions: int
    once: bool
    retry_for: float | None
    token: str | None
    credentials: ChannelCredentials | None


def add_connection_options(parser: argparse.ArgumentParser, server: str = "127.0.0.1:7788") -> None:
    """Adds --server, --sessions, --once, --retry-for, --token, --tls, --tls-ca, --tls-cert and
    --tls-key. The token is taken from the environment variable RECARENA_TOKEN where it is not
    given."""
    add = parser.add_argument
    add("--server", metavar="HOST:PORT", default=server, help="default: %(default)s")
    add(
        "--sessions",
        metavar="N",
        type=at_least_one,
        default=1,
        help="runs to serve at the same time (default: 1)",
    )
    add("--once", action="store_true", help="leave when one run (a session) is over")
    add(
        "--retry-for",
        metavar="SECONDS",
        type=seconds,
        help="give up after so long without a connection to the server (default: never)",
    )
    add(
        "--token",
        metavar="TOKEN",
        default=os.environ.get(TOKEN) or None,
        help=f"sent with every call, where the server wants one (default: ${TOKEN})",
    )
    add("--tls", action="store_true", help="speak TLS, and trust the authorities of the system")
    add("--tls-ca", metavar="PEM", type=Path, help="speak TLS, and trust this authority alone")
    add("--tls-cert", metavar="PEM", type=Path, help="the certificate to show, and its chain")
    add("--tls-key", metavar="PEM", type=Path, help="the key of that certificate")


def check_connection(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Ends the program with 2 and a line where the options do not go together."""
    if bool(given.tls_cert) != bool(given.tls_key):
        there, missing = ("cert", "key") if given.tls_cert else ("key", "cert")
        parser.error(f"--tls-{there} needs --tls-{missing}")


def connection_of(given: argparse.Namespace) -> Connection:
    """What the options say, for `serve`. BadCredentials for files that are none."""
    credentials: ChannelCredentials | None = None
    if given.tls or given.tls_ca or given.tls_cert:
        from recarena.client.credentials import tls

        credentials = tls(given.tls_ca, given.tls_cert, given.tls_key)
    return Connection(
        server=given.server,
        sessions=given.sessions,
        once=given.once,
        retry_for=given.retry_for,
        token=given.token,
        credentials=credentials,
    )


def at_least_one(text: str) -> int:
    """A number of sessions."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return number


def seconds(text: str) -> float:
    """A time that is not negative."""
    number = float(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError("0 or more is needed")
    return number
