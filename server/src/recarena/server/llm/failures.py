"""Errors of providers, sorted: what waits, what is tried again, what ends, what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from recarena.server.errors import RunPaused
from recarena.server.llm.apis import Api, Unknowable, decode
from recarena.server.llm.transport import Arrived


class ProviderFailed(RunPaused):
    """The provider does not answer, or will not answer this key any more."""


class TooManyFailures(RunPaused):
    """More answers could not be read than the settings allow."""


class NotRecorded(RunPaused):
    """A strict replay asks for what the recording has not."""


class Sort(Enum):
    """What to do about a response."""

    GOOD = "good"
    LIMITED = "limited"
    """No room: wait."""
    TRANSIENT = "transient"
    """Try again."""
    REJECTED = "rejected"
    """This call will never be taken; others may."""
    KEY_DEAD = "key_dead"
    """The key is wrong, or has no money left."""
    FATAL = "fatal"
    """Nothing that we send will be taken."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """What to do about a response, and why."""

    sort: Sort
    text: str
    wait: float | None = None


def sort_response(api: Api, arrived: Arrived, wait_cap_s: float) -> Sorted:
    """By status and what the body says."""
    status = arrived.status
    wait = _wait(api, arrived.headers, wait_cap_s)
    if status == 200:
        return Sorted(Sort.GOOD, "", wait)
    body = _object(arrived.body)
    said = _said(body, arrived.body)
    text = f"HTTP {status}: {said}"
    if status in (400, 402, 403, 429) and api.spend_limit(status, body):
        return Sorted(Sort.KEY_DEAD, f"no money or quota left ({said})")
    if status in (429, 529):
        return Sorted(Sort.LIMITED, text, wait)
    if status in (401, 403):
        return Sorted(Sort.KEY_DEAD, f"the key is not accepted ({said})")
    if status == 404:
        return Sorted(Sort.FATAL, text)
    if status == 408 or status == 409 or status >= 500:
        return Sorted(Sort.TRANSIENT, text, wait)
    return Sorted(Sort.REJECTED, text)


def _wait(api: Api, headers: Mapping[str, str], cap: float) -> float | None:
    """Retry-After or the headers' own reset, at most the cap; None where they say nothing."""
    waits: list[float] = []
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            waits.append(float(headers[name]) * scale)
            break
        except (KeyError, ValueError):
            continue
    if not waits and (reset := api.wait_of(headers)) is not None:
        waits.append(reset)
    # Who says 0 does not say how long; taken at its word it would be asked again without a pause.
    return min(waits[0], cap) if waits and waits[0] > 0 < cap else None


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        return decode(body)
    except Unknowable:
        return {}


def _said(body: Mapping[str, Any], raw: bytes) -> str:
    """The provider's words, on one line and not too long."""
    error = body.get("error")
    message = error.get("message") if isinstance(error, Mapping) else error
    words = str(message or raw[:200].decode("utf-8", "replace") or "no words")
    return " ".join(words.encode("utf-8", "replace").decode().split())[:300]
