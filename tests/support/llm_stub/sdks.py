"""The providers' own SDKs, at a stub: one way to ask them all. Not part of the stub itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

from support.llm_stub.asking import Mind
from support.llm_stub.server import LlmStub
from support.llm_stub.switches import Switches


@dataclass
class Heard:
    """What an SDK made of an answer."""

    text: str
    stop: str
    usage: Any
    whole: Any


@dataclass
class Sdks:
    stub: LlmStub
    anthropic: anthropic.AsyncAnthropic
    openai: openai.AsyncOpenAI

    async def ask(
        self, api: str, text: str, schema: dict[str, Any] | None = None, max_tokens: int = 999
    ) -> Heard:
        return await getattr(self, f"_{api}")(text, schema, max_tokens)

    async def _anthropic(self, text: str, schema: Any, max_tokens: int) -> Heard:
        config: Any = {"format": {"type": "json_schema", "schema": schema}}
        got: Any = await self.anthropic.messages.create(
            model="m",
            max_tokens=max_tokens,
            system=[{"type": "text", "text": "Be Ann."}],
            messages=[{"role": "user", "content": [{"type": "text", "text": text}]}],
            output_config=config if schema else anthropic.omit,
        )
        return Heard(got.content[0].text, got.stop_reason, got.usage, got)

    async def _openai(self, text: str, schema: Any, max_tokens: int) -> Heard:
        config: Any = {
            "format": {"type": "json_schema", "name": "a", "schema": schema, "strict": True}
        }
        got: Any = await self.openai.responses.create(
            model="m",
            instructions="Be Ann.",
            input=[{"role": "user", "content": [{"type": "input_text", "text": text}]}],
            text=config if schema else openai.omit,
            max_output_tokens=max_tokens,
        )
        part = got.output[0].content[0]
        refused = part.type == "refusal"
        reason = got.incomplete_details.reason if got.incomplete_details else ""
        stop = "refusal" if refused else reason or got.status
        return Heard(part.refusal if refused else got.output_text, stop, got.usage, got)

    async def _chat(self, text: str, schema: Any, max_tokens: int) -> Heard:
        form: Any = {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": schema, "strict": True},
        }
        got: Any = await self.openai.chat.completions.create(
            model="m",
            messages=[{"role": "system", "content": "Be Ann."}, {"role": "user", "content": text}],
            response_format=form if schema else openai.omit,
            max_completion_tokens=max_tokens,
        )
        choice = got.choices[0]
        words = choice.message.content or choice.message.refusal
        return Heard(words, choice.finish_reason, got.usage, got)


@asynccontextmanager
async def sdks(mind: Mind | None = None, key: str = "k", **switches: Any) -> AsyncGenerator[Sdks]:
    async with (
        LlmStub(mind, Switches(**switches)) as stub,
        anthropic.AsyncAnthropic(base_url=stub.url, api_key=key, max_retries=0) as one,
        openai.AsyncOpenAI(base_url=f"{stub.url}/v1", api_key=key, max_retries=0) as other,
    ):
        yield Sdks(stub, one, other)
