"""Caps in money and tokens that no call may break: the worst case is set aside before a call and
what it really came to is settled after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from recarena.server.errors import RunPaused


class CapReached(RunPaused):
    """The next call could break a cap."""


@dataclass(slots=True)
class Reservation:
    """Set aside for one call."""

    money: float
    tokens: int


@dataclass(slots=True)
class Budget:
    """Money and tokens of one run, over all its sessions."""

    max_cost: float | None = None
    max_tokens: int | None = None
    currency: str = "USD"
    spent: float = 0.0
    """Where the cost of a call is unknown, its worst case."""
    tokens: int = 0
    reserved: float = 0.0
    reserved_tokens: int = 0
    open: int = 0
    """Calls for which something is set aside."""
    _wanted: Reservation = field(default_factory=lambda: Reservation(0.0, 0))
    _settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, money: float | None, tokens: int) -> Reservation:
        """Sets the worst case aside; waits while calls under way may leave more room than was set
        aside for them. CapReached where even without them there is none."""
        wanted = Reservation(money or 0.0, tokens)
        while not self._fits(wanted):
            if not self.open:
                self._wanted = wanted
                raise CapReached(self._told())
            self._settled.clear()
            await self._settled.wait()
        self.reserved += wanted.money
        self.reserved_tokens += wanted.tokens
        self.open += 1
        return wanted

    def settle(self, reservation: Reservation, money: float | None, tokens: int | None) -> None:
        """What the call came to; unknown counts as the worst case."""
        self.release(reservation)
        self.spent += reservation.money if money is None else money
        self.tokens += reservation.tokens if tokens is None else tokens

    def release(self, reservation: Reservation) -> None:
        """The call was not made, or cost nothing."""
        self.reserved -= reservation.money
        self.reserved_tokens -= reservation.tokens
        self.open -= 1
        self._settled.set()

    def _fits(self, wanted: Reservation) -> bool:
        money = self.spent + self.reserved + wanted.money
        tokens = self.tokens + self.reserved_tokens + wanted.tokens
        return (self.max_cost is None or money <= self.max_cost + 1e-12) and (
            self.max_tokens is None or tokens <= self.max_tokens
        )

    def _told(self) -> str:
        told: list[str] = []
        if self.max_cost is not None:
            told.append(f"{self.spent:.4f} of {self.max_cost:g} {self.currency}")
        if self.max_tokens is not None:
            told.append(f"{self.tokens:,} of {self.max_tokens:,} tokens")
        over = self.max_cost is not None and self.spent + self._wanted.money > self.max_cost
        more = f"--max-cost {2 * (self.max_cost or 0) + self._wanted.money:.2g}"
        if not over:
            more = f"--max-tokens {2 * (self.max_tokens or 0) + self._wanted.tokens}"
        return (
            f"the budget is used up: {' and '.join(told)} spent, and in the worst case the next "
            f"call takes more than is left. Raise the cap: recarena resume RUN {more}"
        )
