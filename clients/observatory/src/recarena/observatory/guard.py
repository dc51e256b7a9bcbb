"""Who may call: the right host, whoever has the token, and changes from the page alone."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recarena.observatory.failures import Failure

POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MARK = "x-recarena"
"""A header that another site's form cannot send."""
POLICY_VIOLATED = 1008
"""Code with which sockets are refused before they are open."""
SIGN_IN = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>RecArena observatory</title>
<h1>This page is not signed in</h1>
<p>Open the address that <code>recarena observatory</code> printed when it was started; it has a
token in it. It is needed once in a browser, and again when the program was started anew.</p></html>
"""


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the page is served, and who gets in."""

    origins: frozenset[str]
    """Such as "http://127.0.0.1:8080"."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    port: int = 0
    """Named in the cookie, for a browser sends cookies of one port to all others of the host."""

    @classmethod
    def at(cls, host: str, port: int, public: Iterable[str] = ()) -> Doors:
        """Of a program that listens there, and is also reached by the `public` addresses."""
        names = {host}
        if host in ("127.0.0.1", "localhost", "::1"):
            names = {"127.0.0.1", "localhost", "::1"}
        written = {f"[{name}]" if ":" in name else name for name in names}
        here = {f"http://{name}:{port}" for name in written}
        there = {origin_of(one) for one in public}
        return cls(frozenset(here | there), port=port)

    @property
    def cookie(self) -> str:
        """Its name."""
        return f"recarena_observatory_{self.port}"

    @property
    def hosts(self) -> set[str]:
        """What `Host` may say."""
        return {urlsplit(origin).netloc for origin in self.origins}


def origin_of(address: str) -> str:
    """Scheme, host and port of an address. ValueError for what is none."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(address)
    return f"{parts.scheme}://{parts.netloc}".lower()


class Guard:
    """Stands before the application; what it lets through gets its headers on the way back."""

    def __init__(self, app: ASGIApp, doors: Doors, why_not: str) -> None:
        """`why_not` says why nothing may be changed; empty: it may."""
        self._app, self._doors, self._why_not = app, doors, why_not

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATED})
        else:
            await refusal(scope, receive, self._with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        doors = self._doors
        if headers.get("host", "").lower() not in doors.hosts:
            text = f"this page is served as {', '.join(sorted(doors.hosts))} alone"
            return _failed(Failure(400, "INVALID_ARGUMENT", text, field="Host"))
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if scope["type"] == "http" and scope["method"] == "GET" and "token" in query:
            return self._let_in(scope["path"], query)
        if not self._is_known(headers):
            if scope["type"] == "http" and not scope["path"].startswith("/api/"):
                return HTMLResponse(SIGN_IN, 401)
            remedy = "Open the address that recarena observatory printed"
            return _failed(Failure(401, "UNAUTHENTICATED", "not signed in", remedy=remedy))
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD"):
            return self._refusal_of_change(scope, headers)
        return None

    def _refusal_of_change(self, scope: Scope, headers: Headers) -> Response | None:
        if headers.get("origin", "").lower() not in self._doors.origins:
            text = "the request comes from another page"
            return _failed(Failure(403, "PERMISSION_DENIED", text, field="Origin"))
        if scope["type"] == "websocket":
            return None
        if headers.get(MARK) != "1":
            text = "the header X-RecArena: 1 is missing"
            return _failed(Failure(403, "PERMISSION_DENIED", text, field="X-RecArena"))
        if not headers.get("content-type", "").startswith("application/json"):
            text = "the body is JSON: Content-Type: application/json"
            return _failed(Failure(415, "INVALID_ARGUMENT", text, field="Content-Type"))
        if self._why_not:
            return _failed(Failure(403, "PERMISSION_DENIED", self._why_not))
        return None

    def _let_in(self, path: str, query: dict[str, str]) -> Response:
        if not secrets.compare_digest(query.pop("token").encode(), self._doors.token.encode()):
            return HTMLResponse(SIGN_IN, 401)
        # One slash in front, so that no other host is sent to.
        place = "/" + path.lstrip("/") + (f"?{urlencode(query)}" if query else "")
        answer = RedirectResponse(place, 303)
        answer.set_cookie(
            self._doors.cookie, self._doors.token, httponly=True, samesite="strict", path="/"
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _is_known(self, headers: Headers) -> bool:
        jar = SimpleCookie()
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            return False
        shown = jar.get(self._doors.cookie)
        return shown is not None and secrets.compare_digest(
            shown.value.encode(), self._doors.token.encode()
        )

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return sending


def _failed(failure: Failure) -> Response:
    return JSONResponse(failure.as_json(), failure.status)
