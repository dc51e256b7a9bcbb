"""What the competition server answers over HTTP: a page for everybody, JSON for programs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from recarena.evaluation.hosting.config import BASELINE
from recarena.evaluation.hosting.ledger import HIDDEN, PRACTICE, Status, Submission
from recarena.evaluation.hosting.page import Pages
from recarena.evaluation.hosting.refusals import Refusals
from recarena.evaluation.hosting.rules import (
    Bucket,
    Refused,
    check_limits,
    expected_wait_s,
    position,
    today,
)
from recarena.evaluation.hosting.season import Season
from recarena.evaluation.hosting.standing import Standings
from recarena.evaluation.hosting.tokens import Caller, TokenBook
from recarena.evaluation.hosting.umpire import Umpire

MAX_BODY_BYTES = 4096
MAX_VERSION_CHARS = 64
MAX_WAIT_S = 30
MOST_WAITING = 4
"""Requests of one token that wait for an end at the same time."""
BODY_TIMEOUT_S = 10.0
"""For sending what a request says."""
FAILURES_PER_MINUTE = 60.0
"""Requests with a token that is none, from one address."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Endpoint = Callable[[Request], Awaitable[Response]]


class Site:
    """The routes, over what the server knows."""

    def __init__(
        self, season: Season, umpire: Umpire, standings: Standings, tokens: TokenBook, dial: str
    ) -> None:
        """`dial`: HOST:PORT at which recommenders are let in."""
        self._season, self._umpire, self._standings = season, umpire, standings
        self._tokens, self._dial = tokens, dial
        self._ledger, self._limits = season.ledger, season.competition.entrants
        self._asked = Bucket(self._limits.requests_per_minute)
        self._failures = Bucket(FAILURES_PER_MINUTE)
        self._refusals = Refusals(season.folder)
        self._waiting = Counter[str]()
        self._pages = Pages()

    def app(self) -> Starlette:
        """The ASGI application."""
        app = Starlette(
            routes=[
                Route("/", _guarded(self.index)),
                Route("/style.css", _guarded(self.style)),
                Route("/api/competition", _guarded(self.competition)),
                Route("/api/leaderboard", _guarded(self.leaderboard)),
                Route("/api/submissions", _guarded(self.submissions)),
                Route("/api/submissions", _guarded(self.submit), methods=["POST"]),
                Route("/api/submissions/{id}", _guarded(self.submission)),
                Route("/api/submissions/{id}/cancel", _guarded(self.cancel), methods=["POST"]),
            ],
            exception_handlers={404: _nothing, 405: _nothing, Exception: _broken},
        )
        app.router.redirect_slashes = False  # it would send on to whatever Host says
        return app

    # ------------------------------------------------------------------ for everybody

    async def index(self, _: Request) -> Response:
        """The page."""
        about, rows = self._about(), self._standings.rows
        submissions = [self._public(one) for one in self._ledger if not one.baseline]
        return HTMLResponse(
            self._pages.index(about, rows, self._standings.notes, submissions[::-1])
        )

    async def style(self, _: Request) -> Response:
        """Its style sheet."""
        return Response(self._pages.style, media_type="text/css")

    async def competition(self, _: Request) -> Response:
        """What is played, by which rules, and the commitment."""
        return JSONResponse(self._about())

    async def leaderboard(self, _: Request) -> Response:
        """The rows, best first."""
        return JSONResponse({"rows": self._standings.rows, "notes": self._standings.notes})

    async def submissions(self, _: Request) -> Response:
        """All submissions, by what everybody may know of them."""
        return JSONResponse({"submissions": [self._public(one) for one in self._ledger]})

    def _about(self) -> dict[str, Any]:
        season, competition = self._season, self._season.competition
        worlds, reveal = competition.worlds, season.reveal
        return {
            "name": competition.name,
            "season": competition.season,
            "description": competition.description,
            "state": "revealed" if reveal else "closed" if season.is_closed else "open",
            "created": season.published["created"],
            "code_version": season.published["code_version"],
            "commitment": season.published["commitment"],
            "settings": season.published["settings"],
            "hidden_worlds": season.published["hidden_worlds"],
            "worlds": {
                "kind": season.published["settings"]["worlds"]["kind"],
                "hidden": worlds.hidden, "users": worlds.users, "rounds": worlds.rounds,
            },
            "primary": competition.primary,
            "ranked": competition.ranked,
            "limits": asdict(self._limits),
            "practice": [
                {
                    "number": one.recipe.number, "seed": one.recipe.seed,
                    "command": None if competition.base_world else one.recipe.command,
                    "sha256": one.sha256,
                }
                for one in season.practice
            ],
            "grpc": {"address": self._dial, "tls": competition.tls is not None},
            "reveal": reveal,
        }  # fmt: skip

    def _public(self, one: Submission) -> dict[str, Any]:
        return {
            "id": one.id, "recommender": one.recommender, "version": one.version,
            "track": one.track, "baseline": one.baseline, "status": one.status,
            "submitted": one.submitted, "started": one.started or None,
            "ended": one.ended or None, "counted": one.counted,
            "position": position(self._ledger, one.id) if one.status is Status.QUEUED else None,
        }  # fmt: skip

    # ------------------------------------------------------------------ for entrants

    async def submit(self, request: Request) -> Response:
        """Queues a submission of the caller's own recommender."""
        caller = self._caller(request, "recommender")
        self._throttle(caller)
        asked = await _body(request, ("recommender", "version", "track"))
        if caller.name.startswith(BASELINE):
            text = f"names that begin with {BASELINE} are those of the organiser's own recommenders"
            raise Refused(403, "reserved_name", text)
        recommender = _word(asked, "recommender", caller.name)
        version, track = _word(asked, "version", ""), _word(asked, "track", HIDDEN)
        if recommender != caller.name:
            self._refusals.note(caller, "submit-for-another", recommender[:63])
            raise Refused(403, "not_yours", f"your token is of {caller.name}, and of no other")
        if len(version) > MAX_VERSION_CHARS or not version.isprintable():
            text = f"version has at most {MAX_VERSION_CHARS} letters that can be printed"
            raise Refused(422, "bad_version", text)
        if track not in (PRACTICE, HIDDEN) or not self._season.worlds(track):
            raise Refused(422, "bad_track", f"track {track[:40]!r} is not played here")
        if self._season.is_closed:
            raise Refused(409, "closed", "the season is closed: nothing more may be submitted")
        check_limits(self._ledger, caller.name, track, self._limits, today())
        one = self._ledger.submit(caller.name, version, track)
        self._umpire.wake()
        return JSONResponse(self._own(one), status_code=201)

    async def submission(self, request: Request) -> Response:
        """A submission of the caller's, with how it stands and what went wrong; with `?wait=S` not
        before it has ended, or S seconds are over."""
        caller = self._caller(request)
        one = self._its(request, caller)
        wait = request.query_params.get("wait", "0")
        if not wait.isdecimal() or len(wait) > 2 or int(wait) > MAX_WAIT_S:
            raise Refused(422, "bad_wait", f"wait is 0 to {MAX_WAIT_S} seconds")
        if one.status.is_open and int(wait):
            if self._waiting[caller.key] >= MOST_WAITING:
                raise _later(f"{MOST_WAITING} requests of your token wait already", 1)
            self._waiting[caller.key] += 1
            try:
                one = await self._ended(one, int(wait))
            finally:
                self._waiting[caller.key] -= 1
        return JSONResponse(self._own(one))

    async def _ended(self, one: Submission, wait_s: int) -> Submission:
        """It when it has ended, or as it is after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while one.status.is_open:
                    await self._umpire.another_end()
                    one = self._ledger.get(one.id) or one
        return one

    async def cancel(self, request: Request) -> Response:
        """Ends a submission of the caller's; an operator may end any."""
        caller = self._caller(request)
        self._throttle(caller)
        one = self._its(request, caller)
        who = "the organiser" if caller.is_organiser else "its entrant"
        try:
            self._umpire.cancel(one.id, f"cancelled by {who}")
        except KeyError:
            raise Refused(409, "ended", f"{one.id} is {one.status} already") from None
        now = self._ledger.get(one.id)
        assert now
        return JSONResponse(self._own(now), status_code=202 if now.status.is_open else 200)

    def _its(self, request: Request, caller: Caller) -> Submission:
        """The submission of the path. Whether another's exists is not told."""
        id = str(request.path_params["id"])
        one = self._ledger.get(id)
        if one and (caller.is_organiser or one.recommender == caller.name):
            return one
        if one:
            self._refusals.note(caller, "submission-of-another", id)
        raise Refused(404, "no_submission", f"you have no submission {id[:40]!r}")

    def _own(self, one: Submission) -> dict[str, Any]:
        """What its entrant is told of a submission."""
        progress = self._umpire.progress(one.id)
        scored = one.status is Status.FINISHED
        return {
            **self._public(one),
            "why": one.why or None,
            "worlds": len(self._season.worlds(one.track)),
            "worlds_done": progress.get("worlds_done", one.worlds_done),
            "round": progress.get("round"),
            "looked_for": progress.get("looked_for", False),
            "rounds": self._season.competition.worlds.rounds,
            "expected_wait_s": expected_wait_s(self._ledger, one.id, self._limits.at_once),
            "interruptions": one.interruptions,
            "scores": dict(one.scores) if scored else None,
            "report": dict(one.report) or None,
        }

    def _caller(self, request: Request, role: str = "") -> Caller:
        """Who asks. Refused for a stranger, and for another role."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        caller = self._tokens.caller(token.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            if wait := self._failures.take(request.client.host if request.client else ""):
                raise _later("too many failed attempts from this address", wait)
            text = "send your token as `authorization: Bearer TOKEN`; it must be valid"
            raise Refused(401, "no_token", text)
        if caller.role == "observer" or (role and caller.role != role):
            self._refusals.note(caller, "wrong-role", str(request.scope["path"])[:80])
            raise Refused(403, "wrong_role", f"the role {caller.role} may not do this")
        return caller

    def _throttle(self, caller: Caller) -> None:
        if wait := self._asked.take(caller.key):
            raise _later("more requests than a token may make in a minute", wait)


def _guarded(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with its refusals as answers and the headers of every answer."""

    async def answer(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except Refused as refusal:
            response = JSONResponse(
                {"error": {"code": refusal.code, "message": str(refusal)}},
                status_code=refusal.status,
            )
            if refusal.retry_after_s:
                response.headers["Retry-After"] = str(refusal.retry_after_s)
            if refusal.status in (408, 413):  # the rest of the request is not waited for
                response.headers["Connection"] = "close"
            if refusal.status == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
        response.headers.update(HEADERS)
        return response

    return answer


async def _nothing(request: Request, error: Exception) -> Response:
    status = int(getattr(error, "status_code", 404))
    body = {"error": {"code": "no_such_thing", "message": "there is nothing of the kind here"}}
    return JSONResponse(body, status_code=status, headers=HEADERS)


async def _broken(_: Request, __: Exception) -> Response:
    """For a mistake of this program, which is in what it says; strangers are told nothing of it."""
    body = {"error": {"code": "internal", "message": "internal error"}}
    return JSONResponse(body, status_code=500, headers=HEADERS)


async def _body(request: Request, known: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object of a request. Refused for anything else, and for what is too long."""
    raw = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                raw += part
                if len(raw) > MAX_BODY_BYTES:
                    raise Refused(413, "too_long", f"a request has at most {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        text = f"a request is sent within {BODY_TIMEOUT_S:g} s"
        raise Refused(408, "too_slow", text) from None
    try:
        asked = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise Refused(400, "not_json", "the request is no JSON") from None
    if not isinstance(asked, dict):
        raise Refused(400, "not_json", "the request is no JSON object")
    for name in asked:
        if name not in known:
            text = f"{str(name)[:40]!r} is not known; known are {', '.join(known)}"
            raise Refused(422, "unknown_field", text)
    return asked


def _word(asked: dict[str, Any], name: str, default: str) -> str:
    value = asked.get(name, default)
    if not isinstance(value, str):
        raise Refused(422, "bad_field", f"{name} is text")
    return value


def _later(text: str, wait_s: float) -> Refused:
    return Refused(429, "rate_limited", f"{text}; wait {wait_s:.0f} s", max(1, round(wait_s)))
