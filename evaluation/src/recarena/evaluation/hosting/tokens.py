"""Who calls, by the file of tokens that the gRPC server reads, too (docs/security.md)."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recarena.evaluation.hosting.settings import BadCompetition

TOKEN = re.compile(r"rct_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
OTHERS_MAY_WRITE = 0o022
VERSION = 1
ROLES = ("recommender", "operator", "observer")
NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
"""What a secret is compared with where its id is unknown: the answer takes as long."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who shows a token that is valid now."""

    role: str
    """recommender, operator or observer."""
    name: str
    """Of a recommender its recommender_id."""
    key: str
    """The token's id, which is no secret."""

    @property
    def is_organiser(self) -> bool:
        """Whether it may act on everybody's submissions."""
        return self.role == "operator"


@dataclass(frozen=True, slots=True)
class _Kept:
    caller: Caller
    sha256: str
    expires: datetime
    revoked: bool


class TokenBook:
    """The tokens of a file as it is now. Where the file breaks, what was read before stays valid
    (expiry included) and nothing else becomes valid, as in the gRPC server."""

    def __init__(self, path: Path) -> None:
        """BadCompetition where the file is missing or none."""
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._kept: dict[str, _Kept] = {}
        self._read()

    def caller(self, token: str, now: datetime | None = None) -> Caller | None:
        """Who shows this token; None for one that is unknown, expired or revoked."""
        self._refresh()
        parts = TOKEN.fullmatch(token)
        kept = self._kept.get(parts[1]) if parts else None
        shown = hashlib.sha256((parts[2] if parts else "").encode()).hexdigest()
        same = hmac.compare_digest(shown, kept.sha256 if kept else NOBODY)
        if not kept or not same or kept.revoked or (now or datetime.now(UTC)) >= kept.expires:
            return None
        return kept.caller

    def has(self, id: str) -> bool:
        """Whether there is a token with this id, valid or not."""
        self._refresh()
        return id in self._kept

    def _refresh(self) -> None:
        try:
            now = os.stat(self.path)
        except OSError:
            return
        if (now.st_mtime_ns, now.st_size, now.st_ino) != self._stamp:
            try:
                self._read()
            except BadCompetition:
                return  # the gRPC server says so in its log

    def _read(self) -> None:
        tell = f"serve.tokens: {self.path}"
        try:
            with self.path.open("rb") as file:
                state = os.fstat(file.fileno())
                self._stamp = state.st_mtime_ns, state.st_size, state.st_ino
                if state.st_mode & OTHERS_MAY_WRITE:
                    raise BadCompetition(f"{tell} can be written by others; chmod 600 it")
                self._kept = _tokens(json.loads(file.read()))
        except FileNotFoundError:
            raise BadCompetition(
                f"{tell} is not there; make a token with recarena token new --recommender NAME "
                f"--tokens {self.path}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadCompetition(f"{tell} is no file of tokens: {error}; mend it") from None


def _tokens(values: Any) -> dict[str, _Kept]:
    """By id. ValueError, KeyError, TypeError for what docs/security.md does not describe."""
    if values["version"] != VERSION:
        raise ValueError(f"version {values['version']!r} is not {VERSION}")
    found: dict[str, _Kept] = {}
    for one in values["tokens"]:
        caller = Caller(str(one["role"]), str(one["name"]), str(one["id"]))
        if caller.role not in ROLES or caller.key in found:
            raise ValueError(f"the token {caller.key} is none")
        expires = datetime.fromisoformat(str(one["expires"]).replace("Z", "+00:00"))
        if expires.tzinfo is None:
            raise ValueError(f"the token {caller.key} expires in no time zone")
        sha256, revoked = str(one["sha256"]), one.get("revoked") is not None
        found[caller.key] = _Kept(caller, sha256, expires, revoked)
    return found
