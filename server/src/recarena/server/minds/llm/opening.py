"""An LLM mind from the settings of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.llm.embeddings import CompatibleEmbedder, dimension_of
from recarena.server.llm.opening import open_thinker, recording_at
from recarena.server.llm.recorder import Recorder
from recarena.server.llm.settings import LlmSettings, Replay
from recarena.server.llm.thinker import Thinker
from recarena.server.memory.bank import MemoryBank
from recarena.server.memory.embedders import (
    CachedEmbedder,
    Embedder,
    HashEmbedder,
    MiniLmEmbedder,
)
from recarena.server.memory.settings import MemorySettings
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.llm.faithful import Faithful
from recarena.server.minds.llm.memories import Remembering
from recarena.server.minds.llm.merged import Merged
from recarena.server.minds.llm.mind import LlmMind
from recarena.server.minds.llm.prompts import NOUNS
from recarena.server.minds.llm.strategy import Asking, Strategy
from recarena.server.minds.llm.views import Views
from recarena.server.minds.llm.wordings import Wordings
from recarena.server.randomness import Purpose, keys, uniform
from recarena.server.types import Bools

FILM_SOURCES = ("generated", "planted", "movielens", "recagent")
"""Sources of worlds that are worlds of films."""


@dataclass(frozen=True, slots=True)
class Minded:
    """What the settings of a run say of its users' minds."""

    llm: LlmSettings
    memory: MemorySettings
    seed: int


def users_with_llm(data: WorldData, settings: LlmSettings, seed: int) -> Bools:
    """[users]: who has an LLM mind: those named, and a share drawn by the seed. InputError for an
    id that is nobody's."""
    drawn = uniform(keys(seed, Purpose.LLM_USER, 0, np.arange(len(data.population))))
    mine: Bools = drawn < np.float32(settings.share_of_users)
    if settings.share_of_users >= 1:
        mine[:] = True
    for one in settings.users:
        number = data.population.number_of.get(one)
        if number is None:
            raise InputError(f"there is no user {one!r} in the world", where="llm.users")
        mine[number] = True
    return mine


def catalogue_of(data: WorldData, settings: LlmSettings) -> str:
    """films or items."""
    if settings.catalogue:
        return settings.catalogue
    origin = data.origin
    if isinstance(behind := origin.get("of"), dict):  # a disguised world tells what it was
        origin = behind
    source = str(origin.get("source", ""))
    return "films" if source.startswith(FILM_SOURCES) else "items"


def embedder_of(
    memory: MemorySettings, dimension: int, recorder: Recorder, source: Recorder | None,
    *, strict: bool,
) -> Embedder:  # fmt: skip
    """The embedder that the settings name. InputError where it cannot be used."""
    if memory.embedder == "hash":
        return HashEmbedder()
    if memory.embedder == "minilm":
        return MiniLmEmbedder(Path(memory.embedder_model))
    key = ""
    if memory.api_key_env and not strict:
        key = os.environ.get(memory.api_key_env, "")
        if not key:
            raise InputError(
                f"the environment variable {memory.api_key_env} is not set",
                where="memory.api_key_env", remedy="Set it, or use the embedder hash",
            )  # fmt: skip
    return CompatibleEmbedder(
        memory.base_url, memory.embedder_model, key, recorder, dimension, strict=strict,
        source=source,
    )  # fmt: skip


async def memory_entry(memory: MemorySettings) -> dict[str, Any]:
    """What the manifest of a run says of its memories: model, embedder and size of the vectors.
    Asks the embedder where that is a server."""
    about: dict[str, Any] = {"model": str(memory.model)}
    if memory.embedder == "openai-compatible":
        key = os.environ.get(memory.api_key_env, "") if memory.api_key_env else ""
        dimension = await dimension_of(memory.base_url, memory.embedder_model, key)
        name, lexical = f"openai-compatible:{memory.embedder_model}", False
    else:
        made: Embedder = HashEmbedder()
        if memory.embedder == "minilm":
            made = MiniLmEmbedder(Path(memory.embedder_model))
        name, dimension, lexical = made.id, made.dimension, made.is_lexical
    return about | {"embedder": name, "dimension": dimension, "lexical": lexical}


def open_mind(
    settings: Minded, data: WorldData, folder: Path, habits: ChoiceMind, dimension: int,
    *, sync: bool = False,
) -> LlmMind:  # fmt: skip
    """The mind of a run whose settings name a provider. `dimension`: of the run's vectors. No key
    is needed before the first call. InputError for a recording that is none, or an embedder that
    cannot be used."""
    thinker = open_thinker(settings.llm, folder, sync=sync)
    return made_mind(settings, data, habits, thinker, dimension)


def recorded_mind(
    settings: Minded, data: WorldData, folder: Path, habits: ChoiceMind, dimension: int
) -> LlmMind:
    """The mind of a run that was played, from its recording alone: it makes no call and writes
    nothing."""
    llm = settings.llm.model_copy(update={"replay": Replay.STRICT, "recording": ""})
    thinker = open_thinker(llm, None, source=recording_at(folder))
    strict = Minded(llm, settings.memory, settings.seed)
    return made_mind(strict, data, habits, thinker, dimension)


def made_mind(
    settings: Minded, data: WorldData, habits: ChoiceMind, thinker: Thinker, dimension: int
) -> LlmMind:
    """The same with a thinker."""
    llm, memory, seed = settings.llm, settings.memory, settings.seed
    strict = llm.replay is Replay.STRICT
    embedder = CachedEmbedder(
        embedder_of(memory, dimension, thinker.recorder, thinker.source, strict=strict)
    )
    if embedder.dimension != dimension:
        raise InputError(
            f"the run's memories have vectors of {dimension} numbers, and {embedder.id} makes "
            f"vectors of {embedder.dimension}",
            where="memory.embedder",
            remedy="Use the embedder that the run was begun with",
        )
    bank = MemoryBank(memory, seed, dimension, embedder.similar_above)
    mine = users_with_llm(data, llm, seed)
    catalogue = catalogue_of(data, llm)
    views = Views(data, bank, embedder, thinker.recorder.salt)
    asking = Asking(thinker, catalogue, llm.answer_tokens)
    words = Wordings(data.catalog, NOUNS[catalogue]["watched"])
    strategy: Strategy = (
        Merged(asking, views, data.population)
        if llm.strategy == "merged"
        else Faithful(asking, views, data.population, data.catalog.titles)
    )
    remembering = Remembering(bank, embedder, mine, words)
    return LlmMind(llm, mine, habits, strategy, remembering, thinker, data.catalog)
