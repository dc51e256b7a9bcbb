"""What the page may change, as calls to the RecArena server."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from recarena.observatory.chronicle import run_of
from recarena.observatory.failures import Failure, bad
from recarena.observatory.messages import Json, intervention_json, known, run_json
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2, steering_pb2, work_pb2
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_inquiry_service_pb2 as inquiry_pb
from recarena.v1 import simulation_steering_service_pb2 as steering_service_pb

REMEMBERED = 512
MOST_KEY_CHARS = 128
TALK_PATIENCE_S = 180.0
SEED_BITS = 63
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
SPEAKERS = {"asker": work_pb2.Turn.SPEAKER_RECOMMENDER, "user": work_pb2.Turn.SPEAKER_USER}
MISSING = {
    inquiry_pb.Missing.REASON_NOT_ABLE: "this user has a choice mind, which has no words: name a "
    "language model to speak for it",
    inquiry_pb.Missing.REASON_REFUSED: "the model refused to answer",
    inquiry_pb.Missing.REASON_UNREADABLE: "no answer could be read",
    inquiry_pb.Missing.REASON_TRUNCATED: "the answer was cut off",
    inquiry_pb.Missing.REASON_REJECTED: "the provider would not take the question",
    inquiry_pb.Missing.REASON_NOT_APPLICABLE: "the user says that there is no answer",
}
One = TypeVar("One")
Work: TypeAlias = Callable[[str, Json], Awaitable[Json]]


class Commands:
    """Runs commands; a key that comes again gets the first answer again."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._answers: OrderedDict[tuple[str, str], asyncio.Task[Json]] = OrderedDict()
        self._works: dict[str, Work] = {
            "start": self._start, "pause": self._pause, "step": self._step, "stop": self._stop,
            "reset": self._reset, "fork": self._fork, "intervene": self._intervene,
            "take_turn": self._take_turn, "talk": self._talk,
        }  # fmt: skip

    async def run(self, run_id: str, asked: Json) -> Json:
        """The answer to a command of API.md. Failure."""
        name = _text(asked, "command")
        if name not in self._works:
            raise bad("command", f"there is no command {name[:40]!r}",
                      f"There are: {', '.join(self._works)}")  # fmt: skip
        _whole(asked, "epoch", 0, 2**32 - 1)

        async def work() -> Json:
            await self._check_epoch(run_id, asked)
            return await self._works[name](run_id, asked)

        return await self._once(run_id, _key(asked), work)

    async def create(self, asked: Json) -> Json:
        """A new run with the settings of another. Failure."""
        return await self._once("", _key(asked), lambda: self._create(asked))

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
            run_id=run_id, etag=_text(asked, "etag", ""), request_id=_key(asked)
        )
        return await self._driven(self._upstream.control.StartRun, request)

    async def _pause(self, run_id: str, asked: Json) -> Json:
        request = control_pb.PauseRunRequest(run_id=run_id, request_id=_key(asked))
        return await self._driven(self._upstream.control.PauseRun, request)

    async def _step(self, run_id: str, asked: Json) -> Json:
        rounds = _whole(asked, "rounds", 1, 2**31 - 1, 1)
        request = control_pb.StepRunRequest(
            run_id=run_id, rounds=rounds, etag=_text(asked, "etag", ""), request_id=_key(asked)
        )
        return await self._driven(self._upstream.control.StepRun, request)

    async def _stop(self, run_id: str, asked: Json) -> Json:
        request = control_pb.StopRunRequest(run_id=run_id, request_id=_key(asked))
        return await self._driven(self._upstream.control.StopRun, request)

    async def _reset(self, run_id: str, asked: Json) -> Json:
        request = control_pb.ResetRunRequest(
            run_id=run_id, seed=_seed(asked), etag=_text(asked, "etag", ""), request_id=_key(asked)
        )
        return await self._driven(self._upstream.control.ResetRun, request)

    async def _fork(self, run_id: str, asked: Json) -> Json:
        request = control_pb.ForkRunRequest(
            run_id=run_id, round=_whole(asked, "round", 0, 2**31 - 1),
            new_run_id=_text(asked, "new_run_id", ""), request_id=_key(asked),
        )  # fmt: skip
        return await self._driven(self._upstream.control.ForkRun, request)

    async def _driven(self, method: Callable[..., Awaitable[Any]], request: object) -> Json:
        return {"run": run_json((await self._upstream.ask(method, request)).run)}

    async def _create(self, asked: Json) -> Json:
        source, run_id, key = _text(asked, "from"), _text(asked, "run_id"), _key(asked)
        run = await run_of(self._upstream, source)
        seed = _seed(asked)
        rounds = _whole(asked, "rounds", 1, 2**31 - 1, run.round_limit)
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
            request_id=_key(asked),
        )  # fmt: skip
        answer = await self._upstream.ask(self._upstream.steering.Intervene, request)
        return {"intervention": intervention_json(answer.intervention)}

    async def _take_turn(self, run_id: str, asked: Json) -> Json:
        decided = asked.get("decision")
        if not isinstance(decided, dict):
            raise bad("decision", "what is decided is missing")
        request = steering_service_pb.TakeTurnRequest(
            run_id=run_id, user_id=_text(asked, "user_id"), turn_id=_text(asked, "turn_id"),
            decision=decision_of(decided), request_id=_key(asked),
        )  # fmt: skip
        await self._upstream.ask(self._upstream.steering.TakeTurn, request)
        return {"run": run_json(await run_of(self._upstream, run_id))}

    async def _talk(self, run_id: str, asked: Json) -> Json:
        request = inquiry_pb.AskUsersRequest(run_id=run_id, seed=0)
        request.judge.CopyFrom(_judge(_text(asked, "mind", "")))
        inquiry = request.inquiries.add(inquiry_id=_key(asked), user_id=_text(asked, "user_id"))
        inquiry.talk.question = _text(asked, "question")
        turns = asked.get("turns") or []
        if not isinstance(turns, list):
            raise bad("turns", "turns are a list")
        for at, turn in enumerate(turns):
            if not isinstance(turn, dict):
                raise bad(f"turns[{at}]", "a turn is an object")
            inquiry.talk.turns.add(
                speaker=_chosen(turn.get("speaker"), SPEAKERS, f"turns[{at}].speaker"),
                text=_text(turn, "text", where=f"turns[{at}]."),
            )
        answer = await self._upstream.ask(self._upstream.inquiry.AskUsers, request, TALK_PATIENCE_S)
        return _talked(answer)


def _looked_at(task: asyncio.Task[Json]) -> None:
    """Nobody may be left to hear of its failure."""
    if not task.cancelled():
        task.exception()


def _talked(answer: inquiry_pb.AskUsersResponse) -> Json:
    said = answer.answers[0]
    words = said.words.text if said.HasField("words") else None
    missing = said.missing
    return {
        "answer": words,
        "missing": ""
        if words is not None
        else missing.detail or MISSING.get(missing.reason, "there is no answer"),
        "judge": answer.judge,
        "cost": known(answer.spent, "cost"),
        "currency": answer.spent.currency,
    }


def _judge(mind: str) -> inquiry_pb.Judge:
    """Who speaks for the user: a language model where one is named, else its own mind."""
    if not mind:
        return inquiry_pb.Judge(kind="choice")
    provider, colon, model = mind.partition(":")
    if not (provider and colon and model):
        raise bad("mind", f"{mind[:80]!r} is no PROVIDER:MODEL", "For example anthropic:claude-…")
    judge = inquiry_pb.Judge(kind="llm")
    json_format.ParseDict({"llm": {"provider": provider, "model": model}}, judge.settings)
    return judge


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
        return steering_pb2.Decision(activity=_chosen(value, ACTIVITIES, "decision.activity"))
    if not isinstance(value, dict):
        raise bad(f"decision.{kind}", "it is an object")
    fields = dict(value)
    if kind == "page":
        fields["action"] = _chosen(fields.get("action"), ACTIONS, "decision.page.action")
    made = steering_pb2.Decision()
    try:
        json_format.ParseDict({kind: fields}, made)
    except json_format.ParseError as error:
        raise bad(f"decision.{kind}", str(error)[:300]) from None
    if made.WhichOneof("decision") is None:
        getattr(made, kind).SetInParent()
    return made


def _chosen(value: object, among: Mapping[str, One], field: str) -> One:
    """What a word stands for."""
    if not isinstance(value, str) or value not in among:
        raise bad(field, f"it is one of {', '.join(among)}")
    return among[value]


def _key(asked: Json) -> str:
    key = _text(asked, "key")
    if len(key) > MOST_KEY_CHARS or not key.isprintable():
        raise bad("key", f"a key has at most {MOST_KEY_CHARS} printable characters")
    return key


def _text(asked: Json, name: str, default: str | None = None, where: str = "") -> str:
    value = asked.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (default is None and not value):
        raise bad(f"{where}{name}", f"{name} is a text that is not empty" if default is None
                  else f"{name} is a text")  # fmt: skip
    return value


def _whole(asked: Json, name: str, low: int, high: int, default: int | None = None) -> int:
    value = asked.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise bad(name, f"{name} is a whole number from {low} on")
    return value


def _seed(asked: Json) -> int | None:
    """The seed, which is a text: JavaScript has no whole numbers of 64 bits."""
    value = asked.get("seed")
    if value is None or value == "":
        return None
    text = str(value)
    if not (text.isascii() and text.isdecimal()) or int(text[:24]) >= 2**SEED_BITS:
        raise bad("seed", f"a seed is a whole number from 0 to 2^{SEED_BITS} - 1")
    return int(text)
