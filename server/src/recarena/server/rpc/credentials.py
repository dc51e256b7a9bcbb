"""From what a caller shows to who it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc

from recarena.server.rpc.callers import Caller
from recarena.server.rpc.certificates import holder_of
from recarena.server.rpc.tokens import TokenBook

Context = grpc.aio.ServicerContext[Any, Any]


class Stranger(Exception):
    """It could not be established who calls. The reason is for programs, the text for people;
    neither tells somebody without the secret of a token whether there is such a token."""

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Shown:
    """What came with a call."""

    authorization: tuple[str, ...] = field(repr=False)
    certificate: bytes | None

    @classmethod
    def by(cls, context: Context) -> Shown:
        """What the caller of a method shows."""
        metadata = context.invocation_metadata() or ()
        certificates = context.auth_context().get("x509_pem_cert") or ()
        return cls(
            tuple(str(value) for key, value in metadata if key == "authorization"),
            next(iter(certificates), None),
        )


class Credentials:
    """What a server asks for: a token, a certificate, or both for the same caller."""

    def __init__(self, tokens: TokenBook | None, certificates: bool) -> None:
        self._tokens, self._certificates = tokens, certificates

    def caller(self, shown: Shown) -> Caller:
        """Who calls, by what is valid at this moment. Stranger for anybody else."""
        now = datetime.now(UTC)
        by_certificate = _by_certificate(shown.certificate, now) if self._certificates else None
        if not self._tokens:
            if not by_certificate:
                raise Stranger("NO_CREDENTIALS", "this server asks for credentials")
            return by_certificate
        by_token = _by_token(self._tokens, shown.authorization, now)
        if by_certificate and (by_certificate.role, by_certificate.name) != (
            by_token.role,
            by_token.name,
        ):
            raise Stranger(
                "CREDENTIALS_DIFFER", "the token and the certificate name different callers"
            )
        return by_token


def _by_certificate(pem: bytes | None, now: datetime) -> Caller:
    if pem is None:
        raise Stranger("NO_CREDENTIALS", "this server asks for a client certificate")
    try:
        holder = holder_of(pem)
    except ValueError as error:
        raise Stranger("BAD_CERTIFICATE", f"the client certificate: {error}") from None
    if now >= holder.until:
        raise Stranger("CERTIFICATE_EXPIRED", "the client certificate has expired")
    return holder.caller


def _by_token(book: TokenBook, authorization: tuple[str, ...], now: datetime) -> Caller:
    book.refresh()
    if not authorization:
        text = "this server asks for a token, sent as `authorization: Bearer TOKEN`"
        raise Stranger("NO_CREDENTIALS", text)
    scheme, _, token = authorization[0].partition(" ")
    known = book.find(token.strip()) if scheme.lower() == "bearer" else None
    if len(authorization) > 1 or known is None:
        raise Stranger("BAD_TOKEN", "the token is not one of this server")
    # From here on the caller has shown the secret: it may know what became of its token.
    state = known.state(now)
    if state != "valid":
        raise Stranger(f"TOKEN_{state.upper()}", f"the token {known.id} is {state}")
    return known.caller
