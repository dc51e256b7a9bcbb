"""The providers' bodies and headers."""

from __future__ import annotations

import base64
import hashlib
import math
import time
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from support.llm_stub.asking import Asked, BadRequest, Json
from support.llm_stub.faults import CUT, REFUSED, Answered

ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
OPENAI_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
NO_CREDIT = "Your credit balance is too low to access the API. Please go to Plans & Billing."
NO_QUOTA = "You exceeded your current quota, please check your plan and billing details."


def error(api: str, status: int, message: str) -> Json:
    if api == "anthropic":
        kind = ANTHROPIC_ERRORS.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}
    kind, code = OPENAI_ERRORS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def no_money(api: str) -> tuple[int, Json]:
    """How each provider says that the money is used up."""
    if api == "anthropic":
        return 400, error(api, 400, NO_CREDIT)
    kind = "insufficient_quota"
    return 429, {"error": {"message": NO_QUOTA, "type": kind, "param": None, "code": kind}}


def limit_headers(api: str, limit: int, used: int, reset_s: float) -> list[tuple[str, str]]:
    left = str(max(0, limit - used))
    if api == "anthropic":
        at = datetime.now(UTC) + timedelta(seconds=reset_s)
        values = (str(limit), left, at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        names = ("limit", "remaining", "reset")
        return [
            (f"anthropic-ratelimit-requests-{n}", v) for n, v in zip(names, values, strict=True)
        ]
    return [
        ("x-ratelimit-limit-requests", str(limit)),
        ("x-ratelimit-remaining-requests", left),
        ("x-ratelimit-reset-requests", f"{reset_s:.3f}s"),
    ]


def tokens(length: int) -> int:
    return length // 4


def reply(asked: Asked, answered: Answered, number: int, *, with_usage: bool) -> Json:
    """The body of a 200."""
    used = (tokens(asked.prompt_length), tokens(len(answered.text)))
    body, usage = _REPLY[asked.api](asked, answered, number, *used)
    return body | {"usage": usage} if with_usage else body


def _anthropic(
    asked: Asked, answered: Answered, number: int, asked_for: int, said: int
) -> tuple[Json, Json]:
    stops = {CUT: "max_tokens", REFUSED: "refusal"}
    body: Json = {
        "id": f"msg_{number:024d}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [{"type": "text", "text": answered.text}],
        "stop_reason": stops.get(answered.stop, "end_turn"),
        "stop_sequence": None,
    }
    if answered.stop == REFUSED:
        body["stop_details"] = {"type": "refusal", "category": None, "explanation": None}
    return body, {
        "input_tokens": asked_for,
        "output_tokens": said,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }


def _openai(
    asked: Asked, answered: Answered, number: int, asked_for: int, said: int
) -> tuple[Json, Json]:
    cut = answered.stop == CUT
    content: Json = {"type": "output_text", "text": answered.text, "annotations": []}
    if answered.stop == REFUSED:
        content = {"type": "refusal", "refusal": answered.text}
    status = "incomplete" if cut else "completed"
    message = {
        "id": f"msg_{number:024d}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [content],
    }
    body: Json = {
        "id": f"resp_{number:024d}",
        "object": "response",
        "created_at": int(time.time()),
        "model": asked.model,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": asked.system or None,
        "max_output_tokens": asked.max_tokens,
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
    }
    return body, {
        "input_tokens": asked_for,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": asked_for + said,
    }


def _chat(
    asked: Asked, answered: Answered, number: int, asked_for: int, said: int
) -> tuple[Json, Json]:
    refused = answered.stop == REFUSED
    message = {
        "role": "assistant",
        "content": None if refused else answered.text,
        "refusal": answered.text if refused else None,
    }
    finish = {CUT: "length", REFUSED: "content_filter"}.get(answered.stop, "stop")
    body: Json = {
        "id": f"chatcmpl-{number:024d}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
    }
    return body, {
        "prompt_tokens": asked_for,
        "completion_tokens": said,
        "total_tokens": asked_for + said,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


_REPLY = {"anthropic": _anthropic, "openai": _openai, "chat": _chat}


def models(api: str, names: Sequence[str]) -> Json:
    if api != "anthropic":
        data: list[Json] = [
            {"id": name, "object": "model", "created": 0, "owned_by": "stub"} for name in names
        ]
        return {"object": "list", "data": data}
    made = "2025-01-01T00:00:00Z"
    data = [
        {
            "id": name,
            "type": "model",
            "display_name": name,
            "created_at": made,
            "lifecycle": "active",
        }
        for name in names
    ]
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {}
    return {"data": data, "has_more": False} | ends


@lru_cache(maxsize=16_384)
def _word_vector(word: str, dimension: int) -> tuple[float, ...]:
    drawn = hashlib.shake_256(word.encode("utf-8", "replace")).digest(dimension)
    return tuple(byte - 127.5 for byte in drawn)


def vector(text: str, dimension: int) -> list[float]:
    """Of length 1; texts that share words point the same way."""
    vectors = [_word_vector(word, dimension) for word in text.lower().split() or [""]]
    summed = [math.fsum(column) for column in zip(*vectors, strict=True)]
    length = math.sqrt(sum(x * x for x in summed))
    return [x / length for x in summed]


def embeddings(body: Json, dimension: int) -> Json:
    given: Any = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not isinstance(body.get("model"), str):
        raise BadRequest("input and model: Field required")
    size = body.get("dimensions") or dimension
    encoded = body.get("encoding_format") == "base64"
    data: list[Json] = []
    for at, text in enumerate(texts):
        found: Any = vector(str(text), size)
        if encoded:
            found = base64.b64encode(array("f", found).tobytes()).decode()
        data.append({"object": "embedding", "index": at, "embedding": found})
    used = tokens(sum(len(str(text)) for text in texts))
    return {
        "object": "list",
        "model": body["model"],
        "data": data,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }
