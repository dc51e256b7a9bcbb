"""Moments and durations as messages."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def duration(seconds: float) -> Duration:
    """A protobuf Duration."""
    made = Duration()
    made.FromMicroseconds(int(seconds * 1e6))
    return made


def timestamp(when: datetime) -> Timestamp:
    """A protobuf Timestamp."""
    made = Timestamp()
    made.FromDatetime(when)
    return made
