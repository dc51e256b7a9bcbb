"""Authorities, and certificates that they sign, as files in PEM."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path

    @property
    def texts(self) -> tuple[bytes, bytes]:
        return self.certificate.read_bytes(), self.key.read_bytes()


class Authority:
    """Signs certificates into a folder."""

    def __init__(self, folder: Path, name: str = "ca", lifetime: timedelta = DAY) -> None:
        self._folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            _builder(self._name, self._name, self._key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pair = _written(folder, name, certificate, self._key)

    @property
    def certificate(self) -> Path:
        return self.pair.certificate

    def server(self, lifetime: timedelta = DAY, name: str = "server") -> Pair:
        """For a server on this machine."""
        return self._signed(
            name, x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            lifetime=lifetime,
        )  # fmt: skip

    def client(self, *uris: str, domains: tuple[str, ...] = (), lifetime: timedelta = DAY) -> Pair:
        """For a client with these URIs and DNS names."""
        names = [
            *map(x509.UniformResourceIdentifier, uris),
            *map(x509.DNSName, domains),
        ]
        stem = re.sub(r"[^a-z0-9]+", "-", "-".join((*uris, *domains))) or "nobody"
        return self._signed(
            f"{self._folder.name}-{stem}-{lifetime.days}", *names, lifetime=lifetime
        )

    def _signed(self, stem: str, *names: x509.GeneralName, lifetime: timedelta) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(stem[:60]), self._name, key.public_key(), lifetime)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _written(self._folder, stem, builder.sign(self._key, hashes.SHA256()), key)


def with_password(pair: Pair, password: bytes) -> Path:
    """The pair's key, encrypted, in a file of its own."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pair.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    path = pair.key.with_suffix(".locked")
    path.write_bytes(_pem(key, BestAvailableEncryption(password)))
    return path


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    """Valid from a while ago; a negative lifetime makes one that has expired."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * DAY)
        .not_valid_after(now + lifetime)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _written(
    folder: Path, stem: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> Pair:
    folder.mkdir(parents=True, exist_ok=True)
    pair = Pair(folder / f"{stem}.pem", folder / f"{stem}.key")
    pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    pair.key.write_bytes(_pem(key, NoEncryption()))
    return pair


def _pem(key: ec.EllipticCurvePrivateKey, how: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
