"""Thinkers that ask a stand-in instead of a provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from recarena.server.llm.apis import APIS
from recarena.server.llm.budget import Budget
from recarena.server.llm.calls import Asker, Prompt, Turn
from recarena.server.llm.forms import JsonForm
from recarena.server.llm.prices import Price
from recarena.server.llm.recorder import Recorder
from recarena.server.llm.settings import LlmSettings
from recarena.server.llm.thinker import Thinker
from recarena.server.llm.transport import Arrived, Endpoint, SdkTransport, Transport
from support.llm_stub import LlmStub, Mind, Switches, scripted_mind

PROVIDERS = ("anthropic", "openai", "openai-compatible")
EVERY_PROVIDER = pytest.mark.parametrize("provider", PROVIDERS)
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""


class Rated(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)
    item: Annotated[int, Field(ge=1)]
    rating: Annotated[int, Field(ge=1, le=5)]
    feeling: str


FORM = JsonForm("rated", Rated)
GOOD = {"item": 1, "rating": 4, "feeling": "It moved me."}
RATED = Rated(item=1, rating=4, feeling="It moved me.")
PRICE = Price(
    provider="any", model="m", effective_from=date(2025, 1, 1), input=1000, output=2000, source="us"
)
"""A tenth of a cent for what goes in, twice that for what comes out."""
always_good = scripted_mind([], GOOD)


def asker(number: int = 0, purpose: str = "page", round: int = 1) -> Asker:
    return Asker(round, number, purpose)


def prompt(number: int = 0, **more: Any) -> Prompt:
    """Prompts with different numbers are different."""
    given: dict[str, Any] = {
        "id": "rate@1",
        "system": "Be Ann.",
        "turns": (Turn("user", json.dumps({"task": "rate", "number": number})),),
        "max_tokens": 100,
        "form": FORM.name,
        "schema": FORM.schema,
    }
    return Prompt(**given | more)


def base_url(provider: str, url: str) -> str:
    """As people set it: the address of Anthropic has no version in it."""
    return url if provider == "anthropic" else f"{url}/v1"


def settings_at(provider: str, url: str = NOWHERE, **more: Any) -> LlmSettings:
    given: dict[str, Any] = {
        "provider": provider,
        "model": "m",
        "base_url": base_url(provider, url),
    }
    return LlmSettings.model_validate(given | {"timeout_s": 20.0} | more)


def endpoint_at(provider: str, url: str, keys: Sequence[str] = ("k",), **more: Any) -> Endpoint:
    given: dict[str, Any] = {"timeout_s": 20.0, "connections": 64} | more
    path = APIS[provider].path
    return Endpoint(provider, base_url(provider, url), path, tuple(keys), **given)


def thinker_by(
    sender: Callable[[], tuple[Transport, int]] | None,
    provider: str = "openai-compatible",
    *,
    path: Path | None = None,
    budget: Budget | None = None,
    price: Price | None = None,
    source: Recorder | None = None,
    recorder: Recorder | None = None,
    **settings: Any,
) -> Thinker:
    """A thinker whose calls are sent by what `sender` makes."""
    return Thinker(
        APIS[provider],
        settings_at(provider, **settings),
        recorder or Recorder(path),
        budget or Budget(),
        price,
        sender=sender,
        source=source,
    )


@asynccontextmanager
async def thinking(
    provider: str,
    mind: Mind = always_good,
    switches: Switches | None = None,
    *,
    keys: Sequence[str] = ("k",),
    **more: Any,
) -> AsyncGenerator[tuple[LlmStub, Thinker]]:
    """A stub, and a thinker that asks it by the provider's SDK."""
    async with LlmStub(mind, switches) as stub:

        def sender() -> tuple[Transport, int]:
            timeout = more.get("timeout_s", 20.0)
            at = endpoint_at(provider, stub.url, keys, timeout_s=timeout)
            return SdkTransport(at), len(keys)

        thinker = thinker_by(sender, provider, **more)
        try:
            yield stub, thinker
        finally:
            await thinker.close()


async def until(holds: Callable[[], object]) -> None:
    """Returns when it holds, which it does soon."""
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


def replied(provider: str, text: str = json.dumps(GOOD), **more: Any) -> dict[str, Any]:
    """The least that each provider answers with. `more` stands beside the text's container."""
    if provider == "anthropic":
        return {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"} | more
    if provider == "openai":
        message = {"type": "message", "content": [{"type": "output_text", "text": text}]}
        return {"status": "completed", "output": [message]} | more
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]} | more


def arrived(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Arrived:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Arrived(status, headers or {}, raw)


class Scripted:
    """A transport that needs no network: what it answers is said by a function, or in a list of
    which the last one stays. Exceptions are raised."""

    def __init__(self, answers: Sequence[Arrived | Exception]) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[int, bytes]] = []
        self.closed = False

    async def post(self, key: int, body: bytes, path: str = "") -> Arrived:
        self.sent.append((key, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self.closed = True
