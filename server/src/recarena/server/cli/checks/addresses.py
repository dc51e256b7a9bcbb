"""Checks of the address that a server is to listen on."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from recarena.server.cli.checks import Finding, Level

REMEDIES = {
    errno.EADDRINUSE: "Stop who has it, or choose another port (port 0: any free one)",
    errno.EACCES: "Choose a port above 1023",
    errno.EADDRNOTAVAIL: "Choose an address of this machine: ip address",
}


def split(address: str) -> tuple[str, int] | None:
    """Host, without brackets, and port; None where it is no HOST:PORT."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdecimal() and int(port) <= 65535):
        return None
    return host, int(port)


def can_be_bound(option: str, address: str) -> Finding:
    """Whether a server could listen there now."""
    name = option.removeprefix("--")
    parts = split(address)
    if not parts:
        text = f"{option}: {address!r} is no HOST:PORT"
        return Finding(name, Level.FAIL, text, "For example 127.0.0.1:7788")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            *parts, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as one:
            # As gRPC does: connections that are closing down do not block the port.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(place)
            one.listen(1)
    except socket.gaierror as error:
        remedy = "Name an address of this machine"
        return Finding(name, Level.FAIL, f"{option}: {parts[0]}: {error.strerror}", remedy)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        remedy = REMEDIES.get(error.errno or 0, "Choose another address")
        return Finding(name, Level.FAIL, f"{option}: cannot listen on {address}: {why}", remedy)
    return Finding(name, Level.OK, f"{address} is free")


def is_guarded(address: str, *, tls: bool, callers: bool) -> Finding:
    """Whether those who can reach the address are kept from what is not theirs."""
    parts = split(address)
    if not parts or _is_loopback(parts[0]):
        text = "only this machine can reach it"
        return Finding("exposure", Level.OK, text)
    if not tls:
        text = f"{parts[0]} can be reached from outside, without TLS"
        remedy = "Give --tls-cert and --tls-key; without, recarena serve asks for --insecure"
        return Finding("exposure", Level.WARN, text, remedy)
    if not callers:
        text = f"{parts[0]} can be reached from outside, and callers need no credentials"
        return Finding("exposure", Level.WARN, text, "Give --tokens or --client-ca")
    return Finding("exposure", Level.OK, "TLS, and callers need credentials")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
