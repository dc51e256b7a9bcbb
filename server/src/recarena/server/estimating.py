"""What a run will cost, before it costs anything.

The choice mind plays some of its rounds with the most watched items for everybody; what it does is
counted, and the prompts that an LLM mind would have been sent on the way are made and measured.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from recarena.server.assembly import minded
from recarena.server.config import Settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.llm.apis import encode
from recarena.server.llm.calls import Asker, Failure, Form, Outcome, Prompt, Source, Usage
from recarena.server.llm.opening import open_thinker, price_of
from recarena.server.llm.settings import Replay
from recarena.server.llm.thinker import Thinker
from recarena.server.local import most_watched
from recarena.server.memory.embedders import HashEmbedder
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.llm.diary import Diary
from recarena.server.minds.llm.mind import LlmMind
from recarena.server.minds.llm.opening import made_mind
from recarena.server.ports import PageView
from recarena.server.rounds import play_round
from recarena.server.types import Bools, EventColumns, EventKind, Surface
from recarena.server.world import World

ROUNDS = 6
"""Rounds that are played; a longer run is taken to go on as the last of them."""
SAMPLE = 6
"""Users whose prompts are measured per round and purpose."""
CHARACTERS_A_TOKEN = 4.0
ACTIVE = 0.75
"""Share of users who are taken to do something in a round where the model is asked for it."""
LATENCY_S = 2.0
"""Of a call, for the estimate of the time."""
OUTPUT = {
    "activity": 25, "page": 110, "social": 230, "reflect": 110, "feeling": 35, "importance": 8,
    "dialogue": 160, "insight": 60,
}  # fmt: skip
"""Tokens of an answer, where it is not lines of text; those are in SHORT."""
SHORT = {"page": 15, "social": 30, "activity": 12}


@dataclass(slots=True)
class Estimate:
    """Calls, tokens and money that a run will come to."""

    users: int
    rounds: int
    calls: dict[str, int] = field(default_factory=dict[str, int])
    """By purpose."""
    input_tokens: int = 0
    output_tokens: int = 0
    user_rounds: int = 0
    cost: float | None = None
    """None where the price is not known."""
    currency: str = "USD"
    price_source: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        calls, each = sum(self.calls.values()), max(self.user_rounds, 1)
        return {
            "users_with_llm": self.users, "rounds": self.rounds, "calls": calls,
            "calls_by_purpose": self.calls, "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens, "cost": self.cost, "currency": self.currency,
            "price_source": self.price_source, "seconds": round(self.seconds),
            "calls_per_user_round": calls / each,
            "input_tokens_per_user_round": self.input_tokens / each,
            "cost_per_user_round": None if self.cost is None else self.cost / each,
        }  # fmt: skip


class _Scales:
    """Stands in for a thinker and weighs what it is asked."""

    def __init__(self, thinker: Thinker) -> None:
        self.recorder, self.source, self.tally = thinker.recorder, thinker.source, thinker.tally
        self._api, self._settings = thinker.api, thinker.settings
        self.weighed: dict[str, list[int]] = {}

    async def decide(self, prompt: Prompt, form: Form[object], asker: Asker) -> Outcome[object]:
        """Takes the characters of the prompt down, and leaves the default."""
        body = encode(self._api.body(self._settings.model, prompt, self._settings.parameters))
        self.weighed.setdefault(asker.purpose, []).append(len(body.decode()))
        return Outcome(None, Source.FALLBACK, Failure.EMPTY, "", Usage(), None, 0, "", "")


def estimate(settings: Settings, data: WorldData) -> Estimate:
    """The estimate for a run: tokens within about a third where users page, watch and talk as often
    as the choice mind's do. Reads no key and sends nothing."""
    return asyncio.run(_estimate(settings, data))


async def _estimate(settings: Settings, data: WorldData) -> Estimate:
    habits = ChoiceMind(settings.coefficients())
    llm = settings.llm.model_copy(update={"replay": Replay.STRICT, "recording": ""})
    thinker = open_thinker(llm, None)
    scales = _Scales(thinker)
    with_hash = settings.memory.model_copy(update={"embedder": "hash"})
    asked = minded(settings.model_copy(update={"llm": llm, "memory": with_hash}))
    mind = made_mind(asked, data, habits, cast(Thinker, scales), HashEmbedder.dimension)
    try:
        return await _played(settings, data, habits, mind, scales)
    finally:
        await thinker.close()


async def _played(
    settings: Settings, data: WorldData, habits: ChoiceMind, mind: LlmMind, scales: _Scales
) -> Estimate:
    world = World(data, settings.seed, settings.world_dynamics())
    arm_of_user = np.zeros(len(data.population), np.int8)
    rules, rounds = settings.rules(), min(settings.rounds, ROUNDS)
    per_round: list[Counter[str]] = []
    weights: list[dict[str, float]] = []
    for _ in range(rounds):
        scales.weighed.clear()
        arm = most_watched(world)
        result = await play_round(world, habits, [arm], arm_of_user, rules)
        per_round.append(_counted(result.events, mind.mine, settings))
        await _weigh(world, mind, result.events)
        weights.append({n: float(np.mean(found)) for n, found in scales.weighed.items()})
        world.apply(result)
        mind.committed(result.round, result.memories)
    return _summed(settings, per_round, weights, int(mind.mine.sum()))


def _counted(events: EventColumns, mine: Bools, settings: Settings) -> Counter[str]:
    """Calls of one round by purpose, and `user_rounds`."""
    own = events.take(mine[events.user])

    def count(*kinds: EventKind) -> int:
        return int(np.isin(own.kind, kinds).sum())

    pages, watches = count(EventKind.PAGE), count(EventKind.WATCH)
    talks, chats = count(EventKind.ENTER_SOCIAL), count(EventKind.CHAT)
    users = len(np.unique(own.user))
    made = Counter({"user_rounds": users, "page": pages, "social": talks})
    busy = count(EventKind.ENTER_RECOMMENDER, EventKind.ENTER_SOCIAL)
    reflections = busy // (settings.memory.reflect_every + 2) if settings.memory.reflection else 0
    if settings.llm.strategy == "faithful":
        watching = len({(u, s) for u, s, k in zip(own.user.tolist(), own.step.tolist(),
                        own.kind.tolist(), strict=True) if k == EventKind.WATCH})  # fmt: skip
        made["page"] += watching
        made["feeling"] = watches
        made["dialogue"] = chats
        heard = int(mine[own.other[own.kind == EventKind.CHAT]].sum())
        made["importance"] = watches + chats + count(EventKind.POST) + heard
        made["insight"] = reflections
    else:
        made["reflect"] = reflections
    if settings.llm.asks_for_activity:
        # Whom a model decides for does something more often than habit has it.
        more = max(ACTIVE * users / max(busy, 1), 1.0)
        made = Counter({purpose: round(more * calls) for purpose, calls in made.items()})
        made["user_rounds"] = made["activity"] = users
    return made


async def _weigh(world: World, mind: LlmMind, events: EventColumns) -> None:
    """Makes some of the prompts of a round."""
    diary, strategy = Diary(world.round + 1), mind.strategy
    visitors = _some(events, EventKind.PAGE, mind.mine)
    for user in visitors:
        view = _first_page(events, user)
        await strategy.page(diary, world, view, 0)
        await strategy.activity(diary, world, user)
        if found := mind.bank.to_reflect_on(user, diary.round, 20):
            await strategy.reflect(diary, user, found)
    for user in _some(events, EventKind.ENTER_SOCIAL, mind.mine):
        await strategy.social(diary, world, user)


def _some(events: EventColumns, kind: EventKind, mine: Bools) -> list[int]:
    users = np.unique(events.user[events.kind == kind])
    users = users[mine[users]]
    return users[:: max(len(users) // SAMPLE, 1)][:SAMPLE].tolist()


def _first_page(events: EventColumns, user: int) -> PageView:
    shown = (events.user == user) & (events.kind == EventKind.SHOWN) & (events.step == 0)
    items = events.item[shown][None, :]
    one = np.zeros(1, np.int16)
    return PageView(
        int(events.round[0]), 0, np.array([user], np.int32), items, one,
        np.full(1, Surface.FEED, np.int8), np.full(1, -1, np.int32), True,
        np.empty((1, 0), np.int32),
    )  # fmt: skip


def _summed(
    settings: Settings, per_round: Sequence[Counter[str]], weights: Sequence[dict[str, float]],
    users: int,
) -> Estimate:  # fmt: skip
    """Rounds after those that were played go on as the last one."""
    made = Estimate(users, settings.rounds, currency=settings.llm.currency)
    last = len(per_round) - 1
    tokens_in = tokens_out = 0.0
    known: dict[str, float] = {}
    for round in range(settings.rounds):
        known |= weights[min(round, last)]
        for purpose, count in per_round[min(round, last)].items():
            if purpose == "user_rounds":
                made.user_rounds += count
                continue
            made.calls[purpose] = made.calls.get(purpose, 0) + count
            tokens_in += count * _weight(known, purpose) / CHARACTERS_A_TOKEN
            tokens_out += count * _output(settings.llm.strategy, purpose)
    made.calls = {purpose: count for purpose, count in made.calls.items() if count}
    if settings.llm.probe:
        made.calls["probe"] = 1
        tokens_in += 4100
    made.input_tokens, made.output_tokens = round_up(tokens_in), round_up(tokens_out)
    if price := price_of(settings.llm):
        made.cost = price.of(Usage(made.input_tokens, made.output_tokens))
        made.price_source = f"{price.source}, in force from {price.effective_from}"
    depth = 3.0 * settings.rounds
    made.seconds = LATENCY_S * max(sum(made.calls.values()) / settings.llm.concurrency, depth)
    return made


def round_up(value: float) -> int:
    """To a whole number."""
    return int(np.ceil(value))


def _weight(known: dict[str, float], purpose: str) -> float:
    """Characters of a prompt; of one that was not made in the dry run, as of the others."""
    if purpose in known:
        return known[purpose]
    return float(np.mean(list(known.values()))) if known else 4000.0


def _output(strategy: str, purpose: str) -> float:
    return SHORT.get(purpose, OUTPUT[purpose]) if strategy == "faithful" else OUTPUT[purpose]
