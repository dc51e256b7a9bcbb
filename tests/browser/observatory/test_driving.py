"""A real run of real recommenders, driven from the page."""

from __future__ import annotations

from typing import Any

import pytest

from recarena.v1 import run_pb2
from support.observatory.looking import looked_at, shown_round, wait_round, wait_state


def button(page: Any, name: str) -> Any:
    return page.get_by_role("group", name="Run", exact=True).get_by_role(
        "button", name=name, exact=True
    )


def can(page: Any, *names: str) -> None:
    """Waits until just these commands can be pressed."""
    every = ("Start", "Resume", "Pause", "Step", "Stop", "Reset")
    for name in every:
        one = button(page, name)
        if name in names:
            one.wait_for()
            page.wait_for_function("b => !b.disabled", arg=one.element_handle())
        elif one.count():
            page.wait_for_function("b => b.disabled", arg=one.element_handle())


def test_start_pause_step_stop_and_reset_drive_a_real_run(browser: Any, arena: Any):
    arena.create("driven")
    with looked_at(browser, arena.site, "/run/driven") as page:
        wait_state(page, "created")
        can(page, "Start", "Step", "Stop", "Reset")
        button(page, "Start").click()
        wait_state(page, "running")
        wait_round(page, 3)
        can(page, "Pause", "Stop")
        button(page, "Pause").click()
        wait_state(page, "paused")
        run = arena.run("driven")
        assert run.state == run_pb2.RUN_STATE_PAUSED
        wait_round(page, run.round)
        assert shown_round(page) == run.round
        button(page, "Step").click()
        wait_round(page, run.round + 1)
        wait_state(page, "paused")
        assert arena.run("driven").round == run.round + 1
        button(page, "Stop").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Stop the run").click()
        wait_state(page, "stopped")
        assert arena.run("driven").state == run_pb2.RUN_STATE_STOPPED
        can(page, "Reset")
        button(page, "Reset").click()
        dialog.get_by_label("Seed").fill("9223372036854775807")
        dialog.get_by_role("button", name="Reset the run").click()
        wait_state(page, "created")
        run = arena.run("driven")
        assert (run.state, run.round, run.epoch) == (run_pb2.RUN_STATE_CREATED, 0, 2)
        assert run.seed == 2**63 - 1, "no number of a page is as exact"
        page.wait_for_function(
            "document.querySelector('[data-shown=round]').textContent.trim() === '0'"
        )


def test_a_run_is_driven_with_the_keyboard_alone(browser: Any, arena: Any):
    arena.create("typed")
    with looked_at(browser, arena.site, "/") as page:
        reach(page, "link", "typed")
        page.keyboard.press("Enter")
        page.wait_for_url("**/run/typed")
        wait_state(page, "created")
        reach(page, "button", "Step")
        page.keyboard.press("Enter")
        wait_round(page, 1)
        wait_state(page, "paused")
        assert arena.run("typed").round == 1
        page.keyboard.press("/")
        page.keyboard.type("a")
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/run/typed?u=*")
        reach(page, "link", "Arms")
        page.keyboard.press("Enter")
        page.wait_for_url("**/run/typed/arms*")
        reach(page, "button", "Stop")
        page.keyboard.press("Enter")
        page.get_by_role("dialog").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="hidden")
        assert focused(page)["name"].startswith("Stop"), "focus goes back to where it was"
        assert arena.run("typed").state == run_pb2.RUN_STATE_PAUSED


MOST_STOPS = 80


def focused(page: Any) -> dict[str, str]:
    """What has the focus, and whether that can be seen."""
    return page.evaluate(
        """() => {
          const one = document.activeElement, style = getComputedStyle(one);
          return {
            role: one.getAttribute('role')
              || {A: 'link', BUTTON: 'button'}[one.tagName] || one.tagName,
            name: (one.getAttribute('aria-label') || one.innerText || '').trim(),
            seen: one.matches(':focus-visible')
              && (style.outlineStyle !== 'none' || style.boxShadow !== 'none'),
          };
        }"""
    )


def reach(page: Any, role: str, name: str) -> None:
    """Presses Tab until the focus is there; it can be seen all the way."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        now = focused(page)
        if now["role"] in ("BODY", "HTML"):
            continue
        assert now["seen"], f"the focus cannot be seen on {now}"
        if (now["role"], now["name"].split("\n")[0]) == (role, name):
            return
    pytest.fail(f"Tab never came to the {role} {name!r}")
