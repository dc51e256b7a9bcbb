"""Every submission and what became of it: an append-only file that survives restarts."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from recarena.evaluation.hosting.settings import BadCompetition

FILE = "submissions.jsonl"
PRACTICE, HIDDEN = "practice", "hidden"


class Status(StrEnum):
    """How a submission stands."""

    QUEUED = "queued"
    PLAYING = "playing"
    """Its recommender is looked for, or plays."""
    FINISHED = "finished"
    """Played in all worlds, and scored."""
    FAILED = "failed"
    OVER_BUDGET = "over budget"
    NOT_CONNECTED = "not connected"
    INTERRUPTED = "interrupted"
    """The server was stopped under it, and its recommender was not there when it went on."""
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether anything more becomes of it."""
        return self in (Status.QUEUED, Status.PLAYING)


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission as the ledger has it so far."""

    id: str
    recommender: str
    version: str
    track: str
    """practice or hidden."""
    submitted: str
    """ISO 8601, UTC; so are the other times."""
    baseline: bool = False
    status: Status = Status.QUEUED
    started: str = ""
    ended: str = ""
    why: str = ""
    """Why it ended as it did, in a sentence for its entrant."""
    counted: bool = False
    """Whether a hidden or practice round was played for it."""
    worlds_done: int = 0
    spent_s: float = 0.0
    """Of its time budget, before the server was stopped last."""
    interruptions: int = 0
    """How often the server was stopped or died while it was played."""
    scores: Mapping[str, float | None] = field(default_factory=dict[str, "float | None"])
    """Mean over worlds of each metric, of a finished one."""
    report: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What its entrant is told of its failures."""

    def run_id(self, world: int) -> str:
        """Name of its run in a world, by number from 0. Its recommender is told it."""
        return f"{self.id}-{world}"


def now() -> str:
    """The time as the ledger has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Ledger:
    """Reads the file once and appends to it; each line is on the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        """BadCompetition for a line that is none, but for a last one that was half written."""
        self._path = path
        self._all: dict[str, Submission] = {}
        *lines, torn = path.read_bytes().split(b"\n") if path.exists() else [b""]
        self._torn = len(torn)
        """Bytes of a last line that is half written: it was told to nobody."""
        for number, line in enumerate(lines, start=1):
            try:
                self._apply(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise BadCompetition(
                    f"{path}, line {number}: {error}; restore the file from a copy"
                ) from None

    def __iter__(self) -> Iterator[Submission]:
        """In the order in which they were submitted."""
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def get(self, id: str) -> Submission | None:
        """A submission by its id."""
        return self._all.get(id)

    def submit(
        self, recommender: str, version: str, track: str, baseline: bool = False
    ) -> Submission:
        """A new one, queued."""
        id = f"s{len(self._all) + 1:05d}"
        self._append("submitted", id, recommender=recommender, version=version, track=track,
                     baseline=baseline)  # fmt: skip
        return self._all[id]

    def note(self, event: str, id: str, **values: Any) -> Submission:
        """Something happened to one: started, counted, world, interrupted, requeued or ended."""
        if event not in _EVENTS:
            raise ValueError(f"{event!r} is no event of a submission")
        self._append(event, id, **values)
        return self._all[id]

    def _append(self, event: str, id: str, **values: Any) -> None:
        line = {"time": now(), "event": event, "id": id, **values}
        text = json.dumps(line, ensure_ascii=False) + "\n"
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if self._torn:
                os.ftruncate(handle, os.fstat(handle).st_size - self._torn)
                self._torn = 0
            before = os.fstat(handle).st_size
            try:
                if os.write(handle, text.encode()) < len(text.encode()):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
                os.fsync(handle)
            except OSError:  # nobody is told of it, so it is not there
                os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)
        self._apply(line)

    def _apply(self, line: dict[str, Any]) -> None:
        event, id, time = line.pop("event"), line.pop("id"), line.pop("time")
        if event == "submitted":
            self._all[id] = Submission(id=id, submitted=time, **line)
        else:
            self._all[id] = _EVENTS[event](self._all[id], time, line)


_Change = Callable[[Submission, str, dict[str, Any]], Submission]
_EVENTS: dict[str, _Change] = {
    "started": lambda one, time, _: replace(
        one, status=Status.PLAYING, started=one.started or time
    ),
    "counted": lambda one, _, __: replace(one, counted=True),
    "world": lambda one, _, line: replace(one, worlds_done=line["done"], spent_s=line["spent_s"]),
    "interrupted": lambda one, _, line: replace(
        one, status=Status.QUEUED, interruptions=one.interruptions + 1, spent_s=line["spent_s"]
    ),
    "ended": lambda one, time, line: replace(
        one,
        status=Status(line["status"]),
        ended=time,
        why=line["why"],
        counted=line.get("counted", one.counted),
        scores=line.get("scores", {}),
        report=line.get("report", {}),
    ),
}
