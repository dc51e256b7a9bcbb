"""A published competition is played again, and what differs is named."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recarena.evaluation.competing.folder import CompetitionFolder
from recarena.evaluation.competing.manifest import UnreadableCompetition
from recarena.evaluation.competing.reproduce import attempt, compare
from recarena.evaluation.playing.mirrored import Played
from support.commands import Ended
from support.competitions import RUNS, Story, to_its_end

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children"),
]


async def test_what_was_interrupted_is_what_comes_out_without_interruption(
    competition: Story, tmp_path: Path
):
    published = tmp_path / "published"
    published.mkdir()
    for name in ("manifest.json", "results.json"):
        shutil.copy(competition.folder / name, published)
    done = await to_its_end("reproduce", published / "manifest.json", "--json", where=tmp_path)
    end = done.went_well().values[-1]
    assert (end["matches"], end["runs"], end["impossible"]) == (True, len(RUNS), [])
    assert os.listdir(tmp_path) == ["published"]


def copied(story: Story, to: Path, **files: Any) -> CompetitionFolder:
    """The published files, with changes made to their trees by functions."""
    to.mkdir()
    for name in ("manifest", "results"):
        tree = json.loads((story.folder / f"{name}.json").read_text())
        if name in files:
            files[name](tree)
        (to / f"{name}.json").write_text(json.dumps(tree))
    return CompetitionFolder.open(to)


def test_each_number_that_was_forged_is_named(competition: Story, tmp_path: Path):
    def forge(tree: dict[str, Any]) -> None:
        tree["runs"][0]["metrics"]["popular"]["watch_rate"] += 1e-6
        tree["runs"][0]["metrics"]["popular"]["latency_p95_ms"] += 1000
        tree["runs"][3]["digest"] = "0" * 64

    for name, change, wrong in (
        ("as-it-is", lambda _: None, []),
        ("forged", forge, [("w0-popular", "popular watch_rate"), ("w1-random", "digest")]),
    ):
        tried = attempt(copied(competition, tmp_path / name, results=change))
        runs = competition.folder / "runs"
        played = [Played(bout, runs / bout.run_id, 8, "") for bout in tried.bouts]
        differences = compare(tried, runs, played)
        assert [(one.run_id, one.what) for one in differences] == wrong


def test_what_cannot_be_played_again_is_named(competition: Story, tmp_path: Path):
    def elsewhere(tree: dict[str, Any]) -> None:
        tree["worlds"][0] |= {"spec": "/no/such/world", "sha256": "ab" * 32}
        tree["recommenders"][1]["command"] = None
        tree["packages"]["numpy"] = "1.0"

    tried = attempt(copied(competition, tmp_path / "elsewhere", manifest=elsewhere))
    assert [bout.run_id for bout in tried.bouts] == ["w1-popular"]
    (lost,) = tried.impossible
    assert "World 0: the folder /no/such/world is not here" in lost
    assert "ab" * 32 in lost
    assert "Run w1-random: random was remote and is not here." in tried.not_asked
    assert any(text.startswith("numpy was 1.0, here it is ") for text in tried.warnings)


def test_minds_without_their_recording_are_not_asked_again(competition: Story, tmp_path: Path):
    def thinking(tree: dict[str, Any]) -> None:
        tree["settings"]["llm"] |= {"provider": "anthropic", "model": "m"}

    tried = attempt(copied(competition, tmp_path / "minds", manifest=thinking))
    assert tried.bouts == []
    assert "w0-popular/llm.sqlite is not there" in tried.impossible[0]


def test_nothing_to_compare_with_is_said(competition: Story, tmp_path: Path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(competition.folder / "manifest.json", alone)
    with pytest.raises(UnreadableCompetition, match=r"has no results\.json"):
        attempt(CompetitionFolder.open(alone))
    with pytest.raises(UnreadableCompetition, match="there is no world 9"):
        attempt(CompetitionFolder.open(competition.folder), only_worlds=[9])


def test_what_is_no_competition_is_said_in_a_line(tmp_path: Path, here: Callable[..., Ended]):
    done = here("reproduce", tmp_path, cwd=tmp_path)
    assert "is no competition: there is no manifest.json in it" in done.failed()
