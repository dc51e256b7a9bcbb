"""The committed rounds of a run as readers ask for them: what was played last from memory, the rest
from the folder, each for all readers at once. However many read, the run is not held up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass

from recarena.server.errors import NotFound
from recarena.server.rpc.events_codec import ROW_BYTES, round_message
from recarena.server.rpc.played import played
from recarena.server.runs import Run
from recarena.server.types import EventColumns
from recarena.v1 import run_pb2

RECENT_BYTES = 16 * 1024 * 1024
"""Of the newest rounds of a run, kept while somebody follows it; at least one round."""
READ_BYTES = 4 * 1024 * 1024
"""Of older rounds that were asked for last; at least one round."""
READ_ROWS = 200_000
"""Rows read from the folder at once; at least one round."""
WORDS = 16
"""Bytes that a row's words are taken for."""


@dataclass(frozen=True, slots=True)
class Read:
    """A committed round."""

    round: int
    events: EventColumns
    summary: run_pb2.RoundSummary
    people: tuple[int, ...]
    """Users who were played by people, ascending."""

    @property
    def size(self) -> int:
        """Bytes in memory, more or less."""
        return len(self.events) * (ROW_BYTES + WORDS)


class _Kept:
    """The rounds that were put in last, up to a number of bytes and at least one."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._rounds: OrderedDict[int, Read] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._rounds)

    def get(self, round: int) -> Read | None:
        """A round, which is the one asked for last then."""
        found = self._rounds.get(round)
        if found:
            self._rounds.move_to_end(round)
        return found

    def put(self, read: Read) -> None:
        """Keeps a round, and lets go of those asked for longest ago."""
        if read.round in self._rounds:
            return
        self._rounds[read.round] = read
        self._bytes += read.size
        while self._bytes > self._most and len(self._rounds) > 1:
            self._bytes -= self._rounds.popitem(last=False)[1].size

    def clear(self) -> None:
        """Keeps nothing."""
        self._rounds.clear()
        self._bytes = 0


class Committed:
    """Of one run. Take it from `committed`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._recent, self._read = _Kept(RECENT_BYTES), _Kept(READ_BYTES)
        self._summaries: dict[int, run_pb2.RoundSummary] = {}
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()

    @property
    def held(self) -> int:
        """Rounds that are kept for those who follow."""
        return len(self._recent)

    @contextlib.contextmanager
    def followed(self) -> Generator[None]:
        """While it is open, the rounds that are played are kept for those who follow."""
        self._followers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name=f"follow {self._run.run_id}")
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self._task.cancel()
                self._task = None
                self._recent.clear()

    async def _follow(self) -> None:
        while not self._run.is_closed:
            self._newest()
            await self._run.changed(self._run.changes)

    def _newest(self) -> Read | None:
        """The round committed last, where it was played in this process."""
        newest = self._run.newest
        if newest is None:
            return None
        kept = self._recent.get(newest.round)
        if kept is None:
            kept = self._made(newest.round, newest.events, newest.active, newest.wall_ms)
            if self._followers:
                self._recent.put(kept)
        return kept

    def _at_hand(self, round: int) -> Read | None:
        """A round that need not be read."""
        newest = self._newest()
        if newest and newest.round == round:
            return newest
        return self._recent.get(round) or self._read.get(round)

    async def round(self, number: int) -> Read:
        """One committed round. NotFound."""
        last = self._run.round
        if not 1 <= number <= last:
            raise NotFound(f"run {self._run.run_id} has rounds 1 to {last}, not {number}")
        if found := self._at_hand(number):
            return found
        async with self._reading:
            if found := self._at_hand(number):
                return found
            (found,) = await self._from_folder(number, number)
            self._read.put(found)
            return found

    async def rounds(self, first: int, last: int) -> AsyncIterator[Read]:
        """Committed rounds, in order."""
        while first <= last:
            if found := self._at_hand(first):
                yield found
                first += 1
                continue
            end = self._window(first, last)
            if end == first:
                yield await self.round(first)
            else:
                async with self._reading:
                    reads = await self._from_folder(first, end)
                for read in reads:
                    yield read
            first = end + 1

    async def summary(self, number: int) -> run_pb2.RoundSummary:
        """What a committed round came to; one that was asked for once is not read again."""
        if number not in self._summaries:
            # Others are likely to be asked for next.
            last = min(self._window(number, self._run.round), self._run.round)
            async for _ in self.rounds(number, last):
                pass
        return self._summaries[number]

    def _window(self, first: int, last: int) -> int:
        """The last of the rounds that are read at once from `first` on."""
        rows, total, end = self._run.folder.round_rows(), 0, first
        for number in range(first, last + 1):
            total += rows[number - 1].events
            if number > first and (total > READ_ROWS or self._at_hand(number)):
                break
            end = number
        return end

    async def _from_folder(self, first: int, last: int) -> list[Read]:
        folder = self._run.folder
        rows = folder.round_rows()[first - 1 : last]
        found = await asyncio.to_thread(lambda: [one for one, _ in folder.rounds(first, last)])
        return [
            self._made(row.round, events, row.active, row.wall_ms)
            for row, events in zip(rows, found, strict=True)
        ]

    def _made(self, round: int, events: EventColumns, active: int, wall_ms: float) -> Read:
        people = tuple(played(self._run).people(round))
        if round not in self._summaries:
            self._summaries[round] = round_message(
                self._run.settings, round, events, active, wall_ms, len(people)
            )
        return Read(round, events, self._summaries[round], people)


_made: dict[Run, Committed] = {}


def committed(run: Run) -> Committed:
    """The committed rounds of a run."""
    if run not in _made:
        for other in [one for one in _made if one.is_closed]:
            del _made[other]
        _made[run] = Committed(run)
    return _made[run]
