"""What goes wrong, and how often."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

Share = float  # 0 never .. 1 always; True and False are meant too


@dataclass
class Switches:
    """How the stub behaves. May be changed while it runs.

    A share is drawn from `seed`, the SHA-256 of the request's body and how often this very body
    was seen before. So it does not depend on the order of arrival, and a retry may fare better.
    """

    seed: int = 0
    latency_s: float = 0.0
    latency_spread_s: float = 0.0
    """Up to this much is added to the latency, drawn like a share."""
    keys: tuple[str, ...] | None = None
    """Keys that are known; None: any key."""
    models: tuple[str, ...] | None = None
    """Models that are known; None: any model."""
    dimension: int = 64
    """Of embeddings, unless the request says `dimensions`."""

    # Turned down, or never answered.
    limits: bool = False
    """Say in headers what is left of `limit_requests` per minute. They are not enforced."""
    limit_requests: int = 1000
    rate_limited: Share = 0.0
    rate_limit_above: int | None = None
    """Requests in flight for one key above which 429 is returned."""
    retry_after_s: float | None = None
    server_error: Share = 0.0
    server_error_status: int = 500
    spend_limit: Share = False
    hang: Share = 0.0
    reset: Share = 0.0

    # Answered with 200, badly.
    refusal: Share = 0.0
    truncation: Share = 0.0
    fenced: Share = 0.0
    out_of_range: Share = 0.0
    gibberish: Share = 0.0
    not_applicable: Share = 0.0
    """"N/A" and "don't know" for all that may be left open."""
    missing_usage: Share = False
    no_schema: Share = False
    caps_context: int | None = None
    """Only the last so many characters of the prompt are used, and nobody is told."""

    @property
    def malformed(self) -> Share:
        return self.gibberish

    @malformed.setter
    def malformed(self, share: Share) -> None:
        self.gibberish = share

    def update(self, changes: dict[str, Any]) -> None:
        """Change some by name, as from JSON."""
        known = {field.name for field in fields(self)} | {"malformed"}
        if unknown := changes.keys() - known:
            raise ValueError(f"no such switches: {', '.join(sorted(unknown))}")
        for name, value in changes.items():
            setattr(self, name, tuple(value) if isinstance(value, list) else value)


@dataclass(frozen=True, slots=True)
class Dice:
    """The draws of one request: by name, so that one switch does not move another's."""

    seed: int
    body_hash: str
    attempt: int

    def draw(self, name: str) -> float:
        """In [0, 1)."""
        text = f"{self.seed}:{name}:{self.body_hash}:{self.attempt}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56

    def hits(self, name: str, share: Share) -> bool:
        if share <= 0:
            return False
        return share >= 1 or self.draw(name) < share
