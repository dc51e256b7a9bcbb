from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recarena.server.datasets.importing import import_world
from recarena.server.datasets.movielens import layout_of, year_of
from recarena.server.errors import InputError
from support.data import movielens_100k

GENRES_100K = ("unknown", "Action", "Comedy", "Drama")


def write_100k(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "u.genre").write_text("".join(f"{g}|{n}\n" for n, g in enumerate(GENRES_100K)) + "\n")
    (folder / "u.item").write_bytes(
        "1|Lion King, The (1994)|01-Jan-1994||http://x|0|0|1|0\n"
        "2|Amélie (2001)|01-Jan-2001||http://x|0|0|1|1\n"
        "5|unknown||||1|0|0|0\n".encode("latin-1")
    )
    (folder / "u.user").write_text("7|24|M|technician|85711\n3|53|F|other|94043\n")
    (folder / "u.data").write_text("7\t1\t5\t300\n3\t2\t2\t100\n7\t2\t4\t200\n")
    return folder


def write_1m(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "movies.dat").write_bytes(
        "1::Lion King, The (1994)::Animation|Children's\n2::Amélie (2001)::Comedy\n".encode(
            "latin-1"
        )
    )
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    (folder / "ratings.dat").write_text("1::1::5::300\n2::2::2::100\n1::2::4::200\n")
    return folder


def write_csv(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n1,"Lion King, The (1994)",Animation|Children\n'
        "2,Amélie (2001),Comedy\n9,Babylon 5,(no genres listed)\n",
        encoding="utf-8",
    )
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,1,4.5,300\n2,2,0.5,100\n1,2,4.0,200\n"
    )
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "ml-100k": write_100k,
    "ml-1m": write_1m,
    "ml-latest-small": write_csv,
}


@pytest.mark.parametrize("layout", WRITERS)
def test_each_layout_is_recognised_and_loaded(tmp_path: Path, layout: str) -> None:
    folder = WRITERS[layout](tmp_path)
    assert layout_of(folder) == layout
    world = import_world(folder)
    assert world.catalog.titles[:2] == ["Lion King, The (1994)", "Amélie (2001)"]
    assert world.catalog.years[:2].tolist() == [1994, 2001]
    assert world.catalog.popularity[:2].tolist() == [1, 2]
    assert world.history.time.tolist() == [100, 200, 300]
    first = [world.catalog.titles[i][:4] for i in world.history.item.tolist()]
    assert first == ["Amél", "Amél", "Lion"]
    assert len(world.population) == 2
    assert world.network.degrees().tolist() == [1, 1]
    assert set(world.catalog.descriptions) == {""}
    assert world.origin["layout"] == layout
    assert str(tmp_path) not in str(world.origin)


def test_the_25m_release_is_told_from_the_small_one(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "genome-scores.csv").touch()
    assert layout_of(tmp_path) == "ml-25m"
    assert import_world(tmp_path).origin["layout"] == "ml-25m"


def test_ids_profiles_and_genres_are_the_datas(tmp_path: Path) -> None:
    world = import_world(write_100k(tmp_path), name="mine")
    assert world.name == "mine"
    assert world.population.user_ids == ["7", "3"]
    assert world.population.profile["occupation"] == ["technician", "other"]
    assert world.population.profile["gender"] == ["male", "female"]
    assert world.catalog.item_ids == ["1", "2", "5"]
    assert world.catalog.genre_names == ("Action", "Comedy", "Drama")
    assert world.catalog.genres_of(1) == ["Comedy", "Drama"]
    assert world.catalog.genres_of(2) == []
    assert world.catalog.years[2] == 0


def test_codes_of_movielens_1m_are_written_out(tmp_path: Path) -> None:
    profile = import_world(write_1m(tmp_path)).population.profile
    assert profile["age"] == ["under 18", "56+"]
    assert profile["occupation"] == ["school student", "self-employed"]


def test_half_a_star_counts_as_one_and_is_said(tmp_path: Path) -> None:
    world = import_world(write_csv(tmp_path))
    assert world.history.rating.tolist() == [1.0, 4.0, 4.5]
    assert "1 ratings of half a star count as one star" in str(world.origin["notes"])


def test_a_split_by_time_leaves_later_ratings_out_of_everything(tmp_path: Path) -> None:
    folder = write_100k(tmp_path)
    world = import_world(folder, train_fraction=0.34)
    assert world.history.time.tolist() == [100]
    assert world.catalog.popularity.tolist() == [0, 1, 0]
    assert not world.population.taste[0].any()
    notes = str(world.origin["notes"])
    assert "2 later ratings" in notes
    assert world.later.time.tolist() == [200, 300]
    assert not len(import_world(folder).later)
    assert "1 users have no ratings" in notes
    lines = ["7\t1\t5\t86399\n", "3\t2\t2\t86400\n"]
    (folder / "u.data").write_text("".join(lines))
    assert len(import_world(folder, ratings_until="1970-01-02").history) == 1
    assert len(import_world(folder, ratings_until="1970-01-03").history) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"train_fraction": 0.5, "ratings_until": "1998-01-01"}, "two ways to split"),
        ({"train_fraction": 1.5}, "no share"),
        ({"ratings_until": "last year"}, "no date"),
        ({"ratings_until": "1960-01-01"}, "no rating is that early"),
        ({"history_per_user": 5}, "brings its own history"),
        ({"layout": "ml-2b"}, "no layout"),
        ({"layout": "ml-1m"}, "the file is missing"),
        ({"seed": -1}, "a seed is 0 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, options: dict[str, object], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        import_world(write_100k(tmp_path), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layout", "file", "content", "says"),
    [
        ("ml-100k", "u.data", b"7\t1\t5\t1\n\n7\t2\t9\t1\n", r"u\.data:3: the rating is 9"),
        ("ml-100k", "u.data", b"7\t1\t5\t1\n7\t2\t4\n", r"u\.data:2: 3 fields instead of 4"),
        ("ml-100k", "u.data", b"7\t1\tfive\t1\n", r"u\.data:1: rating is 'five'"),
        ("ml-100k", "u.data", b"7\t1\t\t1\n", r"u\.data:1: rating is ''"),
        ("ml-100k", "u.data", b"7\t1\tnan\t1\n", r"u\.data:1: "),
        ("ml-100k", "u.data", b"7\t1\t5\t1\n8\t1\t5\t1\n", r"u\.data:2: the user 8 is not among"),
        ("ml-100k", "u.data", b"7\t4\t5\t1\n", r"u\.data:1: the film 4 is not among"),
        ("ml-100k", "u.data", b"7\t1\t5\t1\n7\t1\t4\t2\n", r"u\.data:2: .*twice"),
        ("ml-100k", "u.data", b"", r"u\.data: the file is empty"),
        ("ml-100k", "u.data", b"\n\n", r"u\.data: "),
        ("ml-100k", "u.data", b"7\t1\t\xff\t1\n", r"u\.data:1: not UTF-8"),
        ("ml-100k", "u.item", b"", r"u\.item: the file is empty"),
        ("ml-100k", "u.item", b"1|A (1994)|x\n", r"u\.item:1: 3 fields instead of 9"),
        ("ml-100k", "u.item", b"1|A|||x|0|2|0|0\n", r"u\.item:1: a genre is neither"),
        (
            "ml-100k",
            "u.item",
            b"1|A|||x|0|1|0|0\n1|B|||x|0|1|0|0\n",
            r"u\.item:2: the film '1' is there already \(line 1\)",
        ),
        ("ml-100k", "u.user", b"7|old|M|x|1\n", r"u\.user:1: the age is 'old'"),
        ("ml-100k", "u.user", b"7|24|X|x|1\n", r"u\.user:1: the gender is 'X'"),
        ("ml-100k", "u.user", b"x|24|M|x|1\n", r"u\.user:1: the user's id is 'x'"),
        ("ml-100k", "u.genre", None, r"u\.genre: the file is missing"),
        ("ml-1m", "ratings.dat", b"1::1::6::1\n", r"ratings\.dat:1: the rating is 6"),
        ("ml-1m", "ratings.dat", b"1::1::5\n", r"ratings\.dat:1: 3 fields instead of 4"),
        ("ml-1m", "users.dat", b"1::F::1::99::1\n", r"users\.dat:1: the occupation is '99'"),
        ("ml-latest-small", "ratings.csv", b"a,b,c,d\n1,1,4,1\n", r"ratings\.csv:1: the header"),
        (
            "ml-latest-small",
            "ratings.csv",
            b"userId,movieId,rating,timestamp\n1,1,4.5,1\n1,2,5.5,1\n",
            r"ratings\.csv:3: the rating is 5.5",
        ),
        (
            "ml-latest-small",
            "ratings.csv",
            b"userId,movieId,rating,timestamp\n",
            r"ratings\.csv: no ratings",
        ),
        (
            "ml-latest-small",
            "movies.csv",
            b"movieId,title,genres\n1,A, the first,Comedy\n",
            r"movies\.csv:2: 4 fields instead of 3",
        ),
        (
            "ml-latest-small",
            "movies.csv",
            b"movieId,title,genres\n1,Am\xe9lie,Comedy\n",
            r"movies\.csv:2: not UTF-8",
        ),
        ("ml-latest-small", "movies.csv", b"movieId,title\n1,A\n", r"movies\.csv:1: the column"),
        ("ml-latest-small", "movies.csv", b'movieId,title,genres\n1,"A,B\n', "not CSV"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    tmp_path: Path, layout: str, file: str, content: bytes | None, says: str
) -> None:
    path = WRITERS[layout](tmp_path) / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=says) as refusal:
        import_world(tmp_path, layout)
    assert refusal.value.remedy


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a MovieLens nor a RecAgent"):
        import_world(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        import_world(tmp_path / "nowhere")
    (tmp_path / "ml.zip").touch()
    with pytest.raises(InputError, match="Unpack it first"):
        import_world(tmp_path / "ml.zip")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    layout=st.sampled_from(sorted(WRITERS)),
    which=st.integers(0, 3),
    start=st.floats(0, 1),
    length=st.integers(0, 6),
    new=st.one_of(st.binary(max_size=4), st.sampled_from([b"\n", b",", b"::", b'"', b"-1", b"|"])),
)
def test_damage_anywhere_is_either_harmless_or_refused(
    tmp_path: Path, layout: str, which: int, start: float, length: int, new: bytes
) -> None:
    folder = WRITERS[layout](tmp_path / layout)
    files = sorted(folder.iterdir())
    path = files[which % len(files)]
    data = path.read_bytes()
    at = int(start * len(data))
    path.write_bytes(data[:at] + new + data[at + length :])
    try:
        world = import_world(folder, layout)
    except InputError as error:
        remedy = error.remedy
    else:
        remedy = "none is needed"
        assert ((world.history.rating >= 1) & (world.history.rating <= 5)).all()
    assert remedy


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Lion King, The (1994)", 1994),
        ("Land Before Time III: The Time of the Great Giving (1995) (V)", 1995),
        ("Seven (a.k.a. Se7en) (1995)", 1995),
        ("Fawlty Towers (1975-1979)", 1975),
        ("Doctor Who (2005–)", 2005),
        ("2001: A Space Odyssey (1968)", 1968),
        ("Room (1408)", 0),
        ("unknown", 0),
    ],
)
def test_the_year_is_read_from_the_title(title: str, year: int) -> None:
    assert year_of(title) == year


def test_movielens_100k_is_loaded_whole() -> None:
    world = import_world(movielens_100k())
    assert (len(world.population), len(world.catalog), len(world.history)) == (943, 1682, 100_000)
    assert world.history.rating.mean() == pytest.approx(3.52986)
    assert (np.diff(world.history.time) >= 0).all()
    assert world.catalog.label(int(world.catalog.popularity.argmax())) == "Star Wars (1977)"
    assert (world.catalog.years == 0).sum() == 1
    assert len(world.catalog.genre_names) == 18
    known = dict(zip(world.catalog.titles, world.catalog.quality, strict=True))
    assert known["Schindler's List (1993)"] > 0.7
    assert known["Crow: City of Angels, The (1996)"] < -0.3


def test_tastes_from_movielens_100k_predict_later_ratings() -> None:
    folder = movielens_100k()
    train, whole = import_world(folder, train_fraction=0.8), import_world(folder)
    user, item = whole.history.user[80_000:], whole.history.item[80_000:]
    known = np.bincount(train.history.user, minlength=943)[user] >= 20
    user, item, rating = user[known], item[known], whole.history.rating[80_000:][known]
    base = train.population.mean_rating[user] + train.catalog.quality[item]
    personal = (train.population.taste[user] * train.catalog.attributes[item]).sum(axis=1)
    assert np.mean((rating - base - personal) ** 2) < np.mean((rating - base) ** 2)


def test_tastes_can_be_rescaled() -> None:
    world = import_world(movielens_100k(), taste_spread=0.8)
    points = world.population.taste @ world.catalog.attributes.T
    assert points.std() == pytest.approx(0.8, abs=0.01)
    assert "rescaled" in str(world.origin["notes"])


@pytest.mark.benchmark
@pytest.mark.slow
def test_millions_of_ratings_take_seconds(tmp_path: Path) -> None:
    users, items, count = 10_000, 5_000, 2_000_000
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, users * items, count))
    rating = rng.integers(1, 11, len(pairs)) / 2
    (tmp_path / "movies.csv").write_text(
        "movieId,title,genres\n"
        + "".join(f"{i},Film {i} (1990),{'Drama' if i % 2 else 'Comedy'}\n" for i in range(items))
    )
    columns = np.stack([pairs // items + 1, pairs % items, rating, pairs % 10**9], axis=1)
    np.savetxt(
        tmp_path / "ratings.csv",
        columns,
        fmt=("%d", "%d", "%.1f", "%d"),
        delimiter=",",
        header="userId,movieId,rating,timestamp",
        comments="",
    )
    start = time.perf_counter()
    world = import_world(tmp_path)
    took = time.perf_counter() - start
    print(f"import of {len(pairs)} ratings: {took:.1f} s")
    assert len(world.history) == len(pairs)
    assert took < 60
