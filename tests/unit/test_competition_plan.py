"""What a competition plays, as options and manifests say it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.competing.folder import CompetitionFolder
from recarena.evaluation.competing.manifest import (
    UnreadableCompetition,
    folder_sha256,
    manifest_of,
    plan_of,
    write_manifest,
)
from recarena.evaluation.competing.plan import BadPlan, Design, Plan, Split, World, worlds_of
from recarena.evaluation.competing.reproduce import attempt
from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.playing.contenders import Contender, contender, remote

A, B = contender("popular"), remote("theirs")
WORLDS = worlds_of(["new:users=20"], 2, 7)
RUN = {
    "seed": 7, "rounds": 3, "arms": [], "mind": {"kind": "choice"},
    "settings": {
        "seed": 7, "rounds": 3, "arms": [], "visits": {"page_size": 5},
        "llm": {"provider": None, "max_cost": 2.0, "recording": "", "replay": "reuse"},
    },
}  # fmt: skip


def plan(**changes: Any) -> Plan:
    given: dict[str, Any] = {"name": "n", "recommenders": (A, B), "worlds": WORLDS, "rounds": 3}
    return Plan(**(given | changes))


def test_made_up_worlds_differ_by_seed_and_copies_share_it():
    assert (
        World(0, "new:users=20,seed=7", 7),
        World(1, "new:users=20,seed=8", 8),
    ) == WORLDS
    bouts = plan().bouts()
    assert [bout.run_id for bout in bouts] == [
        "w0-popular", "w0-theirs", "w1-popular", "w1-theirs",
    ]  # fmt: skip
    assert bouts[0].world == bouts[1].world != bouts[2].world
    assert bouts[0].seed == bouts[1].seed == 7


def test_folders_stay_the_same_and_differ_in_what_users_decide(tmp_path: Path):
    places = [str(tmp_path / name) for name in "ab"]
    for place in places:
        Path(place).mkdir()
    assert [(one.spec, one.seed) for one in worlds_of(places, None, 1)] == [
        (places[0], 1), (places[1], 2),
    ]  # fmt: skip
    assert [one.spec for one in worlds_of(places, 3, 1)] == [places[0], places[1], places[0]]


def test_shared_worlds_have_an_arm_each_and_say_how_users_are_drawn():
    both = plan(design=Design.BOTH, split=Split.CLUSTERS, settings={"assignment": {"x": 1}})
    shared = [bout for bout in both.bouts() if len(bout.recommenders) > 1]
    assert [bout.run_id for bout in shared] == ["split-w0", "split-w1"]
    assert shared[0].recommenders == ("popular", "theirs")
    assert shared[0].settings["assignment"] == {"x": 1, "by": "clusters"}
    assert shared[0].seed == both.bouts()[0].seed
    assert [len(bout.recommenders) for bout in plan(design=Design.SPLIT).bouts()] == [2, 2]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recommenders": ()}, "no recommender"),
        ({"recommenders": (A, A)}, "two recommenders are called popular"),
        ({"recommenders": (A,), "design": Design.SPLIT}, "shares no world"),
        ({"worlds": ()}, "no world"),
        ({"rounds": 0}, "at least 1 round"),
        ({"primary": "joy"}, "--primary: there is no metric 'joy'"),
        ({"minimum_effect": 0.0}, "more than 0"),
        ({"minimum_effect": float("inf")}, "more than 0"),
        ({"settings": {"arms": []}}, "the settings say arms"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_remedy(changes: Any, says: str):
    with pytest.raises(BadPlan, match=says):
        plan(**changes)


def test_a_manifest_gives_the_plan_back(tmp_path: Path):
    made = plan(
        design=Design.BOTH, split=Split.CLUSTERS, primary="satisfaction", minimum_effect=0.1,
        gate=Gate(max_p95_ms=100.0), stop_early=True, settings={"visits": {"page_size": 5}},
    )  # fmt: skip
    write_manifest(tmp_path, manifest_of(made, RUN))
    folder = CompetitionFolder.open(tmp_path)
    read = folder.plan
    assert read.settings == {"visits": {"page_size": 5}, "llm": {"provider": None}}
    assert read == Plan(**{name: getattr(made, name) for name in Plan.__slots__ if name !=
                           "settings"}, settings=read.settings)  # fmt: skip
    assert folder.results is None
    assert [one["command"] for one in folder.manifest["recommenders"]][1] is None


def test_a_manifest_is_written_once(tmp_path: Path):
    write_manifest(tmp_path, {"format": "recarena-competition", "format_version": 1})
    with pytest.raises(FileExistsError):
        write_manifest(tmp_path, {})


def test_files_in_commands_are_hashed_and_what_is_unknown_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "mine.py").write_text("mine")
    monkeypatch.chdir(tmp_path)
    mine = Contender("mine", "python mine.py {server}")
    one, other = manifest_of(plan(recommenders=(mine, B)), RUN)["recommenders"]
    assert list(one["files"]) == ["mine.py"]
    assert (one["version"], other["version"], other["files"]) == (None, None, {})


@given(st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e"]), st.binary(max_size=8)))
def test_the_hash_of_a_folder_is_of_its_files_and_where_they_are(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
):
    folders = [tmp_path_factory.mktemp("world") for _ in range(2)]
    for folder, order in zip(folders, (sorted(files), sorted(files, reverse=True)), strict=True):
        for name in order:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(files[name])
    first = folder_sha256(folders[0])
    assert first == folder_sha256(folders[1])
    (folders[1] / "more").write_bytes(b"")
    assert first != folder_sha256(folders[1])
    assert folder_sha256(folders[0] / "none") is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one.pop("rounds"), "rounds is missing"),
        (lambda one: one.update(confidence=0.9), "Write 0.95"),
        (lambda one: one.update(design="mirrored-ish"), "mirrored-ish"),
        (lambda one: one.update(worlds=[]), "no world"),
        (lambda one: one["gate"].update(max_p59_ms=1), "max_p59_ms is not known"),
        (lambda one: one.update(recommenders=[{"name": "a"}]), "command is missing"),
    ],
)
def test_a_damaged_manifest_is_named_with_what_is_wrong(change: Any, says: str, tmp_path: Path):
    manifest = manifest_of(plan(), RUN)
    change(manifest)
    with pytest.raises(UnreadableCompetition, match=says) as caught:
        plan_of(manifest, tmp_path / "manifest.json")
    assert str(tmp_path / "manifest.json") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "is no manifest of a competition"),
        ('{"format": "recarena-run"}', "is no manifest of a competition"),
        ('{"format": "recarena-competition", "format_version": 2}', "Update RecArena"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, says: str, tmp_path: Path):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UnreadableCompetition, match=says):
        CompetitionFolder.open(tmp_path)


def test_results_of_a_newer_format_are_refused(tmp_path: Path):
    write_manifest(tmp_path, manifest_of(plan(), RUN))
    newer = {"format": "recarena-competition-results", "format_version": 2}
    (tmp_path / "results.json").write_text(json.dumps(newer))
    with pytest.raises(UnreadableCompetition, match="Update RecArena"):
        CompetitionFolder.open(tmp_path)


def test_worlds_inside_what_was_published_are_found_wherever_it_lies(tmp_path: Path):
    world = tmp_path / "worlds" / "hidden-0"
    world.mkdir(parents=True)
    (world / "world.json").write_text("{}")
    played = plan(recommenders=(A,), worlds=(World(0, str(world), 7),))
    manifest = manifest_of(played, RUN)
    manifest["worlds"][0]["spec"] = "worlds/hidden-0"
    published: Any = SimpleNamespace(
        path=tmp_path, plan=plan_of(manifest, tmp_path), manifest=manifest,
        results={"runs": [{"id": "w0-popular", "state": "finished"}]}, runs=tmp_path / "runs",
    )  # fmt: skip
    tried = attempt(published)
    assert tried.impossible == ()
    assert [bout.world for bout in tried.bouts] == [str(world)]
