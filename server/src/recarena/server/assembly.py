"""The mind of a run, from its settings: which kind its users have, and what the manifest says of
it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from recarena.server.config import Settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.minds.choice import ChoiceMind
from recarena.server.ports import Mind
from recarena.server.store.run_folder import RunFolder

T = TypeVar("T")
CHOICE = "choice"
LLM = "llm"
MIND_NOTE = "users are simulated by a discrete-choice model; no language model and no people"


def has_llm(settings: Settings) -> bool:
    """Whether any user has an LLM mind."""
    return settings.llm.provider is not None


def mind_of(settings: Settings, data: WorldData, folder: RunFolder) -> Mind:
    """The mind that the settings name, with nothing remembered yet. InputError where its embedder
    or its recording cannot be used."""
    habits = ChoiceMind(settings.coefficients())
    if not has_llm(settings):
        return habits
    from recarena.server.minds.llm.opening import open_mind

    dimension = _dimension(folder)
    return open_mind(
        minded(settings), data, folder.path, habits, dimension, sync=settings.store.fsync
    )


def recorded_mind_of(
    settings: Settings, data: WorldData, folder: RunFolder, recording: Path | None = None
) -> Mind:
    """The mind that decides a run's rounds once more as it did, without calls. `recording`: the
    folder with its recording, if not the run's. InputError where there is none."""
    habits = ChoiceMind(settings.coefficients())
    if not has_llm(settings):
        return habits
    from recarena.server.minds.llm.opening import recorded_mind

    source = recording or folder.path
    return recorded_mind(minded(settings), data, source, habits, _dimension(folder))


def minded(settings: Settings) -> Any:
    """What the settings say of minds."""
    from recarena.server.minds.llm.opening import Minded

    return Minded(settings.llm, settings.memory, settings.seed)


def mind_entries(settings: Settings, world: WorldData) -> dict[str, Any]:
    """The entries `mind` and `memory` of a manifest. InputError for users that are not there, or
    an embedder that cannot be used."""
    if not has_llm(settings):
        return {"mind": {"kind": CHOICE, "is_llm": False, "note": MIND_NOTE}}
    from recarena.server.minds.llm.opening import catalogue_of, memory_entry, users_with_llm
    from recarena.server.minds.llm.prompts import prompt_ids

    llm = settings.llm
    count, users = int(users_with_llm(world, llm, settings.seed).sum()), len(world.population)
    others = "" if count == users else "; the others by a discrete-choice model"
    return {
        "mind": {
            "kind": LLM,
            "is_llm": True,
            "provider": llm.provider,
            "model": llm.model,
            "strategy": llm.strategy,
            "users": count,
            "catalogue": catalogue_of(world, llm),
            "prompts": prompt_ids(),
            "note": f"{count} of {users} users are simulated by the language model {llm.model} of "
            f"{llm.provider}{others}; no people",
        },
        "memory": _in_own_loop(memory_entry(settings.memory)),
    }


def _in_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, also where a loop runs in this thread already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _dimension(folder: RunFolder) -> int:
    try:
        return int(folder.manifest["memory"]["dimension"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "the manifest does not say how memories are embedded",
            where=str(folder.path / "manifest.json"),
        ) from None
