"""Servers that go and come back, many tabs, readers that sleep, and callers from elsewhere."""

from __future__ import annotations

import base64
import json
import os
import socket
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.observatory.looking import looked_at, shown_round, wait_round, wait_state
from support.observatory.programs import Site
from support.observatory.staged import ThreadedStaged

LOST = (r"status of 503", r"ERR_CONNECTION_REFUSED", r"WebSocket connection to .* failed")
MIB = 2**20


def test_a_server_that_restarts_is_met_again_without_a_reload(
    browser: Any, site: Site, staged: ThreadedStaged
):
    staged.on_stage(lambda stage: stage.plays["live"].start())
    with looked_at(browser, site, "/run/live", tolerated=LOST) as page:
        page.evaluate("window.__same = true")
        seen = wait_round(page, 7)
        staged.vanish()
        page.get_by_text("OFFLINE").first.wait_for()
        assert shown_round(page) >= seen, "what was seen stays"
        staged.come_back()
        page.get_by_text("OFFLINE").first.wait_for(state="hidden")
        wait_round(page, staged.play().round)
        rounds = page.evaluate(
            "async () => { const answer = await fetch('/api/runs/live/rounds');"
            " return (await answer.json()).rounds.map(one => one.round); }"
        )
        assert rounds == list(range(1, len(rounds) + 1)), "no round is missing"
        assert page.evaluate("window.__same"), "the page was not loaded again"


def test_a_server_that_stalls_leaves_the_page_usable(
    browser: Any, site: Site, staged: ThreadedStaged
):
    with looked_at(browser, site, "/run/live", tolerated=LOST) as page:
        wait_state(page, "paused")
        staged.stall()
        page.get_by_role("button", name="Zoom in").click()
        page.get_by_role("link", name="Events").click()
        page.wait_for_url("**/run/live/events")
        staged.unstall()
        page.get_by_role("region", name="Events, newest first").get_by_role("link").first.wait_for()


def test_two_tabs_agree(browser: Any, site: Site, staged: ThreadedStaged):
    with looked_at(browser, site, "/run/live") as one, looked_at(browser, site, "/run/live") as two:
        for page in (one, two):
            wait_state(page, "paused")
        one.get_by_role("button", name="Resume", exact=True).click()
        for page in (one, two):
            wait_state(page, "running")
            wait_round(page, 8)
        two.get_by_role("button", name="Pause", exact=True).click()
        for page in (one, two):
            wait_state(page, "paused")
        last = staged.play().round
        told = [wait_round(page, last) and of_page(page) for page in (one, two)]
        assert told[0] == told[1]
        assert told[0]["round"] == str(last)


def of_page(page: Any) -> dict[str, str]:
    """Round and counts that a page tells, once they stand still."""
    page.wait_for_timeout(400)  # counts are told five times a second at most
    return page.evaluate(
        """() => ({round: document.querySelector('[data-shown=round]').textContent.trim(),
          ...Object.fromEntries([...document.querySelectorAll('[data-count]')]
            .map(one => [one.dataset.count, one.textContent]))})"""
    )


@pytest.mark.slow
def test_seven_tabs_of_one_browser_all_follow(browser: Any, site: Site, staged: ThreadedStaged):
    staged.on_stage(lambda stage: stage.plays["live"].start())
    with ExitStack() as tabs:
        first = tabs.enter_context(looked_at(browser, site, "/run/live"))
        pages = [first, *(first.context.new_page() for _ in range(6))]
        for page in pages[1:]:
            page.goto(f"{site.origin}/run/live")
        for page in pages:
            wait_round(page, 6)
        last = staged.play().round
        for page in pages:
            wait_round(page, last + 2)


def test_a_client_that_does_not_read_costs_no_memory_and_is_brought_up_to_date(
    browser: Any, site: Site, staged: ThreadedStaged
):
    with looked_at(browser, site, "/run/live") as page:
        wait_state(page, "paused")
        sleeper = LiveSocket(page, site)
        page.get_by_role("button", name="Resume", exact=True).click()
        wait_round(page, 10)
        before = site.program.memory_bytes
        wait_round(page, 50)
        grown = site.program.memory_bytes - before
        page.get_by_role("button", name="Pause", exact=True).click()
        wait_state(page, "paused")
        last = staged.play().round
        wait_round(page, last)
        messages = sleeper.read_until_round(last)
        sleeper.close()
    assert grown < 16 * MIB
    assert messages[0]["type"] == "snapshot"
    seen = 0
    for one in messages:
        if one["type"] == "snapshot":
            seen = one["keyframe"]["round"]
        elif one["type"] == "rounds":
            rounds = [round["round"] for round in one["rounds"]]
            assert rounds == list(range(seen + 1, seen + 1 + len(rounds))), "none left out"
            seen = rounds[-1]
    assert seen == last


FOREIGN = "https://elsewhere.example"


@pytest.mark.parametrize("path", ["/api/runs/live/live?epoch=0&since=0"])
def test_a_socket_from_a_foreign_origin_is_refused(browser: Any, site: Site, path: str):
    with looked_at(browser, site) as page:
        assert "403" in LiveSocket.answer(page, site, path, FOREIGN)
        assert " 101 " in LiveSocket.answer(page, site, path, site.origin)


def test_commands_from_a_foreign_origin_change_nothing(
    browser: Any, site: Site, staged: ThreadedStaged
):
    with looked_at(browser, site) as page:
        url = f"{site.origin}/api/runs/live/commands"
        body = {"command": "start", "epoch": 1, "key": "0b0c0b5e-0000-4000-8000-000000000001"}
        own = {"Origin": site.origin, "X-RecArena": "1"}
        for headers in ({**own, "Origin": FOREIGN}, {"Origin": site.origin}, {"X-RecArena": "1"}):
            answer = page.context.request.post(url, data=body, headers=headers)
            assert answer.status == 403, headers
        assert staged.play().round == 5
        answer = page.context.request.post(url, data=body, headers=own)
        assert answer.status == 200, answer.text()


def test_whoever_has_no_cookie_is_told_what_to_do(browser: Any, site: Site):
    context = browser.new_context()
    try:
        page = context.new_page()
        answer = page.goto(f"{site.origin}/run/live")
        assert answer.status == 401
        assert "not signed in" in page.inner_text("body")
        assert context.request.get(f"{site.origin}/api/runs").status == 401
        assert context.request.get(f"{site.origin}/static/js/main.js").status == 401
    finally:
        context.close()


class LiveSocket:
    """The live socket at the level of bytes, with the cookies of a page: it reads when it is told
    to."""

    def __init__(self, page: Any, site: Site, path: str = "/api/runs/live/live?epoch=0&since=0"):
        self._socket = self._opened(page, site, path, site.origin, small=True)
        self._rest = b""
        assert b" 101 " in self._line()

    @classmethod
    def answer(cls, page: Any, site: Site, path: str, origin: str) -> str:
        """The status line."""
        with cls._opened(page, site, path, origin) as one:
            return one.recv(4096).split(b"\r\n")[0].decode() + " "

    @staticmethod
    def _opened(
        page: Any, site: Site, path: str, origin: str, small: bool = False
    ) -> socket.socket:
        host = urlsplit(site.origin)
        cookies = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
        made = socket.socket()
        if small:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(20)
        made.connect((host.hostname, host.port))
        key = base64.b64encode(os.urandom(16)).decode()
        made.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host.netloc}\r\nOrigin: {origin}\r\n"
            f"Cookie: {cookies}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        return made

    def _line(self) -> bytes:
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._socket.recv(4096)
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        return head

    def _bytes(self, count: int) -> bytes:
        while len(self._rest) < count:
            more = self._socket.recv(65536)
            assert more, "the server closed the socket"
            self._rest += more
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def message(self) -> dict[str, Any]:
        """The next text message; servers do not mask."""
        first, length = self._bytes(2)
        if length == 126:
            length = int.from_bytes(self._bytes(2))
        elif length == 127:
            length = int.from_bytes(self._bytes(8))
        body = self._bytes(length)
        assert first & 0x0F == 1, f"opcode {first & 0x0F}: {body[:80]!r}"
        return json.loads(body)

    def read_until_round(self, last: int) -> list[dict[str, Any]]:
        """Messages up to the one that brings this round."""
        messages = [self.message()]
        while messages[-1].get("keyframe", {}).get("round") != last:
            messages.append(self.message())
        return messages

    def close(self) -> None:
        self._socket.close()
