"""What entrants may do when: limits on submissions, places in the queue, and how long one waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from recarena.evaluation.hosting.config import Entrants
from recarena.evaluation.hosting.ledger import HIDDEN, Status, Submission

UNPLAYED_A_DAY = 100
"""Submissions of one recommender on one day that ended before their first committed round."""


class Refused(Exception):
    """An entrant may not do this now. `status` is that of HTTP, `code` for programs."""

    def __init__(self, status: int, code: str, text: str, retry_after_s: int = 0) -> None:
        super().__init__(text)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s


def check_limits(
    all_: Iterable[Submission], recommender: str, track: str, limits: Entrants, today: str
) -> None:
    """Refused where the recommender has a submission under way, or has none left on this track.

    `today`: the date in UTC, as times in the ledger begin. What never played a round counts for
    nothing, but there are not more of those in a day than anybody has by mistake.
    """
    mine = [one for one in all_ if one.recommender == recommender]
    for one in mine:
        if one.status.is_open:
            raise Refused(
                409, "under_way",
                f"your submission {one.id} is {one.status}; wait for it, or cancel it",
            )  # fmt: skip
    counted = [one for one in mine if one.counted and one.track == track]
    of_today = sum(one.submitted.startswith(today) for one in counted)
    most = limits.max_submissions_per_day if track == HIDDEN else limits.max_practice_per_day
    if of_today >= most:
        raise Refused(
            429, "limit_of_the_day",
            f"{of_today} of {most} submissions of today (UTC) on the {track} track are used; come "
            "back tomorrow",
        )  # fmt: skip
    unplayed = sum(not one.counted and one.submitted.startswith(today) for one in mine)
    if unplayed >= UNPLAYED_A_DAY:
        raise Refused(
            429, "limit_of_the_day",
            f"{unplayed} submissions of today (UTC) ended before they played a round; come back "
            "tomorrow",
        )  # fmt: skip
    if track == HIDDEN and len(counted) >= limits.max_submissions:
        raise Refused(
            429, "limit", f"all {limits.max_submissions} submissions of the season are used"
        )


def today() -> str:
    """The date in UTC."""
    return datetime.now(UTC).date().isoformat()


def position(all_: Iterable[Submission], id: str) -> int | None:
    """Place in the queue, from 1; None for one that does not wait."""
    waiting = [one.id for one in all_ if one.status is Status.QUEUED]
    return waiting.index(id) + 1 if id in waiting else None


def expected_wait_s(all_: Iterable[Submission], id: str, at_once: int) -> float | None:
    """Seconds until a queued submission is likely to begin; None where nothing is known yet.

    Those before it, and those that play with half of their time left, share `at_once` places; each
    takes as long as finished ones took on average.
    """
    all_ = list(all_)
    place = position(all_, id)
    times = [took(one) for one in all_ if one.status is Status.FINISHED and one.started]
    if place is None or not times:
        return None
    playing = sum(one.status is Status.PLAYING for one in all_)
    if playing + place <= at_once:
        return 0.0
    return (sum(times) / len(times)) * (place - 1 + playing / 2) / at_once


def took(one: Submission) -> float:
    """Seconds from its start to its end, with what the server stood still in between."""
    begun, ended = (datetime.fromisoformat(text) for text in (one.started, one.ended))
    return (ended - begun).total_seconds()


class Bucket:
    """So many a minute for each key, and as many at once. Memory is bounded: keys unused for
    longest are forgotten, which makes them full."""

    def __init__(
        self, per_minute: float, clock: Callable[[], float] = time.monotonic, most_keys: int = 4096
    ) -> None:
        self._per_minute, self._clock, self._most_keys = per_minute, clock, most_keys
        self._left: dict[str, tuple[float, float]] = {}
        """What was left when, by key; the one used last comes last."""

    def take(self, key: str) -> float:
        """Takes one and returns 0, or takes none and returns the seconds until there is one."""
        now = self._clock()
        left, then = self._left.pop(key, (self._per_minute, now))
        left = min(self._per_minute, left + (now - then) * self._per_minute / 60)
        wait = 0.0 if left >= 1 else (1 - left) * 60 / self._per_minute
        self._left[key] = (left if wait else left - 1), now
        if len(self._left) > self._most_keys:
            del self._left[next(iter(self._left))]
        return wait
