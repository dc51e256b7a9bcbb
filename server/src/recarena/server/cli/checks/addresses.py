"""Checks of the address that a server is to listen on."""

from __future__ import annotations

import errno
import os
import socket

from recarena.server.addresses import Address, address_of
from recarena.server.cli.checks import Finding, Level, failure
from recarena.server.errors import InputError

REMEDIES = {
    errno.EADDRINUSE: "Stop who has it, or choose another port (port 0: any free one)",
    errno.EACCES: "Choose a port above 1023",
    errno.EADDRNOTAVAIL: "Choose an address of this machine: ip address",
}


def known(text: str) -> Address | None:
    """The address, None where it is none, which `can_be_bound` says."""
    try:
        return address_of(text, "")
    except InputError:
        return None


def can_be_bound(option: str, address: str) -> Finding:
    """Whether a server could listen there now."""
    name = option.removeprefix("--")
    try:
        asked = address_of(address, option)
    except InputError as error:
        return failure(name, error)
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            asked.host, asked.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as one:
            # As gRPC does: connections that are closing down do not block the port.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(place)
            one.listen(1)
    except socket.gaierror as error:
        remedy = "Name an address of this machine"
        return Finding(name, Level.FAIL, f"{option}: {asked.host}: {error.strerror}", remedy)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        remedy = REMEDIES.get(error.errno or 0, "Choose another address")
        return Finding(name, Level.FAIL, f"{option}: cannot listen on {address}: {why}", remedy)
    return Finding(name, Level.OK, f"{address} is free")


def is_guarded(address: str, *, tls: bool, callers: bool) -> Finding:
    """Whether those who can reach the address are kept from what is not theirs."""
    asked = known(address)
    if not asked or asked.is_loopback:
        text = "only this machine can reach it"
        return Finding("exposure", Level.OK, text)
    if not tls:
        text = f"{asked.host} can be reached from outside, without TLS"
        remedy = "Give --tls-cert and --tls-key; without, recarena serve asks for --insecure"
        return Finding("exposure", Level.WARN, text, remedy)
    if not callers:
        text = f"{asked.host} can be reached from outside, and callers need no credentials"
        return Finding("exposure", Level.WARN, text, "Give --tokens or --client-ca")
    return Finding("exposure", Level.OK, "TLS, and callers need credentials")
