"""Messages of the contract as the JSON of API.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from recarena.v1 import run_pb2, steering_pb2, types_pb2
from recarena.v1.simulation_observe_service_pb2 import ListItemsResponse, StreamTurnsResponse

Json = dict[str, Any]
RELATION_KIND = "relation_kind"
"""What the page calls the kind of a tie in a change, whose own kind is `kind`."""


class Spent(Protocol):
    """What language models took."""

    def HasField(self, field_name: Any, /) -> bool:  # noqa: N802
        """Whether a number is known."""
        ...


def run_json(run: run_pb2.Run) -> Json:
    """A Run."""
    return {
        "run_id": run.run_id,
        "state": state_of(run),
        "seed": str(run.seed),
        "epoch": run.epoch,
        "round": run.round,
        "rounds": run.round_limit,
        "world": run.world,
        "users": run.user_count,
        "minds": run.minds,
        "created": iso(run.create_time) if run.HasField("create_time") else "",
        "error": run.error.message,
        "etag": run.etag,
        "folder": run.folder,
        "arms": [
            {
                "arm_id": arm.arm_id,
                "recommender_id": arm.recommender_id,
                "weight": arm.weight or 1,
                "explanations": arm.explanation_mode > types_pb2.EXPLANATION_MODE_NONE,
            }
            for arm in run.arms
        ],
        "spending": _spending(run.spending) if run.HasField("spending") else None,
        "forked_from": {"run_id": run.forked_from.run_id, "round": run.forked_from.round}
        if run.HasField("forked_from")
        else None,
    }


def state_of(run: run_pb2.Run) -> str:
    """The state in a word."""
    return run_pb2.RunState.Name(run.state).removeprefix("RUN_STATE_").lower()


def _spending(spent: run_pb2.Spending) -> Json:
    return {
        "calls": spent.calls,
        "input_tokens": known(spent, "input_tokens"),
        "output_tokens": known(spent, "output_tokens"),
        "cost": known(spent, "cost"),
        "currency": spent.currency,
        "max_cost": known(spent, "max_cost"),
        "failures": spent.failures,
    }


def known(message: Spent, field: str) -> Any:
    """An optional field; None where it is absent."""
    return getattr(message, field) if message.HasField(field) else None


def round_json(summary: run_pb2.RoundSummary, searches: int) -> Json:
    """A Round; the summary does not count searches."""
    return {
        "round": summary.round,
        "sim_time": iso(summary.sim_time),
        "active": summary.active_users,
        "visits": summary.visits,
        "pages": summary.pages,
        "exposures": summary.exposures,
        "watches": summary.watches,
        "chats": summary.chats,
        "posts": summary.posts,
        "searches": searches,
        "mean_rating": known(summary, "mean_rating"),
        "wall_ms": milliseconds(summary.wall_time),
        "interventions": summary.interventions,
        "people": summary.people,
    }


def event_json(event: run_pb2.UserEvent, user: int, other: int) -> Json:
    """An Event; `user` and `other` are user numbers, -1 for nobody."""
    return {
        "round": event.round,
        "seq": event.sequence,
        "type": run_pb2.UserEvent.Type.Name(event.type).removeprefix("TYPE_").lower(),
        "user": user,
        "user_id": event.user_id,
        "name": event.user_name,
        "item_id": event.item_id,
        "title": event.item_title,
        "position": known(event, "position"),
        "value": known(event, "value"),
        "other": other,
        "other_id": event.other_user_id,
        "other_name": event.other_user_name,
        "text": event.text,
        "words": event.words,
        "outcome": event.outcome,
        "surface": surface_of(event.surface),
        "person": event.by_person,
        "step": known(event, "step"),
        "withheld": event.explanation_withheld,
        "intervention": event.intervention,
        "undecided": event.undecided,
    }


def surface_of(surface: int) -> str:
    """A surface in a word; empty for none."""
    if surface not in types_pb2.Surface.values() or not surface:
        return ""
    name = types_pb2.Surface.Name(types_pb2.Surface.ValueType(surface))
    return name.removeprefix("SURFACE_").lower()


def line_json(told: run_pb2.UserRound, user: int, action: str) -> Json:
    """A Line of the feed."""
    return {
        "round": told.round,
        "user": user,
        "name": told.user_name,
        "action": action,
        "text": told.text,
        "titles": list(told.titles),
        "people": dict(told.people),
        "person": told.by_person,
    }


def intervention_json(one: steering_pb2.Intervention) -> Json:
    """An Intervention."""
    kind = one.WhichOneof("change") or ""
    change: Message | None = getattr(one, kind) if kind else None
    fields = as_dict(change) if change is not None else {}
    if kind == "set_relation" and "kind" in fields:
        fields[RELATION_KIND] = fields.pop("kind")
    if kind == "take_over" and "turn_time" in fields:
        fields["turn_time"] = milliseconds(one.take_over.turn_time) / 1000
    return {
        "number": one.number,
        "kind": kind,
        "round": one.round,
        "applied": one.applied,
        "by": one.by,
        "received": iso(one.receive_time) if one.HasField("receive_time") else "",
        "text": one.text,
        "user_id": fields.get("user_id", ""),
        "change": fields,
    }


def as_dict(message: Message) -> Json:
    """The fields of a message that are set, in snake case."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def memory_json(memory: run_pb2.Memory) -> Json:
    """A memory."""
    return {
        "number": memory.memory_number,
        "round": memory.round,
        "kind": memory.kind,
        "text": memory.text,
        "importance": memory.importance,
        "source": memory.source_user_id,
        "item_id": memory.item_id,
        "recalled_in": list(memory.recalled_in_rounds),
    }


def call_json(call: run_pb2.ModelCall) -> Json:
    """A call to a language model."""
    return {
        "purpose": call.purpose,
        "step": call.step,
        "model": call.model,
        "request": call.request,
        "response": call.response,
        "input_tokens": known(call, "input_tokens"),
        "output_tokens": known(call, "output_tokens"),
        "cost": known(call, "cost"),
        "currency": call.currency,
        "latency_ms": milliseconds(call.latency),
        "failure": call.failure,
    }


def item_json(entry: ListItemsResponse.Entry) -> Json:
    """An item and how it fared."""
    attributes: Mapping[str, Any] = json_format.MessageToDict(entry.item.attributes)
    year = attributes.get("year")
    return {
        "item_id": entry.item.item_id,
        "number": entry.item_number,
        "title": entry.item.title,
        "categories": list(entry.item.categories),
        "year": int(year) if isinstance(year, float) and math.isfinite(year) else None,
        "watches": entry.watches,
        "displayed_rating": entry.displayed_rating,
        "withdrawn": entry.item.withdrawn,
    }


def turn_message(told: StreamTurnsResponse) -> Json:
    """A `turn` of the live socket, of a user who is taken over."""
    outcome = steering_pb2.TurnOutcome.Name(told.last_outcome).removeprefix("TURN_OUTCOME_")
    return {
        "type": "turn",
        "taken_over": True,
        "turn": _turn(told.turn) if told.HasField("turn") else None,
        "last_outcome": "" if outcome == "UNSPECIFIED" else outcome.lower(),
        "missed_rounds": told.missed_rounds,
    }


def _turn(turn: steering_pb2.PlayTurn) -> Json:
    kind = turn.WhichOneof("question") or ""
    made: Json = {
        "turn_id": turn.turn_id,
        "round": turn.round,
        "remaining_ms": milliseconds(turn.remaining),
        "kind": kind,
    }
    if kind == "activity":
        made["can_socialise"] = turn.activity.can_socialise
    elif kind == "page":
        page = turn.page
        made |= {
            "step": page.step,
            "surface": surface_of(page.surface),
            "items": [_every_field(shown) for shown in page.items],
            "can_search": page.can_search,
            "last": page.last,
            "query": page.query,
        }
    elif kind == "social":
        made |= _every_field(turn.social)
    return made


def _every_field(message: Message) -> Json:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def iso(time: Timestamp) -> str:
    """A point of time as ISO 8601, in UTC."""
    return time.ToJsonString()


def milliseconds(duration: Duration) -> float:
    """A duration in milliseconds, to the microsecond."""
    return duration.ToMicroseconds() / 1000
