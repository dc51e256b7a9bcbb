"""Decisions by a language model: asked, repaired once, counted, paid for and recorded."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from recarena.server.llm.apis import Api, Unknowable, encode
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
        transport: Callable[[], Transport] | None,
        keys: int = 1,
        source: Recorder | None = None,
    ) -> None:
        """`transport` makes what sends calls when the first is to be made; None: there is none
        (strict replay). `source`: another recording to take calls from."""
        self.api, self.settings, self.recorder, self.budget = api, settings, recorder, budget
        self._price, self._source = price, source
        self._make_transport = transport
        self._transport: Transport | None = None
        self._keys = keys
        self._pool: KeyPool | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._sent: set[asyncio.Task[Any] | None] = set()
        self.tally = Tally(settings.failure_limit)

    @property
    def pool(self) -> KeyPool:
        """The keys and their paces."""
        if self._pool is None:
            s = self.settings
            self._pool = KeyPool(self._keys, start=s.concurrency_start, ceiling=s.concurrency)
        return self._pool

    async def decide(self, prompt: Prompt, form: Form[T], asker: Asker) -> Outcome[T]:
        """Asks; an answer that cannot be read is sent back once with what is wrong with it. The
        value is None, and the failure counted, where the second cannot be read either.

        RunPaused where the provider fails for good, a cap is reached or more fails than may.
        """
        usage, cost, calls, failed = NOTHING_USED, 0.0, 0, False
        unknown_cost = replayed = False
        problem: Unreadable | None = None
        asked = prompt
        for attempt in range(2):
            answer = await self._ask(asked, asker)
            calls += 1
            replayed = answer.replayed
            if answer.cost is None:
                unknown_cost = True
            else:
                cost += answer.cost
            if answer.reply is None:
                problem, text, failed = Unreadable(Failure.REJECTED, answer.problem), "", True
            else:
                usage = usage.plus(answer.reply.usage)
                text = answer.reply.text
                try:
                    value, clean = _read(answer.reply, form)
                except Unreadable as error:
                    problem = error
                    failed = error.kind is Failure.REFUSAL
                else:
                    source = Source.REPAIRED if attempt else Source.LLM
                    if replayed:
                        source = Source.REPLAY
                    outcome = Outcome[T](
                        value, source, None, str(problem) if problem else "", usage,
                        None if unknown_cost else cost, calls, answer.hash, text,
                    )  # fmt: skip
                    return self._decided(asker, outcome, clean)
            if failed:
                break
            asked = prompt.then(text, _remark(problem))
        assert problem is not None
        fallback = Outcome[T](
            None, Source.FALLBACK, problem.kind, problem.problem, usage,
            None if unknown_cost else cost, calls, answer.hash, text,
        )  # fmt: skip
        return self._decided(asker, fallback, True)

    def _decided(self, asker: Asker, outcome: Outcome[T], clean: bool) -> Outcome[T]:
        self.recorder.decided(asker, outcome, not clean)
        self.tally.add(asker, outcome, clean)
        return outcome

    # ------------------------------------------------------------------ one answer

    async def _ask(self, prompt: Prompt, asker: Asker) -> Answer:
        """From the recording, or else from the model."""
        body = encode(self.api.body(self.settings.model, prompt, self.settings.parameters))
        hash = hash_of(self.api.name, body)
        recorded = self.recorder.find(hash)
        if recorded is None and self._source and (recorded := self._source.find(hash)):
            await self._keep(hash, replace(recorded, cost=0.0), asker, prompt, body, 0.0, False)
        if recorded is None:
            if self.settings.replay is Replay.STRICT or self._make_transport is None:
                raise NotRecorded(
                    f"{asker}: this call is not in the recording, and a strict replay makes none. "
                    "The recommender, the settings or the prompts differ from the recorded run's; "
                    "with --replay reuse what differs would be asked anew"
                )
            recorded = await self._unhurried(self._call(hash, body, prompt, asker))
            return self._answer(hash, recorded, replayed=False)
        return self._answer(hash, recorded, replayed=True)

    def _answer(self, hash: str, recorded: Recorded, *, replayed: bool) -> Answer:
        cost = 0.0 if replayed else recorded.cost
        if recorded.status != 200:
            said = recorded.response.decode("utf-8", "replace")[:300]
            return Answer(None, f"HTTP {recorded.status}: {said}", cost, replayed, hash)
        reply = self.api.read(json.loads(recorded.response))
        return Answer(reply, "", cost, replayed, hash)

    async def _unhurried(self, call: Any) -> Recorded:
        """The call goes on where who asked for it is cancelled: it is paid for, so it is recorded."""
        task: asyncio.Task[Recorded] = asyncio.ensure_future(call)
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

    async def _call(self, hash: str, body: bytes, prompt: Prompt, asker: Asker) -> Recorded:
        """Sends until an answer is there, and records it."""
        tokens = len(body) + OVERHEAD
        worst = None
        if self._price:
            worst = self._price.at_most(tokens, prompt.max_tokens)
        reservation = await self.budget.reserve(worst, tokens + prompt.max_tokens)
        try:
            arrived, sorted_, took = await self._send(body, asker)
            usage = Usage()
            if sorted_.sort is Sort.GOOD:
                usage = self.api.read(json.loads(arrived.body)).usage
            else:
                usage = NOTHING_USED
            cost = self._price.of(usage) if self._price else None
        except BaseException:
            self.budget.release(reservation)
            raise
        self.budget.settle(reservation, cost, usage.total)
        recorded = Recorded(arrived.status, arrived.body, usage, cost)
        await self._keep(hash, recorded, asker, prompt, body, took * 1000, True)
        return recorded

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

    async def _send(self, body: bytes, asker: Asker) -> tuple[Arrived, Sorted, float]:
        """Tries until the provider has answered: waits where there is no room, tries again what
        failed. ProviderFailed where that is in vain."""
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
            try:
                arrived = await self._post(pace.key, body)
                verdict = sort_response(self.api, arrived, self.settings.retry_after_cap_s)
                if verdict.sort is Sort.GOOD:
                    self._check(arrived)
            except (NotArrived, Unknowable, ValueError) as error:
                arrived, verdict = None, Sorted(Sort.TRANSIENT, str(error))
            except BaseException:
                self.pool.give_back(pace, Verdict.FAULT)
                raise
            finally:
                self._sent.discard(task)
            took = time.perf_counter() - began
            self._learn(pace, verdict)
            if arrived is not None and verdict.sort in (Sort.GOOD, Sort.REJECTED):
                return arrived, verdict, took
            if verdict.sort is Sort.FATAL:
                raise ProviderFailed(f"{self.api.name}: {verdict.text}")
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

    def _check(self, arrived: Arrived) -> None:
        """Unknowable or ValueError where a response of status 200 is none of the provider's."""
        body = json.loads(arrived.body)
        if not isinstance(body, dict):
            raise Unknowable("the response is not a JSON object")
        self.api.read(body)

    def _learn(self, pace: Pace, verdict: Sorted) -> None:
        if verdict.sort is Sort.KEY_DEAD:
            self.pool.give_back(pace, Verdict.FAULT)
            self.pool.bury(pace, verdict.text)
            return
        paces = {Sort.GOOD: Verdict.CLEAN, Sort.LIMITED: Verdict.LIMITED}
        self.pool.give_back(pace, paces.get(verdict.sort, Verdict.FAULT), verdict.wait)

    async def _post(self, key: int, body: bytes) -> Arrived:
        if self._transport is None:
            assert self._make_transport is not None
            self._transport = self._make_transport()
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                return await self._transport.post(key, body)
        except TimeoutError:
            raise NotArrived(f"no answer within {self.settings.timeout_s:g} s") from None

    async def close(self) -> None:
        """Waits for the calls under way, which are paid for, then closes all connections."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=HOME_COMING_S)
        for task in set(self._under_way):
            task.cancel()
        if self._transport:
            await self._transport.close()
            self._transport = None
        self.recorder.close()
        if self._source:
            self._source.close()


def hash_of(api: str, body: bytes) -> str:
    """Key of a call: what is sent, and in which form."""
    return hashlib.sha256(api.encode() + b"\n" + body).hexdigest()


def _read(reply: Reply, form: Form[T]) -> tuple[Any, bool]:
    if reply.stop is Stop.REFUSAL:
        raise Unreadable(Failure.REFUSAL, "the model refused")
    if reply.stop is Stop.LENGTH:
        raise Unreadable(Failure.TRUNCATED, "the answer was cut off; make it shorter")
    if not reply.text.strip():
        raise Unreadable(Failure.EMPTY, "the answer is empty")
    return form.read(reply.text)


def _remark(problem: Unreadable) -> str:
    return (
        f"That answer cannot be used: {problem.problem}. Answer once more, in the form that was "
        "asked for and with nothing else."
    )


def _back_off(failures: int, body: bytes) -> float:
    """Doubling, scattered by the call itself so that calls do not come back together."""
    scatter = 0.5 + body[len(body) // 2] / 255
    return min(BACK_OFF_S * 2 ** (failures - 1) * scatter, BACK_OFF_CAP_S)

