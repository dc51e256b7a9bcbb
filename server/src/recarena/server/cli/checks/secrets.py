"""Checks of certificates, keys and tokens."""

from __future__ import annotations

import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from recarena.server.cli.checks import Finding, Level, failure
from recarena.server.cli.checks.addresses import known
from recarena.server.errors import InputError
from recarena.server.rpc.tls import Tls
from recarena.server.rpc.tokens import TokenFile

SOON = timedelta(days=14)


def certificates(
    certificate: Path | None, key: Path | None, client_ca: Path | None, listen: str
) -> list[Finding]:
    """Whether the server could speak TLS with them, for how long, and under which names."""
    if not (certificate and key):
        if certificate or key or client_ca:
            text = "--tls-cert and --tls-key go together, --client-ca with both"
            return [Finding("tls", Level.FAIL, text, "Give both")]
        return [Finding("tls", Level.OK, "not asked for")]
    try:
        Tls(certificate, key, client_ca).credentials()
    except InputError as error:
        return [failure("tls", error)]
    own = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    found = [_remaining("tls", own), _names(own, listen)]
    if client_ca:
        signers = x509.load_pem_x509_certificates(client_ca.read_bytes())
        found.append(_remaining("client ca", min(signers, key=lambda one: one.not_valid_after_utc)))
    if others := _others_may_read(key):
        found.append(Finding("tls key", Level.WARN, f"{key}: {others}", f"chmod 600 {key}"))
    return found


def _remaining(name: str, certificate: x509.Certificate) -> Finding:
    ends = certificate.not_valid_after_utc
    left = ends - datetime.now(UTC)
    text = f"valid until {ends:%Y-%m-%d}, {left.days} days"
    if left < SOON:
        remedy = "Have a new one signed; it is read when the server starts"
        return Finding(name, Level.WARN, text, remedy)
    return Finding(name, Level.OK, text)


def _names(certificate: x509.Certificate, listen: str) -> Finding:
    """Whether clients that dial the listening host would believe the certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        remedy = "Have one signed with subjectAltName: clients do not read the common name"
        return Finding("tls names", Level.FAIL, "the certificate has no alternative name", remedy)
    domains = names.get_values_for_type(x509.DNSName)
    addresses = names.get_values_for_type(x509.IPAddress)
    shown = ", ".join([*domains, *map(str, addresses)]) or "none that clients read"
    asked = known(listen)
    try:
        address = ipaddress.ip_address(asked.host) if asked else None
    except ValueError:
        address = None
    if not asked or (address and address.is_unspecified):
        text = f"for {shown}; clients must dial one of these names"
        return Finding("tls names", Level.OK, text)
    if address in addresses if address else any(_matches(asked.host, one) for one in domains):
        return Finding("tls names", Level.OK, f"for {shown}")
    remedy = "Let clients dial one of its names, or have one signed for this one"
    return Finding("tls names", Level.WARN, f"for {shown}, not for {asked.host}", remedy)


def _matches(host: str, pattern: str) -> bool:
    """As clients compare: a star stands for one label, the first."""
    host, pattern = host.lower().rstrip("."), pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return host == pattern


def tokens(path: Path | None) -> list[Finding]:
    """Whether the file of tokens can be used, and which of them open nothing any more."""
    if path is None:
        return [Finding("tokens", Level.OK, "not asked for")]
    try:
        kept = TokenFile(path).tokens()
    except InputError as error:
        return [failure("tokens", error)]
    now = datetime.now(UTC)
    valid = [token for token in kept if token.state(now) == "valid"]
    found = [Finding("tokens", Level.OK, f"{len(valid)} valid of {len(kept)}")]
    if not valid:
        remedy = "Make one: recarena token new"
        found = [Finding("tokens", Level.WARN, f"none of {len(kept)} is valid", remedy)]
    if expired := [token.id for token in kept if token.state(now) == "expired"]:
        text = f"expired: {', '.join(expired)}"
        found.append(Finding("tokens", Level.NOTE, text, "Give their owners new ones"))
    if soon := [token.id for token in valid if token.expires - now < SOON]:
        text = f"expire within {SOON.days} days: {', '.join(soon)}"
        found.append(Finding("tokens", Level.WARN, text, "Give their owners new ones"))
    if others := _others_may_read(path):
        found.append(Finding("tokens", Level.WARN, f"{path}: {others}", f"chmod 600 {path}"))
    return found


def _others_may_read(path: Path) -> str:
    """Says so where users other than the owner and the group may read a file."""
    mode = path.stat().st_mode
    return f"everybody may read it ({stat.filemode(mode)})" if mode & stat.S_IROTH else ""
