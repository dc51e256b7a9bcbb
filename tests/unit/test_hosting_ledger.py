"""Submissions survive whatever happens to the server, and nobody has more than the rules allow."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.hosting.config import Entrants
from recarena.evaluation.hosting.ledger import Ledger, Status, Submission
from recarena.evaluation.hosting.rules import (
    Bucket,
    Refused,
    check_limits,
    expected_wait_s,
    position,
)
from recarena.evaluation.hosting.settings import BadCompetition

LIMITS = Entrants(max_submissions=3, max_submissions_per_day=2, max_practice_per_day=1)
TODAY, BEFORE = "2026-03-02", "2026-03-01"


def one(id: str, name: str = "alice", day: str = TODAY, **values: object) -> Submission:
    made = Submission(id, name, "", "hidden", f"{day}T10:00:00.000+00:00", status=Status.FINISHED,
                      counted=True)  # fmt: skip
    return replace(made, **values)  # type: ignore[arg-type]


# ------------------------------------------------------------------ the ledger
def test_what_was_written_is_there_after_a_restart(tmp_path):
    ledger = Ledger(tmp_path / "submissions.jsonl")
    first = ledger.submit("alice", "1.0", "hidden")
    second = ledger.submit("bob", "", "practice")
    ledger.note("started", first.id)
    ledger.note("counted", first.id)
    ledger.note("world", first.id, done=1, spent_s=2.5)
    ledger.note("interrupted", first.id, spent_s=3.5)
    ledger.note("ended", second.id, status=Status.CANCELLED, why="cancelled")
    again = Ledger(tmp_path / "submissions.jsonl")
    assert list(again) == list(ledger)
    kept = again.get(first.id)
    assert kept is not None
    assert (kept.status, kept.counted, kept.worlds_done) == (Status.QUEUED, True, 1)
    assert (kept.spent_s, kept.interruptions) == (3.5, 1)
    assert again.submit("carol", "", "hidden").id == "s00003"


def test_a_line_that_a_power_cut_left_half_written_spoils_nothing(tmp_path):
    path = tmp_path / "submissions.jsonl"
    Ledger(path).submit("alice", "", "hidden")
    with path.open("a") as file:
        file.write('{"time": "20')
    ledger = Ledger(path)
    assert [one.recommender for one in ledger] == ["alice"]
    ledger.submit("bob", "", "hidden")
    assert [one.recommender for one in Ledger(path)] == ["alice", "bob"]


@pytest.mark.parametrize("written", [0, 9])
def test_a_line_that_there_is_no_room_for_is_not_there(tmp_path, monkeypatch, written):
    path = tmp_path / "submissions.jsonl"
    ledger = Ledger(path)
    ledger.submit("alice", "", "hidden")
    with monkeypatch.context() as full:
        write = os.write
        full.setattr(os, "write", lambda handle, text: write(handle, text[:written]))
        with pytest.raises(OSError, match="No space left"):
            ledger.submit("bob", "", "hidden")
    ledger.submit("carol", "", "hidden")
    assert [one.recommender for one in ledger] == ["alice", "carol"]
    assert list(Ledger(path)) == list(ledger)


def test_a_line_in_the_middle_that_is_none_is_named(tmp_path):
    path = tmp_path / "submissions.jsonl"
    path.write_text('{"event": "ended"}\n{"time": "1", "event": "x", "id": "s1"}\n')
    with pytest.raises(BadCompetition, match=r"submissions.jsonl, line 1: .*restore the file"):
        Ledger(path)


def test_lines_are_only_ever_appended(tmp_path):
    path = tmp_path / "submissions.jsonl"
    ledger, before = Ledger(path), b""
    ids = [ledger.submit("alice", "", "hidden").id]
    for event, values in (("started", {}), ("world", {"done": 1, "spent_s": 1.0}),
                          ("ended", {"status": "finished", "why": ""})):  # fmt: skip
        now = path.read_bytes()
        assert now.startswith(before)
        before = now
        ledger.note(event, ids[0], **values)
    assert path.read_bytes().count(b"\n") == 4
    with pytest.raises(ValueError, match="no event"):
        ledger.note("won", ids[0])


# ------------------------------------------------------------------ limits
def test_one_under_way_stands_in_the_way_of_the_next():
    with pytest.raises(Refused) as refused:
        check_limits([one("s1", status=Status.QUEUED)], "alice", "hidden", LIMITS, TODAY)
    assert (refused.value.status, refused.value.code) == (409, "under_way")
    check_limits([one("s1", status=Status.QUEUED)], "bob", "hidden", LIMITS, TODAY)


def test_limits_hold_for_a_day_a_track_and_the_season():
    def code(*mine: Submission, track: str = "hidden") -> str:
        try:
            check_limits(mine, "alice", track, LIMITS, TODAY)
        except Refused as refused:
            return refused.code
        return ""

    assert code(one("s1")) == ""
    assert code(one("s1"), one("s2")) == "limit_of_the_day"
    assert code(one("s1", day=BEFORE), one("s2", day=BEFORE)) == ""
    assert code(one("s1", day=BEFORE), one("s2", day=BEFORE), one("s3")) == "limit"
    assert code(one("s1"), one("s2", counted=False)) == ""
    assert code(one("s1"), one("s2", name="bob")) == ""
    practised = one("s1", track="practice")
    assert code(practised, practised, practised) == ""
    assert code(practised, track="practice") == "limit_of_the_day"


# ------------------------------------------------------------------ the queue
def test_what_never_plays_is_free_but_not_without_end():
    unplayed = one("s1", status=Status.CANCELLED, counted=False)
    check_limits([unplayed] * 99, "alice", "hidden", LIMITS, TODAY)
    with pytest.raises(Refused, match="100 submissions of today"):
        check_limits([unplayed] * 100, "alice", "hidden", LIMITS, TODAY)
    check_limits([unplayed] * 100, "bob", "hidden", LIMITS, TODAY)


def test_places_are_given_in_the_order_of_submission():
    queue = [
        one("s1", status=Status.PLAYING), one("s2", status=Status.QUEUED), one("s3"),
        one("s4", status=Status.QUEUED),
    ]  # fmt: skip
    assert [position(queue, each.id) for each in queue] == [None, 1, None, 2]


def test_the_wait_is_expected_by_what_others_took():
    took = {"started": f"{TODAY}T10:00:00+00:00", "ended": f"{TODAY}T10:00:40+00:00"}
    queue = [
        one("s1", **took), one("s2", status=Status.PLAYING), one("s3", status=Status.QUEUED),
        one("s4", status=Status.QUEUED),
    ]  # fmt: skip
    assert expected_wait_s(queue, "s1", 1) is None
    assert expected_wait_s(queue[1:], "s3", 1) is None
    assert expected_wait_s(queue, "s3", 1) == 20.0  # half of one that takes 40 s
    assert expected_wait_s(queue, "s4", 1) == 60.0
    assert expected_wait_s(queue, "s3", 2) == 0.0  # there is a place


@given(st.lists(st.sampled_from(Status), max_size=8), st.integers(1, 4))
def test_nobody_waits_less_than_those_before(statuses, at_once):
    took = {"started": f"{TODAY}T10:00:00+00:00", "ended": f"{TODAY}T10:01:00+00:00"}
    queue = [one(f"s{at}", status=status, **took) for at, status in enumerate(statuses)]
    waits = [expected_wait_s(queue, each.id, at_once) for each in queue]
    known = [wait for wait in waits if wait is not None]
    assert known == sorted(known)


def test_a_bucket_gives_so_many_a_minute_to_each():
    now = [0.0]
    bucket = Bucket(2, lambda: now[0])
    assert [bucket.take("a") for _ in range(3)] == [0, 0, 30]
    assert bucket.take("b") == 0
    now[0] = 30.0
    assert (bucket.take("a"), bucket.take("a")) == (0, 30)
