"""The web server's answers, asked without a socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from jinja2 import UndefinedError
from uvicorn.server import ServerState

from recarena.evaluation.hosting import serving
from recarena.evaluation.hosting.config import load
from recarena.evaluation.hosting.ledger import Ledger, Status
from recarena.evaluation.hosting.tokens import TokenBook
from recarena.evaluation.hosting.web import Site
from recarena.server.rpc.callers import Role
from support.callers import token

ROW: dict[str, Any] = {
    "recommender": "alice", "version": "<b>1</b>", "first_place": 1, "last_place": 2,
    "tied_with": [], "baseline": False, "submissions": 3, "conduct": ["late 3.0%"],
    "gate": {"passed": False, "reasons": ["p95 latency 9 ms, limit 1 ms"]},
    "metrics": {
        name: {"mean": 0.25, "low": 0.2, "high": 0.3}
        for name in ("watch_rate", "satisfaction", "coverage", "latency_p95_ms", "unusable_rate")
    },
}  # fmt: skip


class Ends:
    """An umpire that plays nothing."""

    def __init__(self) -> None:
        self.waiting = asyncio.Semaphore(0)
        """One for each that waits."""
        self.ended = asyncio.Event()

    def wake(self) -> None: ...

    def progress(self, _: str) -> dict[str, Any]:
        return {}

    async def another_end(self) -> None:
        self.waiting.release()
        await self.ended.wait()


class Browser:
    """Calls the site."""

    def __init__(self, folder: Path, **entrants: int) -> None:
        limits = "\n".join(f"{key} = {value}" for key, value in entrants.items())
        file = folder / "competition.toml"
        file.write_text(f'name = "<i>Cup</i>"\nseason = "s1"\n[entrants]\n{limits}\n')
        competition = load(file)
        self.tokens = folder / "tokens.json"
        self.alice = token(self.tokens, Role.RECOMMENDER, "alice")
        self.ledger = Ledger(folder / "submissions.jsonl")
        self.standings = SimpleNamespace(rows=[ROW], notes=["<note>"])
        published = {
            "created": "2026-03-01T10:00:00.000+00:00", "code_version": "1", "commitment": "c" * 64,
            "settings": {"worlds": {"kind": "new"}}, "hidden_worlds": [],
        }  # fmt: skip
        season: Any = SimpleNamespace(
            folder=folder, competition=competition, published=published, reveal=None, practice=(),
            is_closed=False, ledger=self.ledger, worlds=lambda _: (1, 2),
        )  # fmt: skip
        self.umpire: Any = Ends()
        standings: Any = self.standings
        book = TokenBook(self.tokens)
        self.app = Site(season, self.umpire, standings, book, "127.0.0.1:7788").app()

    async def ask(
        self, path: str, token: str = "", body: object | None = None, query: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        scope = {
            "type": "http", "method": "GET" if body is None else "POST", "path": path,
            "raw_path": path.encode(), "query_string": query, "headers": headers, "root_path": "",
            "client": ("10.0.0.7", 1), "server": ("127.0.0.1", 80), "scheme": "http",
            "http_version": "1.1",
        }  # fmt: skip
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        try:
            await self.app(scope, receive, send)
        finally:
            named = {key.decode(): value.decode() for key, value in said[0]["headers"]}
            text = b"".join(one.get("body", b"") for one in said[1:])
            self.said: tuple[int, dict[str, str], bytes] = said[0]["status"], named, text
        return self.said


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path, requests_per_minute=2)


async def test_whatever_entrants_write_is_inert_on_the_page(browser):
    browser.ledger.submit("alice", "<script>alert(1)</script>", "hidden")
    status, headers, body = await browser.ask("/")
    text = body.decode()
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    for outside in ("<script", "<b>1", "<i>Cup", "<note>"):
        assert outside not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "failed: p95 latency 9 ms, limit 1 ms" in text
    assert "late 3.0%" in text
    assert " on" + "click" not in text
    assert "style=" not in text


async def test_an_empty_season_has_a_page_too(browser):
    browser.standings.rows = []
    _, _, body = await browser.ask("/")
    assert b"Nobody has been played in all hidden worlds yet" in body


async def test_every_answer_has_the_headers_of_every_answer(browser):
    for path in ("/", "/style.css", "/api/leaderboard", "/api/submissions/s1", "/nothing"):
        _, headers, _ = await browser.ask(path)
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert "default-src 'none'" in headers["content-security-policy"], path


async def test_more_than_so_many_requests_a_minute_have_to_wait(browser):
    codes = [
        (await browser.ask("/api/submissions", browser.alice, {"track": "hidden"}))[0]
        for _ in range(3)
    ]
    assert codes == [201, 409, 429]
    status, headers, body = await browser.ask("/api/submissions", browser.alice, {})
    assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limited")
    assert 1 <= int(headers["retry-after"]) <= 30


async def test_who_tries_tokens_out_is_slowed_down_and_those_with_one_are_not(browser):
    codes = [(await browser.ask("/api/submissions/s1", "x"))[0] for _ in range(70)]
    assert codes.count(401) == 60
    assert set(codes) == {401, 429}
    assert (await browser.ask("/api/submissions/s1", browser.alice))[0] == 404


async def test_what_the_public_sees_of_submissions_is_no_score_and_no_error(browser):
    one = browser.ledger.submit("alice", "1.0", "hidden")
    browser.ledger.note("ended", one.id, status=Status.FINISHED, why="because", scores={"x": 1},
                        report={"errors": ["secret"]})  # fmt: skip
    _, _, body = await browser.ask("/api/submissions")
    (public,) = json.loads(body)["submissions"]
    assert set(public) == {
        "id", "recommender", "version", "track", "baseline", "status", "submitted", "started",
        "ended", "counted", "position",
    }  # fmt: skip
    _, _, body = await browser.ask(f"/api/submissions/{one.id}", browser.alice)
    assert json.loads(body)["scores"] == {"x": 1}


async def test_an_observer_reads_nobodys_submission(browser):
    one = browser.ledger.submit("alice", "", "hidden")
    eve = token(browser.tokens, Role.OBSERVER, "eve")
    status, _, body = await browser.ask(f"/api/submissions/{one.id}", eve)
    assert (status, json.loads(body)["error"]["code"]) == (403, "wrong_role")


# ------------------------------------------------------------------ who means harm
@pytest.mark.parametrize("body", [b"[" * 4000, b'{"recommender": "\\ud800"}', b"\xff", b"NaN"])
async def test_what_no_program_writes_is_refused_and_breaks_nothing(tmp_path, body):
    browser = Browser(tmp_path)
    status, headers, said = await browser.ask("/api/submissions", browser.alice, body)
    assert status in (400, 403)
    assert "error" in json.loads(said)
    assert headers["x-content-type-options"] == "nosniff"
    assert len(browser.ledger) == 0


@pytest.mark.parametrize("wait", ["31", "-1", "9" * 5000, "²", "x"])
async def test_a_wait_is_of_seconds(browser, wait):
    one = browser.ledger.submit("alice", "", "hidden")
    path = f"/api/submissions/{one.id}"
    status, _, said = await browser.ask(path, browser.alice, query=f"wait={wait}".encode())
    assert (status, json.loads(said)["error"]["code"]) == (422, "bad_wait")


async def test_a_token_waits_for_few_ends_at_a_time(browser):
    one = browser.ledger.submit("alice", "", "hidden")
    path, wait = f"/api/submissions/{one.id}", {"query": b"wait=30"}
    waiting = [asyncio.create_task(browser.ask(path, browser.alice, **wait)) for _ in range(4)]
    for _ in waiting:
        await browser.umpire.waiting.acquire()
    assert (await browser.ask(path, browser.alice, **wait))[0] == 429
    browser.ledger.note("ended", one.id, status=Status.CANCELLED, why="")
    browser.umpire.ended.set()
    assert [answer[0] for answer in await asyncio.gather(*waiting)] == [200] * 4
    assert (await browser.ask(path, browser.alice, **wait))[0] == 200


async def test_names_of_the_organisers_own_recommenders_are_nobodys(browser):
    own = token(browser.tokens, Role.RECOMMENDER, "baseline-popular")
    status, _, said = await browser.ask("/api/submissions", own, {})
    assert (status, json.loads(said)["error"]["code"]) == (403, "reserved_name")


async def test_a_mistake_of_the_program_is_told_without_its_words(browser):
    browser.standings.rows = [{}]  # no row that a page can be made of
    with pytest.raises(UndefinedError):  # goes on to the log
        await browser.ask("/")
    status, headers, body = browser.said
    assert (status, json.loads(body)["error"]["message"]) == (500, "internal error")
    assert headers["x-content-type-options"] == "nosniff"


async def test_nobody_is_sent_on_to_another_host(browser):
    assert (await browser.ask("/api/submissions/"))[0] == 404


async def test_who_is_slow_to_ask_is_hung_up_on_and_others_are_not(browser, monkeypatch):
    monkeypatch.setattr(serving, "REQUEST_TIMEOUT_S", 0.05)
    config = uvicorn.Config(browser.app, http=serving.Impatient, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: serving.Impatient(config, state, {}, loop), "127.0.0.1", 0
    )
    async with server:
        there = server.sockets[0].getsockname()
        for half in (b"", b"GET / HTTP/1.1\r\nHost: a\r\n"):
            reader, writer = await asyncio.open_connection(*there)
            writer.write(half)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()
        reader, writer = await asyncio.open_connection(*there)
        writer.write(b"GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 200")  # and then its end
        writer.close()
    assert not state.connections
