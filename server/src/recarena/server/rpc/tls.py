"""The server's certificate, and the authority that its clients' come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from recarena.server.errors import InputError

HOW = "docs/security.md shows how to make one"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. With `client_ca`, clients must show a certificate that it has signed."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """For the server's port. InputError for a file that is missing or broken, has expired or
        does not fit the others."""
        option = f"--tls-cert {self.certificate}"
        chain, own = _certificates(option, self.certificate)
        _check_dates(option, own[0])
        key = _read(f"--tls-key {self.key}", self.key)
        _check_key(f"--tls-key {self.key}", key, own[0], self.certificate)
        authority = None
        if self.client_ca:
            option = f"--client-ca {self.client_ca}"
            authority, signers = _certificates(option, self.client_ca)
            for signer in signers:
                _check_dates(option, signer)
                _check_signs(option, signer)
        return grpc.ssl_server_credentials(
            [(key, chain)],
            root_certificates=authority,
            require_client_auth=authority is not None,
        )


def _read(where: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise InputError(problem, where=where, remedy=HOW) from None


def _certificates(where: str, path: Path) -> tuple[bytes, list[x509.Certificate]]:
    """A file of certificates, at least one."""
    text = _read(where, path)
    try:
        return text, x509.load_pem_x509_certificates(text)
    except ValueError:
        problem = "holds no certificate in PEM"
        raise InputError(problem, where=where, remedy=HOW) from None


def _check_dates(where: str, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= ends:
        raise InputError(
            f"the certificate expired on {ends:%Y-%m-%d %H:%M} UTC",
            where=where, remedy="Have a new one signed and start again",
        )  # fmt: skip
    if now < begins:
        raise InputError(
            f"the certificate is not valid before {begins:%Y-%m-%d %H:%M} UTC",
            where=where, remedy="Is the clock right?",
        )  # fmt: skip


def _check_key(where: str, text: bytes, certificate: x509.Certificate, path: Path) -> None:
    try:
        key = load_pem_private_key(text, password=None)
    except TypeError:
        remedy = "Write it without one: openssl pkey -in KEY -out PLAIN"
        raise InputError("is protected by a password", where=where, remedy=remedy) from None
    except (ValueError, UnsupportedAlgorithm):
        problem = "holds no private key in PEM"
        raise InputError(problem, where=where, remedy=HOW) from None
    if _encoded(key.public_key()) != _encoded(certificate.public_key()):
        raise InputError(
            f"is not the key of the certificate in {path}",
            where=where, remedy="Give the pair that was made together",
        )  # fmt: skip


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_signs(where: str, certificate: x509.Certificate) -> None:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        basic = None
    if not basic or not basic.ca:
        raise InputError(
            "is no certificate of an authority (CA:TRUE)",
            where=where, remedy="Give the one that signs the clients' certificates, not theirs",
        )  # fmt: skip
