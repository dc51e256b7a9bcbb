"""Messages as a later version of the contract may send them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from google.protobuf.message import Message

from recarena.conformance.scripted_server import ScriptedStream
from recarena.v1.recommender_service_pb2 import ConnectResponse

UNKNOWN_FIELD = b"\xc2\x3e\x05later"
"""Field 1000 of any message, with five letters in it."""


async def send_with_unknown_fields(stream: ScriptedStream, **message: Any) -> None:
    """Sends a message that has, like all in it, a field that nobody knows yet. Without one, its
    kind is one that nobody knows yet."""
    for inner in message.values():
        widen(inner)
    whole = ConnectResponse(seq=stream.seq + 1, **message)
    whole.MergeFromString(UNKNOWN_FIELD)
    stream.seq += 1
    await stream.context.write(whole)


def widen(message: Message) -> None:
    """Puts the unknown field into a message and into all messages in it."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type and not descriptor.message_type.GetOptions().map_entry:
            inner = cast("Iterable[Message]", [value] if isinstance(value, Message) else value)
            for one in inner:
                widen(one)
    message.MergeFromString(UNKNOWN_FIELD)
