"""A thinker from the settings: keys, prices, budget, recording and transport put together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from recarena.server.errors import InputError
from recarena.server.llm.apis import APIS
from recarena.server.llm.budget import Budget
from recarena.server.llm.prices import Price, PriceTable
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.llm.settings import LlmSettings, Replay
from recarena.server.llm.thinker import Thinker
from recarena.server.llm.transport import Endpoint, SdkTransport, Transport, import_sdks
from recarena.server.llm.workers import WorkerTransport

KEYLESS = (
    "Set it, or do without a key: leave --mind away (the choice mind), or take a server of your "
    "own: --mind openai-compatible:MODEL --base-url http://localhost:11434/v1"
)


def keys_of(settings: LlmSettings, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The keys that the variables hold. InputError names the variable that is not set."""
    keys: list[str] = []
    for name in settings.keys_from:
        held = [one.strip() for one in environment.get(name, "").split(",")]
        if not any(held):
            raise InputError(
                f"the provider {settings.provider} needs a key, and the environment variable "
                f"{name} is not set",
                remedy=KEYLESS,
            )
        keys += [one for one in held if one]
    return tuple(dict.fromkeys(keys)) or ("none",)


def number_of_keys(settings: LlmSettings, environment: Mapping[str, str] = os.environ) -> int:
    """How many keys there are to send with; 1 where none is set yet."""
    held = ",".join(environment.get(name, "") for name in settings.keys_from)
    return max(len({one.strip() for one in held.split(",") if one.strip()}), 1)


def price_of(settings: LlmSettings) -> Price | None:
    """Today's price of the model, None where it is not known."""
    table = PriceTable.embedded(settings.prices)
    return table.price(settings.provider or "", settings.model, datetime.now(UTC).date())


def endpoint_of(settings: LlmSettings, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Where calls go and with which keys. InputError where a key is missing."""
    assert settings.provider is not None
    return Endpoint(
        settings.provider, settings.base_url, APIS[settings.provider].path,
        keys_of(settings, environment), settings.timeout_s, settings.concurrency,
    )  # fmt: skip


def check(settings: LlmSettings) -> None:
    """InputError for what would stop a run before its first call: no SDK, no key, a cap on money
    without a price."""
    if settings.max_cost is not None and price_of(settings) is None:
        raise InputError(
            f"the price of {settings.model!r} of {settings.provider} is not known, so that a cap "
            "on money cannot be kept",
            where="llm.max_cost",
            remedy="Add a row [[llm.prices]], or cap tokens instead: --max-tokens",
        )
    if settings.replay is not Replay.STRICT:
        import_sdks()
        endpoint_of(settings)
    if settings.recording:
        Recorder(recording_at(Path(settings.recording)), read_only=True).close()


def recording_at(path: Path) -> Path:
    """The recording that a path names: the file, or that of a run folder. InputError without."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            "there is no recording of calls", where=str(path),
            remedy="Name a run folder whose users had LLM minds, or its llm.sqlite",
        )  # fmt: skip
    return file


def open_thinker(
    settings: LlmSettings, folder: Path | None, *, sync: bool = False, source: Path | None = None
) -> Thinker:
    """The thinker of a run, which records beside its tables (None: nowhere). Keys are read when
    the first call is to be made. `source`: a recording to take calls from, before that of the
    settings. InputError where a recording is none."""
    return recording_thinker(settings, folder / FILE if folder else None, sync=sync, source=source)


def recording_thinker(
    settings: LlmSettings, file: Path | None, *, sync: bool = False, source: Path | None = None
) -> Thinker:
    """The same with the file that it records in (None: nowhere)."""
    assert settings.provider is not None
    other: Recorder | None = None
    if source or settings.recording:
        other = Recorder(source or recording_at(Path(settings.recording)), read_only=True)
    recorder = Recorder(file, sync=sync, salt=other.salt if other else None)
    spent, tokens = recorder.spent()
    budget = Budget(settings.max_cost, settings.max_tokens, settings.currency, spent, tokens)

    def sender() -> tuple[Transport, int]:
        endpoint = endpoint_of(settings)
        if settings.workers > 1:
            return WorkerTransport(endpoint, settings.workers), len(endpoint.keys)
        return SdkTransport(endpoint), len(endpoint.keys)

    return Thinker(
        APIS[settings.provider], settings, recorder, budget, price_of(settings),
        sender=None if settings.replay is Replay.STRICT else sender, source=other,
    )  # fmt: skip
