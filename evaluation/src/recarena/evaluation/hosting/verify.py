"""Whether a season was played in the worlds and by the rules that had been committed to."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recarena.evaluation.competing.manifest import MANIFEST, folder_sha256, settings_of
from recarena.evaluation.hosting.commitment import Secret, same, secret_from
from recarena.evaluation.hosting.config import Worlds
from recarena.evaluation.hosting.reveal import FORMAT, FORMAT_VERSION
from recarena.evaluation.hosting.settings import BadCompetition, read_table
from recarena.evaluation.hosting.worlds import hidden_recipes, make

KINDS = ("new", "planted", "folder")


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at."""

    what: str
    fine: bool
    text: str


@dataclass(frozen=True, slots=True)
class _Revealed:
    """A reveal.json, checked as far as it is used."""

    secret: Secret
    settings: Mapping[str, Any]
    """As they were committed to."""
    season: str
    worlds: Worlds
    base_sha256: str | None
    """Of the world that was disguised, where one was."""
    hidden: tuple[tuple[int, int, str], ...]
    """Of each hidden world the seed of its disguise, that of its runs, and its SHA-256."""
    code_version: str


async def verify(
    path: Path, commitment: str, base: Path | None, worlds: bool
) -> AsyncGenerator[Check]:
    """Holds a reveal.json against the commitment that was published before, and the runs beside it
    against the reveal. With `worlds` every hidden world is made again from the seed and compared;
    `base` is the world that was disguised, where one was. Where the commitment is another it ends
    there: nothing else would mean anything. BadCompetition for a file that is no reveal."""
    told = _read(path)
    fits = same(told.secret.commitment(told.settings), commitment.strip().lower())
    yield Check(
        "commitment", fits,
        "SHA-256 of seed, salt and settings is the commitment" if fits
        else "SHA-256 of seed, salt and settings is another: this is not what was committed to",
    )  # fmt: skip
    if not fits:
        return
    if told.base_sha256 and worlds and (base is None or folder_sha256(base) != told.base_sha256):
        raise BadCompetition(
            "the hidden worlds are one world in disguise; say --base-world FOLDER, whose "
            f"sha256 is {told.base_sha256}, or --no-worlds"
        )
    recipes = hidden_recipes(told.season, told.worlds, base, told.secret)
    for recipe, (seed, run_seed, sha256) in zip(recipes, told.hidden, strict=True):
        seeds = (recipe.seed, recipe.run_seed) == (seed, run_seed)
        yield Check(
            f"seeds of world {recipe.number}", seeds,
            "they follow from the seed" if seeds else "they do not follow from the seed",
        )  # fmt: skip
        if not worlds:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            (made,) = await make([recipe], Path(scratch) / "worlds")
        alike = made.sha256 == sha256
        yield Check(
            f"world {recipe.number}", alike,
            "made again it is the same, byte by byte" if alike
            else f"made again with this version it is another (it was made with "
            f"{told.code_version})",
        )  # fmt: skip
    if (path.parent / MANIFEST).is_file():
        try:
            wrong = next(_unlike(path.parent, told), "")
        except (KeyError, TypeError, AttributeError) as error:
            wrong = f"a manifest lacks what every manifest has: {error}"
        yield Check(
            "results", not wrong,
            wrong or "the runs beside it have these seeds, rounds and settings",
        )  # fmt: skip


def _unlike(folder: Path, told: _Revealed) -> Iterator[str]:
    """What in a published folder is not as it was revealed."""
    manifest = _json(folder / MANIFEST)
    for key in ("primary", "minimum_effect"):
        if manifest.get(key) != told.settings.get(key):
            yield f"{MANIFEST} has another {key} than was committed to"
    there = [(one["seed"], one["sha256"]) for one in manifest["worlds"]]
    if there != [(run_seed, sha256) for _, run_seed, sha256 in told.hidden]:
        yield f"{MANIFEST} has other worlds than were revealed"
    for number, (_, _, sha256) in enumerate(told.hidden):
        if folder_sha256(folder / "worlds" / f"hidden-{number}") != sha256:
            yield f"worlds/hidden-{number} is not the world that was revealed"
    for one in manifest["recommenders"]:
        for number, (_, run_seed, _) in enumerate(told.hidden):
            name = f"w{number}-{one['name']}"
            run = _json(folder / "runs" / name / "manifest.json")
            if (run["seed"], run["rounds"]) != (run_seed, told.worlds.rounds):
                yield f"runs/{name} has another seed or other rounds than were revealed"
            settings = settings_of(run)
            if settings != manifest["settings"]:
                yield f"runs/{name} has other settings than {MANIFEST}"
            for key in _changed(told.settings.get("settings", {}), settings):
                yield f"runs/{name} has another {key} than was committed to"


def _changed(committed: Any, played: Any, path: str = "") -> Iterator[str]:
    """Numbers and switches that are others. Words are left to the comparison of the runs: the
    server may write them in another way."""
    if isinstance(committed, Mapping):
        for key, value in committed.items():
            inner = played.get(key) if isinstance(played, Mapping) else None
            yield from _changed(value, inner, f"{path}.{key}" if path else key)
    elif isinstance(committed, (int, float)) and committed != played:
        yield path


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadCompetition(f"{path} cannot be read: {error}; take what was published") from None


def _read(path: Path) -> _Revealed:
    try:
        told = json.loads(path.read_text("utf-8"))
        if told["format"] != FORMAT or told["format_version"] != FORMAT_VERSION:
            raise ValueError(f"its format is {told['format']!r} {told['format_version']!r}")
        settings = dict(told["settings"])
        values = dict(settings["worlds"])
        base_sha256 = values.pop("base_sha256", None)
        worlds = read_table(Worlds, values, str(path), "settings.worlds.")
        if worlds.kind not in KINDS or (worlds.kind == "folder") != (base_sha256 is not None):
            raise ValueError(f"worlds of the kind {worlds.kind!r} are made by nobody")
        hidden = tuple(
            (int(one["seed"]), int(one["run_seed"]), str(one["sha256"]))
            for one in told["hidden_worlds"]
        )
        if len(hidden) != worlds.hidden:
            raise ValueError(f"it has {len(hidden)} of {worlds.hidden} hidden worlds")
        return _Revealed(
            secret_from(told), settings, str(settings["season"]), worlds,
            base_sha256, hidden, str(told["code_version"]),
        )  # fmt: skip
    except FileNotFoundError:
        raise BadCompetition(f"there is no file {path}") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadCompetition(
            f"{path} is no reveal.json of a season: {error}; take the one that was published"
        ) from None
