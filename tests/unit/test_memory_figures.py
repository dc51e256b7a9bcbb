"""What the memory models are worth: planted facts, the forgetting curve, and choices that follow
memories. The figures are printed; asserted is the order that must hold."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recarena.server.datasets.specs import open_world
from recarena.server.founding import create_run
from recarena.server.memory.bank import MemoryBank
from recarena.server.memory.embedders import CachedEmbedder, Embedder, HashEmbedder
from recarena.server.memory.settings import MemorySettings
from recarena.server.minds.llm.diary import Diary
from recarena.server.runs import Run
from recarena.server.types import MEMORY_COLUMNS, NOBODY, Floats, MemoryColumns, MemoryKind
from support import figures
from support.llm_runs import SPEC, mind_of, page_of, settings
from support.llm_stub import Asked, LlmStub
from support.twin import TwinDoor

HASH = CachedEmbedder(HashEmbedder())
DATA = open_world(SPEC)
TITLES = [DATA.catalog.label(item) for item in range(len(DATA.catalog))]
USERS, ROUNDS, A_ROUND = 100, 20, 4
MODELS: dict[str, dict[str, Any]] = {
    "layers": {"model": "layers"},
    "layers without forgetting": {"model": "layers", "forgetting": False},
    "simple": {"model": "simple"},
    "none": {"model": "none"},
}
OTHERS = (
    "I watched {} and gave it {} of 5 stars.",
    "Bob posted: {} kept me awake, {} times over.",
    "I told somebody: I would not see {} again, and I have seen it {} times.",
    "The page had {} on it, {} places down.",
)


def memories(round: int, rows: Sequence[tuple[int, MemoryKind, float, str]]) -> MemoryColumns:
    """(user, kind, importance, text) each."""
    made: dict[str, Any] = {name: np.zeros(len(rows), d) for name, d in MEMORY_COLUMNS.items()}
    made["round"][:], made["source"][:], made["item"][:] = round, NOBODY, -1
    made["user"][:] = [row[0] for row in rows]
    made["kind"][:] = [row[1] for row in rows]
    made["importance"][:] = [row[2] for row in rows]
    return MemoryColumns(**made, text={at: row[3] for at, row in enumerate(rows)})


def apply(bank: MemoryBank, round: int, made: MemoryColumns, embedder: Embedder = HASH) -> None:
    texts = list(made.text.values())
    vectors = asyncio.run(embedder.embed(texts))
    bank.apply(round, made, texts, vectors, np.ones(5000, bool))


class Lettered:
    """Another embedder, by letters in threes alone: what a worse one costs."""

    id, dimension, similar_above, is_lexical = "trigrams", 96, 0.8, True

    async def embed(self, texts: Sequence[str]) -> Floats:
        return self.embed_now(texts)

    def embed_now(self, texts: Sequence[str]) -> Floats:
        made = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for at in range(len(text) - 2):
                made[row, zlib.crc32(text[at : at + 3].lower().encode()) % self.dimension] += 1
        length = np.sqrt((made * made).sum(axis=1, keepdims=True))
        return (made / np.where(length > 0, length, 1)).astype(np.float32)


def planted(
    model: dict[str, Any], tip: float, *, cued: bool = True, embedder: Embedder = HASH
) -> tuple[float, float]:
    """Shares of users to whom the fact comes to mind among five 20 rounds later, and in whose
    memory it is at all."""
    bank = MemoryBank(MemorySettings(**model), 7, embedder.dimension, embedder.similar_above)
    rng = np.random.default_rng(7)
    facts = [f"Eve told me: you must see {TITLES[user]}, it is wonderful." for user in range(USERS)]
    for round in range(1, ROUNDS + 1):
        rows = []
        for user in range(USERS):
            for n in range(A_ROUND):
                title = TITLES[int(rng.integers(USERS, len(TITLES)))]
                text = OTHERS[n].format(title, int(rng.integers(1, 6)))
                weight = float(rng.uniform(0.2, 0.8))
                rows.append((user, MemoryKind.OBSERVED, weight, text))
            if round == 1:
                rows.append((user, MemoryKind.HEARD, tip, facts[user]))
        apply(bank, round, memories(round, rows), embedder)
    now, came, there = ROUNDS + 1, 0, 0
    for user in range(USERS):
        cues = asyncio.run(embedder.embed([TITLES[user]] if cued else []))
        came += facts[user] in [one.text for one in bank.recall(user, now, cues)]
        there += facts[user] in [bank.texts[row] for row in bank.alive(user, now).tolist()]
    return came / USERS, there / USERS


TIPS = (0.5, 0.7, 0.9)
"""Importance of the fact; that of all the others is spread over 0.2 to 0.8."""


def test_a_planted_fact_comes_to_mind_by_its_title_where_the_memory_is_a_memory():
    by_tip: list[float] = []
    for tip in TIPS:
        found = {name: planted(model, tip) for name, model in MODELS.items()}
        uncued, _ = planted(MODELS["layers"], tip, cued=False)
        for name, (came, there) in found.items():
            figures.report("planted fact after 20 rounds", embedder=HASH.id, memory=name,
                           importance=tip, recall_at_5=came, in_memory=there)  # fmt: skip
        figures.report("planted fact after 20 rounds, without its title as a cue",
                       memory="layers", importance=tip, recall_at_5=uncued)  # fmt: skip
        assert found["layers without forgetting"][0] >= found["layers"][0] >= uncued
        assert found["layers without forgetting"][1] == 1 >= found["layers"][1]
        assert found["layers"][1] >= found["layers"][0]
        assert found["simple"] == found["none"] == (0, 0)
        by_tip.append(found["layers"][0])
        assert found["layers"][0] > 0.5
    assert by_tip == sorted(by_tip), "what matters more is forgotten later"


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("embedder", [HASH, Lettered()], ids=lambda one: one.id)
def test_what_relevance_weighs_and_who_measures_it_decides_what_comes_to_mind(
    embedder: Embedder, weight: float
):
    came, there = planted({"relevance_weight": weight}, 0.5, embedder=embedder)
    figures.report("planted fact after 20 rounds", embedder=embedder.id, memory="layers",
                   relevance_weight=weight, importance=0.5, recall_at_5=came, in_memory=there,
                   )  # fmt: skip
    assert came <= there
    if weight < 2:
        assert came < 0.1, "what is newer and matters more comes first"
    elif embedder is HASH:
        assert came == there > 0.5


AGES = (1, 5, 10, 20, 40)


def curve(importance: float, recalls: int, users: int = 2000) -> list[float]:
    """Shares of such memories that are there so many rounds after they last came to mind."""
    one = MemorySettings(short_term=0)
    bank = MemoryBank(one, 11, HASH.dimension, HASH.similar_above)
    rows = [(user, MemoryKind.HEARD, importance, f"fact {user}") for user in range(users)]
    apply(bank, 1, memories(1, rows))
    ids = bank.column("id").tolist()
    for round in range(2, 2 + recalls):
        apply(bank, round, MemoryColumns(**{
            name: np.empty(0, d) for name, d in MEMORY_COLUMNS.items()
        }, recalled={user: (ids[user],) for user in range(users)}))  # fmt: skip
    last = 1 + recalls
    there = [[len(bank.alive(user, last + age)) for user in range(users)] for age in AGES]
    return [sum(one) / users for one in there]


def test_the_forgetting_curve_is_flatter_for_what_matters_and_for_what_came_to_mind():
    found = {(weight, n): curve(weight, n) for weight in (0.2, 0.5, 0.9) for n in (0, 2)}
    for (weight, recalls), shares in found.items():
        left = {f"round_{age}": share for age, share in zip(AGES, shares, strict=True)}
        figures.report("share alive", importance=weight, recalls=recalls, **left)
        strength = 20 * (1 + 2 * weight) * 1.5**recalls
        np.testing.assert_allclose(shares, np.exp(-np.array(AGES) / strength), atol=0.03)
        assert shares == sorted(shares, reverse=True)
    for low, high in (((0.2, 0), (0.5, 0)), ((0.5, 0), (0.9, 0)), ((0.2, 2), (0.9, 2)),
                      ((0.2, 0), (0.2, 2)), ((0.9, 0), (0.9, 2))):  # fmt: skip
        assert found[low][2:] < found[high][2:]


# ---------------------------------------------------------------------------- choices


def follows_memories(asked: Asked) -> str:
    """Watches the first of the page that its memories name; else it leaves."""
    data = asked.data
    known = " ".join([*data.get("memories", ()), *data.get("recent", ()),
                      *(one["title"] for one in data.get("heard_of", ()))])  # fmt: skip
    taken = next((one["n"] for one in data["page"] if one["title"] in known), None)
    watch = [{"item": taken, "rating": 4, "feeling": "As I was told."}] if taken else []
    return json.dumps({"watch": watch, "then": "LEAVE", "search": "", "note": "", "importance": 1})


PAIRS = [(2 * n, 2 * n + 1) for n in range(10)]
SPAN = 12
"""Rounds of other memories between what was heard and the page."""


async def choices(path: Path, stub: LlmStub, memory: str, *, swapped: bool) -> dict[int, int]:
    """User -> the item it watches (-1: none) of a page with its own tip and its partner's."""
    made = settings(stub, memory={"model": memory, "forgetting": False})
    folder = create_run(path, made, DATA)
    run = Run(folder, TwinDoor({}))
    try:
        mind = mind_of(run)
        told = dict(zip(range(20), range(100, 120), strict=True))
        if swapped:
            told |= {a: told[b] for a, b in PAIRS} | {b: told[a] for a, b in PAIRS}
        for round in range(1, SPAN + 1):
            rows = [(u, MemoryKind.OBSERVED, 0.4, f"Nothing happened, {round}.") for u in told]
            if round == 1:
                rows = [(user, MemoryKind.OBSERVED, 0.9, f"Eve told me to see {TITLES[item]}.")
                        for user, item in told.items()]  # fmt: skip
            mind.committed(round, memories(round, rows))
        found = {}
        for pair in PAIRS:
            page = [100 + pair[0], 100 + pair[1], 300, 301, 302]
            for user in pair:
                view = page_of(user, page, SPAN + 1)
                taken = await mind.strategy.page(Diary(SPAN + 1), run.world, view, 0)
                assert not taken.failed
                found[user] = page[taken.watched[0]] if taken.watched else -1
        return found
    finally:
        await run.close()


async def test_users_choose_by_their_own_memories_and_swapping_two_users_swaps_their_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    async with LlmStub(follows_memories) as stub:
        followed = {}
        for memory in ("layers", "simple", "none"):
            own = await choices(tmp_path / f"{memory}-own", stub, memory, swapped=False)
            swapped = await choices(tmp_path / f"{memory}-swap", stub, memory, swapped=True)
            followed[memory] = sum(item == 100 + user for user, item in own.items()) / 20
            changed = sum(own[user] != swapped[user] for user in own) / 20
            figures.report("choices that follow a tip of 12 rounds before", memory=memory,
                           share=followed[memory], changed_by_swapping=changed)  # fmt: skip
            if memory == "layers":
                for one, other in PAIRS:
                    assert (swapped[one], swapped[other]) == (own[other], own[one])
            else:
                assert own == swapped
    assert followed == {"layers": 1, "simple": 0, "none": 0}
