"""The worlds of a season: hidden ones that follow from the secret, and public ones to practise."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recarena.evaluation.competing.manifest import folder_sha256
from recarena.evaluation.hosting.commitment import Secret
from recarena.evaluation.hosting.config import Competition, Worlds
from recarena.evaluation.hosting.ledger import HIDDEN, PRACTICE
from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.playing.processes import find_program


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a world is made: by `recarena world disguise SOURCE FOLDER --seed SEED`."""

    track: str
    number: int
    """From 0."""
    source: str
    """A folder, or what to make up."""
    seed: int
    """Of the disguise."""
    run_seed: int
    """Of everything random in its runs."""
    titles: str

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.track}-{self.number}"

    def words(self, folder: str) -> list[str]:
        """The command that makes it in `folder`, after the program."""
        return [
            "world", "disguise", self.source, folder, "--seed", str(self.seed),
            "--ids", "opaque", "--titles", self.titles,
        ]  # fmt: skip

    @property
    def command(self) -> str:
        """The same as a line to type."""
        return shlex.join(["recarena", *self.words(self.name)])


@dataclass(frozen=True, slots=True)
class Made:
    """A world in its folder."""

    recipe: Recipe
    folder: Path
    sha256: str
    """Of the folder, as competing/manifest.py computes it."""


def hidden_recipes(season: str, worlds: Worlds, base: Path | None, secret: Secret) -> list[Recipe]:
    """Of the hidden worlds: all their seeds follow from the secret. `base`: the folder of the world
    that is disguised, where none is made up."""

    def seed(purpose: str, world: int) -> int:
        return secret.number(season, purpose, world)

    return [
        Recipe(
            HIDDEN, at, _source(worlds, base, seed("world", at)), seed("disguise", at),
            seed("run", at), worlds.titles,
        )
        for at in range(worlds.hidden)
    ]  # fmt: skip


def practice_recipes(competition: Competition) -> list[Recipe]:
    """Of the public worlds: world w has the seed practice.seed + w for everything."""
    first, worlds = competition.practice.seed, competition.worlds
    return [
        Recipe(
            PRACTICE, at, _source(worlds, competition.base_world, first + at), first + at,
            first + at, worlds.titles,
        )
        for at in range(competition.practice.worlds)
    ]  # fmt: skip


def _source(worlds: Worlds, base: Path | None, seed: int) -> str:
    if base:
        return str(base)
    items = f",items={worlds.items}" if worlds.kind == "planted" else ""
    return f"{worlds.kind}:users={worlds.users}{items},seed={seed}"


async def make(recipes: Sequence[Recipe], folder: Path) -> list[Made]:
    """Makes those that are not there yet, one after another. BadCompetition where one cannot be
    made; what is half made is made anew."""
    await asyncio.to_thread(folder.mkdir, mode=0o700, exist_ok=True)
    made: list[Made] = []
    for recipe in recipes:
        place = folder / recipe.name
        if not place.is_dir():
            await _make(recipe, place)
        made.append(Made(recipe, place, await asyncio.to_thread(_sha256, place)))
    return made


async def _make(recipe: Recipe, place: Path) -> None:
    half = place.with_name(f".{place.name}.making")
    if half.exists():
        shutil.rmtree(half)
    process = await asyncio.create_subprocess_exec(
        find_program("recarena"), *recipe.words(str(half)), "--json",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise BadCompetition(
            f"the {recipe.track} world {recipe.number} cannot be made: {lines[-1]}; see [worlds]"
        )
    half.rename(place)


def _sha256(place: Path) -> str:
    found = folder_sha256(place)
    assert found is not None
    return found
