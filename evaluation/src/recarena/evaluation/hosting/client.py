"""What entrants call a competition server with."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from recarena.evaluation.hosting.config import is_loopback
from recarena.evaluation.hosting.settings import BadCompetition

TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class ServerSaid(BadCompetition):
    """The server refused a call; the text is its own. `code` is for programs."""

    def __init__(self, text: str, code: str, status: int) -> None:
        super().__init__(text)
        self.code, self.status = code, status


@dataclass(frozen=True, slots=True)
class Client:
    """A competition server, and who calls."""

    server: str
    """As http://HOST:PORT or https://HOST:PORT."""
    token: str = ""
    ca: Path | None = None
    """The authority that signed its certificate; None: those of the system."""

    def get(self, path: str) -> Any:
        """The JSON at a path. ServerSaid, BadCompetition."""
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What a path answers to a JSON object. ServerSaid, BadCompetition."""
        return self._call("POST", path, body or {})

    def submission(self, id: str) -> Any:
        """A submission of one's own."""
        return self.get(f"/api/submissions/{quote(id, safe='')}")

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        scheme, host = self._address()
        if not re.fullmatch(r"[!-~]*", self.token):  # and it is not shown
            raise BadCompetition(
                "RECARENA_TOKEN is no token; put the one that the organiser gave you into it, "
                "without blanks and line breaks"
            )
        if self.token and scheme == "http" and not is_loopback(host):
            raise BadCompetition(
                f"--server {self.server}: the token would be sent in the clear; ask the organiser "
                "for an https address"
            )
        request = urllib.request.Request(
            self.server.rstrip("/") + path,
            None if body is None else json.dumps(body).encode(),
            {"Accept": "application/json", "Content-Type": "application/json"},
            method=method,
        )
        if self.token:
            # Not to whomever the server might send us on to.
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with self._opener(is_loopback(host)).open(request, timeout=TIMEOUT_S) as answer:
                return json.loads(answer.read(MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise _said(error, self.server) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = _shown(str(getattr(error, "reason", error)))
            raise BadCompetition(
                f"--server {self.server} does not answer as a competition server: {reason}"
            ) from None

    def _address(self) -> tuple[str, str]:
        """http or https, and HOST:PORT. BadCompetition."""
        try:
            parts = urlsplit(self.server)
            if parts.scheme in ("http", "https") and parts.hostname:
                return parts.scheme, f"{parts.hostname}:{parts.port or 0}"
        except ValueError:
            pass
        raise BadCompetition(
            f"--server {self.server} is no address; write it as http://127.0.0.1:8080"
        )

    def _opener(self, past_proxies: bool) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = []
        if past_proxies:
            handlers.append(urllib.request.ProxyHandler({}))
        if self.server.startswith("https"):
            try:
                context = ssl.create_default_context(cafile=self.ca)
            except (OSError, ssl.SSLError) as error:
                raise BadCompetition(f"--tls-ca {self.ca} cannot be read: {error}") from None
            handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers)


def _shown(text: str) -> str:
    """What somebody else's server said, as a terminal may be shown it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:500])


def _said(error: urllib.error.HTTPError, server: str) -> BadCompetition:
    with error:
        try:
            said = json.loads(error.read(65536))["error"]
            return ServerSaid(_shown(str(said["message"])), str(said["code"]), error.code)
        except (ValueError, KeyError, TypeError):
            return BadCompetition(f"--server {server} answered {error.code} {error.reason}")
