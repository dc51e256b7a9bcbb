"""MovieLens 100k, 1M, latest-small and 25M (Harper and Konstan, 2015), from a local folder."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from recarena.server.catalog import Catalog
from recarena.server.datasets.estimate import estimate_from_ratings, taste_communities
from recarena.server.datasets.films import Draw, generator
from recarena.server.datasets.generate import (
    draw_traits,
    favourite_genres,
    fit_spread,
    social_network,
)
from recarena.server.datasets.names import draw_names
from recarena.server.datasets.reading import (
    file_digest,
    line_of_row,
    number,
    read_lines,
    read_table,
    require_unique,
)
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.errors import InputError
from recarena.server.population import Population
from recarena.server.types import Bools

Column = NDArray[np.int64]

FILES: dict[str, tuple[str, ...]] = {
    "ml-100k": ("u.data", "u.item", "u.user", "u.genre"),
    "ml-1m": ("ratings.dat", "movies.dat", "users.dat"),
    "ml-25m": ("ratings.csv", "movies.csv"),
    "ml-latest-small": ("ratings.csv", "movies.csv"),
}
"""Layout -> the files read, the ratings first and the films second."""

AGES = {1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56+"}
OCCUPATIONS = (
    "other", "academic or educator", "artist", "clerical or administrator", "college student",
    "customer service", "doctor or health care", "executive or manager", "farmer", "homemaker",
    "school student", "lawyer", "programmer", "retired", "sales or marketing", "scientist",
    "self-employed", "technician or engineer", "tradesperson or craftsperson", "unemployed",
    "writer",
)  # fmt: skip
"""The occupations of MovieLens 1M by number."""

NO_GENRE = frozenset({"unknown", "(no genres listed)", ""})
RATING_COLUMNS = ("userId", "movieId", "rating", "timestamp")


@dataclass(frozen=True, slots=True)
class Options:
    """How to make a world of MovieLens; see `import_world`."""

    seed: int = 0
    name: str = "movielens"
    ratings_until: str | None = None
    train_fraction: float | None = None
    taste_spread: float | None = None


@dataclass(frozen=True, slots=True)
class _Films:
    ids: Column
    titles: list[str]
    genre_names: tuple[str, ...]
    genres: Bools


@dataclass(frozen=True, slots=True)
class _Ratings:
    user: Column
    item: Column
    rating: NDArray[np.float32]
    time: Column


def layout_of(folder: Path) -> str:
    """The MovieLens layout of the files in a folder, "" if it is none."""
    for layout, (ratings, films, *_) in FILES.items():
        if (folder / ratings).is_file() and (folder / films).is_file():
            small = layout == "ml-25m" and not (folder / "genome-scores.csv").is_file()
            return "ml-latest-small" if small else layout
    return ""


def load_movielens(folder: Path, layout: str, options: Options) -> WorldData:
    """The world of a MovieLens folder: all films and users, the ratings as history.

    Ids and titles are the data's. Tastes, qualities and the traits that ratings tell of are
    estimated on the history alone; ties and names are made up from the seed, as there are none.
    """
    for file in FILES[layout]:
        if not (folder / file).is_file():
            remedy = "Unpack the data set completely"
            raise InputError("the file is missing", where=str(folder / file), remedy=remedy)
    notes = ["names, ties, position bias, posting, sociability and trust are made up by the seed"]
    path = folder / FILES[layout][0]
    films = _read_films(folder, layout)
    ratings = _read_ratings(path, layout)
    if layout in ("ml-100k", "ml-1m"):
        people, profile = _read_people(folder, layout)
    else:
        people, profile = np.unique(ratings.user), dict[str, list[str]]()
    user = _numbers_of(ratings.user, people, "user", path)
    item = _numbers_of(ratings.item, films.ids, "film", path)
    _require_once(user, item, len(films.ids), path)
    if raised := int((ratings.rating < 1).sum()):
        notes.append(f"{raised} ratings of half a star count as one star")
    whole = History(user, item, np.maximum(ratings.rating, 1), ratings.time)
    history, later = _parted(_by_time(whole, len(films.ids)), options)
    if len(later):
        notes.append(f"{len(later)} later ratings are held out")
    if cold := len(people) - len(np.unique(history.user)):
        notes.append(f"{cold} users have no ratings in the history and get average traits")
    world = _world(layout, folder, films, people, profile, history, options, notes)
    return dataclasses.replace(world, later=later)


def _world(
    layout: str, folder: Path, films: _Films, people: Column, profile: dict[str, list[str]],
    history: History, options: Options, notes: list[str],
) -> WorldData:  # fmt: skip
    users, items = len(people), len(films.ids)
    catalog = Catalog(
        item_ids=[str(one) for one in films.ids.tolist()],
        titles=films.titles,
        years=np.array([year_of(title) for title in films.titles], np.int32),
        genre_names=films.genre_names,
        genres=films.genres,
        directors=[""] * items,
        descriptions=[""] * items,
        quality=np.zeros(items, np.float32),
        popularity=np.zeros(items, np.float32),
        factors=np.zeros((items, 0), np.float32),
    )
    told = estimate_from_ratings(catalog, history, users)
    taste = told.taste
    if options.taste_spread is not None:
        taste = fit_spread(catalog, taste, options.taste_spread)
        notes.append(f"tastes are rescaled to a spread of {options.taste_spread} rating points")
    traits = draw_traits(users, options.seed)
    traits |= {
        "mean_rating": np.clip(told.mean_rating, 1, 5),
        "activity": told.activity,
        "conformity": told.conformity,
        "diversity": told.diversity,
    }
    community = taste_communities(taste, generator(options.seed, Draw.COMMUNITIES))
    return WorldData(
        name=options.name,
        catalog=dataclasses.replace(catalog, quality=told.quality, popularity=told.popularity),
        population=Population(
            user_ids=[str(one) for one in people.tolist()],
            names=draw_names(profile.get("gender", ["unknown"] * users), options.seed),
            taste=taste,
            profile={**profile, "interests": favourite_genres(catalog, taste)},
            **traits,
        ),
        network=social_network(community, options.seed),
        history=history,
        origin={
            "source": "movielens",
            "layout": layout,
            "files": {file: file_digest(folder / file) for file in FILES[layout]},
            "options": dataclasses.asdict(options),
            "notes": list(notes),
        },
    )


def year_of(title: str) -> int:
    """The year in brackets at the end of a title such as "Lion King, The (1994)"; 0 without."""
    found = re.findall(r"\((\d{4})(?:\s*[-–]\s*\d{0,4})?\)", title)
    return int(found[-1]) if found and 1870 <= int(found[-1]) <= 2100 else 0


def _read_films(folder: Path, layout: str) -> _Films:
    path = folder / FILES[layout][1]
    rows: list[tuple[int, str, str, Sequence[str]]] = []
    names: list[str] | None = None
    if layout == "ml-100k":
        lines = read_lines(folder / "u.genre", "latin-1")
        names = [line.rsplit("|", 1)[0] for line in lines if line.strip()]
        for at, row in _fields(path, "|", 5 + len(names)):
            if set(row[5:]) - {"0", "1"}:
                raise InputError(
                    "a genre is neither 0 nor 1", where=f"{path}:{at}", remedy="Put 1 or 0 there"
                )
            own = [name for name, flag in zip(names, row[5:], strict=True) if flag == "1"]
            rows.append((at, row[0], row[1], own))
    elif layout == "ml-1m":
        rows = [
            (at, one, title, own.split("|")) for at, (one, title, own) in _fields(path, "::", 3)
        ]
    else:
        table = read_table(path, ("movieId", "title", "genres"))
        rows = [(at, one, title, own.split("|")) for at, (one, title, own) in table]
    if names is None:
        names = sorted({genre for row in rows for genre in row[3]})
    genre_names = tuple(name for name in names if name.casefold() not in NO_GENRE)
    column_of = {name: column for column, name in enumerate(genre_names)}
    genres = np.zeros((len(rows), len(genre_names)), np.bool_)
    for row_number, row in enumerate(rows):
        genres[row_number, [column_of[genre] for genre in row[3] if genre in column_of]] = True
    ids = _unique_numbers(path, [(at, one) for at, one, _, _ in rows], "film")
    return _Films(ids, [row[2] for row in rows], genre_names, genres)


def _read_people(folder: Path, layout: str) -> tuple[Column, dict[str, list[str]]]:
    path = folder / FILES[layout][2]
    hundred = layout == "ml-100k"
    rows = list(_fields(path, "|" if hundred else "::", 5))
    ids = _unique_numbers(path, [(at, row[0]) for at, row in rows], "user")
    profile: dict[str, list[str]] = {"age": [], "gender": [], "occupation": []}
    for at, row in rows:
        where = f"{path}:{at}"
        age, gender = (row[1], row[2]) if hundred else (row[2], row[1])
        years = int(number(age, "the age", where, 0, 150))
        if gender not in ("M", "F"):
            raise InputError(f"the gender is {gender!r}", where=where, remedy="Expected M or F")
        profile["gender"].append("male" if gender == "M" else "female")
        if hundred:
            profile["age"].append(str(years))
            profile["occupation"].append(row[3])
        else:
            job = int(number(row[3], "the occupation", where, 0, len(OCCUPATIONS) - 1))
            profile["age"].append(AGES.get(years, str(years)))
            profile["occupation"].append(OCCUPATIONS[job])
    return ids, profile


def _fields(path: Path, separator: str, count: int) -> Iterable[tuple[int, list[str]]]:
    for at, line in enumerate(read_lines(path, "latin-1"), 1):
        if not line.strip():
            continue
        row = line.split(separator)
        if len(row) != count:
            raise InputError(
                f"{len(row)} fields instead of {count}",
                where=f"{path}:{at}",
                remedy=f"Part the fields by {separator!r}",
            )
        yield at, row


def _unique_numbers(path: Path, ids: list[tuple[int, str]], what: str) -> Column:
    for at, one in ids:
        if not re.fullmatch(r"\d{1,18}", one):
            where = f"{path}:{at}"
            raise InputError(f"the {what}'s id is {one!r}", where=where, remedy="A whole number")
    require_unique(path, [(at, str(int(one))) for at, one in ids], what)
    return np.array([int(one) for _, one in ids], np.int64)


def _read_ratings(path: Path, layout: str) -> _Ratings:
    """All ratings in the file's order, read by Arrow: 25 million take seconds."""
    separator = {"ml-100k": "\t", "ml-1m": "::"}.get(layout, ",")
    headed = separator == ","
    if not path.stat().st_size:
        raise InputError("the file is empty", where=str(path), remedy="Get the data set again")
    if headed:
        with path.open("rb") as file:
            header = file.readline().decode("utf-8-sig", "replace").strip().replace('"', "")
        if header != ",".join(RATING_COLUMNS):
            remedy = f"Expected: {','.join(RATING_COLUMNS)}"
            raise InputError(f"the header is {header[:80]!r}", where=f"{path}:1", remedy=remedy)
    types = dict(
        zip(RATING_COLUMNS, (pa.int64(), pa.int64(), pa.float32(), pa.int64()), strict=True)
    )
    try:
        # Arrow parts fields by one byte.
        source = (
            pa.BufferReader(path.read_bytes().replace(b"::", b"\t"))
            if separator == "::"
            else str(path)
        )
        table = arrow_csv.read_csv(
            source,
            read_options=arrow_csv.ReadOptions(column_names=list(types), skip_rows=int(headed)),
            parse_options=arrow_csv.ParseOptions(
                delimiter="," if headed else "\t", quote_char=False
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=types, null_values=[]),
        )
    except pa.ArrowInvalid as error:
        raise _bad_line(path, separator, headed, str(error)) from None
    if not len(table):
        raise InputError("no ratings", where=str(path), remedy="Get the data set again")
    user, item, rating, when = (table[name].to_numpy() for name in RATING_COLUMNS)
    least = 0.5 if headed else 1.0
    wrong = np.flatnonzero(~((rating >= least) & (rating <= 5)))
    if len(wrong):
        raise InputError(
            f"the rating is {rating[wrong[0]]:g}",
            where=f"{path}:{line_of_row(path, int(wrong[0]), headed)}",
            remedy=f"A rating is {least:g} to 5",
        )
    return _Ratings(user, item, rating, when)


def _bad_line(path: Path, separator: str, headed: bool, message: str) -> InputError:
    """What is wrong with the first line that is not four numbers."""
    for at, line in enumerate(read_lines(path), 1):
        if not line.strip() or (headed and at == 1):
            continue
        row = line.split(separator)
        where = f"{path}:{at}"
        if len(row) != len(RATING_COLUMNS):
            problem = f"{len(row)} fields instead of {len(RATING_COLUMNS)}"
            return InputError(problem, where=where, remedy=f"Part the fields by {separator!r}")
        for name, field in zip(RATING_COLUMNS, row, strict=True):
            if not re.fullmatch(r"\s*-?\d+(\.\d+)?\s*" if name == "rating" else r"-?\d+", field):
                return InputError(f"{name} is {field!r}", where=where, remedy="Put a number there")
    return InputError(f"it cannot be read ({message})", where=str(path), remedy="Get it again")


def _numbers_of(ids: Column, known: Column, what: str, path: Path) -> NDArray[np.int32]:
    """The position of each id among the known ones. InputError for one that is not."""
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, ids, sorter=order), len(known) - 1)
    found = order[place].astype(np.int32)
    wrong = np.flatnonzero(known[found] != ids)
    if len(wrong):
        headed = path.suffix == ".csv"
        raise InputError(
            f"the {what} {ids[wrong[0]]} is not among the {what}s",
            where=f"{path}:{line_of_row(path, int(wrong[0]), headed)}",
            remedy=f"Take the rating out, or put the {what} in",
        )
    return found


def _require_once(user: NDArray[np.int32], item: NDArray[np.int32], items: int, path: Path) -> None:
    pair = user.astype(np.int64) * items + item
    in_order = np.sort(pair)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if len(twice):
        rows = np.flatnonzero(pair == twice[0])
        line = line_of_row(path, int(rows[1]), path.suffix == ".csv")
        remedy = "Keep one of the two ratings"
        raise InputError("this user rates this film twice", where=f"{path}:{line}", remedy=remedy)


def _by_time(history: History, items: int) -> History:
    pair = history.user.astype(np.int64) * items + history.item
    return _taken(history, np.lexsort((pair, history.time)))


def _parted(history: History, options: Options) -> tuple[History, History]:
    """The ratings before a day or the first part of all, and what came later: a split by time for
    everybody at once, as a recommender that learns from later days of others would know the
    future."""
    if options.ratings_until is not None and options.train_fraction is not None:
        raise InputError(
            "two ways to split", where="ratings_until, train_fraction", remedy="Give one of them"
        )
    count = len(history)
    if options.train_fraction is not None:
        if not 0 < options.train_fraction <= 1:
            raise InputError(
                f"{options.train_fraction} is no share", where="train_fraction",
                remedy="More than 0, at most 1",
            )  # fmt: skip
        count = round(count * options.train_fraction)
    if options.ratings_until is not None:
        try:
            day = date.fromisoformat(options.ratings_until)
        except ValueError:
            raise InputError(
                f"{options.ratings_until!r} is no date", where="ratings_until",
                remedy="Write it as 1998-03-01",
            ) from None  # fmt: skip
        end = int(datetime.combine(day, time(), UTC).timestamp())
        count = int(np.searchsorted(history.time, end))
    if not count:
        raise InputError("no rating is that early", where="ratings_until or train_fraction",
                         remedy="Choose a later end")  # fmt: skip
    return _taken(history, slice(count)), _taken(history, slice(count, None))


def _taken(history: History, rows: NDArray[np.int64] | slice) -> History:
    return History(history.user[rows], history.item[rows], history.rating[rows], history.time[rows])
