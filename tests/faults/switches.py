"""The switches: what each fault is called, and what it means."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Switch:
    """One fault on the command line."""

    name: str
    summary: str
    metavar: str = ""
    """Empty: it is on or off."""
    kind: type = int
    const: Any = None
    """What the switch means without a value; None: a value is needed."""
    rich_alone: bool = False
    """The columnar encoding has nothing of the kind."""

    @property
    def field(self) -> str:
        """Its name in `Faults`."""
        return self.name.replace("-", "_")


PER_WORK = (
    Switch("late", "answers so long after the work came", "SECONDS", float),
    Switch("silent", "never answers"),
    Switch("unknown-works", "answers a work that there is not, in place of the right one"),
    Switch("unknown-items", "lists items that the catalogue does not have"),
    Switch("query-index", "lists for queries out of range (columnar: lengths that do not add up)"),
    Switch("wrong-type", "answers with a message for another kind of work"),
    Switch("nan", "scores that are no numbers", rich_alone=True),
    Switch("long-lists", "the first list has so many items", "ITEMS"),
    Switch("oversized", "an answer of so many bytes, for example 5000000", "BYTES"),
    Switch("garbage", "random bytes that are no message, in place of the answer"),
    Switch("gibberish", "so many messages of random content before each answer", "N"),
    Switch("flood", "so many answers to nothing before each answer", "N"),
    Switch("duplicate", "answers twice"),
    Switch("partial", "answers half of a work, and never the rest", rich_alone=True),
    Switch("half-close", "closes its half of the stream in place of answering"),
)
"""Rolled for each work."""
PER_SESSION = (
    Switch("no-register", "opens the stream and says nothing"),
    Switch("repeat-register", "registers again once it is registered"),
    Switch("flood-rate", "so many answers to nothing a second, all the time", "N", float),
    Switch(
        "slow-reader", "after its first work waits so long before each message that it reads; "
        "without SECONDS it never reads again", "SECONDS", float, const=float("inf"),
    ),
    Switch("hang", "after N works (0) neither answers nor says Pong; reads on", "N", const=0),
    Switch("frozen", "after N works (0) stops its own process (SIGSTOP)", "N", const=0),
    Switch("die-after", "after N works kills its own process (SIGKILL)", "N"),
    Switch("die-every", "kills its own process after so long (SIGKILL)", "SECONDS", float),
)  # fmt: skip
"""What happens to a session or to the whole process."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The switches that are on; what is not given is None or False."""

    late: float | None = None
    silent: bool = False
    unknown_works: bool = False
    unknown_items: bool = False
    query_index: bool = False
    wrong_type: bool = False
    nan: bool = False
    long_lists: int | None = None
    oversized: int | None = None
    garbage: bool = False
    gibberish: int | None = None
    flood: int | None = None
    duplicate: bool = False
    partial: bool = False
    half_close: bool = False
    no_register: bool = False
    repeat_register: bool = False
    flood_rate: float | None = None
    slow_reader: float | None = None
    hang: int | None = None
    frozen: int | None = None
    die_after: int | None = None
    die_every: float | None = None
    frozen_for: float = 30.0
    """Seconds after which a frozen process goes on."""
    probability: float = 1.0
    seed: int = 1
    at_most: int | None = None
    """Faults in all."""

    def of_works(self) -> list[Switch]:
        """The faults that may befall a work, in the order of the table."""
        return [one for one in PER_WORK if getattr(self, one.field) not in (None, False)]

    @classmethod
    def given(cls, arguments: argparse.Namespace) -> Faults:
        """Those of a command line."""
        return cls(**{one.name: getattr(arguments, one.name) for one in fields(cls)})


def command() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="misbehaving.py", allow_abbrev=False,
        description="A recommender that does as the contract says but for the switches given. "
        "What it does it says on stdout, a JSON object a line.",
    )  # fmt: skip
    add = parser.add_argument
    add("--server", metavar="HOST:PORT", default="127.0.0.1:7788", help="default: %(default)s")
    add("--id", metavar="NAME", default="misbehaving", help="the name by which arms ask for it")
    add("--instance", metavar="ID", default="", help="instance_id (default: made up)")
    add("--token", metavar="TOKEN", default="", help="sent with every call")
    add("--tls-ca", metavar="PEM", type=Path, help="speak TLS, and trust this authority")
    add("--columnar", action="store_true", help="the columnar encoding in place of the rich one")
    add("--no-resume", action="store_true", help="come back as if it had never been there")
    add("--stubborn", action="store_true", help="come back also where it is told not to")
    add("--once", action="store_true", help="leave when its first session is over")
    add("--seconds", metavar="S", type=float, default=3600.0, help="leave after so long (3600)")
    add("--quiet", action="store_true", help="say nothing of single works, outcomes and feedback")
    add("--list", action="store_true", help="explain the faults, and leave")
    for title, switches in (
        ("faults of a work", PER_WORK), ("faults of a session", PER_SESSION)
    ):  # fmt: skip
        group = parser.add_argument_group(title)
        for one in switches:
            _add(group, one)
    group = parser.add_argument_group("how often")
    group.add_argument(
        "--probability", metavar="P", type=_probability, default=1.0,
        help="of each fault of a work (1)",
    )  # fmt: skip
    group.add_argument("--seed", metavar="N", type=int, default=1, help="of the probability (1)")
    group.add_argument(
        "--at-most", metavar="N", type=int, help="so many faults in all, then behave"
    )
    group.add_argument(
        "--frozen-for", metavar="S", type=float, default=30.0, help="with --frozen (30)"
    )
    return parser


def parsed(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, Faults]:
    """The command line, and the faults of it."""
    parser = command()
    given = parser.parse_args(arguments)
    faults = Faults.given(given)
    if given.tls_ca and (wrong := wrong_with(given.tls_ca)):
        parser.error(f"--tls-ca {given.tls_ca}: {wrong}")
    for one in PER_WORK:
        if given.columnar and one.rich_alone and getattr(given, one.field):
            parser.error(f"--{one.name} does not go with --columnar")
    return given, faults


def wrong_with(authority: Path) -> str:
    """Why a file is not one to trust, "" where it is."""
    if not authority.is_file():
        return "there is no such file"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(authority)
    except ssl.SSLError:
        return "it holds no certificate in PEM form"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""


def listing() -> str:
    """All faults, explained."""
    lines: list[str] = []
    for title, switches in (("of a work", PER_WORK), ("of a session", PER_SESSION)):
        lines.append(f"Faults {title}:")
        for one in switches:
            value = f" [{one.metavar}]" if one.const is not None else f" {one.metavar}"
            said = f"--{one.name}{value if one.metavar else ''}"
            more = " (not with --columnar)" if one.rich_alone else ""
            lines.append(f"  {said:<24}{one.summary}{more}")
    lines.append("How often: --probability, --seed, --at-most, --frozen-for; --help has the rest.")
    return "\n".join(lines)


def _add(group: Any, one: Switch) -> None:
    if not one.metavar:
        group.add_argument(f"--{one.name}", action="store_true", help=one.summary)
        return
    more = {"nargs": "?", "const": one.const} if one.const is not None else {}
    group.add_argument(
        f"--{one.name}", metavar=one.metavar, type=one.kind, help=one.summary, **more
    )


def _probability(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("between 0 and 1")
    return number
