"""TLS: whom a client trusts, and what it shows of itself."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from recarena.client.errors import BadCredentials


def tls(
    ca: str | Path | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
) -> grpc.ChannelCredentials:
    """Credentials of an encrypted channel, from PEM files, to give to `serve(credentials=...)`.

    Args:
        ca: The authority that signed the server's certificate; None: those the system trusts.
        certificate: The client's own, and its chain, where the server asks for one.
        key: Of that certificate.

    Raises:
        BadCredentials: a file cannot be read, is no PEM of its kind, or certificate and key do
            not fit.
    """
    if (certificate is None) != (key is None):
        missing = "key" if key is None else "certificate"
        raise BadCredentials(f"the {missing} is missing: a certificate and its key go together")
    trusted = None if ca is None else _read(ca)
    if trusted is not None:
        _check_authority(Path(str(ca)), trusted)
    if certificate is None or key is None:
        return grpc.ssl_channel_credentials(trusted)
    shown, secret = _read(certificate), _read(key)
    _check_pair(Path(certificate), Path(key))
    return grpc.ssl_channel_credentials(trusted, secret, shown)


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadCredentials(f"{path} cannot be read: {error.strerror}") from None


def _check_authority(path: Path, text: bytes) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise BadCredentials(
            f"{path} holds no certificate in PEM form:"
            " openssl x509 -inform der turns one in DER form into it"
        ) from None


def _check_pair(certificate: Path, key: Path) -> None:
    def no_password() -> str:
        raise BadCredentials(f"{key} has a password: take it off with openssl pkey")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, no_password)
    except ssl.SSLError:
        raise BadCredentials(
            f"{certificate} and {key} are no certificate and its key, in PEM form:"
            " see which are with openssl x509 -in and openssl pkey -in"
        ) from None
