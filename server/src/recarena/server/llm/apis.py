"""The wire formats of providers: a call as the body of a request, an answer read from a response.

Bodies are made and read here rather than by the SDKs' methods, which spend more time on converting
them than on sending; the SDKs' own clients send them (docs/decisions/0014-ready-bodies.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from recarena.server.llm.calls import Prompt, Reply, Stop, Usage
from recarena.server.llm.schemas import bounds_in_words, strict

Json = Mapping[str, Any]
MOST_TOKENS = 2**40
"""A call never has as many."""


class Unknowable(ValueError):
    """A response that is none of the provider's."""


class Api(Protocol):
    """One wire format."""

    name: str
    """As the settings call the provider."""
    path: str

    def body(self, model: str, prompt: Prompt, extra: Json) -> dict[str, Any]:
        """The request; `extra` holds parameters that are passed on as they are."""
        ...

    def read(self, response: Json) -> Reply:
        """The answer. Unknowable where the response has not the provider's form."""
        ...

    def wait_of(self, headers: Mapping[str, str]) -> float | None:
        """Seconds until there is room again, where the headers (names in small letters) say that
        there is none left."""
        ...

    def spend_limit(self, status: int, response: Json) -> bool:
        """Whether an error says that there is no money left rather than no room."""
        ...


def decode(body: bytes) -> Json:
    """The object that a response holds. Unknowable where it holds none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Unknowable("the response is not JSON") from None
    if not isinstance(value, dict):
        raise Unknowable("the response is not a JSON object")
    return value


def encode(body: Json) -> bytes:
    """The bytes that are sent and hashed: the same body gives the same bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


class AnthropicMessages:
    """Anthropic's Messages."""

    name = "anthropic"
    path = "/v1/messages"

    def body(self, model: str, prompt: Prompt, extra: Json) -> dict[str, Any]:
        """The rules are marked for the cache."""
        made: dict[str, Any] = {
            "model": model,
            "max_tokens": prompt.max_tokens,
            "system": [
                {"type": "text", "text": prompt.system, "cache_control": {"type": "ephemeral"}}
            ],
            "messages": [{"role": turn.role, "content": turn.text} for turn in prompt.turns],
        }
        if prompt.schema is not None:
            schema = bounds_in_words(strict(prompt.schema))
            made["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return made | dict(extra)

    def read(self, response: Json) -> Reply:
        """Text blocks joined; thinking and others are left out."""
        blocks = response.get("content")
        if not isinstance(blocks, list):
            raise Unknowable("no content")
        text = "".join(_text(b, "text") for b in _objects(blocks) if b.get("type") == "text")
        stop = {"max_tokens": Stop.LENGTH, "refusal": Stop.REFUSAL}.get(
            str(response.get("stop_reason")), Stop.DONE
        )
        used = _object(response.get("usage"))
        return Reply(
            text,
            stop,
            Usage(
                _count(used, "input_tokens"),
                _count(used, "output_tokens"),
                _count(used, "cache_read_input_tokens") or 0,
                _count(used, "cache_creation_input_tokens") or 0,
            ),
        )

    def wait_of(self, headers: Mapping[str, str]) -> float | None:
        """The later of the resets of what is used up; they are points in time."""
        waits = [
            _seconds_until(headers.get(f"anthropic-ratelimit-{what}-reset", ""))
            for what in ("requests", "tokens", "input-tokens", "output-tokens")
            if headers.get(f"anthropic-ratelimit-{what}-remaining") == "0"
        ]
        return max((wait for wait in waits if wait is not None), default=None)

    def spend_limit(self, status: int, response: Json) -> bool:
        """A billing error, or one that speaks of credit or of a spend limit."""
        error = _object(response.get("error"))
        said = f"{error.get('type')} {error.get('message')}".lower()
        return any(word in said for word in ("billing_error", "credit balance", "spend_limit",
                                             "spend limit", "usage limits"))  # fmt: skip


class _OpenAi:
    """What both of OpenAI's formats have."""

    def wait_of(self, headers: Mapping[str, str]) -> float | None:
        """The later of the resets of what is used up; they are lengths of time as in 6m0s."""
        waits = [
            _duration(headers.get(f"x-ratelimit-reset-{what}", ""))
            for what in ("requests", "tokens")
            if headers.get(f"x-ratelimit-remaining-{what}") == "0"
        ]
        return max((wait for wait in waits if wait is not None), default=None)

    def spend_limit(self, status: int, response: Json) -> bool:
        """insufficient_quota, billing_... and …spend_limit_reached."""
        error = _object(response.get("error"))
        said = f"{error.get('code')} {error.get('type')}".lower()
        return any(word in said for word in ("insufficient_quota", "billing", "spend_limit"))


class OpenAiResponses(_OpenAi):
    """OpenAI's Responses."""

    name = "openai"
    path = "/responses"

    def body(self, model: str, prompt: Prompt, extra: Json) -> dict[str, Any]:
        """Nothing is kept at the provider; calls with the same rules share a cache key."""
        made: dict[str, Any] = {
            "model": model,
            "instructions": prompt.system,
            "input": [{"role": turn.role, "content": turn.text} for turn in prompt.turns],
            "max_output_tokens": prompt.max_tokens,
            "prompt_cache_key": prompt.id,
            "store": False,
        }
        if prompt.schema is not None:
            made["text"] = {
                "format": {
                    "type": "json_schema",
                    "name": prompt.form,
                    "schema": strict(prompt.schema),
                    "strict": True,
                }
            }
        return made | dict(extra)

    def read(self, response: Json) -> Reply:
        """Text of the messages joined; reasoning is left out."""
        output = response.get("output")
        if not isinstance(output, list):
            raise Unknowable("no output")
        parts = [part for item in _objects(output) if item.get("type") == "message"
                 for part in _objects(item.get("content"))]  # fmt: skip
        text = "".join(_text(p, "text") for p in parts if p.get("type") == "output_text")
        refused = [p for p in parts if p.get("type") == "refusal"]
        why = _object(response.get("incomplete_details"))
        stop = Stop.DONE
        if refused or why.get("reason") == "content_filter":
            stop = Stop.REFUSAL
        elif response.get("status") == "incomplete":
            stop = Stop.LENGTH
        used = _object(response.get("usage"))
        cached = _count(_object(used.get("input_tokens_details")), "cached_tokens") or 0
        return Reply(text, stop, _without_cached(used, "input_tokens", "output_tokens", cached))


class ChatCompletions(_OpenAi):
    """Chat completions, as vLLM, Ollama, llama.cpp, LM Studio and others speak it."""

    name = "openai-compatible"
    path = "/chat/completions"

    def body(self, model: str, prompt: Prompt, extra: Json) -> dict[str, Any]:
        """`max_tokens`, the name that all compatible servers know."""
        made: dict[str, Any] = {
            "model": model,
            "messages": [
                {"role": "system", "content": prompt.system},
                *({"role": turn.role, "content": turn.text} for turn in prompt.turns),
            ],
            "max_tokens": prompt.max_tokens,
        }
        if prompt.schema is not None:
            made["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": prompt.form,
                    "schema": strict(prompt.schema),
                    "strict": True,
                },
            }
        return made | dict(extra)

    def read(self, response: Json) -> Reply:
        """The first choice."""
        choices = _objects(response.get("choices"))
        if not choices:
            raise Unknowable("no choices")
        message = _object(choices[0].get("message"))
        reason = str(choices[0].get("finish_reason"))
        stop = {"length": Stop.LENGTH, "content_filter": Stop.REFUSAL}.get(reason, Stop.DONE)
        if message.get("refusal"):
            stop = Stop.REFUSAL
        used = _object(response.get("usage"))
        cached = _count(_object(used.get("prompt_tokens_details")), "cached_tokens") or 0
        return Reply(
            _text(message, "content"),
            stop,
            _without_cached(used, "prompt_tokens", "completion_tokens", cached),
        )


_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")

APIS: dict[str, Api] = {
    api.name: api for api in (AnthropicMessages(), OpenAiResponses(), ChatCompletions())
}
"""By the provider's name in the settings."""


def _object(value: object) -> Json:
    """An object, or an empty one where a server put something else."""
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> list[Json]:
    """Those of a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _text(part: Json, name: str) -> str:
    """Words that can be encoded: half of a character that a server cut in two becomes a ?."""
    value = part.get(name)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _count(used: Json, name: str) -> int | None:
    """A number of tokens; what cannot be one is unknown."""
    value = used.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST_TOKENS:
        return None
    return value


def _without_cached(used: Json, into: str, out: str, cached: int) -> Usage:
    """OpenAI counts what it read from its cache among what went in."""
    sent = _count(used, into)
    return Usage(None if sent is None else max(sent - cached, 0), _count(used, out), cached)


def _seconds_until(moment: str) -> float | None:
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max((then - datetime.now(UTC)).total_seconds(), 0.0)


def _duration(text: str) -> float | None:
    """Seconds of 1h2m3.5s, 120ms or a bare number."""
    told = text.strip().lower()
    parts = [(float(number), unit) for number, unit in _PART.findall(told)]
    if parts and not _PART.sub("", told):
        return sum(number * _SECONDS[unit] for number, unit in parts)
    try:
        return float(told)
    except ValueError:
        return None
