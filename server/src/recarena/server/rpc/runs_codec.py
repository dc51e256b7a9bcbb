"""Runs, rounds, events and users as messages."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
from google.protobuf import json_format

from recarena.server.config import Settings, parse_settings
from recarena.server.errors import InputError
from recarena.server.narration import Narrator
from recarena.server.rpc import status
from recarena.server.rpc.health import RecommenderHealth
from recarena.server.rpc.times import duration, timestamp
from recarena.server.runs import Run
from recarena.server.types import EventColumns, EventKind, Outcome
from recarena.v1 import run_pb2, types_pb2


def run_message(run: Run) -> run_pb2.Run:
    """A run as it is now."""
    message = run_pb2.Run(
        run_id=run.run_id,
        state=run_pb2.RunState.Value(f"RUN_STATE_{run.state.name}")
        if run.state != "waiting_for_recommenders"
        else run_pb2.RUN_STATE_WAITING_FOR_RECOMMENDERS,
        seed=run.settings.seed,
        epoch=run.epoch,
        round=run.round,
        round_limit=run.settings.rounds,
        world=str(run.folder.manifest["world"]["name"]),
        etag=f"{run.epoch}.{run.round}.{run.state}.{run.changes}",
        folder=str(run.folder.path),
    )
    for arm in run.settings.arms:
        message.arms.append(
            run_pb2.Arm(
                arm_id=arm.id,
                recommender_id=arm.recommender,
                weight=arm.weight,
                failure_policy=run_pb2.FailurePolicy.ValueType(arm.policy),
                work_timeout=duration(run.settings.session.work_timeout(arm)),
                explanation_mode=types_pb2.EXPLANATION_MODE_STRUCTURED
                if arm.explanations
                else types_pb2.EXPLANATION_MODE_NONE,
                explanation_share=arm.explanation_share if arm.explanations else None,
                replicas=arm.replicas,
                strict=arm.strict,
            )
        )
    rest = run.settings.model_dump(mode="json", exclude={"arms", "seed", "rounds"})
    json_format.ParseDict(rest, message.settings)
    if run.error:
        message.error.CopyFrom(status.status_proto(grpc.StatusCode.ABORTED, run.error))
    return message


def settings_from(message: run_pb2.Run) -> Settings:
    """The settings that a CreateRun call asks for. InputError names what is wrong."""
    try:
        values: dict[str, Any] = json_format.MessageToDict(message.settings)
    except ValueError as error:  # a number that JSON does not have
        raise InputError(str(error), where="run.settings") from None
    for name in ("seed", "rounds", "arms"):
        if name in values:
            raise InputError(f"it goes into {_OWN_FIELDS[name]}", where=f"run.settings.{name}")
    values["seed"] = message.seed
    values["rounds"] = message.round_limit
    arms: list[dict[str, Any]] = []
    for arm in message.arms:
        one: dict[str, Any] = {"id": arm.arm_id, "recommender": arm.recommender_id}
        one["weight"] = arm.weight or 1
        if arm.failure_policy:
            one["failure_policy"] = _policy_name(arm.failure_policy)
        if arm.HasField("work_timeout"):
            one["work_timeout_s"] = arm.work_timeout.ToMicroseconds() / 1e6
        one["explanations"] = arm.explanation_mode > types_pb2.EXPLANATION_MODE_NONE
        if arm.HasField("explanation_share"):
            one["explanation_share"] = arm.explanation_share
        one |= {"replicas": arm.replicas or 1, "strict": arm.strict}
        arms.append(one)
    values["arms"] = arms
    try:
        return parse_settings(values, "run")
    except InputError as error:
        fields = tuple((_message_path(path), problem) for path, problem in error.fields)
        raise InputError(error.problem, where="run", fields=fields) from None


def _policy_name(number: run_pb2.FailurePolicy.ValueType) -> str:
    """The name that settings have for a failure policy; of an unknown one its number."""
    if number not in run_pb2.FailurePolicy.values():
        return str(number)
    return run_pb2.FailurePolicy.Name(number).removeprefix("FAILURE_POLICY_").lower()


_OWN_FIELDS = {
    "seed": "run.seed",
    "rounds": "run.round_limit",
    "arms": "run.arms",
    "recommender": "recommender_id",
    "id": "arm_id",
    "work_timeout_s": "work_timeout",
    "explanations": "explanation_mode",
}


def _message_path(path: str) -> str:
    """The path of a setting in a Run message: "arms.0.id" is "run.arms[0].arm_id"."""
    first, *rest = path.split(".")
    if first not in _OWN_FIELDS:
        return f"run.settings.{path}" if path else "run"
    made = _OWN_FIELDS[first]
    for piece in rest:
        made += f"[{piece}]" if piece.isdecimal() else f".{_OWN_FIELDS.get(piece, piece)}"
    return made


def page_size(asked: int, default: int, most: int) -> int:
    """Entries of a page: the default where none or nonsense is asked for, at most `most`."""
    return min(asked, most) if asked > 0 else default


def event_message(narrator: Narrator, events: EventColumns, row: int) -> run_pb2.UserEvent:
    """One event of a round's log, whose row is its position in the round."""
    kind = EventKind(int(events.kind[row]))
    user, item, other = int(events.user[row]), int(events.item[row]), int(events.other[row])
    placed = kind in (EventKind.SHOWN, EventKind.WATCH)
    return run_pb2.UserEvent(
        sequence=row,
        type=run_pb2.UserEvent.Type.ValueType(kind),
        user_id=narrator.population.user_ids[user],
        user_name=narrator.name(user),
        item_id=narrator.catalog.item_ids[item] if item >= 0 else "",
        position=int(events.position[row]) if placed else None,
        value=float(events.value[row]) if kind is EventKind.WATCH else None,
        other_user_id=narrator.population.user_ids[other] if other >= 0 else "",
        text=narrator.sentence(events, row),
    )


def round_message(
    run: Run, round: int, events: EventColumns, active: int, wall_ms: float
) -> run_pb2.RoundSummary:
    """Summary of a committed round."""
    count = np.bincount(events.kind, minlength=max(EventKind) + 1)
    ratings = events.value[(events.kind == EventKind.WATCH) & (events.value > 0)]
    return run_pb2.RoundSummary(
        round=round,
        sim_time=timestamp(run.settings.time.of_round(round)),
        active_users=active,
        visits=int(count[EventKind.ENTER_RECOMMENDER]),
        pages=int(count[EventKind.PAGE]),
        exposures=int(count[EventKind.SHOWN]),
        watches=int(count[EventKind.WATCH]),
        chats=int(count[EventKind.CHAT]),
        posts=int(count[EventKind.POST]),
        mean_rating=float(ratings.mean(dtype=np.float64)) if len(ratings) else None,
        wall_time=duration(wall_ms / 1000),
    )


def health_message(health: RecommenderHealth) -> run_pb2.RecommenderStatus:
    """How a recommender fares."""
    lists = health.lists
    refused = lists[Outcome.REJECTED] + lists[Outcome.FAILED] + lists[Outcome.LOST]

    def latency(quantile: float):
        milliseconds = health.latency_ms(quantile)
        return None if milliseconds is None else duration(milliseconds / 1000)

    return run_pb2.RecommenderStatus(
        recommender_id=health.recommender_id,
        connected=health.is_connected,
        accepted=int(lists[Outcome.ACCEPTED]),
        violations=int(lists[Outcome.VIOLATIONS]),
        rejected=int(refused),
        late=int(lists[Outcome.LATE]),
        fallback=int(refused + lists[Outcome.LATE]),
        p50_latency=latency(0.5),
        p95_latency=latency(0.95),
        p99_latency=latency(0.99),
        software=health.software,
        training_time=duration(health.training_ms / 1000),
        sessions=health.sessions,
        quarantined=health.quarantined,
        unsolicited=health.unsolicited,
    )
