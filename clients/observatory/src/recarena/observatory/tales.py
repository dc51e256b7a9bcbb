"""Events in words, found by what they are: filters, counts, pages, and all as a download."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from starlette.datastructures import QueryParams

from recarena.observatory.census import Counts
from recarena.observatory.chronicle import Chronicle
from recarena.observatory.columns import KINDS, WORDS, Bools, Columns, Kind
from recarena.observatory.failures import bad
from recarena.observatory.messages import Json, event_json
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

MOST = 200
SEARCHED = 4_000
"""Events that are put into words to look for others' words, in one request."""
ROUNDS_SEARCHED = 100
"""The same of rounds: of a user alone, each has few events."""
TOLD_AT_ONCE = 1_000
NUMBER_OF = {word: number for number, word in WORDS.items()}
UNSAID = (NUMBER_OF["unspecified"], int(Kind.SHOWN))
"""Types that are left out unless they are asked for."""

Place = tuple[int, int]
"""Round and sequence."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are meant."""

    kinds: tuple[int, ...]
    user: int
    """-1: any."""
    arm: int
    """-1: any."""
    round: int
    """0: any."""
    errors: bool
    words: str
    """In lower case; empty: any."""

    @classmethod
    def of(cls, query: QueryParams, chronicle: Chronicle) -> Filter:
        """From the query of a request. Failure names what is wrong with it."""
        actions = [one for one in query.get("action", "").split(",") if one]
        if wrong := [one for one in actions if NUMBER_OF.get(one, 0) == 0]:
            known = ", ".join(word for word, number in NUMBER_OF.items() if number)
            raise bad("action", f"there is no action {wrong[0][:40]!r}", f"There are: {known}")
        kinds = [NUMBER_OF[one] for one in actions]
        arms = [arm.arm_id for arm in chronicle.run.arms]
        arm = query.get("arm", "")
        if arm and arm not in arms:
            raise bad("arm", f"there is no arm {arm[:64]!r}", f"There are: {', '.join(arms)}")
        round = query.get("round", "")
        if round and not (round.isdecimal() and len(round) < 10):
            raise bad("round", f"round is a number, not {round[:40]!r}")
        return cls(
            tuple(kinds or (number for number in WORDS if number not in UNSAID)),
            chronicle.roster.number(query.get("u", "")),
            arms.index(arm) if arm else -1,
            int(round or 0),
            query.get("errors", "") == "1",
            query.get("q", "").strip().lower(),
        )

    def mask(self, events: Columns, chronicle: Chronicle) -> Bools:
        """[rows]: those that are let through, words aside."""
        passed = np.isin(events.kind, self.kinds)
        nobody = events.kind == Kind.INTERVENTION
        if self.user >= 0:
            passed &= np.where(nobody, events.other == self.user, events.user == self.user)
        if self.arm >= 0:
            passed &= ~nobody & (chronicle.roster.arm[events.user] == self.arm)
        if self.errors:
            passed &= events.wrong()
        return passed

    def counts(self, round: int, chronicle: Chronicle) -> Counts:
        """[types]: events of a round that all filters let through but those of types and words."""
        census = chronicle.census
        if self.user < 0:
            return census.of(round, arm=self.arm, errors=self.errors)
        return census.of_user(self.user, round, arm=self.arm, errors=self.errors)


class Tales:
    """Reads a run's rounds backwards, and has the server find words for what is on the page."""

    def __init__(self, upstream: Upstream, chronicle: Chronicle, only: Filter) -> None:
        self._upstream, self._chronicle, self._only = upstream, chronicle, only

    async def page(
        self, at: int, before: Place | None, after: Place | None, limit: int
    ) -> tuple[list[Json], str]:
        """Events up to round `at`, newest first, and the cursor of the next page; empty where
        there is none. With `after`, the oldest ones after that place come first into a page."""
        first, last = self._rounds(at)
        found: list[Json] = []
        looked_at = looked_into = 0
        if after is not None:
            rounds = range(max(first, after[0]), last + 1)
        else:
            newest = min(last, before[0]) if before else last
            rounds = range(newest, first - 1, -1)
        async for round, events in self._chronicle.columns(self._passing(rounds)):
            rows = np.flatnonzero(self._only.mask(events, self._chronicle))
            if before and round == before[0]:
                rows = rows[rows < before[1]]
            if after and round == after[0]:
                rows = rows[rows > after[1]]
            if after is None:
                rows = rows[::-1]
            step = TOLD_AT_ONCE if self._only.words else limit
            looked_into += bool(self._only.words)
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                if not self._only.words:
                    part = part[: limit - len(found)]
                looked_at += len(part)
                told = await self.told(round, part.tolist())
                found.extend(one for one in told if self._only.words in one["text"].lower())
                enough = looked_at >= SEARCHED or looked_into >= ROUNDS_SEARCHED
                if len(found) >= limit or enough:
                    found, place = _cut(found, limit, (round, int(part[-1])))
                    if after is not None:
                        found.reverse()
                    return found, f"{place[0]}.{place[1]}"
        if after is not None:
            found.reverse()
        return found, ""

    async def counts(self, at: int) -> dict[str, int] | None:
        """Events by type that the other filters let through, up to a round; None where they would
        have to be put into words."""
        if self._only.words:
            return None
        first, last = self._rounds(at)
        sums = np.zeros(KINDS, np.int64)
        for round in range(first, last + 1):
            sums += self._only.counts(round, self._chronicle)
        return {WORDS[number]: int(sums[number]) for number in WORDS if number}

    def _passing(self, rounds: Iterable[int]) -> Iterator[int]:
        """Those with events that are let through, words aside: no others need be read."""
        kinds = list(self._only.kinds)
        return (one for one in rounds if self._only.counts(one, self._chronicle)[kinds].any())

    async def lines(self, at: int) -> AsyncIterator[bytes]:
        """All events up to a round, oldest first, as lines of JSON."""
        first, last = self._rounds(at)
        rounds = self._passing(range(first, last + 1))
        async for round, events in self._chronicle.columns(rounds):
            rows = np.flatnonzero(self._only.mask(events, self._chronicle)).tolist()
            for start in range(0, len(rows), TOLD_AT_ONCE):
                told = await self.told(round, rows[start : start + TOLD_AT_ONCE])
                kept = [one for one in told if self._only.words in one["text"].lower()]
                yield "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in kept).encode()

    def total(self, counts: dict[str, int] | None) -> int | None:
        """Events that the filter lets through, by the counts."""
        return None if counts is None else sum(counts[WORDS[kind]] for kind in self._only.kinds)

    async def told(self, round: int, sequences: list[int]) -> list[Json]:
        """Events of a round in words, in this order. Failure."""
        if not sequences:
            return []
        request = observe_pb.TellEventsRequest(
            run_id=self._chronicle.run.run_id, round=round, sequences=sequences
        )
        answer = await self._upstream.ask(self._upstream.observe.TellEvents, request)
        return [numbered(event, self._chronicle) for event in answer.events]

    def _rounds(self, at: int) -> tuple[int, int]:
        only = self._only.round
        return (only, only if only <= at else 0) if only else (1, at)


def numbered(event: run_pb2.UserEvent, chronicle: Chronicle) -> Json:
    """An Event, with the numbers of its users."""
    numbers = chronicle.roster.number_of
    user, other = numbers.get(event.user_id, -1), numbers.get(event.other_user_id, -1)
    return event_json(event, user, other)


def place_of(text: str, name: str) -> Place | None:
    """The place that a cursor names; None for an empty one. Failure for what is none."""
    if not text:
        return None
    parts = text.split(".")
    if len(parts) != 2 or not all(one.isdecimal() and len(one) < 10 for one in parts):
        raise bad(name, f"{text[:40]!r} is no cursor of this list", "Take it from `next`")
    return int(parts[0]), int(parts[1])


def _cut(found: list[Json], limit: int, looked_to: Place) -> tuple[list[Json], Place]:
    """At most `limit` of what was found, and the place to go on from."""
    if len(found) <= limit:
        return found, looked_to
    kept = found[:limit]
    return kept, (kept[-1]["round"], kept[-1]["seq"])
