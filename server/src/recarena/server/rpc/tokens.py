"""Tokens: who may call, kept as digests in one file that may change under a running server."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from recarena.server.config import NAME, Name
from recarena.server.errors import InputError, NotFound
from recarena.server.rpc.callers import Caller, Role

log = structlog.get_logger()

TOKEN = re.compile(r"rct_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
"""The id, and 256 random bits."""
OTHERS_MAY_WRITE = 0o022
NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
"""What a secret is compared with where its id is unknown: the answer takes as long."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Token(_Kept):
    """What is kept of a token. The secret itself is not: it has 256 random bits, so that one
    SHA-256 of it cannot be reversed, and a slow hash would protect nothing more."""

    id: str = Field(pattern="^[0-9a-f]{8}$")
    role: Literal["recommender", "operator", "observer"]
    name: Name
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    created: AwareDatetime
    expires: AwareDatetime
    revoked: AwareDatetime | None = None
    max_sessions: int = Field(default=2, ge=0)

    @property
    def caller(self) -> Caller:
        """Who calls with it."""
        return Caller(self.name, Role[self.role.upper()], self.id, self.max_sessions)

    def state(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Whether it opens anything."""
        if self.revoked:
            return "revoked"
        return "expired" if now >= self.expires else "valid"


class _File(_Kept):
    version: Literal[1]
    tokens: tuple[Token, ...]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> _File:
        if len({token.id for token in self.tokens}) < len(self.tokens):
            raise ValueError("two tokens have the same id")
        return self


class TokenFile:
    """A file of tokens, for those who give them out. Several may do so at once."""

    def __init__(self, path: Path) -> None:
        # A link is followed, so that the file is replaced and not the link.
        self.path = path.resolve()

    def tokens(self) -> tuple[Token, ...]:
        """All of them, oldest first. InputError where the file is missing or broken."""
        where, tell = f"--tokens {self.path}", "Mend it or take a copy of it"
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & OTHERS_MAY_WRITE:
                    remedy = f"chmod 600 {self.path}"
                    raise InputError("others may write it", where=where, remedy=remedy)
                return _File.model_validate_json(file.read()).tokens
        except FileNotFoundError:
            remedy = "Make one with recarena token new"
            raise InputError("there is no such file", where=where, remedy=remedy) from None
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
            raise InputError(problem, where=where, remedy="Is it yours?") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            problem = f"is no file of tokens: {place} {first['msg']}".replace("  ", " ")
            raise InputError(problem, where=where, remedy=tell) from None

    def new(
        self, role: Role, name: str, lifetime: timedelta, max_sessions: int = 2
    ) -> tuple[str, Token]:
        """A token and what is kept of it; the token itself is known to nobody afterwards."""
        if not re.fullmatch(NAME, name):
            raise InputError(
                f"{name!r} is no name", where=f"--{role.name.lower()}",
                remedy="A name has 1 to 63 of a-z, 0-9, '.', '_', '-'",
            )  # fmt: skip
        now = datetime.now(UTC)
        with self._alone():
            kept = self.tokens() if self.path.exists() else ()
            secret = secrets.token_urlsafe(32)
            token = Token.model_validate(
                {
                    "id": _free_id(kept),
                    "role": role.name.lower(),
                    "name": name,
                    "sha256": _digest(secret),
                    "created": now.replace(microsecond=0),
                    "expires": (now + lifetime).replace(microsecond=0),
                    "max_sessions": max_sessions,
                }
            )
            self._write((*kept, token))
        return f"rct_{token.id}_{secret}", token

    def revoke(self, id: str) -> Token:
        """Takes a token back; running servers see it within a second. NotFound."""
        with self._alone():
            kept = self.tokens()
            old = next((token for token in kept if token.id == id), None)
            if old is None:
                raise NotFound(f"no token {id!r} in {self.path}: recarena token list shows the ids")
            if old.revoked:
                return old
            token = old.model_copy(update={"revoked": datetime.now(UTC).replace(microsecond=0)})
            self._write(tuple(token if one is old else one for one in kept))
        return token

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Waits for others who change the file. The lock has a file of its own, because the
        tokens' is replaced with each change."""
        path = self.path.with_name(f".{self.path.name}.lock")
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            remedy = "Choose another place with --tokens FILE"
            raise InputError(problem, where=f"--tokens {self.path}", remedy=remedy) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, tokens: tuple[Token, ...]) -> None:
        """Replaces the file: readers see the old one or the new one, and nobody else sees it."""
        fresh = self.path.with_name(f".{self.path.name}.new")
        with suppress(FileNotFoundError):
            fresh.unlink()
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_File(version=1, tokens=tokens).model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


class TokenBook:
    """The tokens of a file as it is now, for a server. What was valid stays so when the file
    breaks, and nothing else becomes valid, until it is mended."""

    def __init__(self, path: Path) -> None:
        """InputError where the file is missing or broken."""
        self._file = TokenFile(path)
        self._path = path
        self._seen = self._stamp()
        self._tokens = {token.id: token for token in self._file.tokens()}

    def refresh(self) -> None:
        """Reads the file again if it is another than the one that was read last."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            # A link may point elsewhere by now.
            self._file = TokenFile(self._path)
            self._tokens = {token.id: token for token in self._file.tokens()}
        except InputError as error:
            log.error("file of tokens is broken: what was read before stays valid", why=str(error))
        else:
            log.info("file of tokens is read again", tokens=len(self._tokens))

    def find(self, token: str) -> Token | None:
        """What is kept of a token, valid or not; None for one that was never given out."""
        parts = TOKEN.fullmatch(token)
        if not parts:
            return None
        kept = self._tokens.get(parts[1])
        same = hmac.compare_digest(_digest(parts[2]), kept.sha256 if kept else NOBODY)
        return kept if same else None

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            now = os.stat(self._path)
        except OSError:
            return None
        return now.st_mtime_ns, now.st_size, now.st_ino


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _free_id(kept: tuple[Token, ...]) -> str:
    taken = {token.id for token in kept}
    while (id := secrets.token_hex(4)) in taken:
        pass
    return id
