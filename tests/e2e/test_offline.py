"""`recarena offline` with a real server and real recommenders: a split by time, and the simulator
beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from recarena.server.datasets.generate import generate_world
from recarena.server.datasets.importing import import_world
from recarena.server.datasets.world_folder import save_world
from support.commands import recarena
from support.data import movielens_100k
from support.figures import report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# Users 0..59 of two tastes: evens watch the first twenty films, odds the others. Films of a taste
# that are liked later have been liked by others of that taste before.
FILMS, USERS, BEFORE, AFTER = 40, 60, 12, 4


def write_split_tastes(folder: Path) -> Path:
    folder.mkdir()
    films = [f"{n},Film {n} (1990),{'Comedy' if n < FILMS // 2 else 'Drama'}" for n in range(FILMS)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    rows: list[tuple[int, str]] = []
    for user in range(USERS):
        half = FILMS // 2
        own = [(user // 2 * 3 + n) % half + (user % 2) * half for n in range(BEFORE + AFTER)]
        rows += [(n if n < BEFORE else 100 + n, f"{user},{item},{4 + item % 2}")
                 for n, item in enumerate(own)]  # fmt: skip
    lines = [f"{row},{1_000_000 + time}" for time, row in sorted(rows)]
    (folder / "ratings.csv").write_text(
        "\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n"
    )
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n")
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n")
    return folder


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("offline")
    data = write_split_tastes(folder / "data")
    world = import_world(data, train_fraction=BEFORE / (BEFORE + AFTER))
    save_world(world, folder / "world")
    return folder / "world"


async def measured(cwd: Path, *arguments: Any) -> dict[str, list[dict[str, Any]]]:
    done = (await recarena("offline", *arguments, "--json", cwd=cwd)).went_well()
    found: dict[str, list[dict[str, Any]]] = {}
    for record in done.values:
        found.setdefault(record["event"], []).append(record)
    return found


async def test_one_that_learns_beats_fame_and_chance_on_what_is_held_out(
    split: Path, tmp_path: Path
):
    names = ("item-knn", "popular", "random")
    chosen = [word for name in names for word in ("-r", name)]
    found = await measured(
        tmp_path, split, *chosen, "--worlds", 2, "--rounds", 3, "--out", tmp_path / "out"
    )
    ndcg = {row["recommender"]: row["ndcg"]["mean"] for row in found["offline"]}
    assert list(ndcg) == sorted(ndcg, key=lambda name: -ndcg[name])
    assert all(row["users"] == USERS for row in found["offline"])
    # Of 28 films that are new to a user 8 are of the right taste, 4 of them held out.
    assert ndcg["item-knn"] > 1.5 * max(ndcg["popular"], ndcg["random"])
    assert {row["recommender"] for row in found["leaderboard"]} == set(names)
    assert {(one["offline"], one["simulated"]) for one in found["agreement"]} == {
        (a, b) for a in ("ndcg", "recall") for b in ("watch_rate", "satisfaction")
    }
    assert all(-1 <= one["tau"] <= 1 for one in found["agreement"])
    assert (tmp_path / "out" / "offline-item-knn" / "manifest.json").is_file()


async def test_lists_are_of_the_length_asked_for_and_hold_nothing_that_was_rated_before(
    split: Path, tmp_path: Path
):
    import pyarrow.parquet as pq

    from recarena.evaluation.offline.measures import first_pages
    from recarena.evaluation.runs.run_log import RunLog

    await measured(
        tmp_path, split, "-r", "popular", "--at", 7, "--worlds", 0, "--out", tmp_path / "out"
    )
    lists = first_pages(RunLog.open(tmp_path / "out" / "offline-popular"))
    assert sorted(lists) == list(range(USERS))
    assert {len(one) for one in lists.values()} == {7}
    past = pq.ParquetFile(split / "history.parquet").read()
    known = set(zip(past["user"].to_pylist(), past["item"].to_pylist(), strict=True))
    assert not [user for user, one in lists.items() for item in one if (user, item) in known]


async def test_what_cannot_be_measured_is_said_in_a_line(split: Path, tmp_path: Path):
    whole = tmp_path / "whole"
    save_world(generate_world(5, seed=1), whole)
    for arguments, says in (
        ((whole,), "holds nothing to measure against"),
        ((tmp_path / "none",), "is no world folder"),
        ((split, "-r", "mine=python mine.py"), "{server}"),
        ((split, "--min-history", "99"), "nobody with 99 ratings"),
    ):
        done = await recarena("offline", *arguments, "--out", tmp_path / "out", cwd=tmp_path)
        assert says in done.failed()
    gone = await recarena("offline", split, "-r", "none", "--out", tmp_path / "gone", cwd=tmp_path)
    assert (gone.code, "Traceback" in gone.err) == (1, False)
    assert "there is no recommender 'none'" in gone.err


async def test_recommenders_on_movielens_have_an_order_offline_and_one_in_the_simulator(
    tmp_path: Path,
):
    source = movielens_100k()
    imported = await recarena(
        "world", "import", source, tmp_path / "ml", "--fraction", "0.8", cwd=tmp_path
    )
    imported.went_well()
    chosen = [word for name in ("ease", "popular", "random") for word in ("-r", name)]
    chosen += ["-r", f"again={sys.executable} -m recarena.recommenders.cli popular --id again "
               "--server {server}"]  # fmt: skip
    found = await measured(
        tmp_path, tmp_path / "ml", *chosen, "--worlds", 0, "--out", tmp_path / "out"
    )
    ndcg = {row["recommender"]: round(row["ndcg"]["mean"], 4) for row in found["offline"]}
    assert ndcg["ease"] > ndcg["popular"] > 5 * ndcg["random"]
    assert ndcg["again"] == ndcg["popular"]
    report("offline MovieLens 100k", ndcg_at_10=ndcg)
