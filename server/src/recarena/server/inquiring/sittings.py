"""Respondents that stay with a run between requests, so that what they went through once need not
be gone through again."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recarena.server.assembly import CHOICE, LLM, has_llm
from recarena.server.config import Settings, parse_settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.inquiring.choosing import ChoiceRespondent
from recarena.server.inquiring.moments import Past, Walk
from recarena.server.inquiring.questions import Answers, Inquiry, Said, Spent
from recarena.server.inquiring.respondent import Moment, Respondent, Seen
from recarena.server.inquiring.scripted import CHARACTERS, scripted
from recarena.server.memory.settings import MemorySettings
from recarena.server.mind_rules import MindRules
from recarena.server.replaying import replayable
from recarena.server.store.manifest import read_manifest
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import NOTHING

if TYPE_CHECKING:
    from recarena.server.inquiring.composing import Composed, Wanted

KINDS = (CHOICE, LLM, *CHARACTERS)
"""Who can answer, as the contract names them."""
TABLES = ("llm", "memory", "choice")
"""Tables of settings that a judge may have of its own."""
MOST_OPEN = 4
T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class Judge:
    """Who answers in the place of the users."""

    kind: str
    """One of KINDS."""
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Tables of settings in the place of the run's: llm, memory, choice."""
    recording: Path | None = None
    """File that its calls are recorded in; None: they are not recorded."""
    where: str = "judge"
    """The field that it was named in, for errors."""


def settings_for(judge: Judge, own: Settings, rules: MindRules) -> Settings:
    """The settings that a judge goes by: the run's `own` but for the judge's tables; of the run's
    language model nothing is taken over. InputError, with field paths, where they are wrong or the
    rules do not allow them."""
    here = f"{judge.where}.settings"
    if judge.kind not in KINDS:
        raise InputError(
            f"{judge.kind!r} is no judge",
            where=f"{judge.where}.kind",
            remedy=f"One of {', '.join(KINDS)}",
        )
    for name in judge.tables:
        if name not in TABLES:
            raise InputError(
                f"judges have no such settings, but {', '.join(TABLES)}", where=f"{here}.{name}"
            )
    if "llm" in judge.tables and judge.kind != LLM:
        raise InputError(f"the judge {judge.kind} asks no language model", where=f"{here}.llm")
    try:
        values = {**own.model_dump(mode="json"), "llm": {}, **judge.tables}
        settings = parse_settings(values, "judge")
        # What the run itself was given was allowed when it was made, or by whoever made it.
        rules.check(settings if "memory" in judge.tables else _with_plain_memory(settings))
    except InputError as error:
        fields = error.fields or ((error.where, error.problem),)
        paths = tuple((f"{here}.{path}" if path else here, why) for path, why in fields)
        raise InputError(error.problem, where=here, remedy=error.remedy, fields=paths) from None
    if judge.kind == LLM and not has_llm(settings):
        raise InputError("no language model is named", where=f"{here}.llm.provider")
    return settings


def _with_plain_memory(settings: Settings) -> Settings:
    return settings.model_copy(update={"memory": MemorySettings()})


def open_respondent(
    judge: Judge, settings: Settings, past: Past, data: WorldData | None = None
) -> Respondent:
    """Somebody who answers for the users of a run, at its beginning. `settings`: as `settings_for`.
    `data`: the world that the respondent goes by; default: as the run is now. InputError where its
    recording or its embedder cannot be used."""
    if judge.kind == LLM:
        from recarena.server.inquiring.thinking import ThinkingRespondent

        return ThinkingRespondent.open(settings, data or past.data, past.folder, judge.recording)
    if judge.kind == CHOICE:
        return ChoiceRespondent(settings.coefficients())
    return scripted(judge.kind, settings.coefficients())


class Sitting:
    """A judge and a run, at the moment of the last inquiry."""

    def __init__(self, past: Past, judge: Judge, settings: Settings) -> None:
        """`settings`: those of the judge."""
        self.past, self.judge = past, judge
        self._settings = settings
        self._walk: Walk | None = None

    async def ask(self, inquiries: Sequence[Inquiry], seed: int) -> tuple[Answers, Respondent]:
        """One answer for each, in their order, and who gave them. They are answered moment by
        moment in the order of the rounds. InputError, before anything is answered, where an inquiry
        cannot be asked, with its field after `inquiries[...]`."""
        seen = [
            await self.past.seen(one, f"inquiries[{number}]")
            for number, one in enumerate(inquiries)
        ]
        by_round: dict[int, list[int]] = {}
        for row, one in enumerate(inquiries):
            by_round.setdefault(one.before_round, []).append(row)
        said: dict[int, Said] = {}
        spent = Spent()
        for round in sorted(by_round):
            rows = by_round[round]
            answers = await self._answered(round, [seen[row] for row in rows], seed)
            said.update(zip(rows, answers.said, strict=True))
            spent = together(spent, answers.spent)
        walk = self._walk or await self._begin()
        return Answers([said[row] for row in range(len(seen))], spent), walk.respondent

    async def close(self) -> None:
        """Lets go of the respondent and the run."""
        await self._end()
        self.past.close()

    async def _answered(self, round: int, seen: Sequence[Seen], seed: int) -> Answers:
        walk = self._walk
        if walk is None or walk.round > round:
            walk = await self._begin()
        try:
            moment = await walk.to(round)
        except BaseException:
            await self._end()
            raise
        for one in seen:
            _known(one, moment)
        return await walk.respondent.answer(moment, seen, seed)

    async def _begin(self) -> Walk:
        """At the beginning of the run, with a respondent who has seen nothing of it."""
        await self._end()
        data = await asyncio.to_thread(self.past.folder.world)
        respondent = open_respondent(self.judge, self._settings, self.past, data)
        self._walk = Walk(self.past, respondent, data)
        return self._walk

    async def _end(self) -> None:
        if self._walk:
            walk, self._walk = self._walk, None
            await walk.respondent.close()


def _known(one: Seen, moment: Moment) -> None:
    """InputError for an item that is added later than somebody is asked about it."""
    other = getattr(one.inquiry.task, "other_item", NOTHING)
    if max(int(one.view.items.max(initial=NOTHING)), other) >= moment.world.items:
        raise InputError(
            f"before round {moment.round} there was no such item yet",
            where=f"inquiry {one.inquiry.id}",
            remedy="Ask before a later round",
        )


@dataclass(slots=True)
class _Place:
    """A sitting that is open or opening, and the turn to ask in it."""

    recording: Path | None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    sitting: Sitting | None = None
    wanted: int = 0
    """Requests that ask or wait for their turn."""


class Sittings:
    """Up to `most` sittings, each of one judge with one run as it was founded. In each, requests
    are answered one after another; the one that was not used for longest makes way for another."""

    def __init__(self, rules: MindRules, most: int = MOST_OPEN) -> None:
        self._rules, self._most = rules, most
        self._at_work = asyncio.Semaphore(most)
        self._turns: dict[Path, asyncio.Lock] = {}
        self._places: OrderedDict[str, _Place] = OrderedDict()

    @asynccontextmanager
    async def of(self, path: Path, judge: Judge) -> AsyncGenerator[Sitting]:
        """The sitting of a judge with the run at `path`, for one request alone. NotFound,
        InputError where there is no such run or judge."""
        key = _key(path, judge)
        async with self._at_work, self.recording(judge.recording, key):
            while key not in self._places and len(self._places) >= self._most:
                # There is an idle one: fewer requests are at work beside this one than `most`.
                await self._close(next(k for k, one in self._places.items() if not one.wanted))
            place = self._places.setdefault(key, _Place(judge.recording))
            self._places.move_to_end(key)
            place.wanted += 1
            try:
                async with place.turn:
                    if place.sitting is None:
                        place.sitting = await self._opened(path, judge)
                    yield place.sitting
            finally:
                place.wanted -= 1

    @asynccontextmanager
    async def recording(self, file: Path | None, key: str = "") -> AsyncGenerator[None]:
        """A recording for one request alone; no sitting but that of the key has it open then. Two
        who write it in turns would wait for each other."""
        if file is None:
            yield
            return
        async with self._turns.setdefault(file, asyncio.Lock()):
            for other in [k for k, one in self._places.items() if one.recording == file]:
                if other != key:
                    await self._close(other)
            yield

    async def composed(self, path: Path, writer: Judge, wanted: Sequence[Wanted]) -> Composed:
        """Texts by a language model, with the settings that it would answer with for the users of
        the run at `path`. Errors as `of`, and as `compose`."""
        from recarena.server.inquiring.composing import compose

        with RunFolder.open(path) as folder:
            settings = settings_for(writer, replayable(folder), self._rules)
            async with self._at_work, self.recording(writer.recording):
                return await compose(settings, folder, writer.recording, wanted)

    async def close(self) -> None:
        """Closes all of them."""
        places = list(self._places.values())
        self._places.clear()
        for place in places:
            if place.sitting:
                await place.sitting.close()

    async def _opened(self, path: Path, judge: Judge) -> Sitting:
        past = await asyncio.to_thread(Past, path)
        try:
            return Sitting(past, judge, settings_for(judge, past.settings, self._rules))
        except InputError:
            past.close()
            raise

    async def _close(self, key: str) -> None:
        place = self._places.pop(key)
        if place.sitting:
            await place.sitting.close()


def _key(path: Path, judge: Judge) -> str:
    """Tells apart judges, and runs of the same name that were made one after the other."""
    manifest = read_manifest(path)
    run = str(path), manifest.get("created"), manifest.get("epoch")
    return json.dumps([run, judge.kind, judge.tables, str(judge.recording)], sort_keys=True)


def together(one: Spent, other: Spent) -> Spent:
    """What two rounds of inquiries took; what is not known of one is not known of both."""
    return Spent(
        one.calls + other.calls,
        one.replayed + other.replayed,
        _sum(one.input_tokens, other.input_tokens),
        _sum(one.output_tokens, other.output_tokens),
        _sum(one.cost, other.cost),
        one.currency or other.currency,
    )


def _sum(one: T | None, other: T | None) -> T | None:
    return None if one is None or other is None else one + other
