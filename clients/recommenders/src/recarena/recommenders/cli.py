"""The command `recarena-recommender`: serve one of the reference recommenders."""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from recarena.options import (
    add_connection_options,
    check_connection,
    connection_of,
)
from recarena.recommenders.choosing import chosen
from recarena.recommenders.model_options import Unusable, WrongOption, add_model_options
from recarena.recommenders.roster import ROSTER, Entry, Options

if TYPE_CHECKING:
    from recarena.client import RecommenderFailed
    from recarena.v1.session_pb2 import Capability

WRONG_USE = 2
FAILED = 1
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Exits with 0 when it left in good order (Ctrl-C while serving is one), 1 when the server
    refused, was out of reach for --retry-for, or the recommender failed, 2 for a wrong command
    line. One line on stderr says why.
    """
    parser = command()
    given = parser.parse_args(arguments)
    if given.list:
        width = max(map(len, ROSTER))
        sys.stdout.writelines(f"{name:{width}}  {one.summary}\n" for name, one in ROSTER.items())
        return 0
    if given.name is None:
        parser.error("which recommender? --list shows them")
    entry = ROSTER.get(given.name)
    if entry is None:
        parser.error(unknown(given.name))
    try:
        options = chosen(given, entry, os.environ)
    except WrongOption as error:
        parser.error(str(error))
    except Unusable as error:
        sys.stderr.write(f"recarena-recommender: {error}\n")
        return FAILED
    check_connection(parser, given)
    try:
        return served(entry, options, given)
    except KeyboardInterrupt:
        return INTERRUPTED


def command() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="recarena-recommender",
        description="Serve a reference recommender to a RecArena server, run after run.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help=", ".join(ROSTER))
    add("--list", action="store_true", help="say what each of them is, and leave")
    add_connection_options(parser)
    add("--id", metavar="ID", help="the name by which arms ask for it (default: NAME)")
    add(
        "--encoding",
        choices=("auto", "rich", "columnar"),
        default="auto",
        help="auto: columnar where the server knows it and the arm wants no explanations",
    )
    add("--seed", metavar="N", type=int, default=0, help="of random and bandit (default: 0)")
    add("--world", metavar="DIR", type=Path, help="the world folder that oracle reads")
    add(
        "--state",
        metavar="DIR",
        type=Path,
        help="keep what is learned in files of this folder, from one start and run to the next",
    )
    add_model_options(parser)
    add("--no-search", action="store_true", help="do not offer search")
    add("--version", action="version", version=f"%(prog)s {version('recarena-recommenders')}")
    return parser


def unknown(name: str) -> str:
    """What to say to a name that no recommender has."""
    near = difflib.get_close_matches(name, ROSTER, 1, 0.4)
    guess = f" Did you mean {near[0]}?" if near else ""
    return f"there is no recommender {name!r}.{guess} There are: {', '.join(ROSTER)}"


def served(entry: Entry, options: Options, given: argparse.Namespace) -> int:
    """Serves until it is over; the exit code."""
    from recarena.client import ClientError, serve

    factory = entry.factory(options)
    log = logging.getLogger("recarena.client")
    log.addFilter(untold)
    users, at_once = options.model.works(given.sessions) if options.model else (0, 0)
    if not given.no_search:
        importlib.import_module("recarena.lance")  # takes a second: not while a user searches
    try:
        serve(
            factory,
            given.id or given.name,
            **connection_of(given),
            encoding=given.encoding,
            software_version=version("recarena-recommenders"),
            max_users_per_work=users,
            max_outstanding_work=at_once,
            capabilities=capabilities(
                explains=entry.load().explains,
                search=not given.no_search,
                columnar=given.encoding != "rich",
            ),
        )
    except ClientError as error:
        told = error.error if is_of_state(error) else error
        sys.stderr.write(f"recarena-recommender: {told}\n")
        return FAILED
    finally:
        log.removeFilter(untold)
    return 0


def is_of_state(error: BaseException | None) -> TypeGuard[RecommenderFailed]:
    """Whether it says that a state cannot be used: for the operator to read, whole."""
    from recarena.client import RecommenderFailed
    from recarena.recommenders.state import StateError

    return isinstance(error, RecommenderFailed) and isinstance(error.error, StateError)


def untold(record: logging.LogRecord) -> bool:
    """Leaves out of the SDK's log what `served` says at the end, without a traceback."""
    from recarena.recommenders.state import StateError

    return not (record.exc_info and isinstance(record.exc_info[1], StateError))


def capabilities(*, explains: bool, search: bool, columnar: bool) -> list[Capability.ValueType]:
    """What is offered to the server besides ranking."""
    from recarena.client import Capability

    offered: list[Capability.ValueType] = [Capability.CAPABILITY_RANK]
    if search:
        offered.append(Capability.CAPABILITY_SEARCH)
    if columnar:
        offered.append(Capability.CAPABILITY_COLUMNAR)
    if explains:
        offered.append(Capability.CAPABILITY_EXPLAIN)
    return offered


if __name__ == "__main__":
    sys.exit(main())
