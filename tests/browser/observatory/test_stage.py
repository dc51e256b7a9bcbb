"""The stage, the events and the address: what is drawn changes, filters filter, and a replay shows
what was recorded."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import pytest

from recarena.evaluation.runs.events import EventKind
from recarena.evaluation.runs.run_log import RunLog
from recarena.v1 import simulation_control_service_pb2 as control_pb
from support.observatory.looking import looked_at, wait_round, wait_state
from support.observatory.plays import Pace
from support.observatory.programs import Site, observatory
from support.observatory.staged import ThreadedStaged

WORDS = ("away", "browsing", "searching", "talking", "watching", "chatting", "posting")
SPEAKS = {
    EventKind.ENTER_RECOMMENDER: 1, EventKind.PAGE: 1, EventKind.SEARCH: 2, EventKind.CONVERSE: 3,
    EventKind.WATCH: 4, EventKind.ENTER_SOCIAL: 0, EventKind.CHAT: 5, EventKind.POST: 6,
}  # fmt: skip


def pixels(page: Any) -> str:
    """A hash of what is drawn, all layers."""
    layers = page.evaluate("[...document.querySelectorAll('canvas')].map(one => one.toDataURL())")
    assert layers
    return hashlib.sha256("".join(layers).encode()).hexdigest()


def settled(page: Any) -> str:
    """The same once it stands still."""
    last = pixels(page)
    for _ in range(40):
        page.wait_for_timeout(250)
        now = pixels(page)
        if now == last:
            return now
        last = now
    pytest.fail("what is drawn never stands still, though nothing moves")


def test_the_graph_changes_when_a_round_is_played_and_only_then(browser: Any, site: Site):
    with looked_at(browser, site, "/run/live") as page:
        wait_state(page, "paused")
        page.locator("canvas").first.wait_for()
        before = settled(page)
        page.wait_for_timeout(600)
        assert pixels(page) == before, "nothing happened"
        page.get_by_role("button", name="Step", exact=True).click()
        wait_round(page, 6)
        assert settled(page) != before
        after = settled(page)
        page.get_by_role("combobox", name="Find a user").fill("Noah")
        page.get_by_role("option").first.click()
        page.wait_for_url("**?u=*")
        assert settled(page) != after, "the ties of who is selected light up"


def test_chips_of_the_stage_leave_those_who_do_it(browser: Any, still: Site):
    with looked_at(browser, still, "/run/live?view=list&at=12") as page:
        chip = page.get_by_role("button", name=re.compile("^Watching"))
        chip.click()
        page.wait_for_url(re.compile("action=watching"))
        assert chip.get_attribute("aria-pressed") == "true"
        counted = page.locator("[data-count=watching]").filter(has_text=re.compile(r"^\d+$"))
        count = int(counted.inner_text())
        rows = page.get_by_role("region", name="Users").get_by_role("row")
        page.wait_for_function(
            "n => document.querySelectorAll('.list-view tbody tr').length === n", arg=count
        )
        assert count > 0
        texts = rows.all_inner_texts()[1:]
        assert all("Watching" in one for one in texts)


def shown_events(page: Any) -> list[str]:
    return page.get_by_role("region", name="Events, newest first").locator("li").all_inner_texts()


def test_filters_of_events_filter_and_stand_in_the_address(browser: Any, still: Site):
    with looked_at(browser, still, "/run/live/events") as page:
        chips = page.get_by_role("group", name="Kinds of events")
        watched = chips.get_by_role("button", name=re.compile("^Watched"))
        watched.locator(".count").wait_for()
        count = int(re.sub(r"\D", "", watched.inner_text()))
        watched.click()
        page.wait_for_url(re.compile("action=watch"))
        page.get_by_text(f"{count:,} events").wait_for()
        assert all("watches" in one for one in shown_events(page))
        page.get_by_label("Arm").select_option("popular")
        page.wait_for_url(re.compile("arm=popular"))
        page.get_by_label("Round", exact=True).fill("7")
        page.wait_for_url(re.compile("round=7"))
        page.wait_for_function(
            "[...document.querySelectorAll('[data-round]')].every(one => one.dataset.round === '7')"
        )
        query = "action=watch&arm=popular&round=7&limit=200"
        told = page.evaluate(
            "async query => (await (await fetch(`/api/runs/live/events?${query}`)).json())", query
        )
        page.get_by_text(f"{told['total']} events").wait_for()
        assert [(one["type"], one["round"]) for one in told["events"]] == [("watch", 7)] * told[
            "total"
        ]
        shared = page.url
    with looked_at(browser, still, shared.removeprefix(still.origin)) as other:
        other.get_by_text(f"{told['total']} events").wait_for()
        assert other.get_by_label("Arm").input_value() == "popular"


def test_back_goes_back_and_an_address_shows_the_same_to_others(browser: Any, still: Site):
    with looked_at(browser, still, "/run/live") as page:
        page.get_by_role("slider", name="Round shown").wait_for()
        page.evaluate("window.__same = true")
        page.get_by_role("button", name="List", exact=True).click()
        page.get_by_role("region", name="Users").wait_for()
        page.get_by_role("link", name="Noah Silva").first.click()
        page.get_by_role("heading", name="Noah Silva").wait_for()
        page.get_by_role("link", name="Arms", exact=True).click()
        page.get_by_role("heading", name=re.compile("^Arms")).wait_for()
        page.go_back()
        page.get_by_role("heading", name="Noah Silva").wait_for()
        page.go_back()
        page.get_by_role("region", name="Users").wait_for()
        page.go_back()
        page.locator("canvas").first.wait_for()
        page.go_forward()
        page.get_by_role("region", name="Users").wait_for()
        assert page.evaluate("window.__same"), "one page all the time"
    with looked_at(browser, still, "/run/live?at=17&u=u2") as page:
        page.get_by_text("REPLAY ROUND 17").wait_for()
        page.get_by_role("complementary", name="Noah Silva, selected").wait_for()
        assert page.get_by_role("slider", name="Round shown").input_value() == "17"
        page.keyboard.press("ArrowLeft")
        page.get_by_text("REPLAY ROUND 16").wait_for()
        page.wait_for_url(re.compile("at=16"))
        page.get_by_role("button", name="Back to the last round").click()
        page.get_by_text("REPLAY").wait_for(state="hidden")


def test_a_replay_at_a_round_shows_what_was_recorded(browser: Any, arena: Any):
    arena.create("recorded", users=60, rounds=12)
    with looked_at(browser, arena.site, "/run/recorded") as page:
        arena.control.StartRun(control_pb.StartRunRequest(run_id="recorded"))
        wait_state(page, "succeeded")
        log = RunLog.open(arena.run("recorded").folder)
        for at in (1, 5, 12):
            actions, watches = recorded(log, at)
            frame = page.evaluate(KEYFRAME, at)
            assert frame["actions"] == actions
            assert frame["watches"] == watches
            counts = {word: actions.count(code) for code, word in enumerate(WORDS)}
            page.goto(f"{arena.site.origin}/run/recorded?at={at}&view=list")
            page.get_by_text(f"REPLAY ROUND {at}").wait_for()
            page.wait_for_function(
                "counts => Object.entries(counts).every(([word, n]) =>"
                " document.querySelector(`[data-count=${word}]`)?.textContent === String(n))",
                arg=counts,
            )
            page.locator(".list-view tbody tr").nth(len(log.user_ids) - 1).wait_for()
            cells = page.evaluate(CELLS)
            assert cells == [
                [user_id, WORDS[actions[at]], str(watches[at])]
                for at, user_id in enumerate(log.user_ids)
            ]


KEYFRAME = """async at => {
  const frame = await (await fetch(`/api/runs/recorded/at/${at}`)).json();
  const bytes = text => Uint8Array.from(atob(text), one => one.charCodeAt(0));
  return {actions: [...bytes(frame.actions)],
          watches: [...new Uint16Array(bytes(frame.watches).buffer)]};
}"""
CELLS = """() => [...document.querySelectorAll('.list-view tbody tr')].map(row => [
  row.cells[0].querySelector('.muted').textContent,
  row.cells[1].innerText.trim().toLowerCase(),
  row.cells[2].innerText.trim(),
])"""


def recorded(log: RunLog, at: int) -> tuple[list[int], list[int]]:
    """What each user did in a round, and the watches up to it, from the run folder alone."""
    actions = np.zeros(len(log.user_ids), int)
    events = log.events
    for kind, speaks in SPEAKS.items():
        users = events.user[(events.round == at) & (events.kind == kind)]
        np.maximum.at(actions, users, speaks)
    watched = events.user[(events.round <= at) & (events.kind == EventKind.WATCH)]
    watches = np.bincount(watched, minlength=len(actions))
    return actions.tolist(), watches.tolist()


@pytest.mark.slow
def test_a_hundred_thousand_events_scroll_with_few_of_them_on_the_page(browser: Any):
    pace = Pace(events=500, every_s=1)
    with ThreadedStaged(600, 1800, pace, ahead=205) as staged, observatory(staged.address) as site:
        told = sum(sum(kind != 5 for kind in log.kind) for log in staged.play().logs)
        assert told > 100_000
        with looked_at(browser, site, "/run/live/events") as page:
            page.get_by_text(f"{told:,} events").wait_for()
            rows = page.get_by_role("region", name="Events, newest first")
            rows.locator("li[data-seq]").first.wait_for()
            rows.focus()
            nodes = [page.evaluate("document.getElementsByTagName('*').length")]
            for _ in range(25):
                page.keyboard.press("PageDown")
                nodes.append(page.evaluate("document.getElementsByTagName('*').length"))
            rows.hover()
            for _ in range(10):
                page.mouse.wheel(0, 20_000)
                page.wait_for_timeout(50)
                nodes.append(page.evaluate("document.getElementsByTagName('*').length"))
            page.wait_for_function(
                "Number(document.querySelector('li[data-round]')?.dataset.round ?? 205) < 204"
            )
            assert max(nodes) < 2500
            seq = len(staged.play().logs[0]) - 1
            assert staged.play().logs[0].kind[seq] != 5
            page.goto(f"{site.origin}/run/live/events?at=1&seq={seq}")
            lit = page.locator("li[aria-current=true]")
            lit.wait_for()
            assert lit.get_attribute("data-round") == "1"
            assert lit.get_attribute("data-seq") == str(seq)
