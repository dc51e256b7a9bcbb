"""A world as the tables items, users, relations and history, and back, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.errors import InputError
from recarena.server.network import Network
from recarena.server.population import TRAITS, Population
from recarena.server.store.tables import Column, Rows, numpy_column
from recarena.server.types import Floats

WORLD_TABLES = ("items", "users", "relations", "history")


def describe(world: WorldData) -> dict[str, object]:
    """What the tables do not say of a world: the key `dataset` of the manifest."""
    catalog, population = world.catalog, world.population
    for what, names in (("genre", catalog.genre_names), ("kind of relation", world.network.kinds)):
        if len(set(names)) != len(names):
            raise InputError(f"a {what} is named twice in {list(names)}", where=world.name)
    return {
        "name": world.name,
        "origin": world.origin,
        "catalog_version": catalog.version,
        "items": len(catalog),
        "users": len(population),
        "relations": len(world.network),
        "history": len(world.history),
        "genres": list(catalog.genre_names),
        "factors": int(catalog.factors.shape[1]),
        "profile_fields": list(population.profile),
        "relation_kinds": list(world.network.kinds),
    }


def tables_from_world(world: WorldData, arms: Sequence[str]) -> dict[str, Rows]:
    """The four tables; `arms` holds the arm_id of each user."""
    catalog, population, network, history = (
        world.catalog,
        world.population,
        world.network,
        world.history,
    )
    floats = pa.float32()
    items = pa.table(
        {
            "number": pa.array(np.arange(len(catalog), dtype=np.int32)),
            "item_id": pa.array(catalog.item_ids, pa.string()),
            "title": pa.array(catalog.titles, pa.string()),
            "year": pa.array(catalog.years, pa.int32()),
            "genres": genre_lists(catalog),
            "director": pa.array(catalog.directors, pa.string()),
            "description": pa.array(catalog.descriptions, pa.string()),
            "quality": pa.array(catalog.quality, floats),
            "popularity": pa.array(catalog.popularity, floats),
            "factors": _lists(catalog.factors),
        }
    )
    users = pa.table(
        {
            "number": pa.array(np.arange(len(population), dtype=np.int32)),
            "user_id": pa.array(population.user_ids, pa.string()),
            "name": pa.array(population.names, pa.string()),
            **{name: pa.array(column, pa.string()) for name, column in population.profile.items()},
            "arm": pa.array(arms, pa.string()),
            "taste": _lists(population.taste),
            **{name: pa.array(getattr(population, name), floats) for name in TRAITS},
        }
    )
    kinds = pa.array(list(network.kinds), pa.string())
    relations = pa.table(
        {
            "user": pa.array(
                np.repeat(np.arange(network.users, dtype=np.int32), network.degrees())
            ),
            "other": pa.array(network.other, pa.int32()),
            "kind": kinds.take(pa.array(network.kind)),
            "closeness": pa.array(network.closeness, floats),
        }
    )
    past = pa.table(
        {
            "user": pa.array(history.user, pa.int32()),
            "item": pa.array(history.item, pa.int32()),
            "rating": pa.array(history.rating, floats),
            "time": pa.array(history.time, pa.int64()),
        }
    )
    return {"items": items, "users": users, "relations": relations, "history": past}


def world_from_tables(tables: Mapping[str, Rows], dataset: Mapping[str, Any]) -> WorldData:
    """The world that was given to `tables_from_world` and `describe`."""
    items, users = tables["items"].sort_by("number"), tables["users"].sort_by("number")
    genre_names, kinds = tuple(dataset["genres"]), tuple(dataset["relation_kinds"])
    catalog = Catalog(
        item_ids=items["item_id"].to_pylist(),
        titles=items["title"].to_pylist(),
        years=_of(items, "year", np.int32),
        genre_names=genre_names,
        genres=_genre_matrix(items["genres"], genre_names),
        directors=items["director"].to_pylist(),
        descriptions=items["description"].to_pylist(),
        quality=_of(items, "quality", np.float32),
        popularity=_of(items, "popularity", np.float32),
        factors=_matrix(items["factors"], int(dataset["factors"])),
    )
    population = Population(
        user_ids=users["user_id"].to_pylist(),
        names=users["name"].to_pylist(),
        taste=_matrix(users["taste"], len(genre_names) + int(dataset["factors"])),
        profile={name: users[name].to_pylist() for name in dataset["profile_fields"]},
        **{name: _of(users, name, np.float32) for name in TRAITS},
    )
    ties, past = tables["relations"], tables["history"]
    number = {kind: at for at, kind in enumerate(kinds)}
    network = Network.from_ties(
        len(population),
        _of(ties, "user", np.int32),
        _of(ties, "other", np.int32),
        _of(ties, "closeness", np.float32),
        np.fromiter((number[kind] for kind in ties["kind"].to_pylist()), np.int8, len(ties)),
        kinds,
    )
    history = History(
        _of(past, "user", np.int32),
        _of(past, "item", np.int32),
        _of(past, "rating", np.float32),
        _of(past, "time", np.int64),
    )
    return WorldData(
        str(dataset["name"]), catalog, population, network, history, dict(dataset["origin"])
    )


def _of(table: Rows, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    return numpy_column(table, name).astype(dtype)


def _lists(matrix: Floats) -> Column:
    """[rows, n] as a column of lists of n numbers."""
    rows, width = matrix.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.ravel(), pa.float32()))


def _matrix(column: Column, width: int) -> Floats:
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.astype(np.float32).reshape(len(column), width)


def genre_lists(catalog: Catalog) -> Column:
    """The names of the genres of each item."""
    offsets = np.zeros(len(catalog) + 1, np.int32)
    np.cumsum(catalog.genres.sum(axis=1), out=offsets[1:])
    names = pa.array(list(catalog.genre_names), pa.string())
    return pa.ListArray.from_arrays(offsets, names.take(pa.array(np.nonzero(catalog.genres)[1])))


def _genre_matrix(column: Column, names: Sequence[str]) -> NDArray[np.bool_]:
    lists = column.combine_chunks()
    number = {name: at for at, name in enumerate(names)}
    genre = [number[name] for name in lists.flatten().to_pylist()]
    counts = lists.value_lengths().to_numpy(zero_copy_only=False)
    matrix = np.zeros((len(column), len(names)), np.bool_)
    matrix[np.repeat(np.arange(len(column)), counts), genre] = True
    return matrix
