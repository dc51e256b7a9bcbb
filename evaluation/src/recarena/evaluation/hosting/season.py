"""A season in its folder: its secret, what was published before it was played, its submissions."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from recarena.evaluation.hosting.commitment import (
    Secret,
    keep_secret,
    read_secret,
    same,
    settings_of,
)
from recarena.evaluation.hosting.config import Competition
from recarena.evaluation.hosting.ledger import FILE as SUBMISSIONS
from recarena.evaluation.hosting.ledger import Ledger, now
from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.hosting.worlds import Made, hidden_recipes, make, practice_recipes

PUBLISHED = "season.json"
REVEAL = "reveal.json"
CLOSED = "closed"
FORMAT, FORMAT_VERSION = "recarena-season", 1


@dataclass(frozen=True)
class Season:
    """A season that can be played."""

    competition: Competition
    secret: Secret
    published: Mapping[str, Any]
    """season.json: what everybody may know, from before the first round."""
    hidden: tuple[Made, ...]
    practice: tuple[Made, ...]
    ledger: Ledger

    @property
    def folder(self) -> Path:
        """Where everything of it is kept."""
        return self.competition.folder

    @property
    def runs(self) -> Path:
        """The run folders."""
        return self.competition.runs

    @property
    def is_closed(self) -> bool:
        """Whether nothing more may be submitted."""
        return (self.folder / CLOSED).exists()

    @property
    def reveal(self) -> Mapping[str, Any] | None:
        """What was revealed; None while the season lasts."""
        path = self.folder / REVEAL
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def worlds(self, track: str) -> tuple[Made, ...]:
        """Of a track."""
        return self.hidden if track == "hidden" else self.practice


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Keeps others from serving the season meanwhile. BadCompetition where somebody does."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadCompetition(
            f"the season cannot be kept in {folder}: {error.strerror}; name another folder"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadCompetition(
                f"{folder} is being served by another process; stop it first"
            ) from None
        yield
    finally:
        os.close(handle)


async def open_season(competition: Competition, check: Callable[[Path], Awaitable[None]]) -> Season:
    """The season as its folder has it, begun where it is new: the secret is drawn, the worlds are
    made, and the commitment is written once `check` has returned, which is given the folder of a
    hidden world to see whether it can be played as the settings say. BadCompetition where the
    settings are not those that were committed to."""
    folder = competition.folder
    secret = keep_secret(folder)
    settings = settings_of(competition)
    path = folder / PUBLISHED
    if path.exists():
        _check(competition, json.loads(path.read_text("utf-8")), secret, settings)
    recipes = hidden_recipes(competition.season, competition.worlds, competition.base_world, secret)
    hidden = await make(recipes, folder / "worlds")
    practice = await make(practice_recipes(competition), folder / "worlds")
    await check(hidden[0].folder)
    if not path.exists():
        _publish(path, competition, secret.commitment(settings), settings, hidden)
    published = json.loads(path.read_text("utf-8"))
    for kept, world in zip(published["hidden_worlds"], hidden, strict=True):
        if kept != world.sha256:
            raise BadCompetition(
                f"{world.folder} is not the world that was committed to; restore it from a copy"
            )
    ledger = Ledger(folder / SUBMISSIONS)
    for one in list(ledger):
        if one.status == "playing":  # the server was killed under it
            ledger.note("interrupted", one.id, spent_s=one.spent_s)
    return Season(competition, secret, published, tuple(hidden), tuple(practice), ledger)


def read_season(competition: Competition) -> tuple[Secret, dict[str, Any], Ledger]:
    """Secret, season.json and submissions of a season that was served before. BadCompetition."""
    folder = competition.folder
    secret = read_secret(folder)
    try:
        published = json.loads((folder / PUBLISHED).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadCompetition(f"{folder / PUBLISHED} cannot be read: {error}") from None
    _check(competition, published, secret, settings_of(competition))
    return secret, published, Ledger(folder / SUBMISSIONS)


def _publish(
    path: Path,
    competition: Competition,
    commitment: str,
    settings: Mapping[str, Any],
    hidden: list[Made],
) -> None:
    made = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": competition.name,
        "season": competition.season,
        "created": now(),
        "code_version": metadata.version("recarena-evaluation"),
        "commitment": commitment,
        "settings": settings,
        "hidden_worlds": [one.sha256 for one in hidden],
    }
    half = path.with_name(f".{path.name}.new")
    with half.open("w", encoding="utf-8") as file:
        file.write(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _check(
    competition: Competition,
    published: Mapping[str, Any],
    secret: Secret,
    settings: Mapping[str, Any],
) -> None:
    """BadCompetition names the first setting that is not as it was committed to."""
    version = published.get("format_version")
    if published.get("format") != FORMAT or version != FORMAT_VERSION:
        raise BadCompetition(
            f"{competition.folder / PUBLISHED} has format {version!r}, this release reads "
            f"{FORMAT_VERSION}; update RecArena"
        )
    if same(secret.commitment(settings), str(published["commitment"])):
        return
    for key, was, is_ in _differences(published["settings"], settings):
        raise BadCompetition(
            f"{competition.file}: {key} is {is_!r} and was {was!r} when the commitment was "
            "published; put it back, or begin a new season with another name"
        )
    raise BadCompetition(
        f"{competition.folder}: the secret does not fit the commitment; restore secret.json and "
        f"{PUBLISHED} from a copy"
    )


def _differences(was: Any, is_: Any, path: str = "") -> Generator[tuple[str, Any, Any]]:
    if isinstance(was, dict) and isinstance(is_, dict):
        for key in sorted({*was, *is_}):
            yield from _differences(was.get(key), is_.get(key), f"{path}.{key}" if path else key)
    elif json.dumps(was) != json.dumps(is_):
        yield path, was, is_
