"""`--state`: what was learned survives a restart, is learned once, and is never lost silently."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recarena.client import Catalog
from recarena.recommenders import cli
from recarena.recommenders.roster import ROSTER, Options
from recarena.recommenders.state import StateError, StateFolder, catalog_hash
from recarena.v1.types_pb2 import Interaction, Item
from support.recommender_worlds import (
    PAGE,
    RATE,
    SMALL_ITEMS,
    SMALL_USERS,
    columns,
    info,
    lists,
    rank_query,
    rich,
    small_world,
    write_world,
)

NAMES = [name for name in ROSTER if name != "llm-rerank"]  # its state is its first stage's
every_name = pytest.mark.parametrize("name", NAMES)


class Kept:
    """A recommender with a state in a folder, of which any process may be killed."""

    def __init__(self, name: str, folder: Path, form=columns) -> None:
        self.planted, self.rounds = small_world()
        world = folder / "world"
        self._world = world if world.exists() else write_world(world, self.planted)
        self._name, self._states, self.form = name, folder / "states", form
        self.state: StateFolder | None = None

    def plain(self, rounds: int):
        """One without a state that has played so many rounds."""
        recommender = ROSTER[self._name].factory(Options(world=self._world))()
        recommender.start(info(self.planted.catalog(), SMALL_USERS, self.form is columns))
        for round in range(rounds):
            self.tell(recommender, round)
            recommender.ready(round + 1)
        return recommender

    def process(self, catalog: Catalog | None = None, **run):
        """A new process; the one before is gone."""
        if self.state is not None:
            self.state.close()
        self.state = StateFolder(self._states, self._name, "mine")
        options = Options(world=self._world, state=self.state)
        recommender = ROSTER[self._name].factory(options)()
        known = info(catalog or self.planted.catalog(), SMALL_USERS, self.form is columns)
        recommender.start(replace(known, **run))
        return recommender

    def tell(self, recommender, round: int) -> None:
        batch = self.form(round, self.rounds[round])
        give = recommender.feedback if self.form is rich else recommender.feedback_columns
        give(batch)

    @property
    def file(self) -> Path:
        (file,) = self._states.glob("*.npz")
        return file


def pages(recommender) -> list[list[str]]:
    """Lists of all users, whatever the encoding."""
    if recommender.run.columnar:
        return lists(recommender, SMALL_USERS).tolist()
    return recommender.rank([rank_query(user) for user in range(SMALL_USERS)])


@pytest.mark.parametrize("form", [columns, rich], ids=["columnar", "rich"])
@every_name
def test_a_killed_process_goes_on_as_if_it_had_not_been(name: str, form, tmp_path: Path):
    """Killed while lists are asked for, in every round; told everything again from round 0 on."""
    kept = Kept(name, tmp_path, form)
    for opened in range(1, 4):
        recommender = kept.process()
        for round in range(opened):
            kept.tell(recommender, round)
        recommender.ready(opened)
        assert pages(recommender) == pages(kept.plain(opened)), opened
        again = kept.process()
        for round in range(opened):
            kept.tell(again, round)
        again.ready(opened)
        assert pages(again) == pages(recommender)
        assert again.watches.tolist() == recommender.watches.tolist()


@every_name
def test_a_process_without_a_state_that_is_told_everything_ends_at_the_same_lists(
    name: str, tmp_path: Path
):
    kept = Kept(name, tmp_path)
    late = kept.plain(0)
    for round in range(3):
        kept.tell(late, round)
    late.ready(3)
    assert pages(late) == pages(kept.plain(3))


def test_a_process_that_left_in_the_middle_of_feedback_learns_that_round_once(tmp_path: Path):
    kept = Kept("als", tmp_path)
    left = kept.process()
    kept.tell(left, 0)
    left.ready(1)
    rows = kept.rounds[1]
    left.feedback_columns(columns(1, rows[: len(rows) // 2]))
    left.close()
    again = kept.process()
    for round in range(2):
        kept.tell(again, round)
    again.ready(2)
    assert pages(again) == pages(kept.plain(2))


@every_name
def test_a_new_run_begins_with_what_the_last_one_taught(name: str, tmp_path: Path):
    kept = Kept(name, tmp_path)
    first = kept.process()
    for round in range(2):
        kept.tell(first, round)
        first.ready(round + 1)
    kept.tell(first, 2)
    first.close()  # the last round's feedback has no ready after it
    taught = first.watches.copy()
    watched = [row for row in kept.rounds[2] if row[2] != Interaction.TYPE_IMPRESSION]
    taught += np.bincount([row[1] for row in watched], minlength=SMALL_ITEMS)
    second = kept.process(run_id="another")
    assert second.watches.tolist() == taught.tolist()
    strangers = second.row_count
    assert strangers == len({row[0] for rows in kept.rounds for row in rows})
    assert (second.users.rows(np.arange(SMALL_USERS, dtype=np.int32)) == -1).all()
    kept.tell(second, 0)
    second.ready(1)
    assert second.row_count == strangers + len({row[0] for row in kept.rounds[0]})
    assert {len(set(page)) for page in lists(second, SMALL_USERS).tolist()} == {PAGE}


def test_popular_goes_on_by_the_watches_of_earlier_runs(tmp_path: Path):
    kept = Kept("popular", tmp_path)
    first = kept.process()
    kept.tell(first, 0)
    first.ready(1)
    order = np.argsort(-first.watches, kind="stable")[:PAGE].tolist()
    second = kept.process(run_id="another")
    second.ready(1)
    assert lists(second, SMALL_USERS).tolist() == [order] * SMALL_USERS


@pytest.mark.parametrize("change", [{"run_id": "other"}, {"epoch": 2}])
def test_feedback_of_another_run_is_learned_whatever_its_round(change: dict, tmp_path: Path):
    kept = Kept("popular", tmp_path)
    first = kept.process()
    kept.tell(first, 0)
    first.ready(1)
    second = kept.process(**change)
    kept.tell(second, 0)
    second.ready(1)
    assert second.watches.tolist() == (2 * first.watches).tolist()


def test_another_catalogue_has_a_state_of_its_own(tmp_path: Path):
    kept = Kept("popular", tmp_path)
    first = kept.process()
    kept.tell(first, 0)
    first.ready(1)
    catalog = Catalog.of("v2", [Item(item_id=f"other-{n}") for n in range(SMALL_ITEMS)])
    other = kept.process(catalog)
    assert not other.watches.any()
    other.close()
    assert kept.process().watches.tolist() == first.watches.tolist()


def test_genres_that_changed_under_the_same_ids_are_learned_anew(tmp_path: Path):
    kept = Kept("bandit", tmp_path)
    first = kept.process()
    for round in range(3):
        kept.tell(first, round)
    first.ready(3)
    items = [Item(item_id=f"i{n}", categories=["New"]) for n in range(SMALL_ITEMS)]
    second = kept.process(Catalog.of("v", items), run_id="another")
    second.ready(1)
    assert not second._rewards.any()
    assert second._tally.tolist() == first._tally.tolist()
    assert len(lists(second, SMALL_USERS)) == SMALL_USERS


# ------------------------------------------------------------------------------- files of no use
def damaged(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def no_archive(file: Path) -> None:
    file.write_text("these are notes of mine")


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def without_arrays(file: Path) -> None:
    with np.load(file) as saved:
        header = saved["header"]
    np.savez(file, header=header)


def another_archive(file: Path) -> None:
    np.savez(file, numbers=np.arange(3))


def pickled(file: Path) -> None:
    np.savez(file, header=np.array([{"format": "recarena-recommender-state"}], object))


def said(**change):
    """The same file with another header."""

    def rewrite(file: Path) -> None:
        with np.load(file) as saved:
            arrays = dict(saved)
        header = json.loads(arrays["header"].tobytes()) | change
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(file, **arrays)

    return rewrite


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (damaged, "is damaged"),
        (cut_off, "is damaged"),
        (no_archive, "is damaged"),
        (emptied, "is damaged"),
        (another_archive, "is damaged"),
        (pickled, "is damaged"),
        (without_arrays, "does not hold what ease saves"),
        (said(format="something else"), "is no state file"),
        (said(version=2), "has version 2, this program reads 1"),
        (said(recommender="als"), "is of recommender 'als'"),
        (said(recommender_id="other"), "(id 'other')"),
        (said(catalog="0" * 64), "this catalogue"),
        (said(more=1), "is damaged"),
    ],
)
def test_a_file_of_no_use_is_named_with_the_remedy_and_left_as_it_is(spoil, what, tmp_path: Path):
    kept = Kept("ease", tmp_path)
    first = kept.process()
    kept.tell(first, 0)
    first.ready(1)
    spoil(kept.file)
    before = kept.file.read_bytes()
    with pytest.raises(StateError) as error:
        kept.process()
    text = str(error.value)
    assert what in text
    assert str(kept.file) in text
    assert "move it away" in text
    assert "\n" not in text
    assert kept.file.read_bytes() == before


def test_a_recommender_that_could_not_read_its_state_does_not_write_one(tmp_path: Path):
    kept = Kept("ease", tmp_path)
    kept.process().close()
    no_archive(kept.file)
    recommender = ROSTER["ease"].factory(Options(state=kept.state))()
    with pytest.raises(StateError):
        recommender.start(kept.planted.run_info())
    recommender.close()
    assert kept.file.read_text() == "these are notes of mine"


def test_a_run_that_was_set_back_behind_the_state_is_refused(tmp_path: Path):
    kept = Kept("ease", tmp_path)
    first = kept.process()
    for round in range(3):
        kept.tell(first, round)
        first.ready(round + 1)
    second = kept.process()
    kept.tell(second, 0)
    with pytest.raises(StateError, match=r"as far as round 3 of run planted, which opens round 2"):
        second.ready(2)


def test_the_same_run_in_the_other_encoding_is_refused(tmp_path: Path):
    kept = Kept("ease", tmp_path, rich)
    kept.process().ready(1)
    kept.form = columns
    with pytest.raises(StateError, match="give --encoding rich"):
        kept.process()
    kept.process(run_id="another").ready(1)


def test_a_save_is_whole_or_not_at_all(tmp_path: Path, monkeypatch):
    kept = Kept("popular", tmp_path)
    first = kept.process()
    kept.tell(first, 0)
    first.ready(1)
    before = kept.file.read_bytes()

    def full(file, **_: object) -> None:
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    kept.tell(first, 1)
    with pytest.raises(StateError, match=r"cannot be written \(No space left on device\)"):
        first.ready(2)
    assert kept.file.read_bytes() == before
    monkeypatch.undo()
    assert kept.process().watches.sum() > 0


def test_a_state_is_a_plain_archive_of_arrays(tmp_path: Path):
    kept = Kept("ease", tmp_path)
    kept.process().ready(1)
    with zipfile.ZipFile(kept.file) as archive:
        assert archive.testzip() is None
    with np.load(kept.file, allow_pickle=False) as saved:
        header = json.loads(saved["header"].tobytes())
        assert all(saved[name].dtype != object for name in saved.files)
    assert header["format"] == "recarena-recommender-state"
    assert header["version"] == 1
    assert header["catalog"] == catalog_hash(kept.planted.catalog().item_ids)


# ------------------------------------------------------------------------------------ the folder
def test_two_processes_cannot_keep_the_same_state(tmp_path: Path):
    one = StateFolder(tmp_path, "ease", "mine")
    with pytest.raises(StateError, match="another process keeps the state of 'mine'"):
        StateFolder(tmp_path, "ease", "mine")
    other = StateFolder(tmp_path, "ease", "yours")
    one.close()
    StateFolder(tmp_path, "ease", "mine").close()
    other.close()


def test_ids_of_any_kind_have_files_of_their_own(tmp_path: Path):
    ids = ["a/b", "a%2Fb", "..", "x" * 128, "x" * 127 + "y", "ä" * 64]
    folders = [StateFolder(tmp_path / "states", "ease", one) for one in ids]
    paths = {folder.path("c" * 64) for folder in folders}
    assert len(paths) == len(ids)
    assert {path.parent for path in paths} == {tmp_path / "states"}
    assert all(len(path.name.encode()) < 128 for path in paths)
    for folder in folders:
        folder.close()


def test_a_folder_that_cannot_be_is_one_line_at_the_start(tmp_path: Path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert cli.main(["ease", "--state", str(taken)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"recarena-recommender: state folder {taken} cannot be used (")
    assert line.endswith("; give another --state")


def test_a_rating_of_a_stranger_stays_her_own(tmp_path: Path):
    """User 0 of the first run and user 0 of the second are two people."""
    kept = Kept("item-knn", tmp_path)
    first = kept.process()
    first.feedback_columns(columns(0, [(0, 3, RATE, 5.0)]))
    first.ready(1)
    second = kept.process(run_id="another")
    second.feedback_columns(columns(0, [(0, 7, RATE, 1.0)]))
    second.ready(1)
    assert second.users.rows(np.array([0], np.int32)).tolist() == [1]
    assert second.watched.of(np.array([1], np.int32))[1].tolist() == [7]
    third = kept.process(run_id="another")
    third.feedback_columns(columns(0, [(0, 7, RATE, 1.0)]))
    third.ready(1)
    assert third.watched.keys.tolist() == second.watched.keys.tolist()
