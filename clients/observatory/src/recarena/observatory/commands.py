"""What the page may change, as calls to the RecArena server."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from recarena.observatory.chronicle import run_of
from recarena.observatory.failures import Failure, bad
from recarena.observatory.fields import chosen, key_in, seed_in, text_in, whole_in
from recarena.observatory.library import Library
from recarena.observatory.messages import RELATION_KIND, Json, intervention_json, run_json
from recarena.observatory.talks import Talks
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2, steering_pb2
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_steering_service_pb2 as steering_service_pb

REMEMBERED = 512
ACTIVITIES = {
    "nothing": steering_pb2.Decision.DOING_NOTHING,
    "recommender": steering_pb2.Decision.DOING_RECOMMENDER,
    "social": steering_pb2.Decision.DOING_SOCIAL,
}
ACTIONS = {
    "next": steering_pb2.Decision.ACTION_NEXT,
    "search": steering_pb2.Decision.ACTION_SEARCH,
    "leave": steering_pb2.Decision.ACTION_LEAVE,
}
Work: TypeAlias = Callable[[str, Json], Awaitable[Json]]


class Commands:
    """Runs commands; a key that comes again gets the first answer again."""

    def __init__(self, upstream: Upstream, library: Library) -> None:
        self._upstream = upstream
        self._answers: OrderedDict[tuple[str, str], asyncio.Task[Json]] = OrderedDict()
        self._works: dict[str, Work] = {
            "start": self._start, "pause": self._pause, "step": self._step, "stop": self._stop,
            "reset": self._reset, "fork": self._fork, "intervene": self._intervene,
            "take_turn": self._take_turn, "talk": Talks(upstream, library).answer,
        }  # fmt: skip

    async def run(self, run_id: str, asked: Json) -> Json:
        """The answer to a command of API.md. Failure."""
        name = text_in(asked, "command")
        if name not in self._works:
            raise bad("command", f"there is no command {name[:40]!r}",
                      f"There are: {', '.join(self._works)}")  # fmt: skip
        whole_in(asked, "epoch", 0, 2**32 - 1)

        async def work() -> Json:
            await self._check_epoch(run_id, asked)
            return await self._works[name](run_id, asked)

        return await self._once(run_id, key_in(asked), work)

    async def create(self, asked: Json) -> Json:
        """A new run with the settings of another. Failure."""
        return await self._once("", key_in(asked), lambda: self._create(asked))

    async def _once(self, run_id: str, key: str, work: Callable[[], Awaitable[Json]]) -> Json:
        held = self._answers.get((run_id, key))
        if held is None:

            async def working() -> Json:
                return await work()

            held = self._answers[run_id, key] = asyncio.create_task(working())
            held.add_done_callback(_looked_at)
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        try:
            # Whoever asked may go away; what was begun is finished all the same.
            return await asyncio.shield(held)
        except Failure:
            # Nothing was changed, so that the same key may try again.
            self._answers.pop((run_id, key), None)
            raise

    async def _check_epoch(self, run_id: str, asked: Json) -> None:
        epoch = asked["epoch"]
        run = await run_of(self._upstream, run_id)
        if epoch and run.epoch != epoch:
            text = f"the run was reset: it is in epoch {run.epoch}, the page shows {epoch}"
            raise Failure(409, "ABORTED", text, field="epoch", remedy="Look at it again")

    # ------------------------------------------------------------------ driving

    async def _start(self, run_id: str, asked: Json) -> Json:
        request = control_pb.StartRunRequest(
            run_id=run_id, etag=text_in(asked, "etag", ""), request_id=key_in(asked)
        )
        return await self._driven(self._upstream.control.StartRun, request)

    async def _pause(self, run_id: str, asked: Json) -> Json:
        request = control_pb.PauseRunRequest(run_id=run_id, request_id=key_in(asked))
        return await self._driven(self._upstream.control.PauseRun, request)

    async def _step(self, run_id: str, asked: Json) -> Json:
        rounds = whole_in(asked, "rounds", 1, 2**31 - 1, 1)
        request = control_pb.StepRunRequest(
            run_id=run_id, rounds=rounds, etag=text_in(asked, "etag", ""), request_id=key_in(asked)
        )
        return await self._driven(self._upstream.control.StepRun, request)

    async def _stop(self, run_id: str, asked: Json) -> Json:
        request = control_pb.StopRunRequest(run_id=run_id, request_id=key_in(asked))
        return await self._driven(self._upstream.control.StopRun, request)

    async def _reset(self, run_id: str, asked: Json) -> Json:
        request = control_pb.ResetRunRequest(
            run_id=run_id,
            seed=seed_in(asked),
            etag=text_in(asked, "etag", ""),
            request_id=key_in(asked),
        )
        return await self._driven(self._upstream.control.ResetRun, request)

    async def _fork(self, run_id: str, asked: Json) -> Json:
        request = control_pb.ForkRunRequest(
            run_id=run_id, round=whole_in(asked, "round", 0, 2**31 - 1),
            new_run_id=text_in(asked, "new_run_id", ""), request_id=key_in(asked),
        )  # fmt: skip
        return await self._driven(self._upstream.control.ForkRun, request)

    async def _driven(self, method: Callable[..., Awaitable[Any]], request: object) -> Json:
        return {"run": run_json((await self._upstream.ask(method, request)).run)}

    async def _create(self, asked: Json) -> Json:
        source, run_id, key = text_in(asked, "from"), text_in(asked, "run_id"), key_in(asked)
        run = await run_of(self._upstream, source)
        seed = seed_in(asked)
        rounds = whole_in(asked, "rounds", 1, 2**31 - 1, run.round_limit)
        if rounds != run.round_limit:
            return await self._create_anew(run, run_id, seed, rounds, key)
        # A world that was made for a run has no name to make it by: its copy is a fork.
        fork = control_pb.ForkRunRequest(
            run_id=source, round=0, new_run_id=run_id, request_id=f"{key}/fork"
        )
        made = await self._driven(self._upstream.control.ForkRun, fork)
        if seed is None or seed == run.seed:
            return made
        reset = control_pb.ResetRunRequest(run_id=run_id, seed=seed, request_id=f"{key}/reset")
        return await self._driven(self._upstream.control.ResetRun, reset)

    async def _create_anew(
        self, run: run_pb2.Run, run_id: str, seed: int | None, rounds: int, key: str
    ) -> Json:
        fresh = run_pb2.Run(
            run_id=run_id, seed=run.seed if seed is None else seed, round_limit=rounds,
            world=run.world, arms=run.arms, settings=run.settings,
        )  # fmt: skip
        request = control_pb.CreateRunRequest(run=fresh, request_id=key)
        try:
            return await self._driven(self._upstream.control.CreateRun, request)
        except Failure as failure:
            if failure.field != "run.world" and failure.status != 404:
                raise
            text = f"the world of {run.run_id} was made for it, and the server has no name for it"
            remedy = f"Leave it at {run.round_limit} rounds"
            raise bad("rounds", text, remedy) from None

    # ------------------------------------------------------------------ steering

    async def _intervene(self, run_id: str, asked: Json) -> Json:
        change = asked.get("change")
        if not isinstance(change, dict):
            raise bad("change", "what is to change is missing")
        request = steering_service_pb.InterveneRequest(
            run_id=run_id, epoch=asked["epoch"], intervention=intervention_of(change),
            request_id=key_in(asked),
        )  # fmt: skip
        answer = await self._upstream.ask(self._upstream.steering.Intervene, request)
        return {"intervention": intervention_json(answer.intervention)}

    async def _take_turn(self, run_id: str, asked: Json) -> Json:
        decided = asked.get("decision")
        if not isinstance(decided, dict):
            raise bad("decision", "what is decided is missing")
        request = steering_service_pb.TakeTurnRequest(
            run_id=run_id, user_id=text_in(asked, "user_id"), turn_id=text_in(asked, "turn_id"),
            decision=decision_of(decided), request_id=key_in(asked),
        )  # fmt: skip
        await self._upstream.ask(self._upstream.steering.TakeTurn, request)
        return {"run": run_json(await run_of(self._upstream, run_id))}


def _looked_at(task: asyncio.Task[Json]) -> None:
    """Nobody may be left to hear of its failure."""
    if not task.cancelled():
        task.exception()


def intervention_of(change: Json) -> steering_pb2.Intervention:
    """The intervention that a `change` is: its kind, and the fields of the message of that kind.
    Failure names the field that is wrong."""
    kind = str(change.get("kind", ""))
    kinds = [one.name for one in
             steering_pb2.Intervention.DESCRIPTOR.oneofs_by_name["change"].fields]  # fmt: skip
    if kind not in kinds:
        raise bad("change.kind", f"there is no change {kind[:40]!r}",
                  f"There are: {', '.join(kinds)}")  # fmt: skip
    fields = {name: value for name, value in change.items() if name != "kind"}
    if kind == "set_relation" and RELATION_KIND in fields:
        fields["kind"] = fields.pop(RELATION_KIND)
    seconds = fields.get("turn_time")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        duration = Duration()
        duration.FromMilliseconds(int(min(max(seconds, 0), 86_400) * 1000))
        fields["turn_time"] = duration.ToJsonString()
    made = steering_pb2.Intervention()
    try:
        json_format.ParseDict({kind: fields}, made)
    except json_format.ParseError as error:
        raise bad(f"change.{kind}", str(error)[:300]) from None
    if made.WhichOneof("change") is None:
        getattr(made, kind).SetInParent()
    return made


def decision_of(decided: Json) -> steering_pb2.Decision:
    """The decision that a person's is. Failure names the field that is wrong."""
    if len(decided) != 1 or next(iter(decided)) not in ("activity", "opening", "page", "social"):
        raise bad("decision", "a decision is one of activity, opening, page and social")
    (kind, value) = next(iter(decided.items()))
    if kind == "activity":
        return steering_pb2.Decision(activity=chosen(value, ACTIVITIES, "decision.activity"))
    if not isinstance(value, dict):
        raise bad(f"decision.{kind}", "it is an object")
    fields = dict(value)
    if kind == "page":
        fields["action"] = chosen(fields.get("action"), ACTIONS, "decision.page.action")
    made = steering_pb2.Decision()
    try:
        json_format.ParseDict({kind: fields}, made)
    except json_format.ParseError as error:
        raise bad(f"decision.{kind}", str(error)[:300]) from None
    if made.WhichOneof("decision") is None:
        getattr(made, kind).SetInParent()
    return made
