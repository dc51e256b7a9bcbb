"""What a server asks of its callers, and what it lets them do how often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recarena.server.rpc.allowance import Rate
from recarena.server.rpc.credentials import Credentials
from recarena.server.rpc.tls import Tls
from recarena.server.rpc.tokens import TokenBook

CALLS = Rate(per_second=50, burst=200)
FAILURES = Rate(per_second=1, burst=20)


@dataclass(frozen=True, slots=True)
class Security:
    """By default plaintext that is open to everybody, for loopback alone."""

    tls: Tls | None = None
    tokens: Path | None = None
    """File of the tokens that callers must have."""
    calls: Rate = CALLS
    """Calls of one caller."""
    failures: Rate = FAILURES
    """Failed attempts from one address that are told what is wrong."""

    @property
    def asks_who_calls(self) -> bool:
        """Whether callers must show something."""
        return bool(self.tokens or (self.tls and self.tls.client_ca))

    def credentials(self) -> Credentials:
        """What they must show. InputError where the file of tokens is missing or broken."""
        return Credentials(
            TokenBook(self.tokens) if self.tokens else None,
            certificates=bool(self.tls and self.tls.client_ca),
        )
