"""Whole rounds as a reader gets them, and columns read as a reader reads them."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recarena.server.narration import DEFAULTS
from recarena.server.types import EventColumns
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from support.arena import PATIENCE

DTYPES = {
    "user": "<i4", "kind": "<i1", "item": "<i4", "position": "<i2", "value": "<f4",
    "other": "<i4", "step": "<i2", "surface": "<i1", "outcome": "<i1",
}  # fmt: skip
"""Columns as the contract describes them (run.proto)."""


def read(columns: run_pb2.EventColumns) -> dict[str, NDArray[Any]]:
    """The columns of a round."""
    return {name: np.frombuffer(getattr(columns, name), kind) for name, kind in DTYPES.items()}


def assert_is_log(columns: run_pb2.EventColumns, log: EventColumns) -> None:
    """The columns are those of the log, row by row."""
    assert columns.rows == len(log)
    found = read(columns)
    for name, values in found.items():
        expected = getattr(log, name)
        assert len(values) == len(log), name
        assert values.tolist() == expected.tolist(), name
    told = sorted(row for row in log.text if log.kind[row] in DEFAULTS)
    assert list(columns.undecided) == told


def rounds_request(run_id: str = "run", **fields: Any) -> observe_pb.StreamRoundsRequest:
    milliseconds = fields.pop("least_interval_ms", None)
    request = observe_pb.StreamRoundsRequest(run_id=run_id, **fields)
    if milliseconds is not None:
        request.least_interval.FromMicroseconds(int(milliseconds * 1000))
    return request


def rounds_in(messages: list[observe_pb.StreamRoundsResponse]) -> list[run_pb2.RoundLog]:
    return [one for message in messages for one in message.rounds]


async def rest(stream: Any) -> list[observe_pb.StreamRoundsResponse]:
    """What a stream that was read with `read` still has."""
    found: list[observe_pb.StreamRoundsResponse] = []
    async with asyncio.timeout(PATIENCE):
        while isinstance(message := await stream.read(), observe_pb.StreamRoundsResponse):
            found.append(message)
    return found
