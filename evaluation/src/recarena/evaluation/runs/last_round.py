"""How far a run got, without reading what happened in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LastRound:
    """Where a run stands."""

    round: int
    """Last committed round; 0 before the first."""
    digest: str
    """Of the event log up to that round (docs/run-folder.md); empty before the first, and in
    folders of before it was kept."""
    state: str
    """As status.json has it: succeeded, paused, failed, stopped...; empty where it is not said."""
    error: str
    """What went wrong; empty where nothing is said."""


def last_round(path: Path) -> LastRound | None:
    """Of the run folder at `path`; None where there is none, or it cannot be read."""
    status = _status(path)
    if status is None:
        return None
    from recarena.lance import lancedb

    try:
        database = lancedb.connect(str(path / "tables"), read_consistency_interval=timedelta(0))
        table = database.open_table("rounds")
        columns = [name for name in ("round", "digest") if name in table.schema.names]
        rows = table.search().select(columns).to_arrow().to_pylist()
    except (ValueError, RuntimeError, OSError):
        return None
    found = max(((row["round"], row.get("digest") or "") for row in rows), default=(0, ""))
    return LastRound(
        int(found[0]), str(found[1]), str(status.get("state", "")), str(status.get("error", ""))
    )


def _status(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads((path / "status.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
