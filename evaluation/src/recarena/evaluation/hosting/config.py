"""competition.toml: what an organiser hosts. docs/competition.md explains every key."""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from recarena.evaluation.hosting.settings import (
    BadCompetition,
    matching,
    number,
    one_of,
    read_table,
    setting,
    switch,
    table,
    text,
    whole,
    words,
)

FILE = "competition.toml"
NAME = r"[a-z0-9][a-z0-9._-]{0,31}"
NAMED = "1 to 32 of a-z, 0-9, '.', '_', '-', the first a letter or digit"
ADDRESS = r"[^\s/]+:\d{1,5}"
BASELINE = "baseline-"
"""What the recommender_id of a baseline begins with; no entrant may be called so."""
TABLE = {"check": table}
OWN_SETTINGS = ("seed", "rounds", "arms")
"""Settings of a run that the competition decides itself."""


@dataclass(frozen=True, slots=True)
class Worlds:
    """`[worlds]`: the hidden worlds."""

    kind: str = setting(text(4096, 1), "new")
    """new, planted, or the folder of a world, which is disguised."""
    hidden: int = setting(whole(1, 1000), 5)
    users: int = setting(whole(1, 10_000_000), 200)
    rounds: int = setting(whole(1, 10_000), 10)
    items: int = setting(whole(1, 1_000_000), 500)
    """Of planted worlds."""
    titles: str = setting(one_of("keep", "numbers"), "keep")


@dataclass(frozen=True, slots=True)
class Practice:
    """`[practice]`: public worlds of the same kind."""

    worlds: int = setting(whole(0, 1000), 2)
    seed: int = setting(whole(0), 1)
    """World w (from 0) has this seed + w."""


@dataclass(frozen=True, slots=True)
class GateLimits:
    """`[gate]`: passed or failed, beside the place."""

    max_p95_ms: float | None = setting(number(), None)
    max_unusable_rate: float | None = setting(number(least=0, most=1), None)


@dataclass(frozen=True, slots=True)
class Entrants:
    """`[entrants]`: what each may do."""

    max_submissions: int = setting(whole(1), 20)
    max_submissions_per_day: int = setting(whole(1), 3)
    max_practice_per_day: int = setting(whole(0), 20)
    requests_per_minute: int = setting(whole(1), 6)
    """Submissions and cancellations that are asked for, whatever becomes of them."""
    time_budget_s: float = setting(number(), 3600.0)
    """Wall-clock time of one submission, over all worlds."""
    work_timeout_s: float = setting(number(most=3600), 60.0)
    message_budget: int = setting(whole(0, 2**53), 0)
    """Lists asked for and messages that answer nothing, in one submission; 0: no limit."""
    connect_timeout_s: float = setting(number(), 60.0)
    at_once: int = setting(whole(1, 64), 2)
    """Submissions that are played at the same time; one of each entrant at most."""


@dataclass(frozen=True, slots=True)
class Serve:
    """`[serve]`: where, and for whom."""

    listen: str = setting(matching(ADDRESS, '"HOST:PORT"'), "127.0.0.1:7788")
    http: str = setting(matching(ADDRESS, '"HOST:PORT"'), "127.0.0.1:8080")
    tokens: str = setting(text(4096, 1), "recarena-tokens.json")
    tls_cert: str = setting(text(4096), "")
    tls_key: str = setting(text(4096), "")
    tls_ca: str = setting(text(4096), "")
    """The authority that signed the certificate, where the system does not know it."""
    address: str = setting(text(200), "")
    """HOST:PORT that entrants are told to dial in to; default: where it listens."""
    insecure: bool = setting(switch, False)
    llm: bool = setting(switch, False)
    llm_urls: tuple[str, ...] = setting(words(matching(r"https?://\S+", '"http://HOST/v1"')), ())


@dataclass(frozen=True, slots=True)
class _Top:
    """The top of the file."""

    name: str = setting(text(100, 1))
    season: str = setting(matching(NAME, NAMED))
    description: str = setting(text(2000), "")
    folder: str = setting(text(4096), "")
    primary: str = setting(text(64, 1), "watch_rate")
    minimum_effect: float | None = setting(number(), None)
    ranked: str = setting(one_of("best", "latest"), "latest")
    baselines: tuple[str, ...] = setting(words(matching(NAME, NAMED)), ("popular", "random"))
    settings: dict[str, Any] = field(default_factory=dict, metadata=TABLE)
    worlds: dict[str, Any] = field(default_factory=dict, metadata=TABLE)
    practice: dict[str, Any] = field(default_factory=dict, metadata=TABLE)
    gate: dict[str, Any] = field(default_factory=dict, metadata=TABLE)
    entrants: dict[str, Any] = field(default_factory=dict, metadata=TABLE)
    serve: dict[str, Any] = field(default_factory=dict, metadata=TABLE)


@dataclass(frozen=True, slots=True)
class Competition:
    """A competition.toml, checked, with all defaults."""

    file: Path
    name: str
    season: str
    description: str
    folder: Path
    """Where everything of the season is kept."""
    primary: str
    minimum_effect: float | None
    ranked: str
    """Which submission of an entrant is on the leaderboard: best or latest."""
    baselines: tuple[str, ...]
    """Reference recommenders that the server itself plays."""
    settings: Mapping[str, Any]
    """Of all runs."""
    worlds: Worlds
    practice: Practice
    gate: GateLimits
    entrants: Entrants
    serve: Serve

    def beside(self, path: str) -> Path:
        """A path of the file: relative ones begin where the file is."""
        return (self.file.parent / Path(path).expanduser()).resolve()

    @property
    def tokens(self) -> Path:
        """The file of tokens."""
        return self.beside(self.serve.tokens)

    @property
    def base_world(self) -> Path | None:
        """The folder of the world that is disguised; None where worlds are made up."""
        return None if self.worlds.kind in ("new", "planted") else self.beside(self.worlds.kind)

    @property
    def runs(self) -> Path:
        """Where the run folders of the season are."""
        return self.folder / "runs"

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Certificate and key; None: without TLS."""
        if not self.serve.tls_cert:
            return None
        return self.beside(self.serve.tls_cert), self.beside(self.serve.tls_key)

    @property
    def run_settings(self) -> dict[str, Any]:
        """The settings of every run: the file's, with the deadline of its entrants."""
        session = {**dict(self.settings.get("session", {}))}
        session.setdefault("work_timeout_s", self.entrants.work_timeout_s)
        return {**self.settings, "session": session}


def load(path: Path) -> Competition:
    """The competition that a file describes. BadCompetition names file, field and remedy."""
    file = str(path)
    try:
        with path.open("rb") as opened:
            values = tomllib.load(opened)
    except FileNotFoundError:
        raise BadCompetition(
            f"there is no file {file}; make one with recarena competition new FOLDER"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCompetition(f"{file}: not TOML: {error}") from None
    except OSError as error:
        raise BadCompetition(f"{file} cannot be read: {error.strerror}") from None
    top = read_table(_Top, values, file)
    made = Competition(
        file=path.resolve(),
        name=top.name,
        season=top.season,
        description=top.description,
        folder=(path.parent / (top.folder or top.season)).resolve(),
        primary=top.primary,
        minimum_effect=top.minimum_effect,
        ranked=top.ranked,
        baselines=top.baselines,
        settings=top.settings,
        worlds=read_table(Worlds, top.worlds, file, "worlds."),
        practice=read_table(Practice, top.practice, file, "practice."),
        gate=read_table(GateLimits, top.gate, file, "gate."),
        entrants=read_table(Entrants, top.entrants, file, "entrants."),
        serve=read_table(Serve, top.serve, file, "serve."),
    )
    _check(made, file)
    return made


def _check(made: Competition, file: str) -> None:
    """What no field alone can say. BadCompetition."""
    from recarena.evaluation.leaderboard.comparing import checked_primaries

    try:
        checked_primaries(made.primary)
    except ValueError as error:
        raise BadCompetition(f"{file}: primary is {made.primary!r}: {error}") from None
    if not isinstance(made.settings.get("session", {}), Mapping):
        raise BadCompetition(f"{file}: settings.session is no table; write it as a table")
    for own in OWN_SETTINGS:
        if own in made.settings:
            raise BadCompetition(
                f"{file}: settings.{own} is decided by the competition itself; leave it out"
            )
    if made.base_world and not (made.base_world / "world.json").is_file():
        raise BadCompetition(
            f"{file}: worlds.kind is {made.worlds.kind!r}, and there is no world in "
            f'{made.base_world}; write "new", "planted" or the folder of a world'
        )
    if bool(made.serve.tls_cert) != bool(made.serve.tls_key):
        raise BadCompetition(f"{file}: serve.tls_cert and serve.tls_key are given together")
    for path in made.tls or ():
        if not os.access(path, os.R_OK):
            raise BadCompetition(f"{file}: serve.tls_cert, serve.tls_key: {path} cannot be read")
    if not made.tls and not made.serve.insecure:
        for key in ("listen", "http"):
            address = str(getattr(made.serve, key))
            if not is_loopback(address):
                raise BadCompetition(
                    f"{file}: serve.{key} is {address!r}, which can be reached from outside, and "
                    "without TLS tokens are sent in the clear; give serve.tls_cert and "
                    "serve.tls_key (docs/security.md), or listen on 127.0.0.1"
                )


def is_loopback(address: str) -> bool:
    """Whether only programs on this machine reach HOST:PORT."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def write_template(folder: Path) -> Path:
    """Writes a commented competition.toml to start from. BadCompetition where there is one."""
    file = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    source = resources.files("recarena.evaluation.hosting") / "templates" / FILE
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(source.read_text("utf-8"))
    except FileExistsError:
        raise BadCompetition(f"{file} is there already; name another folder") from None
    return file
