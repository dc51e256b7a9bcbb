"""RecAgent's users, relations and items (Wang et al., 2023), from its CSV files."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.datasets.estimate import taste_from_interests, traits_from_words
from recarena.server.datasets.generate import (
    draw_traits,
    fit_spread,
    sample_history,
    with_watches,
)
from recarena.server.datasets.movielens import year_of
from recarena.server.datasets.reading import (
    file_digest,
    number,
    read_table,
    require_unique,
)
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.network import Network
from recarena.server.population import Population

ITEM_COLUMNS = ("id", "title", "genre", "description")
USER_COLUMNS = ("id", "name", "gender", "age", "traits", "status", "interest", "feature")
RELATION_COLUMNS = ("user_1", "user_2", "relationship", "closeness")


@dataclass(frozen=True, slots=True)
class Options:
    """How to make a world of RecAgent's files; see `import_world`."""

    seed: int = 0
    name: str = "recagent"
    taste_spread: float = 1.0
    history_per_user: int = 0


@dataclass(frozen=True, slots=True)
class Files:
    """The three files of a RecAgent world."""

    items: Path
    users: Path
    relations: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Files:
        """The files item*.csv, user*.csv and relationship*.csv. InputError unless one of each."""
        found: list[Path] = []
        for pattern in ("item*.csv", "user*.csv", "relationship*.csv"):
            files = sorted(folder.glob(pattern))
            if len(files) != 1:
                several = ", ".join(file.name for file in files)
                raise InputError(
                    f"several files {pattern}: {several}" if files else f"no file {pattern}",
                    where=str(folder),
                    remedy="Put one of each kind into a folder of their own",
                )
            found += files
        return cls(*found)


def is_recagent(folder: Path) -> bool:
    """Whether a folder holds users and relations of RecAgent's naming."""
    return any(folder.glob("user*.csv")) and any(folder.glob("relationship*.csv"))


def load_recagent(files: Files, options: Options) -> WorldData:
    """The world of RecAgent's files: every user, item and relation in them.

    Ids are the files' (names are not unique). Tastes come from the interests, traits from the
    features and adjectives on top of what the seed draws; all qualities are 0, as nothing is
    known of them. The brackets in "<Toy Story>" go from the descriptions.
    """
    notes = ["traits are drawn by the seed and moved by the users' features and adjectives"]
    catalog = _read_items(files.items, notes)
    population = _read_users(files.users, catalog, options, notes)
    network = _read_relations(files.relations, population.number_of, notes)
    history = sample_history(catalog, population, options.seed, options.history_per_user)
    if len(history):
        notes.append(f"the history of {len(history)} ratings is sampled from the tastes")
        catalog = with_watches(catalog, history)
    return WorldData(
        name=options.name,
        catalog=catalog,
        population=population,
        network=network,
        history=history,
        origin={
            "source": "recagent",
            "layout": "recagent",
            "files": {
                path.name: file_digest(path) for path in (files.items, files.users, files.relations)
            },
            "options": dataclasses.asdict(options),
            "notes": list(notes),
        },
    )


def _read_items(path: Path, notes: list[str]) -> Catalog:
    rows = list(read_table(path, ITEM_COLUMNS))
    require_unique(path, [(at, row[0]) for at, row in rows], "item")
    own = [[name.strip() for name in row[2].split("|") if name.strip()] for _, row in rows]
    genre_names = tuple(sorted({name for names in own for name in names}))
    column_of = {name: column for column, name in enumerate(genre_names)}
    genres = np.zeros((len(rows), len(genre_names)), np.bool_)
    for item, names in enumerate(own):
        genres[item, [column_of[name] for name in names]] = True
    written = [row[3] for _, row in rows]
    descriptions = [without_brackets(text) for text in written]
    changed = sum(old != new for old, new in zip(written, descriptions, strict=True))
    if changed:
        notes.append(f"{changed} descriptions are without <> and doubled spaces")
    none = np.zeros(len(rows), np.float32)
    return Catalog(
        item_ids=[row[0] for _, row in rows],
        titles=[row[1] for _, row in rows],
        years=np.array([year_of(row[1]) for _, row in rows], np.int32),
        genre_names=genre_names,
        genres=genres,
        directors=[""] * len(rows),
        descriptions=descriptions,
        quality=none,
        popularity=none,
        factors=np.zeros((len(rows), 0), np.float32),
    )


def without_brackets(description: str) -> str:
    """The description with "<Toy Story >" written as "Toy Story" and single spaces."""
    return " ".join(re.sub(r"<\s*([^<>]*?)\s*>", r"\1", description).split())


def _read_users(path: Path, catalog: Catalog, options: Options, notes: list[str]) -> Population:
    rows = list(read_table(path, USER_COLUMNS))
    require_unique(path, [(at, row[0]) for at, row in rows], "user")
    for at, row in rows:
        number(row[3], "the age", f"{path}:{at}", 0, 150)
    columns = dict(zip(USER_COLUMNS, zip(*(row for _, row in rows), strict=True), strict=True))
    taste, unknown = taste_from_interests(columns["interest"], catalog.genre_names)
    for interest, times in sorted(unknown.items()):
        notes.append(f"no genre is known for the interest {interest!r} ({times} users)")
    if len(catalog.genre_names):
        taste = fit_spread(catalog, taste, options.taste_spread)
    features = [_words(text, ";") for text in columns["feature"]]
    adjectives = [_words(text, ",") for text in columns["traits"]]
    traits = traits_from_words(
        draw_traits(len(rows), options.seed),
        [a + f for a, f in zip(adjectives, features, strict=True)],
    )
    names = Counter(columns["name"])
    if repeated := sum(times for times in names.values() if times > 1):
        notes.append(f"{repeated} of {len(rows)} users share their name with another one")
    return Population(
        user_ids=list(columns["id"]),
        names=list(columns["name"]),
        taste=taste,
        profile={
            "age": list(columns["age"]),
            "gender": list(columns["gender"]),
            "occupation": list(columns["status"]),
            "traits": [
                ", ".join(a + [feature.lower() for feature in f])
                for a, f in zip(adjectives, features, strict=True)
            ],
            "interests": [", ".join(_words(text, ",")) for text in columns["interest"]],
        },
        **traits,
    )


def _words(text: str, separator: str) -> list[str]:
    return [word.strip() for word in text.split(separator) if word.strip()]


def _read_relations(path: Path, number_of: dict[str, int], notes: list[str]) -> Network:
    kinds: dict[str, int] = {}
    ties: dict[tuple[int, int], tuple[int, float]] = {}
    rows = 0
    for at, (one, two, kind, closeness) in read_table(path, RELATION_COLUMNS):
        where = f"{path}:{at}"
        for user in (one, two):
            if user not in number_of:
                raise InputError(
                    f"the user {user!r} is not among the users",
                    where=where,
                    remedy="Take the relation out, or put the user in",
                )
        if one == two:
            remedy = "Take the relation out"
            raise InputError(f"the user {one!r} is tied to itself", where=where, remedy=remedy)
        tie = (
            kinds.setdefault(kind.strip(), len(kinds)),
            number(closeness, "the closeness", where, 0, 1),
        )
        pair = number_of[one], number_of[two]
        if ties.setdefault(pair, tie) != tie:
            raise InputError(
                f"the tie {one} -> {two} is there already, and is another one",
                where=where,
                remedy="Keep one of the two",
            )
        rows += 1
    if repeated := rows - len(ties):
        notes.append(f"{repeated} relations are there twice, word for word, and count once")
    if len(kinds) > 127:
        raise InputError(
            f"{len(kinds)} kinds of relations", where=str(path), remedy="Use 127 at the most"
        )
    ends: NDArray[np.int64] = np.array(list(ties), np.int64).reshape(-1, 2)
    return Network.from_ties(
        len(number_of),
        ends[:, 0],
        ends[:, 1],
        np.array([closeness for _, closeness in ties.values()], np.float32),
        np.array([kind for kind, _ in ties.values()], np.int64),
        tuple(kinds),
    )
