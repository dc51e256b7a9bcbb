"""The journal of interventions: what was accepted, on the disk before anybody is told so.

One JSON object a line in `interventions.jsonl`, in the order of their numbers. Whether one has
taken effect the event log says, not the journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recarena.server.errors import InputError
from recarena.server.interventions import Change, Intervention
from recarena.server.store.files import sync_path
from recarena.server.types import NOTHING, InterventionKind

FILE = "interventions.jsonl"
_ABOVE = ("user_id", "item_id")
"""Fields of a change that stand in an intervention as numbers."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An intervention that was accepted."""

    number: int
    by: str
    time: datetime
    request_id: str
    """Of the call that asked for it; "": none."""
    after_round: int
    """It takes effect in a later round than this one."""
    user: int
    item: int
    change: Change
    """With all its fields."""

    @property
    def intervention(self) -> Intervention:
        """What it is in the log."""
        values = {name: one for name, one in self.change.values.items() if name not in _ABOVE}
        return Intervention(self.number, self.change.kind, self.user, self.item, values)


class Journal:
    """The journal of one run folder; whoever writes the folder writes it."""

    def __init__(self, folder: Path) -> None:
        """Reads it. A last line that a power cut tore is passed over, and dropped with the next
        entry. InputError for any other line that is no entry, or does not come next."""
        self.path = folder / FILE
        self.entries: list[Entry] = []
        """By number."""
        self._size = 0
        """Bytes of whole lines."""
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data.rfind(b"\n") + 1
        for at, line in enumerate(data[:whole].splitlines(), 1):
            entry = self._read(at, line)
            if self.entries and entry.number <= self.entries[-1].number:
                raise self._broken(f"line {at} has number {entry.number} after a higher one")
            self.entries.append(entry)
        self._size = whole

    def _read(self, at: int, line: bytes) -> Entry:
        try:
            return _entry(json.loads(line))
        except (ValueError, KeyError, TypeError, OverflowError):
            raise self._broken(f"line {at} is no intervention") from None

    def _broken(self, problem: str) -> InputError:
        return InputError(problem, where=str(self.path), remedy="Restore the file from a copy")

    def check(self, taken_up: int, user_ids: Sequence[str], items: int) -> None:
        """InputError for entries that are not of a run with these users and so many items, or where
        one is missing that is to follow the last that was taken up."""
        number = taken_up
        for one in self.above(taken_up):
            number, about = number + 1, one.change.values.get("user_id")
            items += one.change.kind is InterventionKind.ADD_ITEM
            if one.number != number:
                raise self._broken(f"intervention {number} is missing")
            whose = user_ids[one.user] if 0 <= one.user < len(user_ids) else None
            is_known = about == whose or (about == "" and whose is not None)
            if not (is_known and NOTHING <= one.item < items):
                raise self._broken(f"intervention {number} is one of another run")

    def append(self, *entries: Entry) -> None:
        """Returns when they have reached the disk."""
        lines = "".join(json.dumps(_json(one), ensure_ascii=False) + "\n" for one in entries)
        data = lines.encode()
        is_new = not self.path.exists()
        with self.path.open("ab") as file:
            file.truncate(self._size)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_path(self.path.parent)
        self._size += len(data)
        self.entries += entries

    def asked_for(self, request_id: str) -> Entry | None:
        """The entry that a call made, if it made one."""
        if not request_id:
            return None
        return next((one for one in self.entries if one.request_id == request_id), None)

    def above(self, number: int) -> list[Entry]:
        """The entries with higher numbers."""
        return [one for one in self.entries if one.number > number]


def begin_fork(folder: Path, source: Path, applied: Sequence[Intervention], round: int) -> None:
    """The journal of a fork at a round: what its source had applied by then, and after it that
    whoever is played by a person is handed back."""
    last = max((one.number for one in applied), default=0)
    kept = [one for one in Journal(source).entries if one.number <= last]
    ids: dict[int, str] = {}
    for one in kept:
        if one.change.kind is InterventionKind.TAKE_OVER:
            ids[one.user] = str(one.change.values["user_id"])
    back = [
        Entry(
            last + at, "fork", datetime.now(UTC), "", round, user, -1,
            Change(InterventionKind.HAND_BACK, {"user_id": ids.get(user, "")}),
        )
        for at, user in enumerate(taken_over(applied), 1)
    ]  # fmt: skip
    if entries := [*kept, *back]:
        Journal(folder).append(*entries)


def taken_over(applied: Sequence[Intervention]) -> list[int]:
    """The users whom people play after some interventions, ascending."""
    played: set[int] = set()
    for one in applied:
        if one.kind is InterventionKind.TAKE_OVER:
            played.add(one.user)
        elif one.kind is InterventionKind.HAND_BACK:
            played.discard(one.user)
    return sorted(played)


def _json(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "by": entry.by,
        "time": entry.time.isoformat(timespec="milliseconds"),
        "request_id": entry.request_id,
        "after_round": entry.after_round,
        "kind": entry.change.kind.name.lower(),
        "user": entry.user,
        "item": entry.item,
        "change": dict(entry.change.values),
    }


def _entry(line: Mapping[str, Any]) -> Entry:
    return Entry(
        int(line["number"]),
        str(line["by"]),
        datetime.fromisoformat(line["time"]),
        str(line["request_id"]),
        int(line["after_round"]),
        int(line["user"]),
        int(line["item"]),
        Change(InterventionKind[str(line["kind"]).upper()], dict(line["change"])),
    )
