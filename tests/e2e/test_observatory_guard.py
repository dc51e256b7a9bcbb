"""Who gets in to the observatory, and who may change anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from support.observatory.staged import Staged
from support.observing import Visitor, first, observatory

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAUSE = {"command": "pause", "epoch": 0, "key": "one"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Visitor]:
    server = Staged(users=20, ties=40)
    await server.open()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.close)
        folder = tmp_path_factory.mktemp("guard")
        yield await stack.enter_async_context(observatory(server.address, cwd=folder))


@pytest.mark.parametrize("path", ["/", "/run/live", "/api/runs", "/api/me", "/static/js/main.js",
                                  "/favicon.ico", "/api/runs/live/events.jsonl"])  # fmt: skip
async def test_nothing_is_shown_to_who_has_not_signed_in(page, path):
    answer = await page.ask(path, headers={"Cookie": ""})
    assert answer.status == 401
    assert b"recarena observatory" in answer.body


async def test_the_printed_address_signs_in_and_takes_the_token_out_of_sight(page):
    path = page.url.removeprefix(page.origin).replace("/?", "/run/live/u/a%20b?at=3&")
    answer = await page.ask(path, headers={"Cookie": ""})
    assert answer.status == 303
    assert answer.headers["location"] == "/run/live/u/a%20b?at=3"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert answer.headers["cache-control"] == "no-store"


async def test_signing_in_sends_to_no_other_host(page):
    path = page.url.removeprefix(page.origin).replace("/?", "//evil.example/?")
    answer = await page.ask(path, headers={"Cookie": ""})
    assert answer.headers["location"] == "/evil.example/"


@pytest.mark.parametrize("token", ["", "x", "é"])
async def test_a_wrong_token_signs_nobody_in(page, token):
    answer = await page.ask(f"/?token={token.encode().hex() if token == 'é' else token}",
                            headers={"Cookie": ""})  # fmt: skip
    assert answer.status == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("cookie", ["{}x", "other=1", "{};;;=", "recarena_observatory_1=abc"])
async def test_a_wrong_cookie_lets_nobody_in(page, cookie):
    spoilt = cookie.replace("{}", page.cookie[:-3])
    assert (await page.ask("/api/runs", headers={"Cookie": spoilt})).status == 401


async def test_cookies_of_two_observatories_of_a_machine_are_told_apart(page):
    assert page.origin.rpartition(":")[2] in page.cookie.partition("=")[0]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost"])
async def test_another_host_is_refused_also_with_the_cookie(page, host):
    answer = await page.ask("/api/runs", headers={"Host": host})
    assert (answer.status, answer.error["field"]) == (400, "Host")


async def test_localhost_is_the_same_place(page):
    host = "localhost:" + page.origin.rpartition(":")[2]
    assert (await page.ask("/api/runs", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    ("headers", "status", "field"),
    [
        ({"Origin": "http://evil.example"}, 403, "Origin"),
        ({"Origin": "null"}, 403, "Origin"),
        ({"Origin": ""}, 403, "Origin"),
        ({"X-RecArena": ""}, 403, "X-RecArena"),
        ({"Content-Type": "text/plain"}, 415, "Content-Type"),
        ({"Cookie": ""}, 401, ""),
    ],
)
async def test_a_change_that_does_not_come_from_the_page_is_refused(page, headers, status, field):
    answer = await page.ask("/api/runs/live/commands", PAUSE, headers)
    assert (answer.status, answer.error["field"]) == (status, field)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
async def test_a_socket_of_another_page_is_refused(page, origin):
    with pytest.raises(InvalidStatus) as refused:
        async with page.socket("live", origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_a_socket_without_the_cookie_is_refused(page):
    with pytest.raises(InvalidStatus):
        async with replace(page, cookie="").socket("live"):
            pass


async def test_every_answer_says_what_a_browser_may_do_with_it(page):
    for path in ("/", "/api/me", "/api/nothing", "/static/js/main.js", "/static/no.js"):
        headers = (await page.ask(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "max-age" not in headers["cache-control"]


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py",
                                  "/static/..%2fapp.py", "/static/%2e%2e%2fguard.py"])  # fmt: skip
async def test_only_the_pages_files_are_served(page, path):
    answer = await page.ask(path)
    assert answer.status == 404


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b"{}", 400), (b" " * 100_000, 413)]
)
async def test_a_body_that_is_no_command_is_refused(page, body, status):
    answer = await page.ask("/api/runs/live/commands", body)
    assert answer.status == status
    assert answer.error["message"]


async def test_a_method_that_is_not_for_an_address_is_refused(page):
    assert (await page.ask("/api/runs/live", {}, method="DELETE")).status == 405


@pytest.mark.parametrize("path", ["/nowhere", "/runs/live", "/api-of-mine"])
async def test_an_address_of_no_page_shows_the_page_that_says_so(page, path):
    answer = await page.ask(path)
    assert answer.status == 404
    assert b"js/main.js" in answer.body


async def test_read_only_refuses_every_change_and_shows_all(tmp_path):
    server = Staged(users=20, ties=40, ahead=3)
    await server.open()
    try:
        async with observatory(server.address, "--read-only", cwd=tmp_path) as page:
            answer = await page.ask("/api/runs/live/commands", PAUSE)
            assert (answer.status, answer.error["code"]) == (403, "PERMISSION_DENIED")
            assert "--read-only" in answer.error["message"]
            made = await page.ask("/api/runs", {"from": "live", "run_id": "x", "key": "k"})
            assert made.status == 403
            assert (await page.get("/api/me"))["read_only"] is True
            async with page.socket("live") as socket, asyncio.timeout(30):
                assert (await first(socket, "snapshot"))["run"]["round"] == 3
    finally:
        await server.close()
