"""The command `recarena-bridge`: serve an HTTP recommender to RecArena by a mapping."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Generator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from recarena.bridge.errors import BridgeError, MappingError, ServiceFailed, nearest
from recarena.bridge.loading import Loaded, load, shipped
from recarena.options import (
    add_connection_options,
    check_connection,
    connection_of,
)

if TYPE_CHECKING:
    from recarena.v1.session_pb2 import Capability

WRONG_USE = 2
FAILED = 1
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Exits with 0 when it left in good order (Ctrl-C while serving is one), 1 when the server
    refused or was out of reach for --retry-for, or --try got no good answer, 2 for a wrong command
    line or mapping. One line on stderr says why.
    """
    parser = command()
    given = parser.parse_args(arguments)
    try:
        return done(parser, given)
    except MappingError as error:
        sys.stderr.write(f"recarena-bridge: {error}\n")
        return WRONG_USE
    except KeyboardInterrupt:
        return INTERRUPTED


def command() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="recarena-bridge",
        description="Serve an HTTP recommender to a RecArena server, as a TOML mapping says.",
        epilog="example: recarena-bridge --mapping gorse --set base_url=http://127.0.0.1:8087 "
        "--server 127.0.0.1:7788 --id gorse",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", nargs="?", metavar="MAPPING.toml", type=Path, help="says how the service is asked")
    add("--mapping", metavar="NAME", help="a mapping that comes with the bridge, see --list")
    add(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="in place of what the mapping says, for example base_url=http://host:8087; repeatable",
    )
    add("--list", action="store_true", help="name the mappings that come with the bridge")
    add("--show", metavar="NAME", help="print one of them, to be copied")
    add("--check", action="store_true", help="look whether the mapping can be used, and leave")
    add("--try", action="store_true", dest="tries", help="with --check: also ask the service once")
    add(
        "--user", metavar="ID", default="u000000", help="whom --try asks for (default: %(default)s)"
    )
    add(
        "--text", metavar="WORDS", default="love", help="what --try searches (default: %(default)s)"
    )
    add_connection_options(parser)
    add(
        "--id",
        metavar="ID",
        help="the name by which arms ask for it (default: that of the mapping)",
    )
    add("--version", action="version", version=f"%(prog)s {version('recarena-bridge')}")
    return parser


def done(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    """Does what the options ask for; the exit code."""
    if given.list:
        for name, text in shipped().items():
            sys.stdout.write(f"{name:10} {text.splitlines()[0].lstrip('# ')}\n")
        return 0
    if given.show:
        sys.stdout.write(text_of(given.show))
        return 0
    if bool(given.file) == bool(given.mapping):
        parser.error("which mapping? a file, or --mapping NAME (--list names those there are)")
    check_connection(parser, given)
    if given.tries and not given.check:
        parser.error("--try goes with --check")
    loaded = the_mapping(given)
    if given.check:
        return checked(loaded, given)
    return served(loaded, given)


def text_of(name: str) -> str:
    """The text of a mapping that comes with the bridge."""
    known = shipped()
    if name not in known:
        raise MappingError(f"there is no mapping {name!r}{nearest(name, known)}")
    return known[name]


def the_mapping(given: argparse.Namespace) -> Loaded:
    """The mapping that the options name."""
    if given.mapping:
        text, where, folder = text_of(given.mapping), given.mapping, Path()
    else:
        try:
            text = given.file.read_text("utf-8")
        except OSError as error:
            raise MappingError(f"{given.file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise MappingError(f"{given.file}: not UTF-8 text; save it as UTF-8") from None
        where, folder = str(given.file), given.file.parent
    return load(text, where, folder, given.set, os.environ)


def checked(loaded: Loaded, given: argparse.Namespace) -> int:
    """Says what the mapping does, and with --try what the service answers."""
    from recarena.bridge.trying import Sample, attempt

    def say(line: str) -> None:
        sys.stdout.write(f"{loaded.hidden(line)}\n")

    mapping = loaded.mapping
    tables = [name for name in type(mapping).model_fields if name in TABLES]
    uses = [f"[{name}]" for name in tables if getattr(mapping, name) is not None]
    say(f"{loaded.where}: good; it asks {mapping.base_url} by {', '.join(uses)}")
    if not given.tries:
        return 0
    try:
        asyncio.run(attempt(loaded, Sample(given.user, given.text), say))
    except ServiceFailed as failed:
        sys.stderr.write(loaded.hidden(f"recarena-bridge: {loaded.where}: {failed}\n"))
        return FAILED
    return 0


TABLES = ("rank", "batch", "search", "feedback", "items", "users", "reset", "train")


def served(loaded: Loaded, given: argparse.Namespace) -> int:
    """Serves until it is over; the exit code."""
    from recarena.bridge.recommender import Bridge
    from recarena.client import ClientError, serve

    mapping = loaded.mapping
    name = given.id or given.mapping or given.file.stem
    try:
        with log_to_stderr(loaded):
            serve(
                lambda: Bridge(loaded),
                name,
                **connection_of(given),
                encoding="rich",
                software_version=version("recarena-bridge"),
                max_users_per_work=mapping.users_per_work,
                capabilities=capabilities(loaded),
            )
    except ClientError as error:
        sys.stderr.write(f"recarena-bridge: {error}\n")
        return FAILED
    return 0


def capabilities(loaded: Loaded) -> list[Capability.ValueType]:
    """What the mapping lets the bridge offer."""
    from recarena.client import Capability

    offered: list[Capability.ValueType] = [Capability.CAPABILITY_RANK]
    if loaded.mapping.search is not None:
        offered.append(Capability.CAPABILITY_SEARCH)
    if loaded.mapping.explains:
        offered.append(Capability.CAPABILITY_EXPLAIN)
    return offered


@contextlib.contextmanager
def log_to_stderr(loaded: Loaded) -> Generator[None]:
    """Shows the log of the SDK and the bridge, without secrets."""

    def plain(record: logging.LogRecord) -> bool:
        # A service that failed is no fault of the program: its line says all.
        if record.exc_info and isinstance(record.exc_info[1], BridgeError):
            record.exc_info = None
        record.msg, record.args = loaded.hidden(record.getMessage()), ()
        return True

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    handler.addFilter(plain)
    logger = logging.getLogger("recarena")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


if __name__ == "__main__":
    sys.exit(main())
