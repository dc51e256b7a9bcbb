"""Interventions as messages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format

from recarena.server.errors import InputError
from recarena.server.interventions import Change, Planned
from recarena.server.rpc.times import duration, timestamp
from recarena.server.types import InterventionKind
from recarena.v1 import steering_pb2, types_pb2

ITEM_FIELDS = ("item_id", "title", "description", "categories", "attributes")
"""Fields of an item that an operator may set."""


def intervention_message(planned: Planned) -> steering_pb2.Intervention:
    """An intervention as it was accepted. Its time is told in milliseconds, as it is kept."""
    milliseconds = planned.time.microsecond // 1000
    made = steering_pb2.Intervention(
        number=planned.number,
        by=planned.by,
        receive_time=timestamp(planned.time.replace(microsecond=1000 * milliseconds)),
        round=planned.round,
        applied=planned.applied,
        text=planned.text,
    )
    values = dict(planned.change.values)
    change = getattr(made, planned.change.kind.name.lower())
    change.SetInParent()
    if (seconds := values.pop("turn_time_s", None)) is not None:
        change.turn_time.CopyFrom(duration(seconds))
    json_format.ParseDict(values, change, ignore_unknown_fields=True)
    return made


def change_from(message: steering_pb2.Intervention) -> Change:
    """What an operator asks for. InputError, with a path from `intervention` on, where that is
    nothing."""
    name = message.WhichOneof("change")
    if name is None:
        raise InputError(
            "it does not say what changes",
            where="intervention",
            remedy="Set one of " + ", ".join(kind.name.lower() for kind in InterventionKind),
        )
    path, change = f"intervention.{name}", getattr(message, name)
    turn_time_s: float | None = None
    if name == "take_over":
        if change.HasField("turn_time"):
            turn_time_s = change.turn_time.seconds + change.turn_time.nanos / 1e9
            change = steering_pb2.TakeOver(user_id=change.user_id)
    elif name == "add_item":
        _settable(change.item, f"{path}.item")
    try:
        values: dict[str, Any] = json_format.MessageToDict(
            change, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    except (ValueError, json_format.Error) as error:  # a number that JSON does not have
        raise InputError(str(error), where=path) from None
    _finite(values, path)
    values.pop("turn_time", None)
    if turn_time_s is not None:
        values["turn_time_s"] = turn_time_s
    if name == "add_item":
        values["item"] = _item(values.get("item", {}))
    return Change(InterventionKind[name.upper()], values)


def _settable(item: types_pb2.Item, path: str) -> None:
    """InputError for a field that a new item cannot have, and an attribute that is no number."""
    for field, _ in item.ListFields():
        if field.name not in ITEM_FIELDS:
            raise InputError(
                "it cannot be set: a new item is there from the next round on",
                where=f"{path}.{field.name}",
            )
    for attribute, value in item.attributes.fields.items():
        if value.HasField("number_value") and not math.isfinite(value.number_value):
            raise InputError("it is no number", where=f"{path}.attributes.{attribute}")


def _item(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a new item; numbers that are whole as such."""
    made = {name: values[name] for name in ITEM_FIELDS if name in values}
    made["attributes"] = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in made.get("attributes", {}).items()
    }
    return made


def _finite(value: Any, path: str) -> None:
    """InputError for a number that is none, or has no end: JSON says those in words."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _finite(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            _finite(inner, f"{path}[{at}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError("it is no number", where=path)


def under(prefix: str, error: InputError) -> InputError:
    """The error with its fields below `prefix`."""

    def path(where: str) -> str:
        return f"{prefix}.{where}" if where else prefix

    fields: Sequence[tuple[str, str]] = [(path(where), what) for where, what in error.fields]
    return InputError(
        error.problem, where=path(error.where), remedy=error.remedy, fields=tuple(fields)
    )
