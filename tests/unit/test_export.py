"""Exports: what other tools read, and nothing that recommenders may not know."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from recarena.server.errors import Conflict, InputError
from recarena.server.store.export import export_run
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventColumns, EventKind
from support.rounds import made_round, sim_time
from support.worlds import tiny_world

MANIFEST = {"run_id": "r-1", "arms": [{"arm_id": "A"}, {"arm_id": "B"}]}
ROUNDS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    path = tmp_path_factory.mktemp("export") / "run"
    with RunFolder.create(path, MANIFEST, tiny_world(), ["A", "B"] * 3) as made:

        async def commit() -> None:
            for round in range(1, ROUNDS + 1):
                await made.commit(made_round(round), sim_time(round))

        asyncio.run(commit())
        yield made


def watches() -> EventColumns:
    rounds = [made_round(round).events for round in range(1, ROUNDS + 1)]
    return EventColumns.concat(rounds).of(EventKind.WATCH)


def csv_rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        return list(csv.DictReader(file, delimiter=delimiter, quoting=quoting))


def test_parquet_holds_every_watch_with_its_page(folder: RunFolder, tmp_path: Path):
    counts = export_run(folder, tmp_path / "out", "parquet")
    found = pyarrow.parquet.read_table(tmp_path / "out" / "interactions.parquet")
    assert found.column_names == [
        "user_id", "item_id", "rating", "round", "sim_time", "position", "impression_id",
    ]  # fmt: skip
    past, seen = tiny_world().history, watches()
    rows = found.to_pylist()
    assert counts["interactions.parquet"] == len(rows) == len(past) + len(seen)
    before, during = rows[: len(past)], rows[len(past) :]
    assert {row["round"] for row in before} == {0}
    assert [row["sim_time"] for row in before] == [None, *past.time[1:].tolist()]
    assert [row["rating"] for row in before] == past.rating.tolist()
    assert [row["user_id"] for row in during] == [f"user-{n}" for n in seen.user]
    assert [row["item_id"] for row in during] == [f"film-{n}" for n in seen.item]
    assert [row["rating"] or 0 for row in during] == seen.value.tolist()
    assert None in [row["rating"] for row in during]
    assert during[0] == {
        **during[0], "round": 1, "sim_time": int(sim_time(1).timestamp()), "position": 1,
        "impression_id": "1-0-0",
    }  # fmt: skip


def test_impressions_tell_the_place_the_surface_and_the_watch(folder: RunFolder, tmp_path: Path):
    export_run(folder, tmp_path / "out", "parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "out" / "impressions.parquet").to_pylist()
    assert len(rows) == 3 * len(watches())
    assert [row["position"] for row in rows[:6]] == [0, 1, 2, 0, 1, 2]
    assert [row["watched"] for row in rows[:6]] == [False, True, False] * 2
    assert {(row["surface"], row["outcome"]) for row in rows} == {("feed", "accepted")}
    assert [row["explained"] for row in rows[:3]] == [True, False, False]
    interactions = pyarrow.parquet.read_table(tmp_path / "out" / "interactions.parquet")
    seen = {(r["impression_id"], r["item_id"]) for r in rows if r["watched"]}
    assert seen == {
        (r["impression_id"], r["item_id"]) for r in interactions.to_pylist() if r["round"]
    }


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_nothing_hidden_is_written(folder: RunFolder, tmp_path: Path, format: str):
    export_run(folder, tmp_path / "out", format)  # type: ignore[arg-type]
    columns = set()
    for path in (tmp_path / "out").iterdir():
        if format == "csv":
            columns |= set(csv_rows(path)[0])
        else:
            columns |= set(pyarrow.parquet.read_schema(path).names)
    assert not columns & {"quality", "factors", "taste", "activity", "mean_rating", "arm"}
    assert {"title", "age", "closeness", "sentiment", "importance", "digest"} <= columns


def test_messages_have_their_own_words_or_those_of_the_template(folder: RunFolder, tmp_path: Path):
    def words(event: EventColumns) -> str:
        assert len(event) == 1
        return f"template {event.code[0]} about {event.item[0]}"

    export_run(folder, tmp_path / "plain", "parquet")
    export_run(folder, tmp_path / "worded", "parquet", words)
    plain, worded = (
        pyarrow.parquet.read_table(tmp_path / name / "messages.parquet").to_pylist()
        for name in ("plain", "worded")
    )
    assert plain[0]["text"] == worded[0]["text"] == "Round 1: „très bien“"
    assert plain[1]["text"] is None
    post = made_round(1).events.of(EventKind.POST)
    assert worded[1]["text"] == f"template 4 about {post.item[1]}"
    assert {row["kind"] for row in worded} == {"post"}
    assert worded[0]["other_id"] is None


def test_csv_says_the_same_as_parquet(folder: RunFolder, tmp_path: Path):
    counts = export_run(folder, tmp_path / "csv", "csv")
    assert sorted(counts) == sorted(path.name for path in (tmp_path / "csv").iterdir())
    world = tiny_world()
    items = csv_rows(tmp_path / "csv" / "items.csv")
    assert [row["title"] for row in items] == world.catalog.titles
    assert [row["description"] for row in items] == world.catalog.descriptions
    assert [row["genres"].split("|") if row["genres"] else [] for row in items] == [
        world.catalog.genres_of(n) for n in range(len(world.catalog))
    ]
    assert items[3]["year"] == ""
    export_run(folder, tmp_path / "parquet", "parquet")
    for name in ("edges", "memories", "users"):
        table = pyarrow.parquet.read_table(tmp_path / "parquet" / f"{name}.parquet")
        rows = csv_rows(tmp_path / "csv" / f"{name}.csv")
        assert len(rows) == len(table) == counts[f"{name}.csv"]
        for column in table.column_names:
            if column.endswith("_id") or column == "name":
                assert [row[column] or None for row in rows] == table[column].to_pylist()


def test_recbole_files_have_typed_headers_and_tabs(folder: RunFolder, tmp_path: Path):
    counts = export_run(folder, tmp_path / "mine", "recbole")
    assert set(counts) == {"mine.inter", "mine.item", "mine.user", "mine.net"}
    text = (tmp_path / "mine" / "mine.inter").read_text().splitlines()
    assert text[0] == "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    seen, past = watches(), tiny_world().history
    assert len(text) == 1 + len(past) + int((seen.value > 0).sum())
    assert text[1] == f"user-{past.user[0]}\tfilm-{past.item[0]}\t{past.rating[0]:.0f}\t0"
    items = csv_rows(tmp_path / "mine" / "mine.item", "\t")
    assert list(items[0]) == [
        "item_id:token", "title:token_seq", "release_year:token", "genres:token_seq",
        "director:token",
    ]  # fmt: skip
    assert items[0]["title:token_seq"] == "The '0'th, of Šárka's"
    world = tiny_world()
    assert [row["genres:token_seq"].split() for row in items] == [
        [name.replace(" ", "_") for name in world.catalog.genres_of(n)]
        for n in range(len(world.catalog))
    ]
    assert list(csv_rows(tmp_path / "mine" / "mine.net", "\t")[0])[:2] == [
        "source_id:token", "target_id:token",
    ]  # fmt: skip
    assert list(csv_rows(tmp_path / "mine" / "mine.user", "\t")[0]) == [
        "user_id:token", "name:token", "age:token", "occupation:token",
    ]  # fmt: skip


def test_an_id_that_recbole_cannot_hold_is_named(tmp_path: Path):
    world = tiny_world()
    world.catalog.item_ids[2] = "film\t2"
    manifest, arms = MANIFEST, np.zeros(6, np.int8)
    with RunFolder.create(tmp_path / "run", manifest, world, arms) as folder:
        with pytest.raises(InputError, match=r"'film\\t2' has a tab.*parquet or csv"):
            export_run(folder, tmp_path / "out", "recbole")
        export_run(folder, tmp_path / "csv", "csv")
    assert csv_rows(tmp_path / "csv" / "items.csv")[2]["item_id"] == "film\t2"


def test_the_movielens_layout_has_movies_and_ratings(folder: RunFolder, tmp_path: Path):
    export_run(folder, tmp_path / "ml", "movielens", include_history=False)
    movies = csv_rows(tmp_path / "ml" / "movies.csv")
    assert movies[1]["title"] == 'The "1"th, of Šárka\'s (1981)'
    assert movies[0]["genres"] == "(no genres listed)"
    ratings = csv_rows(tmp_path / "ml" / "ratings.csv")
    seen = watches()
    rated = seen.take(seen.value > 0)
    assert [(r["userId"], r["movieId"], float(r["rating"])) for r in ratings] == [
        (f"user-{u}", f"film-{i}", v)
        for u, i, v in zip(rated.user, rated.item, rated.value.tolist(), strict=True)
    ]
    assert list(ratings[0]) == ["userId", "movieId", "rating", "timestamp"]


@pytest.mark.parametrize("format", ["parquet", "csv", "recbole", "movielens"])
def test_a_run_without_rounds_and_history_has_headers(tmp_path: Path, format: str):
    path = tmp_path / "run"
    with RunFolder.create(path, MANIFEST, tiny_world(), ["A"] * 6) as folder:
        counts = export_run(
            folder,
            tmp_path / "out",
            format,
            include_history=False,  # type: ignore[arg-type]
        )
    for name, count in counts.items():
        file = tmp_path / "out" / name
        if format == "parquet":
            assert len(pyarrow.parquet.read_table(file)) == count
        else:
            assert len(file.read_text().splitlines()) == count + 1


def test_a_target_with_something_in_it_is_refused(folder: RunFolder, tmp_path: Path):
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(Conflict, match="already"):
        export_run(folder, tmp_path, "csv")
    with pytest.raises(InputError, match="Choose from parquet, csv, recbole, movielens"):
        export_run(folder, tmp_path / "new", "xml")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
