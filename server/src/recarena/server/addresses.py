"""HOST:PORT, as options have it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from recarena.server.errors import InputError


@dataclass(frozen=True, slots=True)
class Address:
    """A place to listen."""

    host: str
    """Without the brackets of IPv6."""
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def address_of(text: str, option: str, example: str = "127.0.0.1:7788") -> Address:
    """The address that an option names. InputError for what is no HOST:PORT."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdecimal() and int(port) <= 65535):
        raise InputError(f"{text!r} is no HOST:PORT", where=option, remedy=f"For example {example}")
    return Address(host, int(port))
