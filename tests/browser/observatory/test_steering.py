"""Changes from the page: in the audit, in later rounds, and a person in a user's place."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from recarena.evaluation.runs.events import EventKind
from recarena.evaluation.runs.run_log import RunLog
from recarena.v1 import simulation_control_service_pb2 as control_pb
from support.observatory.looking import looked_at, wait_round, wait_state

SEEN, LATER = 12, 12


def step(arena: Any, run_id: str, rounds: int) -> None:
    arena.control.StepRun(control_pb.StepRunRequest(run_id=run_id, rounds=rounds))


def doings(arena: Any, run_id: str, user: int, rounds: range) -> int:
    """Rounds in which a user did anything."""
    log = RunLog.open(arena.run(run_id).folder, with_people=True)
    did = (log.events.user == user) & (log.events.kind != EventKind.IDLE)
    return len(set(log.events.round[did].tolist()) & set(rounds))


def test_an_edited_profile_is_in_the_audit_and_in_what_the_user_does_later(
    browser: Any, arena: Any
):
    arena.create("edited")
    step(arena, "edited", SEEN)
    with looked_at(browser, arena.site, "/run/edited") as page:
        wait_round(page, SEEN)
        wait_state(page, "paused")
        log = RunLog.open(arena.run("edited").folder)
        active = np.bincount(log.events.user[log.events.kind == EventKind.ENTER_RECOMMENDER])
        user = int(active.argmax())
        user_id = log.user_ids[user]
        page.goto(f"{arena.site.origin}/run/edited/u/{user_id}")
        page.get_by_role("button", name="Edit profile", exact=True).click()
        form = page.locator("form").filter(has=page.get_by_text("Profile", exact=True))
        form.get_by_label("Age", exact=True).fill("77")
        form.get_by_label("Activity, as a number").fill("-6")
        form.get_by_text("2 changes").wait_for()
        form.get_by_role("button", name=f"Send for round {SEEN + 1}").click()
        page.get_by_role("region", name="Waiting for a round").wait_for()
        page.goto(f"{arena.site.origin}/run/edited/events?tab=audit")
        audit = page.get_by_role("region", name="Audit")
        audit.get_by_text("pending").wait_for()
        step(arena, "edited", LATER)
        wait_round(page, SEEN + LATER)
        audit.get_by_text("applied").wait_for()
        row = audit.get_by_role("row").nth(1).inner_text()
        assert str(SEEN + 1) in row
        assert log.user_names[user] in row
        page.goto(f"{arena.site.origin}/run/edited/events?action=intervention")
        page.locator(f"li[data-round='{SEEN + 1}'][data-seq='0']").wait_for()
        page.goto(f"{arena.site.origin}/run/edited/u/{user_id}")
        page.get_by_text("77", exact=True).wait_for()
    before = doings(arena, "edited", user, range(1, SEEN + 1))
    after = doings(arena, "edited", user, range(SEEN + 1, SEEN + LATER + 1))
    assert before >= SEEN // 2
    assert after <= 1, "a logit of -6 is one round of four hundred"


@pytest.mark.slow
def test_whoever_plays_a_user_decides_until_the_time_is_over_and_the_mind_takes_over(
    browser: Any, arena: Any
):
    arena.create("played")
    step(arena, "played", 1)
    with looked_at(browser, arena.site, "/run/played/play/u000001") as page:
        wait_state(page, "paused")
        form = page.get_by_role("region", name=re.compile("^Become"))
        time = form.get_by_label("Time for one decision")
        time.select_option(index=0)
        most = int(time.input_value())
        form.get_by_role("button", name=re.compile("^Become")).click()
        page.get_by_text(re.compile("^You (become|are) ")).wait_for()
        step(arena, "played", 2)
        page.get_by_role("button", name=re.compile("Open the recommender")).click()
        page.get_by_role("button", name=re.compile("^Watch ")).first.click()
        page.get_by_label("5 of 5").first.check(force=True)
        page.get_by_role("button", name=re.compile("^Leave")).click()
        page.get_by_role("button", name=re.compile("Open the recommender")).wait_for()
        timer = page.get_by_role("timer")
        seconds = int(re.sub(r"\D", "", timer.inner_text()))
        assert 0 <= seconds <= most
        page.wait_for_function(
            "before => Number((document.querySelector('[role=timer]')?.textContent || '0')"
            ".replace(/\\D/g, '')) < before",
            arg=seconds,
        )
        wait_round(page, 3, 60_000)
        page.get_by_text(re.compile("own mind")).first.wait_for()
        page.goto(f"{arena.site.origin}/run/played/events?u=u000001&round=2&action=watch")
        watched = page.locator("li[data-round='2']").first
        watched.get_by_text("person").wait_for()
        step(arena, "played", 1)
        wait_round(page, 4)
        page.goto(f"{arena.site.origin}/run/played/events?tab=audit")
        page.get_by_role("region", name="Audit").get_by_text("deadline").wait_for()
    folder = arena.run("played").folder
    with_people = RunLog.open(folder, with_people=True).events
    mine = (with_people.user == 0) & (with_people.kind == EventKind.WATCH)
    assert with_people.value[mine & (with_people.round == 2)].tolist() == [5.0]
    alone = RunLog.open(folder).events
    assert 2 not in alone.round[alone.user == 0], "people's rounds are left out unless asked for"
