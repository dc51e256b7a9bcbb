"""World folders: a world as Parquet files and `world.json`, written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.datasets.planting import KEY, planted_file, planted_summary, truth_of
from recarena.server.datasets.reading import file_digest
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.errors import Conflict, InputError
from recarena.server.network import Network
from recarena.server.population import PROFILE_FIELDS, TRAITS, Population
from recarena.server.types import Floats

# Arrow comes without types.
Table = Any
ArrowArray = Any

FORMAT = 1
TABLES = ("items", "users", "relations", "history")
LATER = "later"
"""The table of what is held out; only worlds that were split have it."""
PROFILE_PREFIX = "profile_"


def save_world(world: WorldData, folder: Path, overwrite: bool = False) -> None:
    """Write the world into a folder that is not there yet; `load_world` gives it back exactly.

    It is written beside the folder and renamed, so that `folder` never holds half a world. With
    `overwrite` a world folder (no other one) is replaced; killed in that moment, the old world
    stands beside it under a hidden name that ends in ".old". Conflict if the folder is there.
    """
    folder = folder.absolute()
    if folder.exists():
        if not overwrite:
            raise Conflict(f"{folder} is there already; choose another name or overwrite it")
        if not (folder / "world.json").is_file() and any(folder.iterdir()):
            raise Conflict(f"{folder} is not a world folder and is not overwritten")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.draft")
    draft.mkdir()
    try:
        _write(world, draft)
        if folder.exists():
            old = draft.with_suffix(".old")
            folder.rename(old)
            try:
                draft.rename(folder)
            except OSError:
                old.rename(folder)
                raise
            shutil.rmtree(old)
        else:
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(world: WorldData, folder: Path) -> None:
    tables = {
        "items": _items_table(world.catalog),
        "users": _users_table(world.population),
        "relations": _relations_table(world.network),
        "history": _history_table(world.history),
    }
    if len(world.later):
        tables[LATER] = _history_table(world.later)
    files: dict[str, dict[str, object]] = {}
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(table, path, compression="zstd")
        _sync(path)
        files[path.name] = {"rows": table.num_rows, "blake2b": file_digest(path)}
    about = {
        "format": FORMAT,
        "name": world.name,
        "origin": world.origin,
        "counts": {name: table.num_rows for name, table in tables.items()},
        "genre_names": list(world.catalog.genre_names),
        "kinds": list(world.network.kinds),
        "files": files,
    }
    _write_json(folder / "world.json", about)
    if truth_of(world):
        _write_json(folder / "planted.json", planted_file(world))


def _write_json(path: Path, about: dict[str, Any]) -> None:
    path.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")
    _sync(path)


def _history_table(history: History) -> Table:
    return pa.table({one.name: getattr(history, one.name) for one in dataclasses.fields(History)})


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _vectors(rows: Floats) -> ArrowArray:
    flat = pa.array(np.ascontiguousarray(rows, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])


def _words(texts: list[str]) -> ArrowArray:
    return pa.array(texts, pa.string())


def _items_table(catalog: Catalog) -> Table:
    ends = np.concatenate([[0], np.cumsum(catalog.genres.sum(axis=1))]).astype(np.int32)
    names = np.array(catalog.genre_names, dtype=object)[np.nonzero(catalog.genres)[1]]
    columns: dict[str, Any] = {
        "item_id": _words(catalog.item_ids),
        "title": _words(catalog.titles),
        "year": catalog.years,
        "genres": pa.ListArray.from_arrays(pa.array(ends), pa.array(names.tolist(), pa.string())),
        "director": _words(catalog.directors),
        "description": _words(catalog.descriptions),
        "quality": catalog.quality,
        "popularity": catalog.popularity,
    }
    # Arrow has no vectors of no dimensions: without factors there is no column.
    if catalog.factors.shape[1]:
        columns["factors"] = _vectors(catalog.factors)
    return pa.table(columns)


def _users_table(population: Population) -> Table:
    columns: dict[str, Any] = {
        "user_id": _words(population.user_ids),
        "name": _words(population.names),
    }
    columns |= {name: getattr(population, name) for name in TRAITS}
    if population.taste.shape[1]:
        columns["taste"] = _vectors(population.taste)
    columns |= {PROFILE_PREFIX + name: _words(own) for name, own in population.profile.items()}
    return pa.table(columns)


def _relations_table(network: Network) -> Table:
    source = np.repeat(np.arange(network.users, dtype=np.int32), network.degrees())
    return pa.table(
        {
            "user": source,
            "other": network.other,
            "closeness": network.closeness,
            "kind": network.kind,
        }
    )


def load_world(folder: Path, verify: bool = True) -> WorldData:
    """The world in a folder. InputError for what is no world folder, broken or changed by hand.

    With verify=False files that were changed are taken if they still make a world.
    """
    about = _about(folder)
    tables: dict[str, Table] = {}
    split = f"{LATER}.parquet" in about["files"]
    for name in (*TABLES, LATER) if split else TABLES:
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise InputError(
                "the file is missing", where=str(path), remedy="Import or generate the world again"
            )
        if verify and about["files"].get(path.name, {}).get("blake2b") != file_digest(path):
            raise InputError(
                "the file was changed by hand or is damaged",
                where=str(path),
                remedy="Import or generate the world again, or load it with verify=False",
            )
        try:
            # Not read_table: that takes a folder's name such as "kind=a" for a column.
            tables[name] = pq.ParquetFile(path).read()
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"not a Parquet file ({error})", where=str(path), remedy="Import the world again"
            ) from None
    try:
        catalog = _catalog(tables["items"], tuple(about["genre_names"]))
        width = catalog.attributes.shape[1]
        population = _population(tables["users"], width)
        source, other, closeness, kind = (
            _numbers(tables["relations"], name) for name in ("user", "other", "closeness", "kind")
        )
        network = Network.from_ties(
            len(population), source, other, closeness, kind, tuple(about["kinds"])
        )
        return WorldData(
            about["name"], catalog, population, network, _history(tables["history"]),
            about["origin"], _history(tables[LATER]) if split else History.empty(),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise InputError(
            f"the files do not make a world ({error})",
            where=str(folder),
            remedy="Import or generate the world again",
        ) from None


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "world.json"
    if not path.is_file():
        raise InputError(
            "not a world folder (no world.json)",
            where=str(folder),
            remedy="Make one by importing data or generating users",
        )
    try:
        about = json.loads(path.read_text("utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(
            f"not JSON ({error})", where=str(path), remedy="Import or generate the world again"
        ) from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        number = about.get("format") if isinstance(about, dict) else None
        raise InputError(
            f"the format of the world is {number!r}, not {FORMAT}",
            where=str(path),
            remedy="Use the version of RecArena that wrote it, or import the data again",
        )
    for key, kind in (("name", str), ("origin", dict), ("genre_names", list), ("kinds", list),
                      ("files", dict)):  # fmt: skip
        if not isinstance(about.get(key), kind):
            raise InputError(
                f"{key!r} is missing or wrong", where=str(path), remedy="Import the data again"
            )
    return about


def _numbers(table: Table, name: str) -> NDArray[Any]:
    column = table.column(name)
    if column.null_count:
        raise ValueError(f"the column {name!r} has gaps")
    return column.to_numpy()


def _history(table: Table) -> History:
    return History(*(_numbers(table, field.name) for field in dataclasses.fields(History)))


def _texts(table: Table, name: str) -> list[str]:
    column = table.column(name)
    if column.null_count or not pa.types.is_string(column.type):
        raise ValueError(f"the column {name!r} is not text throughout")
    return column.to_pylist()


def _matrix(table: Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.zeros((table.num_rows, 0), np.float32)
    column = table.column(name).combine_chunks()
    if not pa.types.is_fixed_size_list(column.type) or column.null_count:
        raise ValueError(f"the column {name!r} does not hold vectors throughout")
    flat = column.flatten().to_numpy()
    return flat.reshape(table.num_rows, column.type.list_size).astype(np.float32)


def _catalog(table: Table, genre_names: tuple[str, ...]) -> Catalog:
    column_of = {name: number for number, name in enumerate(genre_names)}
    genres = np.zeros((table.num_rows, len(genre_names)), np.bool_)
    for item, names in enumerate(table.column("genres").to_pylist()):
        genres[item, [column_of[name] for name in names]] = True
    return Catalog(
        item_ids=_texts(table, "item_id"),
        titles=_texts(table, "title"),
        years=_numbers(table, "year"),
        genre_names=genre_names,
        genres=genres,
        directors=_texts(table, "director"),
        descriptions=_texts(table, "description"),
        quality=_numbers(table, "quality"),
        popularity=_numbers(table, "popularity"),
        factors=_matrix(table, "factors"),
    )


def _population(table: Table, attributes: int) -> Population:
    taste = _matrix(table, "taste")
    if taste.shape[1] != attributes:
        raise ValueError(f"tastes have {taste.shape[1]} attributes, items {attributes}")
    profile = [name for name in PROFILE_FIELDS if PROFILE_PREFIX + name in table.column_names]
    return Population(
        user_ids=_texts(table, "user_id"),
        names=_texts(table, "name"),
        taste=taste,
        profile={name: _texts(table, PROFILE_PREFIX + name) for name in profile},
        **{name: _numbers(table, name) for name in TRAITS},
    )


def describe_world(world: WorldData) -> dict[str, object]:
    """What `recarena world show` prints: counts, shares, quantiles and examples, as JSON values."""
    catalog, population, network, history = (
        world.catalog, world.population, world.network, world.history,
    )  # fmt: skip
    users, items = len(population), len(catalog)
    degrees = network.degrees()
    names = Counter(population.names)
    inside = titles_inside_others(catalog.titles)
    bare = Counter(_bare(title) for title in catalog.titles)
    top = np.argsort(-catalog.popularity, kind="stable")[:5].tolist()
    points = population.taste[:2000] @ catalog.attributes[:5000].T
    return {
        "name": world.name,
        "origin": {name: value for name, value in world.origin.items() if name != KEY},
        **({KEY: planted_summary(world)} if truth_of(world) else {}),
        "users": users,
        "items": items,
        "relations": len(network),
        "ratings": len(history),
        "ratings_held_out": len(world.later),
        "density": len(history) / max(users * items, 1),
        "genre_shares": {
            name: round(float(share), 4)
            for name, share in zip(catalog.genre_names, catalog.genres.mean(axis=0), strict=True)
        },
        "items_without_genre": int((~catalog.genres.any(axis=1)).sum()),
        "items_without_year": int((catalog.years == 0).sum()),
        "items_without_description": sum(not text for text in catalog.descriptions),
        "degree_quantiles": {
            f"{share:.0%}": float(np.quantile(degrees, share)) for share in (0, 0.1, 0.5, 0.9, 1)
        },
        "kinds_of_ties": {
            kind: int((network.kind == number).sum()) for number, kind in enumerate(network.kinds)
        },
        "rating_mean": round(float(history.rating.mean()), 4) if len(history) else None,
        "taste_spread": round(float(points.std()), 4),
        "taste_shared": round(float(points.mean(axis=0).var() / max(points.var(), 1e-12)), 4),
        "quality_spread": round(float(catalog.quality.std()), 4),
        "users_sharing_a_name": sum(times for times in names.values() if times > 1),
        "items_sharing_a_title": sum(times for times in bare.values() if times > 1),
        "titles_inside_others": len(inside),
        "titles_inside_others_examples": [list(pair) for pair in inside[:3]],
        "top_titles": [catalog.label(item) for item in top if catalog.popularity[item] > 0],
        "example_user": {
            "user_id": population.user_ids[0],
            "name": population.names[0],
            **{field: column[0] for field, column in population.profile.items()},
            "relations": int(degrees[0]),
            "ratings": int((history.user == 0).sum()),
        }
        if users
        else {},
    }


def titles_inside_others(titles: list[str]) -> list[tuple[str, str]]:
    """(title, one longer title whose words hold its words), without years and case."""
    known = {_bare(title): title for title in titles}
    found: dict[str, tuple[str, str]] = {}
    for longer, title in known.items():
        words = longer.split()
        for first in range(len(words)):
            for last in range(first + 1, len(words) + 1):
                part = " ".join(words[first:last])
                if part != longer and part in known and part not in found:
                    found[part] = known[part], title
    return list(found.values())


def _bare(title: str) -> str:
    return " ".join(re.findall(r"\w+", re.sub(r"\(\d{4}\)", "", title).casefold()))
