"""Decisions by a language model: asked, repaired once, counted, paid for and recorded."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from recarena.server.llm.apis import Api, Unknowable, decode, encode
from recarena.server.llm.budget import Budget
from recarena.server.llm.calls import (
    NOTHING_USED,
    Asker,
    Failure,
    Form,
    Outcome,
    Prompt,
    Reply,
    Source,
    Stop,
    Unreadable,
    Usage,
)
from recarena.server.llm.failures import (
    NotRecorded,
    ProviderFailed,
    Sort,
    Sorted,
    sort_response,
)
from recarena.server.llm.pace import AllKeysDead, KeyPool, Pace, Verdict
from recarena.server.llm.prices import Price
from recarena.server.llm.recorder import Recorded, Recorder
from recarena.server.llm.settings import LlmSettings, Replay
from recarena.server.llm.tally import Tally
from recarena.server.llm.transport import Arrived, NotArrived, Transport

T = TypeVar("T")
Called: TypeAlias = tuple[Recorded, Reply | None]
"""A call as it was recorded, and its answer; None: it was rejected."""

HOME_COMING_S = 30.0
"""How long calls under way may take to come home and be recorded when a run stops."""
BACK_OFF_S = 0.5
"""First wait after a failure; it doubles with each."""
BACK_OFF_CAP_S = 30.0
OVERHEAD = 256
"""Tokens that a provider may add to a prompt; in the worst case each of its bytes is one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one request."""

    reply: Reply | None
    """None where the provider would not take the request."""
    problem: str
    cost: float | None
    replayed: bool
    hash: str

    @property
    def text(self) -> str:
        """Its words, "" without any."""
        return self.reply.text if self.reply else ""


@dataclass(slots=True)
class _Spent:
    """What a decision came to, over its answers."""

    usage: Usage = NOTHING_USED
    cost: float | None = 0.0
    calls: int = 0
    replayed: int = 0
    fresh: Usage = NOTHING_USED

    def add(self, answer: Answer) -> None:
        self.calls += 1
        self.replayed += answer.replayed
        if answer.reply:
            self.usage = self.usage.plus(answer.reply.usage)
            if not answer.replayed:
                self.fresh = self.fresh.plus(answer.reply.usage)
        known = self.cost is not None and answer.cost is not None
        self.cost = (self.cost or 0.0) + (answer.cost or 0.0) if known else None


class Thinker:
    """Asks one model of one provider for decisions."""

    def __init__(
        self,
        api: Api,
        settings: LlmSettings,
        recorder: Recorder,
        budget: Budget,
        price: Price | None,
        *,
        sender: Callable[[], tuple[Transport, int]] | None,
        source: Recorder | None = None,
    ) -> None:
        """`sender` makes what sends calls, and says with how many keys, when the first is to be
        made; None: there is none (strict replay). `source`: another recording to take calls
        from."""
        self.api, self.settings, self.recorder, self.budget = api, settings, recorder, budget
        self.price, self.source = price, source
        self._make_sender = sender
        self._transport: Transport | None = None
        self._pool: KeyPool | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._sent: set[asyncio.Task[Any] | None] = set()
        self.tally = Tally(settings.failure_limit)

    def _sender(self) -> tuple[Transport, KeyPool]:
        """What sends, and the keys with their paces. InputError where a key or the SDK is
        missing."""
        if self._transport is None or self._pool is None:
            assert self._make_sender is not None
            self._transport, keys = self._make_sender()
            s = self.settings
            self._pool = KeyPool(keys, start=s.concurrency_start, ceiling=s.concurrency)
        return self._transport, self._pool

    @property
    def pool(self) -> KeyPool:
        """The keys and their paces. InputError as the first call would raise it."""
        return self._sender()[1]

    def round_begins(self, round: int) -> None:
        """Failures count on from those of the rounds before."""
        self.tally.round_begins(*self.recorder.failures_before(round))

    async def decide(self, prompt: Prompt, form: Form[T], asker: Asker) -> Outcome[T]:
        """Asks; an answer that cannot be read is sent back once with what is wrong with it. The
        value is None, and the failure counted, where the second cannot be read either.

        RunPaused where the provider fails for good, a cap is reached or more fails than may.
        """
        spent = _Spent()
        answer = await self.ask(prompt, asker)
        spent.add(answer)
        found = _read(answer, form)
        first = found
        if isinstance(found, Unreadable) and found.kind not in (Failure.REFUSAL, Failure.REJECTED):
            answer = await self.ask(prompt.then(answer.text, _remark(found)), asker)
            spent.add(answer)
            found = _read(answer, form)
        problem = first.problem if isinstance(first, Unreadable) else ""
        source, failure, value, clean = Source.LLM, None, None, True
        if isinstance(found, Unreadable):
            source, failure, problem = Source.FALLBACK, found.kind, found.problem
        else:
            value, clean = found
            if answer.replayed:
                source = Source.REPLAY
            elif spent.calls > 1:
                source = Source.REPAIRED
        outcome: Outcome[T] = Outcome(
            value, source, failure, problem, spent.usage, spent.cost, spent.calls, answer.hash,
            answer.text, spent.replayed, spent.fresh,
        )  # fmt: skip
        self.recorder.decided(asker, outcome, not clean)
        self.tally.add(asker, outcome, clean)
        return outcome

    # ------------------------------------------------------------------ one answer

    async def ask(self, prompt: Prompt, asker: Asker) -> Answer:
        """One answer, from the recording or else from the model; it counts as no decision."""
        body = encode(self.api.body(self.settings.model, prompt, self.settings.parameters))
        hash = hash_of(self.api.name, body)
        recorded = self.recorder.find(hash)
        if recorded is None and self.source and (recorded := self.source.find(hash)):
            await self._keep(hash, replace(recorded, cost=0.0), asker, prompt, body, 0.0, False)
        if recorded is None:
            if self.settings.replay is Replay.STRICT or self._make_sender is None:
                raise NotRecorded(
                    f"{asker}: this call is not in the recording, and a strict replay makes none. "
                    "The recommender, the settings or the prompts differ from the recorded run's; "
                    "with --replay reuse what differs would be asked anew"
                )
            recorded, reply = await self._unhurried(self._call(hash, body, prompt, asker))
            return _answer(hash, recorded, reply, replayed=False)
        good = recorded.status == 200
        reply = self.api.read(decode(recorded.response)) if good else None
        return _answer(hash, recorded, reply, replayed=True)

    async def _unhurried(self, call: Any) -> Called:
        """The call goes on where who asked is cancelled: it is paid for, so it is recorded."""
        task: asyncio.Task[Called] = asyncio.ensure_future(call)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Nobody else will look at how it ended.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            if task not in self._sent:
                task.cancel()  # it still waits for room, and costs nothing
            raise

    async def _call(self, hash: str, body: bytes, prompt: Prompt, asker: Asker) -> Called:
        """Sends until an answer is there, and records it."""
        tokens = len(body) + OVERHEAD
        worst = None
        if self.price:
            worst = self.price.at_most(tokens, prompt.max_tokens)
        worst_tokens = tokens + prompt.max_tokens
        reservation = await self.budget.reserve(worst, worst_tokens)
        try:
            arrived, reply, took = await self._send(body, asker)
            usage = reply.usage if reply else NOTHING_USED
            cost = self.price.of(usage) if self.price else None
        except BaseException:
            self.budget.release(reservation)
            raise
        self.budget.settle(reservation, cost, usage.total)
        recorded = Recorded(arrived.status, arrived.body, usage, cost, worst, worst_tokens)
        await self._keep(hash, recorded, asker, prompt, body, took * 1000, True)
        return recorded, reply

    async def _keep(
        self,
        hash: str,
        recorded: Recorded,
        asker: Asker,
        prompt: Prompt,
        body: bytes,
        latency_ms: float,
        paid: bool,
    ) -> None:
        await self.recorder.keep(
            hash, recorded, asker, request=body, provider=self.api.name,
            model=self.settings.model, prompt=prompt.id, latency_ms=latency_ms, paid=paid,
        )  # fmt: skip

    async def _send(self, body: bytes, asker: Asker) -> tuple[Arrived, Reply | None, float]:
        """Tries until the provider has answered: waits where there is no room, tries again what
        failed. The response, its answer (None: the call was rejected) and how many seconds it
        took. ProviderFailed where that is in vain."""
        failures, limited, tried = 0, 0, list[int]()
        task = asyncio.current_task()
        while True:
            try:
                pace = await self.pool.take(tried)
            except AllKeysDead as error:
                raise ProviderFailed(
                    f"{self.api.name}: {error}. Nothing is lost; put it right, then: "
                    "recarena resume RUN"
                ) from None
            self._sent.add(task)
            began = time.perf_counter()
            reply: Reply | None = None
            try:
                arrived = await self._post(pace.key, body)
                verdict = sort_response(self.api, arrived, self.settings.retry_after_cap_s)
                if verdict.sort is Sort.GOOD:
                    reply = self.api.read(decode(arrived.body))
            except (NotArrived, Unknowable) as error:
                arrived, verdict = None, Sorted(Sort.TRANSIENT, str(error))
            except BaseException:
                self.pool.give_back(pace, Verdict.FAULT)
                raise
            finally:
                self._sent.discard(task)
            took = time.perf_counter() - began
            self._learn(pace, verdict)
            if arrived is not None and verdict.sort in (Sort.GOOD, Sort.REJECTED):
                return arrived, reply, took
            if verdict.sort is Sort.FATAL:
                raise ProviderFailed(
                    f"{self.api.name}: {verdict.text}. Look at the model's name and at the "
                    "address: of anthropic without /v1, of the others with it. Another address: "
                    "recarena resume RUN --base-url URL; another model: begin anew"
                )
            if verdict.sort is Sort.KEY_DEAD:
                continue
            tried = [pace.key]
            limited += verdict.sort is Sort.LIMITED
            failures += verdict.sort is Sort.TRANSIENT
            self.tally.tried_again(verdict.sort.value)
            if failures >= self.settings.attempts or limited >= 10 * self.settings.attempts:
                raise ProviderFailed(
                    f"{self.api.name} failed {failures + limited} times ({asker}): {verdict.text}. "
                    "Nothing is lost; when it is back: recarena resume RUN"
                )
            if verdict.wait is None:
                await asyncio.sleep(_back_off(failures + limited, body))

    def _learn(self, pace: Pace, verdict: Sorted) -> None:
        if verdict.sort is Sort.KEY_DEAD:
            self.pool.bury(pace, verdict.text)  # first, or who waits would get it
            self.pool.give_back(pace, Verdict.FAULT)
            return
        paces = {Sort.GOOD: Verdict.CLEAN, Sort.LIMITED: Verdict.LIMITED}
        self.pool.give_back(pace, paces.get(verdict.sort, Verdict.FAULT), verdict.wait)

    async def _post(self, key: int, body: bytes) -> Arrived:
        transport, _ = self._sender()
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                return await transport.post(key, body)
        except TimeoutError:
            raise NotArrived(f"no answer within {self.settings.timeout_s:g} s") from None

    async def close(self) -> None:
        """Waits for the calls under way, which are paid for, then closes all connections."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=HOME_COMING_S)
        late = set(self._under_way)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if self._transport:
            await self._transport.close()
            self._transport = self._pool = None
        self.recorder.close()
        if self.source:
            self.source.close()


def _answer(hash: str, recorded: Recorded, reply: Reply | None, *, replayed: bool) -> Answer:
    cost = 0.0 if replayed else recorded.cost
    if reply is not None:
        return Answer(reply, "", cost, replayed, hash)
    said = recorded.response.decode("utf-8", "replace")[:300]
    return Answer(None, f"HTTP {recorded.status}: {said}", cost, replayed, hash)


def hash_of(api: str, body: bytes) -> str:
    """Key of a call: what is sent, and in which form."""
    return hashlib.sha256(api.encode() + b"\n" + body).hexdigest()


def _read(answer: Answer, form: Form[T]) -> tuple[T, bool] | Unreadable:
    """The value and whether it was read without tolerance, or why there is none."""
    reply = answer.reply
    if reply is None:
        return Unreadable(Failure.REJECTED, answer.problem)
    if reply.stop is Stop.REFUSAL:
        return Unreadable(Failure.REFUSAL, "the model refused")
    if reply.stop is Stop.LENGTH:
        return Unreadable(Failure.TRUNCATED, "the answer was cut off; make it shorter")
    if not reply.text.strip():
        return Unreadable(Failure.EMPTY, "the answer is empty")
    try:
        return form.read(reply.text)
    except Unreadable as error:
        return error


def _remark(problem: Unreadable) -> str:
    return (
        f"That answer cannot be used: {problem.problem}. Answer once more, in the form that was "
        "asked for and with nothing else."
    )


def _back_off(failures: int, body: bytes) -> float:
    """Doubling, scattered by the call itself so that calls do not come back together."""
    scatter = 0.5 + body[len(body) // 2] / 255
    return min(BACK_OFF_S * 2 ** min(failures - 1, 20) * scatter, BACK_OFF_CAP_S)
