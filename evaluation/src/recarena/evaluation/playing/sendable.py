"""Settings as they go over the wire."""

from __future__ import annotations

from datetime import date, time
from typing import Any, cast


def sendable(value: Any) -> Any:
    """The same without dates and times, which the wire does not know: they are written out."""
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {name: sendable(one) for name, one in table.items()}
    if isinstance(value, list):
        return [sendable(one) for one in cast("list[Any]", value)]
    return value.isoformat() if isinstance(value, (date, time)) else value
