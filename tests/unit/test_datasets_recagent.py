from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recarena.server.datasets.importing import import_world
from recarena.server.datasets.recagent import Files, Options, load_recagent, without_brackets
from recarena.server.errors import InputError
from support.data import recagent

ITEMS = """id,title,genre,description
0,Toy Story,Animation|Children's|Comedy,<Toy Story > is a film about toys.
1,Heat,Action|Crime,"<Heat> , a crime film."
2,Heat,Horror,Another film of that name.
"""
USERS = """id,name,gender,age,traits,status,interest,feature
0,David Smith,male,25,"caring, optimistic",photographer," action movies,  stamps",Watcher;Critic;
1,David Smith,female,39,creative,writer,family-friendly movies,Poster
2,Ana Costa,female,61,,,horror movies,
"""
RELATIONS = """user_1,user_2,relationship,closeness
0,1,friend,0.9258160511663730
1,0,friend,0.9258160511663730
0,2,child,0.9
2,0,parent,0.9
"""


def write(folder: Path, **changed: str | bytes | None) -> Path:
    contents: dict[str, str | bytes | None] = {
        "item": ITEMS, "user_1000": USERS, "relationship_1000": RELATIONS.replace("\n", "\r\n"),
    } | changed  # fmt: skip
    for name, content in contents.items():
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (folder / f"{name}.csv").write_bytes(data)
    return folder


def test_users_items_and_relations_are_the_files(tmp_path: Path) -> None:
    world = import_world(write(tmp_path))
    population, network = world.population, world.network
    assert population.user_ids == ["0", "1", "2"]
    assert population.names == ["David Smith", "David Smith", "Ana Costa"]
    assert population.profile["occupation"] == ["photographer", "writer", ""]
    assert population.profile["traits"][0] == "caring, optimistic, watcher, critic"
    assert world.catalog.descriptions[0] == "Toy Story is a film about toys."
    assert world.catalog.titles == ["Toy Story", "Heat", "Heat"]
    assert network.kinds == ("friend", "child", "parent")
    ties = network.ties_of(0)
    assert network.other[ties].tolist() == [1, 2]
    assert [network.kinds[k] for k in network.kind[ties]] == ["friend", "child"]
    assert network.closeness[ties] == pytest.approx([0.925816, 0.9])
    assert len(world.history) == 0
    assert not world.catalog.popularity.any()


def test_what_was_made_of_the_files_is_said(tmp_path: Path) -> None:
    notes = str(import_world(write(tmp_path)).origin["notes"])
    assert "2 of 3 users share their name" in notes
    assert "'stamps' (1 users)" in notes
    assert "2 descriptions are without <>" in notes


def test_tastes_follow_the_interests(tmp_path: Path) -> None:
    world = import_world(write(tmp_path))
    points = world.population.taste @ world.catalog.attributes.T
    assert points.argmax(axis=1).tolist() == [1, 0, 2]
    assert points.std() == pytest.approx(1.0, abs=0.01)


def test_a_history_can_be_sampled(tmp_path: Path) -> None:
    world = import_world(write(tmp_path), history_per_user=2)
    assert len(world.history) == 6
    assert world.catalog.popularity.sum() == 6


def test_the_three_files_may_lie_anywhere(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("item", "user_1000", "relationship_1000"):
        (tmp_path / f"{name}.csv").rename(tmp_path / f"my {name}.txt")
    files = Files(*(tmp_path / f"my {n}.txt" for n in ("item", "user_1000", "relationship_1000")))
    assert len(load_recagent(files, Options(seed=1)).population) == 3


def test_a_relation_said_twice_counts_once_and_is_said(tmp_path: Path) -> None:
    world = import_world(write(tmp_path, relationship_1000=RELATIONS + "0,2,child,0.9\n"))
    assert len(world.network) == 4
    assert "1 relations are there twice" in str(world.origin["notes"])


def edited(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("item", None, r"no file item\*\.csv"),
        ("item", "", r"item\.csv: the file is empty"),
        ("item", "id,title,genre,description\n", r"item\.csv: no rows"),
        (
            "item",
            edited(ITEMS, "1,Heat,", "0,Heat,"),
            r"item\.csv:3: the item '0' is there already",
        ),
        ("item", edited(ITEMS, "title", "name"), r"item\.csv:1: the column 'title'"),
        ("item", edited(ITEMS, ' , a crime film."', " , a crime film."), "not CSV"),
        ("user_1000", edited(USERS, ",39,", ",young,"), r"user_1000\.csv:3: the age is 'young'"),
        ("user_1000", edited(USERS, "2,Ana", ",Ana"), r"user_1000\.csv:4: the user's id is ''"),
        ("user_1000", edited(USERS, "Poster", "Poster,x"), r"csv:3: 9 fields instead of 8"),
        ("user_1000", USERS.replace("Ana", "José").encode("latin-1"), r"csv:4: not UTF-8"),
        ("relationship_1000", edited(RELATIONS, "0,2,", "0,7,"), r"csv:4: the user '7' is not"),
        ("relationship_1000", edited(RELATIONS, "0,2,", "0,0,"), r"csv:4: the user '0' is tied to"),
        ("relationship_1000", edited(RELATIONS, "child,0.9", "child,9"), r"csv:4: the closeness"),
        ("relationship_1000", RELATIONS + "0,2,friend,0.9\n", r"csv:6: the tie 0 -> 2 is there"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    tmp_path: Path, file: str, content: str | bytes | None, says: str
) -> None:
    write(tmp_path, **{file: content})
    with pytest.raises(InputError, match=says) as refusal:
        import_world(tmp_path, "recagent")
    assert refusal.value.remedy


def test_two_files_of_a_kind_are_refused(tmp_path: Path) -> None:
    write(tmp_path, user_20=USERS)
    with pytest.raises(
        InputError, match=r"several files user\*\.csv: user_1000\.csv, user_20\.csv"
    ):
        import_world(tmp_path)


def test_recagent_has_no_ratings_to_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ratings to split"):
        import_world(write(tmp_path), train_fraction=0.8)


def test_brackets_go_and_words_stay() -> None:
    assert without_brackets("<Heat >  is <b> a film") == "Heat is b a film"
    assert without_brackets("2 < 3") == "2 < 3"


def test_recagents_thousand_users_are_loaded_whole() -> None:
    world = import_world(recagent())
    assert (len(world.population), len(world.catalog)) == (1000, 3883)
    assert len(world.network) == 20_846
    assert set(world.network.kinds) >= {"friend", "parent", "child", "colleague", "neighbor"}
    assert len(set(world.population.names)) == 100
    assert not any("<" in text for text in world.catalog.descriptions)
    assert "no genre is known" not in str(world.origin["notes"])
    assert world.network.degrees().min() >= 1
    points = world.population.taste @ world.catalog.attributes.T
    assert points.mean(axis=0).var() < 0.4 * points.var()
    one = world.population.number_of["0"]
    assert np.isclose(world.network.closeness[world.network.ties_of(one)], 0.925816).any()
