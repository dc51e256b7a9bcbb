"""A run that operators changed, as the commands tell it: numbers of new users and items are known,
and nothing of it is taken for what users did."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest

from recarena.server.datasets.generate import generate_world
from recarena.server.runs import Run
from support.commands import Ended
from support.steered import K, ShelfDoor, added, change, founded, lives, plays

Here = Callable[..., Ended]
DATA = generate_world(40, 3, history_per_user=3)
IDS, GENRE, GONE = DATA.population.user_ids, DATA.catalog.genre_names[0], DATA.catalog.item_ids[0]
SCRIPT = [
    [added("new", GENRE, quality=3, title="Whale, The (1998)"),
     change(K.EDIT_PROFILE, user_id=IDS[3], name="Zoë", profile={"age": "33"}, tastes={GENRE: 3})],
    [change(K.INJECT_POST, user_id=IDS[2], text="See it!", item_id="new", sentiment=2),
     change(K.TELL_USER, user_id=IDS[3], said="Why?", answer="So.")],
    [change(K.WITHDRAW_ITEM, item_id=GONE),
     change(K.SET_RELATION, user_id=IDS[3], other_user_id=IDS[20], kind="rival", closeness=1)],
]  # fmt: skip


@pytest.fixture(scope="module")
def steered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `steered`, and the same without changes, `plain`."""
    folder = tmp_path_factory.mktemp("runs")

    async def play(name: str, script) -> None:
        run = Run(founded(folder / name, DATA, 6), ShelfDoor())
        await lives(run, script)
        await plays(run, 6)
        await run.close()

    asyncio.run(play("steered", SCRIPT))
    asyncio.run(play("plain", []))
    return folder


def test_a_run_is_summed_up_without_what_users_did_not_do(here: Here, steered: Path):
    said = here("show", "steered", "--json", cwd=steered).went_well().value
    assert said["interventions"] == 6
    posts = [
        one
        for one in here("log", "steered", "--kind", "post", "--json", cwd=steered).values
        if "See it!" not in one["text"]
    ]
    assert sum(arm["post"] for arm in said["arms"]) == len(posts) > 0
    assert "intervention" not in said["arms"][0]
    table = here("show", "steered", cwd=steered).went_well().out
    assert "Operators changed the world 6 times." in table
    assert "Operators" not in here("show", "plain", cwd=steered).went_well().out


def test_a_user_is_shown_as_she_was_left(here: Here, steered: Path):
    told = here("show", "steered", "--user", IDS[3], "--json", cwd=steered).went_well().value
    assert (told["name"], told["profile"]["age"]) == ("Zoë", "33")
    assert {"user_id": IDS[20], "kind": "rival"}.items() <= next(
        tie for tie in told["ties"] if tie["user_id"] == IDS[20]
    ).items()
    talk = [one for one in told["memories"] if one["kind"] == "observed"]
    assert [(one["round"], one["text"]) for one in talk] == [
        (2, "Somebody asked me: “Why?” I answered: “So.”")
    ]
    memories = here("memory", "steered", IDS[3], cwd=steered).went_well().out
    assert "Somebody asked me" in memories


def test_the_log_tells_interventions_first_in_their_round(here: Here, steered: Path):
    events = here("log", "steered", "--json", cwd=steered).went_well().values
    told = [one for one in events if one["kind"] == "intervention"]
    assert [(one["round"], one["user_id"], one["text"]) for one in told[:2]] == [
        (1, None, f"An item is added: The Whale ({GENRE})."),
        (1, None, f"Somebody gives {IDS[3]} the name Zoë; another profile: age “33”; other "
                  f"tastes: {GENRE} 3."),
    ]  # fmt: skip
    for round in (1, 2, 3):
        kinds = [one["kind"] for one in events if one["round"] == round]
        assert kinds[:2] == ["intervention"] * 2
        assert "intervention" not in kinds[2:]
    assert any(one["kind"] == "watch" and one["item_id"] == "new" for one in events)
    (post,) = [one for one in events if "See it!" in one["text"] and one["kind"] == "post"]
    assert (post["user_id"], post["position"], post["item_id"]) == (IDS[2], None, "new")
    later = here("log", "steered", "--from", 4, cwd=steered).went_well().out
    assert "Zoë" in later


def test_a_log_with_interventions_is_verified_and_played_again(here: Here, steered: Path):
    found = here("digest", "steered", "--verify", cwd=steered).went_well().out
    again = here("digest", "steered", "--replay", "--json", cwd=steered).went_well().value
    assert again["digest"] == found.strip()
    assert again["rounds"] == 6


@pytest.mark.parametrize("format", ["parquet", "csv", "recbole", "movielens"])
def test_an_export_has_the_items_that_came(here: Here, steered: Path, tmp_path: Path, format):
    out = tmp_path / format
    here("export", "steered", out, "--format", format, cwd=steered).went_well()
    if format == "parquet":
        items = pyarrow.parquet.read_table(out / "items.parquet").to_pylist()
        assert items[-1]["item_id"] == "new"
        watched = pyarrow.parquet.read_table(out / "interactions.parquet")["item_id"].to_pylist()
        assert "new" in watched
        changes = pyarrow.parquet.read_table(out / "interventions.parquet").to_pylist()
        assert [(one["round"], one["kind"]) for one in changes[:2]] == [
            (1, "add_item"), (1, "edit_profile"),
        ]  # fmt: skip
        assert (changes[0]["item_id"], changes[1]["user_id"]) == ("new", IDS[3])
        assert json.loads(changes[0]["change"])["item"]["title"] == "Whale, The (1998)"
        assert not any("quality" in one["change"] or "tastes" in one["change"] for one in changes)
        users = pyarrow.parquet.read_table(out / "users.parquet").to_pylist()
        assert users[3]["name"] == "Zoë"
        messages = pyarrow.parquet.read_table(out / "messages.parquet").to_pylist()
        assert [one["text"] for one in messages if one["injected"]] == ["See it!"]
    if format == "csv":
        with (out / "interventions.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 6
    if format in ("recbole", "movielens"):
        interactions = next(one for one in out.iterdir() if one.suffix in (".inter", ".csv")
                            and one.name != "movies.csv").read_text()  # fmt: skip
        item_ids = [line.replace(",", "\t").split("\t")[1] for line in interactions.splitlines()]
        assert "new" in [one.strip('"') for one in item_ids]


def test_an_export_without_interventions_has_no_file_of_them(here: Here, steered: Path, tmp_path):
    here("export", "plain", tmp_path / "out", cwd=steered).went_well()
    assert not (tmp_path / "out" / "interventions.parquet").exists()


def test_a_fork_goes_on_from_the_changed_world(here: Here, steered: Path, tmp_path: Path):
    here("fork", "steered", tmp_path / "copy", "--round", 2, cwd=steered).went_well()
    said = here("log", "copy", "--kind", "intervention", "--json", cwd=tmp_path).went_well().values
    assert [one["round"] for one in said] == [1, 1, 2, 2]
    assert here("digest", "copy", "--replay", cwd=tmp_path).went_well()


def test_a_report_is_written_of_a_steered_run(here: Here, steered: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    here("report", "steered", "--out", page, cwd=steered).went_well()
    assert "interventions" in page.read_text("utf-8")
