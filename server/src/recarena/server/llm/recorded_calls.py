"""The calls that were made for one user in one round, from the recording of a run."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recarena.server.errors import InputError
from recarena.server.llm.recorder import FILE, Recorder

ORDER = (
    "activity", "converse", "page", "feeling", "social", "dialogue", "importance", "insight",
)  # fmt: skip
"""Purposes in the order in which a user comes to them in a round."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call and what it was for."""

    purpose: str
    step: int
    model: str
    """PROVIDER:MODEL."""
    request: str
    """The body that was sent; keys are sent elsewhere and never recorded."""
    response: str
    input_tokens: int | None
    """From a cache or not."""
    output_tokens: int | None
    cost: float | None
    latency_ms: float | None
    failure: str
    """Why the decision it was for could not be read; "" where it could."""


_COLUMNS = (
    "hash, sample, purpose, step, provider, model, request, response, "
    "input + cache_read + cache_write, output, cost, latency_ms"
)


def calls_of(folder: Path, round: int, user: int) -> list[RecordedCall]:
    """In the order of what they were for, a second try after the first. Empty for a run without a
    recording. A call that another user made with the very same words stands for both."""
    if not (folder / FILE).is_file():
        return []
    try:
        with Recorder(folder / FILE, read_only=True) as recorder:
            return _calls(recorder, round, user)
    except InputError:  # it is being replaced, with a run that is reset
        return []


def _calls(recorder: Recorder, round: int, user: int) -> list[RecordedCall]:
    decided = recorder.rows(
        "SELECT purpose, step, failure, problem, hash FROM decisions WHERE round = ? AND user = ?",
        round,
        user,
    )
    failures = {(purpose, step): _why(*why) for purpose, step, *why, _ in decided}
    made = recorder.rows(f"SELECT {_COLUMNS} FROM calls WHERE round = ? AND user = ?", round, user)
    own = {row[0] for row in made}
    for purpose, step, _, _, hash in decided:
        if hash and hash not in own:
            own.add(hash)
            for row in recorder.rows(f"SELECT {_COLUMNS} FROM calls WHERE hash = ?", hash):
                made.append((*row[:2], purpose, step, *row[4:]))
    calls = [_call(row, failures) for row in made]
    # A second try is sent with the first answer, so that its request is the longer one.
    return sorted(calls, key=lambda call: (_rank(call.purpose), call.step, len(call.request)))


def _call(row: Sequence[Any], failures: dict[tuple[str, int], str]) -> RecordedCall:
    _, _, purpose, step, provider, model, request, response, sent, received, cost, took = row
    return RecordedCall(
        purpose, step, f"{provider}:{model}", _text(request), _text(response), sent, received,
        cost, took, failures.get((purpose, step), ""),
    )  # fmt: skip


def _why(failure: str | None, problem: str | None) -> str:
    if not failure:
        return ""
    return f"{failure}: {problem}" if problem else failure


def _text(body: bytes) -> str:
    return zlib.decompress(body).decode("utf-8", "replace")


def _rank(purpose: str) -> tuple[int, str]:
    return (ORDER.index(purpose) if purpose in ORDER else len(ORDER)), purpose
