"""What users saw and did, as the events of a mapping's rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from recarena.bridge.counts import Counts
from recarena.bridge.ids import ItemIdMap
from recarena.bridge.mapping import Feedback, Rule
from recarena.bridge.service import Outgoing, outgoing
from recarena.bridge.templates import Values
from recarena.client import FeedbackBatch, Impression, Interaction

# Ratings of RecArena go from 1 to 5.
LOWEST, HIGHEST = 1.0, 5.0
KINDS = {
    number: name.removeprefix("TYPE_").removesuffix("_ITEM").lower()
    for name, number in Interaction.Type.items()
}
TYPE_IMPRESSION = Interaction.Type.TYPE_IMPRESSION


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one rule, with the placeholders of its template."""

    rule: Rule
    values: Values
    # The same for each delivery of the same event.
    key: str


def events(
    batch: FeedbackBatch, feedback: Feedback, always: Values, ids: ItemIdMap, counts: Counts
) -> list[Event]:
    """What is to be sent of a batch, in its order: what was shown, then what was done."""
    made: list[Event] = []
    for values in happened(batch, feedback, ids, counts):
        for number, rule in enumerate(feedback.events):
            if fits(rule, values):
                key = f"{values['impression_id']}/{values['position']}/{values['interaction_id']}"
                made.append(Event(rule, {**always, **values}, f"{key}/{number}"))
    return made


def happened(
    batch: FeedbackBatch, feedback: Feedback, ids: ItemIdMap, counts: Counts
) -> Iterator[dict[str, Any]]:
    """The placeholders of everything that was shown or done."""
    kinds = {kind for rule in feedback.events for kind in rule.of}
    if "impression" in kinds:
        for impression in batch.impressions:
            if impression.source == Impression.Source.SOURCE_RECOMMENDER:
                for shown in impression.items:
                    item_id = ids.service(shown.item_id)
                    if item_id is None:
                        counts.events_without_item += 1
                    else:
                        yield shown_values(impression, shown, item_id)
    for one in batch.interactions:
        # What was passed over stands among the impressions.
        if one.type != TYPE_IMPRESSION and KINDS.get(one.type) in kinds:
            item_id = ids.service(one.item_id)
            if item_id is None:
                counts.events_without_item += 1
            else:
                yield done_values(one, item_id, feedback)


def shown_values(impression: Impression, shown: Impression.Shown, item_id: str) -> dict[str, Any]:
    return {
        "type": "impression",
        "user_id": impression.user_id,
        "item_id": item_id,
        "rating": None,
        "position": shown.position,
        "interaction_id": None,
        "impression_id": impression.impression_id or None,
        "attribution_token": impression.attribution_token or None,
    }


def done_values(one: Interaction, item_id: str, feedback: Feedback) -> dict[str, Any]:
    rating = one.value if one.HasField("value") else None
    dated = one.HasField("sim_time")
    return {
        "type": KINDS[one.type],
        "user_id": one.user_id,
        "item_id": item_id,
        "rating": rating,
        "scaled_rating": None if rating is None else scaled(rating, feedback.rating_scale),
        "time": iso(one.sim_time) if dated else None,
        "unix_time": one.sim_time.seconds if dated else None,
        "position": one.position if one.HasField("position") else None,
        "interaction_id": one.interaction_id or None,
        "impression_id": one.impression_id or None,
        "attribution_token": one.attribution_token or None,
    }


def fits(rule: Rule, values: dict[str, Any]) -> bool:
    """Whether a rule speaks of an event."""
    rating = values["rating"]
    if values["type"] not in rule.of:
        return False
    if rating is None:
        return rule.least is None and rule.most is None
    low = rule.least is None or rating >= rule.least
    return low and (rule.most is None or rating <= rule.most)


def scaled(rating: float, scale: tuple[float, float]) -> float:
    """A rating on another scale."""
    low, high = scale
    return low + (rating - LOWEST) / (HIGHEST - LOWEST) * (high - low)


def iso(time: Timestamp) -> str:
    """A time as RFC 3339 writes it."""
    return time.ToDatetime(UTC).isoformat().replace("+00:00", "Z")


def requests(made: list[Event], feedback: Feedback, scope: str) -> list[tuple[Outgoing, int]]:
    """The requests that carry events, each with their number.

    Events of different places go there in requests of their own. `scope` tells apart runs
    whose events have the same ids.
    """
    places: dict[tuple[str, Any], list[Event]] = {}
    for event in made:
        method = event.rule.method or feedback.method
        places.setdefault((method, event.rule.path or feedback.path), []).append(event)
    found: list[tuple[Outgoing, int]] = []
    for (method, path), those in places.items():
        for start in range(0, len(those), feedback.per_request):
            part = those[start : start + feedback.per_request]
            found.append((request(method, path, part, feedback, scope), len(part)))
    return found


def request(method: str, path: Any, part: list[Event], feedback: Feedback, scope: str) -> Outgoing:
    bodies = [event.rule.event.json(event.values) for event in part]
    values = {**part[0].values, "events": bodies, "event": bodies[0]}
    made = outgoing(method, path, feedback.query, feedback.body, values)
    body = made.body
    if feedback.body is None and method != "GET":
        body = bodies[0] if feedback.per_request == 1 else bodies
    headers: dict[str, str] = {}
    if feedback.idempotency_header:
        keys = "\n".join([scope, *(event.key for event in part)])
        headers[feedback.idempotency_header] = hashlib.sha256(keys.encode()).hexdigest()[:32]
    return Outgoing(method=made.method, target=made.target, body=body, headers=headers)
