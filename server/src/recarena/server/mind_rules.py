"""Which minds a server lets its callers give to users. Keys and money are those of whoever started
the server, not of whoever makes a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recarena.server.config import Settings
from recarena.server.errors import InputError
from recarena.server.memory.settings import MemorySettings


@dataclass(frozen=True, slots=True)
class MindRules:
    """By default: the choice mind only."""

    llm: bool = False
    """Whether users may have LLM minds, with the keys in the server's environment."""
    urls: tuple[str, ...] = ()
    """Addresses of servers of models and embeddings that a run may name."""
    recordings: Path | None = None
    """Folder with run folders whose recordings of calls a run may name."""

    def check(self, settings: Settings) -> None:
        """InputError for minds that are not allowed. A run may name no address, no variable and no
        file of the server but those that are let in here: a key could be sent anywhere, and any
        secret be read."""
        llm, memory = settings.llm, settings.memory
        if llm.provider is not None and not self.llm:
            raise InputError(
                "this server gives no users LLM minds", where="llm.provider",
                remedy="It would have to be started with recarena serve --llm",
            )  # fmt: skip
        for where, url in (("llm.base_url", llm.base_url), ("memory.base_url", memory.base_url)):
            if url and url not in self.urls:
                raise InputError(
                    f"{url!r} is not an address that this server sends to", where=where,
                    remedy="It would have to be started with recarena serve --llm-url",
                )  # fmt: skip
        plain = MemorySettings()
        names = (
            ("llm.api_key_env", llm.api_key_env),
            ("llm.recording", "" if self._may_read(llm.recording) else llm.recording),
            ("memory.api_key_env", memory.api_key_env),
        )
        for where, value in names:
            if value:
                raise InputError("is for whoever starts the server to say", where=where)
        if memory.embedder == "minilm" and memory.embedder_model != plain.embedder_model:
            raise InputError("names a folder of the server", where="memory.embedder_model")

    def _may_read(self, recording: str) -> bool:
        if self.recordings is None:
            return False
        return Path(recording).resolve().is_relative_to(self.recordings.resolve())
