"""What a recommender did against the rules is in the run folder when the run is over."""

from __future__ import annotations

import json
from typing import Any

from recarena.server.rpc import limits
from recarena.server.runs import Run
from support.arena import begin, finished, recommender, settings
from support.kit import BAD, kit

ARM = {"recommender": BAD, "work_timeout_s": 30.0}
ONE_PAGE = {"visits": {"step_cap": 1}, "session": {"resume_window_s": 5.0}}


def conduct_of(run: Run) -> list[dict[str, Any]]:
    path = run.folder.path / "conduct.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


async def played(server: Any, name: str, *faults: object) -> dict[str, Any]:
    """The only line of a run that a recommender with these faults played to its end."""
    run = await begin(server, settings(ARM, **ONE_PAGE), run_id=name)
    async with kit(server, *faults) as bad:
        await finished(run)
        await bad.line("drained", over=True)
    (line,) = conduct_of(run)
    assert (line["arm"], line["recommender"], line["round"]) == (BAD, BAD, 2)
    return line


async def test_of_a_good_recommender_there_is_nothing_to_tell(server, tmp_path):
    run = await begin(server, settings("popular", **ONE_PAGE))
    async with recommender(server, "popular", log=tmp_path / "log"):
        await finished(run)
    (line,) = conduct_of(run)
    assert (line["sessions"], line["unsolicited"]) == (1, 0)
    assert (line["endings"], line["dispositions"], line["complaints"]) == ({}, {}, [])


async def test_unknown_items_are_kept_with_the_field_that_was_wrong(server):
    line = await played(server, "unknown", "--unknown-items")
    first = line["complaints"][0]
    assert (first["outcome"], first["round"]) == ("violations", 1)
    assert first["field"] == "lists[0].items[0].item_id"
    assert first["text"].startswith("unknown item ")
    assert len(line["complaints"]) <= 5


async def test_a_flood_is_counted_and_so_is_how_it_ended(server, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNSOLICITED", 5)
    monkeypatch.setattr(limits, "UNSOLICITED_PER_S", 1000.0)
    line = await played(server, "flood", "--flood", 100, "--at-most", 1)
    assert line["endings"] == {"FLOODED": 1}
    assert line["unsolicited"] >= 10 * 5
    assert line["dispositions"]["UNKNOWN_WORK"] >= 10 * 5
    assert line["sessions"] == 2


async def test_an_answer_given_twice_is_a_duplicate(server):
    line = await played(server, "twice", "--duplicate")
    assert line["dispositions"]["DUPLICATE"] > 0
    assert line["endings"] == {}


async def test_a_program_that_died_broke_off(server):
    soon = {**ONE_PAGE, "session": {"resume_window_s": 0.3}}
    run = await begin(server, settings(ARM, **soon), run_id="dies")
    async with kit(server, "--die-after", 0):
        await finished(run)
    (line,) = conduct_of(run)
    assert line["endings"] == {"BROKEN_OFF": 1}


async def test_a_run_that_nobody_ever_served_has_no_conduct(server):
    run = await begin(server, settings("popular"), run_id="empty")
    run.pause()
    await run.close()
    assert not (run.folder.path / "conduct.jsonl").exists()
