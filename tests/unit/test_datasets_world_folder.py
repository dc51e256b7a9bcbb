from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recarena.server.catalog import Catalog
from recarena.server.datasets import world_folder
from recarena.server.datasets.generate import generate_world
from recarena.server.datasets.importing import import_world
from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.datasets.world_folder import (
    describe_world,
    load_world,
    save_world,
    titles_inside_others,
)
from recarena.server.errors import Conflict, InputError
from recarena.server.network import Network
from recarena.server.population import TRAITS, Population
from support.data import movielens_100k, recagent


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, WorldData | Catalog | Population | Network | History):
        names = type(one).__dataclass_fields__
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return one == other


@pytest.fixture(scope="module")
def world() -> WorldData:
    return generate_world(30, seed=1, history_per_user=4)


@pytest.fixture
def saved(world: WorldData, tmp_path: Path) -> Path:
    save_world(world, tmp_path / "w")
    return tmp_path / "w"


def test_a_world_comes_back_exactly(world: WorldData, saved: Path) -> None:
    assert same(load_world(saved), world)
    files = {path.name for path in saved.iterdir()}
    assert files == {f"{name}.parquet" for name in world_folder.TABLES} | {"world.json"}


def test_what_is_held_out_comes_back_beside_the_world(world: WorldData, tmp_path: Path) -> None:
    rows = slice(len(world.history) - 5, None)
    later = History(
        *(getattr(world.history, one)[rows] for one in ("user", "item", "rating", "time"))
    )
    split = replace(world, later=later)
    save_world(split, tmp_path / "split")
    assert same(load_world(tmp_path / "split"), split)
    assert describe_world(split)["ratings_held_out"] == 5
    (tmp_path / "split" / "later.parquet").unlink()
    with pytest.raises(InputError, match=r"later\.parquet"):
        load_world(tmp_path / "split")


def test_the_real_worlds_come_back_exactly(tmp_path: Path) -> None:
    for folder in (movielens_100k(), recagent()):
        world = import_world(folder)
        save_world(world, tmp_path / folder.name)
        assert same(load_world(tmp_path / folder.name), world)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_words_and_numbers_come_back(tmp_path: Path, data: st.DataObject) -> None:
    items, users = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 4))
    genres, factors = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 2))
    word = st.text(st.characters(codec="utf-8"), max_size=8)
    reals = st.floats(-9, 9, width=32)

    def words(count: int) -> list[str]:
        return data.draw(st.lists(word, min_size=count, max_size=count))

    def column(*shape: int) -> np.ndarray:
        size = int(np.prod(shape))
        drawn = data.draw(st.lists(reals, min_size=size, max_size=size))
        return np.array(drawn, np.float32).reshape(shape)

    world = WorldData(
        name=data.draw(word),
        catalog=Catalog(
            item_ids=[f"i{n}" for n in range(items)],
            titles=words(items),
            years=np.arange(items, dtype=np.int32),
            genre_names=tuple(f"g,|{n}" for n in range(genres)),
            genres=column(items, genres) > 0,
            directors=words(items),
            descriptions=words(items),
            quality=column(items),
            popularity=column(items),
            factors=column(items, factors),
        ),
        population=Population(
            user_ids=[f"u{n}" for n in range(users)],
            names=words(users),
            taste=column(users, genres + factors),
            profile={"age": words(users)},
            **{name: column(users) for name in TRAITS},
        ),
        network=Network.empty(users),
        origin={"notes": [data.draw(word)]},
    )
    folder = tmp_path / "any"
    save_world(world, folder, overwrite=True)
    assert same(load_world(folder), world)


def test_a_folder_that_is_there_is_not_overwritten_by_accident(
    world: WorldData, saved: Path
) -> None:
    with pytest.raises(Conflict, match="is there already"):
        save_world(world, saved)
    other = generate_world(3, seed=9, history_per_user=0)
    save_world(other, saved, overwrite=True)
    assert same(load_world(saved), other)
    assert [path.name for path in saved.parent.iterdir()] == ["w"]


def test_a_folder_of_something_else_is_never_overwritten(world: WorldData, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Conflict, match="not a world folder"):
        save_world(world, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failed_save_leaves_everything_as_it_was(
    world: WorldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    folder = tmp_path / "w"
    if overwrite:
        save_world(world, folder)
    written: list[Path] = []

    def dies_at_the_third(path: Path) -> None:
        written.append(path)
        if len(written) == 3:
            raise OSError("no space left on device")

    monkeypatch.setattr(world_folder, "_sync", dies_at_the_third)
    with pytest.raises(OSError, match="no space"):
        save_world(generate_world(5, seed=0), folder, overwrite)
    assert [path.name for path in tmp_path.iterdir()] == (["w"] if overwrite else [])
    if overwrite:
        assert same(load_world(folder), world)


def change(path: Path, key: str, value: object) -> None:
    about = json.loads(path.read_text())
    about[key] = value
    path.write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "world.json").unlink(), "not a world folder"),
        (lambda f: (f / "world.json").write_text("{"), "not JSON"),
        (lambda f: (f / "world.json").write_bytes(b"\xff"), "not JSON"),
        (lambda f: (f / "world.json").write_text("[]"), "format of the world is None"),
        (lambda f: change(f / "world.json", "format", 2), "format of the world is 2, not 1"),
        (lambda f: change(f / "world.json", "kinds", None), "'kinds' is missing"),
        (lambda f: change(f / "world.json", "genre_names", ["x"]), "do not make a world"),
        (lambda f: (f / "users.parquet").unlink(), r"users\.parquet: the file is missing"),
        (
            lambda f: (f / "users.parquet").write_bytes(b"PAR1"),
            r"users\.parquet: .*changed by hand",
        ),
        (
            lambda f: (f / "items.parquet").write_bytes((f / "users.parquet").read_bytes()),
            r"items\.parquet: .*changed by hand",
        ),
    ],
)
def test_a_broken_or_foreign_folder_is_refused(
    saved: Path, damage: Callable[[Path], object], says: str
) -> None:
    damage(saved)
    with pytest.raises(InputError, match=says) as refusal:
        load_world(saved)
    assert refusal.value.remedy


def test_files_changed_by_hand_are_taken_only_when_asked_to(saved: Path) -> None:
    path = saved / "users.parquet"
    table = pq.ParquetFile(path).read()
    names = pa.array(["Eve"] * table.num_rows)
    pq.write_table(table.set_column(table.column_names.index("name"), "name", names), path)
    with pytest.raises(InputError, match="changed by hand"):
        load_world(saved)
    assert set(load_world(saved, verify=False).population.names) == {"Eve"}


@pytest.mark.parametrize("name", world_folder.TABLES)
def test_files_that_make_no_world_are_refused_even_then(saved: Path, name: str) -> None:
    path = saved / f"{name}.parquet"
    table = pq.ParquetFile(path).read()
    for wrong in (table.drop_columns([table.column_names[0]]), table.rename_columns(
        [f"x{n}" for n in range(table.num_columns)]
    )):  # fmt: skip
        pq.write_table(wrong, path)
        with pytest.raises(InputError, match="do not make a world"):
            load_world(saved, verify=False)
    path.write_bytes(b"not parquet at all")
    with pytest.raises(InputError, match="not a Parquet file"):
        load_world(saved, verify=False)


def test_the_description_of_a_world_is_json_with_the_right_counts(world: WorldData) -> None:
    about = describe_world(world)
    json.dumps(about, allow_nan=False)
    assert about["users"] == 30
    assert about["ratings"] == 120
    assert about["density"] == pytest.approx(120 / 30 / len(world.catalog))
    assert about["relations"] == len(world.network)
    assert len(about["top_titles"]) == 5  # type: ignore[arg-type]
    json.dumps(describe_world(planted_world(2, 3, 0, history_per_user=0)), allow_nan=False)


def test_titles_inside_others_are_found_by_words() -> None:
    titles = ["Heat (1995)", "City Heat (1984)", "Cheats (2002)", "heat, the", "Alien", "Aliens"]
    assert titles_inside_others(titles) == [("Heat (1995)", "City Heat (1984)")]
