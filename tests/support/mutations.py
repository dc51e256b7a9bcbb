"""Messages of a recommender made wrong in one way or another, from a seeded source of dice."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from recarena.v1.recommender_service_pb2 import ConnectRequest

EXTREMES = {
    FieldDescriptor.CPPTYPE_INT32: (0, 1, -1, 2**31 - 1, -(2**31)),
    FieldDescriptor.CPPTYPE_INT64: (0, 1, -1, 2**63 - 1, -(2**63)),
    FieldDescriptor.CPPTYPE_UINT32: (0, 1, 2**31, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 1, 2**63, 2**64 - 1),
    FieldDescriptor.CPPTYPE_FLOAT: (0.0, -0.0, float("nan"), float("inf"), 3.4e38),
    FieldDescriptor.CPPTYPE_DOUBLE: (0.0, -0.0, float("nan"), float("-inf"), 1e308),
    FieldDescriptor.CPPTYPE_BOOL: (True, False),
    FieldDescriptor.CPPTYPE_ENUM: (0, 1, 77, 2**31 - 1, -1),
    FieldDescriptor.CPPTYPE_STRING: ("", "x", "0" * 300, "../../etc", "\u202e\u0000", "é" * 99),
}
"""Values at and beyond what anybody would send."""
HUGE = (b"\xff" * 9 + b"\x01", b"\xff" * 10, b"\x80" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f")
"""Numbers of 64 bits, of more, written too long, and of 32 bits."""

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def bits_flipped(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    changed = bytearray(base)
    for _ in range(dice.randrange(1, 5) if changed else 0):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def truncated(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    return base[: dice.randrange(len(base) + 1)]


def spliced(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    """The head of one message and the tail of another."""
    other = dice.choice(corpus)
    return base[: dice.randrange(len(base) + 1)] + other[dice.randrange(len(other) + 1) :]


def merged(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    """Two whole messages in one: repeated fields grow, of a oneof the last counts."""
    return base + dice.choice(corpus)


def field_deleted(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    whole = ConnectRequest.FromString(base)
    inner, field = _somewhere(dice, whole)
    if field:
        inner.ClearField(field.name)  # pyright: ignore[reportArgumentType]
    return whole.SerializeToString()


def field_repeated(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    """A repeated field with its own content once more, or several times."""
    whole = ConnectRequest.FromString(base)
    for _ in range(4):
        inner, field = _somewhere(dice, whole)
        if field and field.is_repeated:
            values: Any = getattr(inner, field.name)
            values.extend(list(values)[:200] * dice.choice((1, 1, 3)))
            break
    else:
        return base + base
    return whole.SerializeToString()


def value_extreme(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    """One value, number or text, at the end of its range or beyond all sense."""
    whole = ConnectRequest.FromString(base)
    inner, field = _somewhere(dice, whole)
    if field and (values := EXTREMES.get(field.cpp_type)):
        if field.is_repeated:
            place: Any = getattr(inner, field.name)
            place[dice.randrange(len(place))] = dice.choice(values)
        else:
            setattr(inner, field.name, dice.choice(values))
    return whole.SerializeToString()


def varint_huge(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    """A huge number in the place of one or two bytes: a tag, a length or a value."""
    at = dice.randrange(len(base) + 1)
    return base[:at] + dice.choice(HUGE) + base[at + dice.randrange(3) :]


def random_bytes(dice: random.Random, base: bytes, corpus: Sequence[bytes]) -> bytes:
    return dice.randbytes(dice.randrange(200))


MUTATIONS: tuple[Mutation, ...] = (
    bits_flipped, truncated, spliced, merged, field_deleted, field_repeated, value_extreme,
    varint_huge, random_bytes,
)  # fmt: skip


def kind_of(payload: bytes) -> str | None:
    """Which ConnectRequest the bytes are ("": an empty one), None where they are none."""
    try:
        return ConnectRequest.FromString(payload).WhichOneof("message") or ""
    except DecodeError:
        return None


def _somewhere(dice: random.Random, message: Message) -> tuple[Message, FieldDescriptor | None]:
    """A field that is set, at any depth, and the message that it is in."""
    while True:
        fields = message.ListFields()
        if not fields:
            return message, None
        field, value = dice.choice(fields)
        if field.type != FieldDescriptor.TYPE_MESSAGE or dice.random() < 0.1:
            return message, field
        message = dice.choice(value) if field.is_repeated else value
