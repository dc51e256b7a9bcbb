"""The places of an arm that its recommender takes: one, or as many as it has replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from recarena.server.rpc.delivery import Delivery
from recarena.server.rpc.session import Session


class Seat:
    """A session in service of an arm."""

    def __init__(self, slot: int, session: Session, delivery: Delivery) -> None:
        self.slot, self.session, self.delivery = slot, session, delivery
        self.is_told = False
        """Whether it has been told what was known when it came."""
        self.ready_for = 0
        """The last round that the session said it is ready for."""
        self.turn = asyncio.Lock()
        """Held while feedback is handed over or a round is opened: never both at once."""


class Seats:
    """Who sits, who serves, and since when nobody does. A user's requests go to the replica in the
    slot `user % replicas`, or, while that does not serve, to the next one that does."""

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self.absent_since = asyncio.get_running_loop().time()
        """When the last one left, by the loop's clock."""
        self._taken: dict[int, Seat] = {}
        self._last: dict[str, int] = {}
        """instance_id -> slot it had: it gets its users back."""
        self._round = 0
        """The open round, 0: none."""
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._taken)

    def __iter__(self) -> Iterator[Seat]:
        return iter(list(self._taken.values()))

    def take(self, session: Session, delivery: Delivery) -> Seat:
        """A seat for a session; there must be a free one."""
        free = [slot for slot in range(self.replicas) if slot not in self._taken]
        instance = session.register.instance_id
        slot = self._last.get(instance, free[0])
        slot = slot if slot in free else free[0]
        seat = self._taken[slot] = Seat(slot, session, delivery)
        if instance:
            self._last[instance] = slot
        self._notify()
        return seat

    def leave(self, session: Session) -> bool:
        """Frees the seat of a session; whether it had one."""
        slot = next((seat.slot for seat in self if seat.session is session), None)
        if slot is None:
            return False
        del self._taken[slot]
        if not self._taken:
            self.absent_since = asyncio.get_running_loop().time()
        self._notify()
        return True

    def open_round(self, round: int) -> None:
        """From now on those serve who are ready for this round; 0: nobody."""
        self._round = round

    def ready(self, seat: Seat, round: int) -> None:
        """A session has said that it is ready for a round."""
        seat.ready_for = round
        self._notify()

    def is_serving(self, seat: Seat) -> bool:
        """Whether the session of a seat is there and ready for the open round."""
        return self._taken.get(seat.slot) is seat and seat.ready_for == self._round > 0

    def serving(self, slot: int) -> Seat | None:
        """The seat that serves the users of a slot, None where none serves."""
        for step in range(self.replicas):
            seat = self._taken.get((slot + step) % self.replicas)
            if seat and self.is_serving(seat):
                return seat
        return None

    async def changed(self) -> None:
        """Returns when a seat is taken, left or ready."""
        await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
