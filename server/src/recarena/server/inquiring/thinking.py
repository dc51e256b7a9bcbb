"""Users who are played by a language model when they are asked: a `Respondent` with their
memories."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recarena.server.config import Settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError, RunPaused
from recarena.server.inquiring.questions import Answers, Said, Spent
from recarena.server.inquiring.respondent import Moment, Seen
from recarena.server.inquiring.spoken import Interview
from recarena.server.llm.calls import Outcome
from recarena.server.llm.embeddings import dimension_of
from recarena.server.llm.opening import check, number_of_keys, recording_thinker
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.llm.settings import LlmSettings, Replay
from recarena.server.llm.thinker import Thinker
from recarena.server.memory.bank import MemoryBank
from recarena.server.memory.embedders import CachedEmbedder
from recarena.server.memory.settings import MemorySettings
from recarena.server.minds.llm.asked import About, AskedViews
from recarena.server.minds.llm.looking_back import LookingBack
from recarena.server.minds.llm.mind import ahead_of
from recarena.server.minds.llm.opening import catalogue_of, embedder_of
from recarena.server.minds.llm.prompts import ASKED, NOUNS, prompt_ids
from recarena.server.minds.llm.strategy import Asking
from recarena.server.minds.llm.wordings import Wordings
from recarena.server.store.run_folder import RunFolder
from recarena.server.together import at_most
from recarena.server.types import MemoryColumns

GO_ON = "recarena resume RUN"
"""How errors of the machinery name the command that goes on with a run."""


class ThinkingRespondent:
    """A `Respondent`: a language model plays whoever is asked, whatever mind that user had in the
    run.

    Each inquiry is a context of its own, with a mark that follows from its id, its draw and the
    seed: the same inquiry is taken from the recording, another draw of it is asked anew. An answer
    that cannot be had is Missing, with the reason; however many are, the others are still asked.
    """

    def __init__(
        self, settings: Settings, data: WorldData, thinker: Thinker, embedder: _Embedding
    ) -> None:
        """Use `open`."""
        llm = settings.llm
        self.thinker = thinker
        self._settings, self._data, self._embedding = settings, data, embedder
        self._catalogue = catalogue_of(data, llm)
        self._asking = Asking(thinker, self._catalogue, llm.answer_tokens)
        self._room = ahead_of(llm.concurrency * number_of_keys(llm))
        self._rounds: list[tuple[int, MemoryColumns]] = []
        self._opened: tuple[AskedViews, LookingBack] | None = None
        self._opening = asyncio.Lock()

    @classmethod
    def open(
        cls, settings: Settings, data: WorldData, folder: RunFolder, recording: Path | None
    ) -> ThinkingRespondent:
        """`settings`: the run's, with the judge's own [llm] and [memory]; `data`: the world that
        the run began with. `recording`: a folder for llm.sqlite, or a file; None: nothing is
        recorded. Calls go out when something is asked; no file of the run is touched.

        InputError for a missing key, package or price, and for a recording that is none.
        """
        thinker = thinker_of(settings.llm, recording)
        return cls(settings, data, thinker, _Embedding(settings.memory, folder, thinker))

    @property
    def name(self) -> str:
        """Provider and model, as the command line names a mind."""
        return name_of(self._settings.llm)

    @property
    def prompts(self) -> Mapping[str, str]:
        """All by which users are asked."""
        return prompt_ids(ASKED)

    async def answer(self, moment: Moment, seen: Sequence[Seen], seed: int) -> Answers:
        """See `Respondent`. All at once, as many as the provider takes."""
        users = sorted({one.inquiry.user for one in seen})
        views, looking_back = await self._open()
        try:
            await looking_back.of(users)
            interviews = [
                Interview(self._asking, views, _about(moment, one, seed), one) for one in seen
            ]
            said: list[Said] = await at_most(self._room, [one.said for one in interviews])
        except RunPaused as error:
            raise outside_of_runs(error) from None
        outcomes = (outcome for one in interviews for outcome in one.outcomes)
        return Answers(said, spent(outcomes, self._settings.llm.currency))

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """See `Respondent`. Nothing is looked at before somebody is asked."""
        if self._opened:
            self._opened[1].committed(round, memories)
        else:
            self._rounds.append((round, memories))

    async def close(self) -> None:
        """Waits for calls under way, which are paid for and so recorded."""
        await self._embedding.close()
        await self.thinker.close()

    async def _open(self) -> tuple[AskedViews, LookingBack]:
        """The bank and what is seen of it. An embedder that is a server is asked for the size of
        its vectors first."""
        async with self._opening:
            if self._opened is None:
                s, data = self._settings, self._data
                embedder = await self._embedding.made()
                bank = MemoryBank(s.memory, s.seed, embedder.dimension, embedder.similar_above)
                views = AskedViews(data, bank, embedder, self.thinker.recorder.salt)
                words = Wordings(data.catalog, NOUNS[self._catalogue]["watched"])
                looking_back = LookingBack(bank, embedder, words, len(data.population))
                for round, memories in self._rounds:
                    looking_back.committed(round, memories)
                self._rounds.clear()
                self._opened = views, looking_back
            return self._opened


def thinker_of(llm: LlmSettings, recording: Path | None) -> Thinker:
    """A thinker for questions beside a run: failures are told one by one, and end nothing.
    InputError as `ThinkingRespondent.open`."""
    if llm.provider is None:
        raise InputError(
            "no language model is named", where="llm.provider",
            remedy="Name one of anthropic, openai and openai-compatible, and a model",
        )  # fmt: skip
    check(llm)
    file = None
    if recording is not None:
        is_file = recording.is_file() or (recording.suffix and not recording.is_dir())
        file = recording if is_file else recording / FILE
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"no folder can be made ({error.strerror})", where=str(file.parent)) \
                from None  # fmt: skip
    return recording_thinker(llm.model_copy(update={"failure_limit": 1.0}), file)


def name_of(llm: LlmSettings) -> str:
    """Provider and model, as the command line names a mind."""
    return f"{llm.provider}:{llm.model}"


def spent(outcomes: Iterable[Outcome[Any]], currency: str) -> Spent:
    """What decisions took: tokens and money of the calls that were made for them, and how many
    answers came from the recording."""
    total = Spent(currency=currency)
    for one in outcomes:
        total.calls += one.calls - one.replayed
        total.replayed += one.replayed
        total.input_tokens = _sum(total.input_tokens, one.fresh.prompt)
        total.output_tokens = _sum(total.output_tokens, one.fresh.output)
        total.cost = None if total.cost is None or one.cost is None else total.cost + one.cost
    return total


def outside_of_runs(error: RunPaused) -> RunPaused:
    """The same error where there is no run to go on with: what was answered is recorded, and the
    same questions go on from there."""
    text = str(error).replace(f"{GO_ON} --", "--").replace(GO_ON, "ask again")
    return type(error)(text)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _about(moment: Moment, seen: Seen, seed: int) -> About:
    inquiry = seen.inquiry
    return About(
        user=inquiry.user,
        round=moment.round,
        key=f"{type(inquiry.task).__name__} {inquiry.id} #{inquiry.draw}, seed {seed}",
        world=moment.world,
        item=inquiry.item,
        told=inquiry.told.text if inquiry.told else "",
        remembers=not inquiry.without_memories,
    )


class _Embedding:
    """The embedder of a run's memories. Vectors that the run's own recording has are not asked for
    again; they are read from a copy, since even who only reads leaves files beside it."""

    def __init__(self, memory: MemorySettings, folder: RunFolder, thinker: Thinker) -> None:
        self._memory, self._folder, self._thinker = memory, folder, thinker
        self._embedder: CachedEmbedder | None = None
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        self._recorded: Recorder | None = None

    async def made(self) -> CachedEmbedder:
        """Made when it is needed first."""
        if self._embedder is None:
            strict = self._thinker.settings.replay is Replay.STRICT
            dimension = 0
            if self._memory.embedder == "openai-compatible":
                self._recorded = await asyncio.to_thread(self._copied)
                dimension = await self._dimension()
            self._embedder = CachedEmbedder(
                embedder_of(
                    self._memory, dimension, self._thinker.recorder,
                    self._recorded or self._thinker.source, strict=strict,
                )
            )  # fmt: skip
        return self._embedder

    async def _dimension(self) -> int:
        """As the run's manifest has it; of an embedder that is not the run's, as it says itself."""
        memory, stored = self._memory, dict(self._folder.manifest.get("memory", {}))
        if stored.get("embedder") == f"openai-compatible:{memory.embedder_model}":
            return int(stored["dimension"])
        key = os.environ.get(memory.api_key_env, "") if memory.api_key_env else ""
        return await dimension_of(memory.base_url, memory.embedder_model, key)

    def _copied(self) -> Recorder | None:
        file = self._folder.path / FILE
        if not file.is_file():
            return None
        self._copies = tempfile.TemporaryDirectory(prefix="recarena-")
        for one in (file, file.with_name(f"{FILE}-wal")):
            if one.is_file():
                shutil.copyfile(one, Path(self._copies.name) / one.name)
        return Recorder(Path(self._copies.name) / FILE)

    async def close(self) -> None:
        if self._embedder:
            await self._embedder.close()
        if self._recorded:
            self._recorded.close()
        if self._copies:
            self._copies.cleanup()
