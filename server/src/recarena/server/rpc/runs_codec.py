"""Runs and their recommenders as messages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

import grpc
from google.protobuf import json_format

from recarena.server.config import Settings, parse_settings
from recarena.server.errors import InputError
from recarena.server.llm.spending import Ledger
from recarena.server.rpc import status
from recarena.server.rpc.health import RecommenderHealth
from recarena.server.rpc.times import duration, timestamp
from recarena.server.runs import Run
from recarena.server.types import Outcome
from recarena.v1 import run_pb2, types_pb2

SPENDING_AGE_S = 1.0
"""Sums of what models took are made anew when they are older, or the run has changed."""
_NOTES = ("; no language model and no people", "; no people")
"""What manifests say of minds besides; people may have come since."""


def run_message(run: Run) -> run_pb2.Run:
    """A run as it is now."""
    message = run_pb2.Run()
    message.CopyFrom(_what_stays(run))
    message.state = (
        run_pb2.RunState.Value(f"RUN_STATE_{run.state.name}")
        if run.state != "waiting_for_recommenders"
        else run_pb2.RUN_STATE_WAITING_FOR_RECOMMENDERS
    )
    message.round = run.round
    message.etag = f"{run.epoch}.{run.round}.{run.state}.{run.changes}"
    if run.error:
        message.error.CopyFrom(status.status_proto(grpc.StatusCode.ABORTED, run.error))
    if run.settings.llm.provider is not None:
        message.spending.CopyFrom(_spending(run))
    return message


_staying: WeakKeyDictionary[Run, run_pb2.Run] = WeakKeyDictionary()


def _what_stays(run: Run) -> run_pb2.Run:
    """What a run is as long as it is open; made once, for it takes long."""
    if run not in _staying:
        _staying[run] = _made(run)
    return _staying[run]


def _made(run: Run) -> run_pb2.Run:
    manifest = run.folder.manifest
    message = run_pb2.Run(
        run_id=run.run_id,
        seed=run.settings.seed,
        epoch=run.epoch,
        round_limit=run.settings.rounds,
        world=str(manifest["world"]["name"]),
        folder=str(run.folder.path),
        user_count=len(run.world.population),
        minds=_minds(manifest.get("mind", {})),
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
    if created := manifest.get("created"):
        message.create_time.CopyFrom(timestamp(datetime.fromisoformat(created)))
    if origin := manifest.get("forked_from"):
        message.forked_from.run_id = str(origin["run_id"])
        message.forked_from.round = int(origin["round"])
    return message


def _minds(entry: Mapping[str, Any]) -> str:
    """Which minds users have, from the manifest."""
    said = str(entry.get("note", ""))
    for note in _NOTES:
        said = said.removesuffix(note)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


@dataclass(slots=True)
class _Books:
    """What the models of a run took, as it was asked for last."""

    ledger: Ledger
    changes: int = -1
    made_at: float = 0.0
    spending: run_pb2.Spending = field(default_factory=run_pb2.Spending)


_books: WeakKeyDictionary[Run, _Books] = WeakKeyDictionary()


def _spending(run: Run) -> run_pb2.Spending:
    """The same figures as `recarena show`, at most SPENDING_AGE_S old."""
    books = _books.setdefault(run, _Books(Ledger(run.folder.path)))
    now = time.monotonic()
    if books.changes != run.changes or now - books.made_at > SPENDING_AGE_S:
        spent = books.ledger.spent(run.round)
        books.changes, books.made_at = run.changes, now
        books.spending = run_pb2.Spending(
            calls=spent.calls,
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            cost=spent.cost,
            currency=run.settings.llm.currency,
            max_cost=run.settings.llm.max_cost,
            failures=spent.failures,
        )
    return books.spending


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
