"""Who a client certificate speaks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from recarena.server.config import NAME
from recarena.server.rpc.callers import Caller, Role

PRINCIPAL = re.compile(rf"recarena:(recommender|operator|observer):({NAME})")
OURS = "recarena:"


@dataclass(frozen=True, slots=True)
class Holder:
    """The caller that a certificate names, and until when it does."""

    caller: Caller
    until: datetime


@lru_cache(maxsize=1024)
def holder_of(pem: bytes) -> Holder:
    """Who holds a certificate whose signature has been checked. ValueError where it does not name
    exactly one caller.

    The URI `recarena:ROLE:NAME` among its alternative names says it; without any such URI a
    single DNS name that is a name of a recommender does. The common name says nothing.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ValueError("it has no alternative name") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    ours = [uri for uri in uris if uri.startswith(OURS)]
    domains = names.get_values_for_type(x509.DNSName)
    if len(ours) == 1 and (found := PRINCIPAL.fullmatch(ours[0])):
        role, name = Role[found[1].upper()], found[2]
    elif not ours and len(domains) == 1 and re.fullmatch(NAME, domains[0]):
        role, name = Role.RECOMMENDER, domains[0]
    else:
        raise ValueError("its alternative names do not name one caller")
    key = certificate.fingerprint(hashes.SHA256()).hex()
    return Holder(Caller(name, role, key), certificate.not_valid_after_utc)
