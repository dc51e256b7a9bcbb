"""The scripted server of the conformance kit, under the name that tests know it by."""

from __future__ import annotations

from recarena.conformance.scripted_server import (
    ALL_CAPABILITIES,
    ITEMS,
    PATIENCE,
    ScriptedServer,
    ScriptedStream,
    rank_work,
)

__all__ = [
    "ALL_CAPABILITIES",
    "ITEMS",
    "PATIENCE",
    "ScriptedServer",
    "ScriptedStream",
    "rank_work",
]
