"""Asking a judge over gRPC, and what came of it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from recarena.evaluation.explaining.inquiries import Ask
from recarena.evaluation.explaining.judges import Judge
from recarena.evaluation.explaining.plan import Plan
from recarena.evaluation.judging.replies import Reply
from recarena.evaluation.playing.stage import ServerRefused
from recarena.v1.simulation_inquiry_service_pb2 import (
    AskUsersRequest,
    AskUsersResponse,
    CallsSpent,
    ComposeTextsRequest,
    ComposeTextsResponse,
)
from recarena.v1.simulation_inquiry_service_pb2_grpc import SimulationInquiryServiceStub

if TYPE_CHECKING:
    from recarena.v1.simulation_inquiry_service_pb2_grpc import SimulationInquiryServiceAsyncStub

MOST = 1000
MOST_OF_LLM = 100
"""Inquiries in one request: fewer of language models, whose progress is watched."""
MOST_BYTES = 3 << 20
AHEAD = 1
"""Requests that a judge without a language model has before it while its last answers are read."""
DEADLINE_S = 900.0
DEADLINE_OF_LLM_S = 7200.0
Progress = Callable[[int], None]
"""Called with the number of inquiries that were answered since the last call."""


class AskingFailed(ServerRefused):
    """A judge could not be asked to the end; the text is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What language models took; None: not known."""

    calls: int = 0
    replayed: int = 0
    """Answers that came from a recording."""
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost: float | None = 0.0
    currency: str = ""

    def __add__(self, other: Spent) -> Spent:
        """Both; what is not known of one is not known of the sum, and neither is the cost in two
        currencies."""
        currencies = {self.currency, other.currency} - {""}
        return Spent(
            self.calls + other.calls, self.replayed + other.replayed,
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.cost, other.cost) if len(currencies) < 2 else None,
            " and ".join(sorted(currencies)),
        )  # fmt: skip

    @classmethod
    def of(cls, message: CallsSpent) -> Spent:
        """As the server says it. A request without calls has cost nothing."""
        unknown = None if message.calls else 0

        return cls(
            message.calls, message.replayed,
            message.input_tokens if message.HasField("input_tokens") else unknown,
            message.output_tokens if message.HasField("output_tokens") else unknown,
            message.cost if message.HasField("cost") else unknown,
            message.currency,
        )  # fmt: skip

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "calls": self.calls, "replayed": self.replayed, "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens, "cost": self.cost, "currency": self.currency,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heard:
    """What a judge answered."""

    judge: str
    """As the command line names it."""
    replies: Sequence[Reply]
    """In the order of what was asked."""
    spent: Spent = field(default_factory=Spent)
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Ids of the prompts that were used, by name."""
    called: str = ""
    """As the server calls it."""


async def ask(
    channel: grpc.aio.Channel, plan: Plan, asks: Sequence[Ask], progress: Progress
) -> Heard:
    """Has the plan's judge answer everything, run by run and round by round. What a language model
    answered is recorded by the server as it comes, so that asking again after an interruption or
    AskingFailed pays for nothing twice."""
    found: dict[int, list[Reply]] = {}
    heard = Heard(plan.judge.name, ())
    async with aclosing(_responses(channel, plan, asks)) as responses:
        async for run_id, places, response in responses:
            answers = {one.inquiry_id: one for one in response.answers}
            for at in places:
                inquiry = asks[at].inquiry.inquiry_id
                answer = answers.get(inquiry)
                if answer is None:
                    raise AskingFailed(
                        f"the server left {inquiry} of run {run_id} unanswered. "
                        "Update RecArena where it serves"
                    )
                found[at] = asks[at].reading.replies(answer)
            heard = replace(
                heard, spent=heard.spent + Spent.of(response.spent),
                prompts={**heard.prompts, **response.prompts}, called=response.judge,
            )  # fmt: skip
            progress(len(places))
    return replace(heard, replies=[reply for at in sorted(found) for reply in found[at]])


async def _responses(
    channel: grpc.aio.Channel, plan: Plan, asks: Sequence[Ask]
) -> AsyncGenerator[tuple[str, list[int], AskUsersResponse]]:
    """(run, positions of what was asked, what came of it), in the order of `batches`."""
    stub: SimulationInquiryServiceAsyncStub = SimulationInquiryServiceStub(channel)
    is_llm = plan.judge.is_llm
    todo = batches(asks, MOST_OF_LLM if is_llm else MOST)
    under_way: deque[tuple[str, list[int], Any]] = deque()
    try:
        while True:
            ahead = 0 if is_llm else AHEAD
            for run_id, places in islice(todo, 1 + ahead - len(under_way)):
                request = AskUsersRequest(
                    run_id=run_id, judge=plan.judge.message(), seed=plan.seed,
                    inquiries=[asks[at].inquiry for at in places],
                )  # fmt: skip
                deadline = DEADLINE_OF_LLM_S if is_llm else DEADLINE_S
                under_way.append((run_id, places, stub.AskUsers(request, timeout=deadline)))
            if not under_way:
                return
            run_id, places, call = under_way.popleft()
            try:
                response: AskUsersResponse = await call
            except grpc.aio.AioRpcError as error:
                raise _failed(error, plan.judge, f"could not be asked about run {run_id}") from None
            yield run_id, places, response
    finally:
        for *_, call in under_way:
            call.cancel()


def batches(asks: Sequence[Ask], most: int) -> Iterator[tuple[str, list[int]]]:
    """(run, positions of what is asked in one request): of one run each, the earlier rounds
    first, neither too many nor too large for a request."""
    order = sorted(
        range(len(asks)), key=lambda at: (asks[at].run_id, asks[at].inquiry.before_round, at)
    )
    batch: list[int] = []
    size = 0
    for at in order:
        bytes = asks[at].inquiry.ByteSize() + 8
        full = len(batch) >= most or size + bytes > MOST_BYTES
        if batch and (full or asks[batch[0]].run_id != asks[at].run_id):
            yield asks[batch[0]].run_id, batch
            batch, size = [], 0
        batch.append(at)
        size += bytes
    if batch:
        yield asks[batch[0]].run_id, batch


@dataclass(frozen=True, slots=True)
class Written:
    """Texts that a language model wrote."""

    texts: Mapping[str, str]
    """By id; without those of which nothing came."""
    missing: Mapping[str, str]
    """By id, why there is none: "REFUSED"."""
    spent: Spent = field(default_factory=Spent)
    writer: str = ""


async def compose(
    channel: grpc.aio.Channel, run_id: str, writer: Judge,
    wanted: Sequence[ComposeTextsRequest.Wanted], progress: Progress,
) -> Written:  # fmt: skip
    """Has texts written, recorded beside a run. AskingFailed."""
    stub: SimulationInquiryServiceAsyncStub = SimulationInquiryServiceStub(channel)
    texts, missing = dict[str, str](), dict[str, str]()
    spent, name = Spent(), ""
    for start in range(0, len(wanted), MOST_OF_LLM):
        part = wanted[start : start + MOST_OF_LLM]
        request = ComposeTextsRequest(run_id=run_id, writer=writer.message(), wanted=part)
        try:
            response: ComposeTextsResponse = await stub.ComposeTexts(
                request, timeout=DEADLINE_OF_LLM_S
            )
        except grpc.aio.AioRpcError as error:
            raise _failed(error, writer, "could not write texts") from None
        for one in response.texts:
            if one.WhichOneof("outcome") == "text":
                texts[one.text_id] = one.text
            else:
                reason = one.missing.Reason.Name(one.missing.reason)
                missing[one.text_id] = reason.removeprefix("REASON_")
        spent, name = spent + Spent.of(response.spent), response.writer
        progress(len(part))
    return Written(texts, missing, spent, name)


def _failed(error: grpc.aio.AioRpcError, judge: Judge, what: str) -> AskingFailed:
    said = " ".join((error.details() or "nothing more is known").split()).rstrip(".")
    # Where the request itself was wrong nobody has been asked.
    begun = judge.is_llm and error.code() is not grpc.StatusCode.INVALID_ARGUMENT
    kept = ". What was answered is recorded: the same command goes on from there" if begun else ""
    return AskingFailed(f"{judge.name} {what}: {said} ({error.code().name}){kept}")


def _sum(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one + other
