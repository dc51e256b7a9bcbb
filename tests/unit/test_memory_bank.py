"""What users remember: layers, enhancement, forgetting, retrieval and reflection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from recarena.server.memory.bank import Layer, MemoryBank
from recarena.server.memory.embedders import HashEmbedder
from recarena.server.memory.settings import MemoryModel, MemorySettings
from recarena.server.store.tables import memories_from, memory_table
from recarena.server.types import (
    MEMORY_COLUMNS,
    NOBODY,
    REFLECTED,
    MemoryColumns,
    MemoryKind,
    memory_id,
)

HASH = HashEmbedder()
NO_CUES = np.zeros((0, HASH.dimension), np.float32)
Recalled = dict[int, tuple[int, ...]]


def bank_of(seed: int = 1, **settings: Any) -> MemoryBank:
    return MemoryBank(MemorySettings(**settings), seed, HASH.dimension, HASH.similar_above)


def columns(round: int, rows: Sequence[dict[str, Any]], recalled: Recalled | None = None):
    neutral = {"round": round, "user": 0, "kind": MemoryKind.OBSERVED, "item": -1,
               "source": NOBODY, "importance": 0.5, "value": 0, "code": 0}  # fmt: skip
    made: dict[str, Any] = {
        name: np.array([{**neutral, **row}[name] for row in rows], dtype)
        for name, dtype in MEMORY_COLUMNS.items()
    }
    text = {at: str(row["text"]) for at, row in enumerate(rows) if row.get("text")}
    return MemoryColumns(**made, text=text, recalled=recalled or {})


def apply(bank: MemoryBank, round: int, memories: MemoryColumns, users: int = 8) -> None:
    texts = [memories.text.get(row, "") for row in range(len(memories))]
    bank.apply(round, memories, texts, HASH.embed_now(texts), np.ones(users, bool))


def lived(
    bank: MemoryBank, round: int, *rows: dict[str, Any], recalled: Recalled | None = None
) -> None:
    apply(bank, round, columns(round, rows, recalled))


def told(text: str, importance: float = 0.5, **more: Any) -> dict[str, Any]:
    return {"text": text, "importance": importance, **more}


def texts(found: Sequence[Any]) -> list[str]:
    return [one.text for one in found]


def layers(bank: MemoryBank) -> list[Layer]:
    return [Layer(int(one)) for one in bank.column("layer")]


def state(bank: MemoryBank) -> dict[str, Any]:
    names = ("id", "round", "user", "kind", "item", "source", "importance", "value", "last_access",
             "recalls", "enhanced", "layer")  # fmt: skip
    made: dict[str, Any] = {name: bank.column(name).tolist() for name in names}
    vectors = bank._vectors[: bank.size].tolist()
    inner = {"importances": dict(bank._importance), "reflected": dict(bank._reflected)}
    return made | {"texts": list(bank.texts), "vectors": vectors, **inner}


DIFFERENT = (
    "apples ripen", "boats sank", "clocks tick", "dogs bark", "eagles soar", "frost melts",
    "grapes ferment", "horses neigh", "islands vanish", "jugglers stumble", "kettles whistle",
    "lanterns flicker", "mountains erupt", "nurses smiled", "oceans freeze", "pianos crumble",
)  # fmt: skip


# ---------------------------------------------------------------------------- layers


def test_what_matters_too_little_is_gone_with_the_round():
    bank = bank_of(keep_above=0.2)
    lived(bank, 1, told(DIFFERENT[0], 0.19), told(DIFFERENT[1], 0.2), told(DIFFERENT[2], 0.9))
    assert layers(bank) == [Layer.SENSORY, Layer.SHORT, Layer.SHORT]
    assert texts(bank.recent(0, 2)) == [DIFFERENT[1], DIFFERENT[2]]


def test_a_memory_without_words_is_a_fact_only():
    bank = bank_of()
    lived(bank, 1, told("", 0.9, kind=MemoryKind.WATCHED, item=3))
    assert not len(bank.alive(0, 1))
    assert bank.of_kinds(0, (MemoryKind.WATCHED,), 5) == [0]


def test_short_term_memory_hands_the_least_important_on_and_the_old_before_the_new():
    bank = bank_of(short_term=4)
    weights = (0.9, 0.3, 0.8, 0.25, 0.7)
    for round, weight in enumerate(weights, 1):
        lived(bank, round, told(DIFFERENT[round], weight))
    assert layers(bank) == [Layer.SHORT, Layer.SHORT, Layer.SHORT, Layer.LONG, Layer.SHORT]
    for round in range(6, 16):
        lived(bank, round, told(DIFFERENT[round], 0.5))
    assert layers(bank).count(Layer.SHORT) == 4
    assert layers(bank)[-2:] == [Layer.SHORT, Layer.SHORT]
    for round in range(16, 60):
        lived(bank, round, told(DIFFERENT[round % 16], 0.5))
    assert layers(bank)[0] != Layer.SHORT, "what mattered most once makes room, too"


def test_forgetting_begins_when_short_term_memory_lets_go():
    bank = bank_of(short_term=1)
    lived(bank, 1, told(DIFFERENT[0]))
    lived(bank, 30, told(DIFFERENT[1]))
    assert layers(bank) == [Layer.LONG, Layer.SHORT]
    assert bank.column("last_access").tolist() == [30, 30]


def test_without_short_term_memory_all_goes_to_long_term_memory():
    bank = bank_of(short_term=0)
    lived(bank, 1, told(DIFFERENT[0]), told(DIFFERENT[1]))
    assert layers(bank) == [Layer.LONG, Layer.LONG]


def test_similar_memories_enhance_one_in_short_term_memory_and_the_k_th_consolidates_it():
    bank = bank_of(enhance_to_keep=2)
    for round, layer in enumerate((Layer.SHORT, Layer.SHORT, Layer.CONSOLIDATED), 1):
        lived(bank, round, told("Eve loves old westerns"), told(DIFFERENT[round]))
        assert layers(bank)[0] is layer
        assert bank.column("enhanced")[0] == round - 1
        assert bank.column("last_access")[0] == round
    assert not bank.column("enhanced")[1::2].any()
    lived(bank, 4, told("Eve loves old westerns"))
    assert bank.column("enhanced")[0] == 2, "it is not in short-term memory any more"


def test_a_consolidated_memory_and_an_insight_last_four_times_as_long():
    bank = bank_of(enhance_to_keep=1, strength=10, consolidated=4)
    lived(bank, 1, told("Eve loves old westerns", 0.5), told("Eve loves old westerns", 0.5))
    lived(bank, 1, told("I like westerns", 0.5, kind=MemoryKind.INSIGHT))
    assert layers(bank) == [Layer.CONSOLIDATED, Layer.SHORT, Layer.LONG]
    np.testing.assert_allclose(bank.strength(np.arange(3)), [80, 20, 80])


# ---------------------------------------------------------------------------- forgetting

MANY = 5000


def forgetful(seed: int = 1, **settings: Any) -> MemoryBank:
    """Many users with one memory each, in long-term memory."""
    bank = bank_of(seed, short_term=0, **settings)
    rows = [told(f"memory {n}", 0.5, user=n) for n in range(MANY)]
    apply(bank, 1, columns(1, rows), MANY)
    return bank


def alive(bank: MemoryBank, round: int) -> set[int]:
    return {user for user in range(MANY) if len(bank.alive(user, round))}


@pytest.fixture(scope="module")
def many() -> MemoryBank:
    return forgetful()


@pytest.mark.parametrize("age", [5, 20, 60])
def test_the_share_that_is_left_follows_the_curve(many: MemoryBank, age: int):
    share = len(alive(many, 1 + age)) / MANY
    assert share == pytest.approx(np.exp(-age / 40), abs=0.03)


def test_nothing_comes_back_by_itself(many: MemoryBank):
    left = alive(many, 1)
    assert len(left) == MANY
    for round in (2, 9, 30, 31, 200):
        now = alive(many, round)
        assert now <= left
        left = now
    assert len(left) < MANY / 50


def test_the_same_seed_forgets_the_same_and_another_one_something_else(many: MemoryBank):
    assert alive(forgetful(1), 30) == alive(many, 30)
    assert alive(forgetful(2), 30) != alive(many, 30)


def test_what_comes_to_mind_is_remembered_longer():
    bank = forgetful()
    left = alive(bank, 21)
    ids = {user: (int(bank.column("id")[user]),) for user in left if user % 2}
    apply(bank, 21, columns(21, [], ids), MANY)
    assert bank.column("recalls").sum() == len(ids)
    np.testing.assert_allclose(np.unique(bank.strength(np.arange(MANY))), [40, 60])
    later = alive(bank, 51)
    assert later <= left
    kept = len(later & set(ids)) / len(ids)
    assert kept == pytest.approx(np.exp(-30 / 60), abs=0.04)
    others = left - set(ids)
    assert len(later & others) / len(others) == pytest.approx(np.exp(-30 / 40), abs=0.04)


def test_short_term_memory_forgets_nothing_and_forgetting_can_be_off():
    bank = bank_of(strength=0.01)
    lived(bank, 1, *(told(text, 0.3) for text in DIFFERENT[:8]))
    assert len(bank.alive(0, 500)) == 8
    without = bank_of(strength=0.01, short_term=0, forgetting=False)
    lived(without, 1, told(DIFFERENT[0], 0.3))
    assert len(without.alive(0, 500)) == 1


def test_what_is_recalled_for_ever_is_there_for_ever():
    bank = bank_of(short_term=0)
    lived(bank, 1, told(DIFFERENT[0]))
    for round in range(2, 302):
        lived(bank, round, recalled={0: (memory_id(1, 0),)})
    assert len(bank.alive(0, 10_000)) == 1


def test_exact_facts_outlast_the_words():
    bank = bank_of(strength=0.01, short_term=0)
    lived(bank, 1, told("I watched it", 0.5, kind=MemoryKind.WATCHED, item=7),
          told("Eve told me", 0.5, kind=MemoryKind.HEARD, item=8),
          told("a page", 0.05, kind=MemoryKind.WATCHED, item=9))  # fmt: skip
    assert not len(bank.alive(0, 300))
    assert bank.of_kinds(0, (MemoryKind.WATCHED,), 5) == [2, 0]
    assert bank.of_kinds(0, (MemoryKind.WATCHED, MemoryKind.HEARD), 2) == [2, 1]


# ---------------------------------------------------------------------------- retrieval


def test_retrieval_adds_up_scaled_recency_importance_and_relevance():
    bank = bank_of(short_term=0, forgetting=False, recent=0, recall=4, recency_half_life=4)
    lived(bank, 1, told("old dull westerns", 0.2))
    lived(bank, 2, told("important news of taxes", 1.0))
    lived(bank, 6, told("sailing with penguins", 0.4))
    lived(bank, 9, told("westerns again", 0.3))
    cue = HASH.embed_now(["westerns"])
    age = 10 - np.array([1, 2, 6, 9])
    parts = [np.exp2(-age / 4), np.array([0.2, 1.0, 0.4, 0.3]),
             (HASH.embed_now(bank.texts) @ cue.T)[:, 0]]  # fmt: skip
    scaled = [(part - part.min()) / (part.max() - part.min()) for part in parts]
    score = scaled[0] + scaled[1] + 2 * scaled[2]
    expected = [bank.texts[row] for row in np.argsort(-score)]
    assert texts(bank.recall(0, 10, cue)) == expected
    assert expected[0] == "westerns again"
    no_cue = [bank.texts[row] for row in np.argsort(-(scaled[0] + scaled[1]))]
    assert texts(bank.recall(0, 10, NO_CUES)) == no_cue


def _scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (values.max() - values.min())


def test_the_newest_are_always_there_and_the_best_k_of_the_others():
    bank = bank_of(recent=3, recall=2, forgetting=False)
    lived(bank, 1, *(told(text) for text in DIFFERENT[:8]))
    assert texts(bank.recent(0, 2)) == list(DIFFERENT[5:8])
    cue = HASH.embed_now([DIFFERENT[1]])
    found = texts(bank.recall(0, 2, cue))
    assert found[0] == DIFFERENT[1]
    assert len(found) == 2
    assert not set(found) & set(DIFFERENT[5:8])
    nearest = HASH.embed_now([DIFFERENT[0], DIFFERENT[2]])
    assert set(texts(bank.recall(0, 2, nearest))) == {DIFFERENT[0], DIFFERENT[2]}


def test_equal_memories_come_newest_first():
    bank = bank_of(recent=0, recall=3, forgetting=False)
    lived(bank, 1, *(told(text) for text in DIFFERENT[:5]))
    assert texts(bank.recall(0, 2, NO_CUES)) == list(DIFFERENT[4:1:-1])


def test_users_have_memories_of_their_own():
    bank = bank_of(recent=1)
    lived(bank, 1, told("mine"), told("theirs", user=1), told("mine too"))
    assert texts(bank.recent(0, 2)) == ["mine too"]
    assert texts(bank.recall(0, 2, NO_CUES)) == ["mine"]
    assert texts(bank.recent(1, 2)) == ["theirs"]
    assert bank.recent(2, 2) == bank.recall(2, 2, NO_CUES) == []


def test_users_without_such_a_mind_have_no_memory_here():
    bank = bank_of()
    made = columns(1, [told("a", user=0), told("b", user=1), told("c", user=0)])
    bank.apply(1, made, ["a", "", "c"], HASH.embed_now(["a", "", "c"]), np.array([True, False]))
    assert texts(bank.recent(0, 1)) == ["a", "c"]
    assert not bank.rows_of(1)
    assert bank.column("id").tolist() == [memory_id(1, 0), memory_id(1, 2)]


def test_reading_changes_nothing_before_a_round_is_applied():
    bank = bank_of(short_term=3)
    for round in range(1, 9):
        lived(bank, round, told(DIFFERENT[round]), told(DIFFERENT[round + 5], user=1))
    before = state(bank)
    cue = HASH.embed_now([DIFFERENT[2]])
    first = bank.recall(0, 9, cue)
    for _ in range(2):
        assert bank.recall(0, 9, cue) == first
        bank.recent(0, 9)
        bank.alive(0, 40)
        bank.of_kinds(0, (MemoryKind.OBSERVED,), 4)
        bank.wants_to_reflect(0, 9)
        bank.to_reflect_on(0, 9, 5)
    assert state(bank) == before
    lived(bank, 9, recalled={0: (first[0].id,)})
    assert state(bank) != before


# ---------------------------------------------------------------------------- reflection


def test_a_user_reflects_when_enough_has_happened_and_not_too_often():
    bank = bank_of(reflect_above=1.0, reflect_every=3, keep_above=0.2)
    lived(bank, 1, told(DIFFERENT[0], 0.6))
    assert not bank.wants_to_reflect(0, 4)
    lived(bank, 2, told(DIFFERENT[1], 0.1), told(DIFFERENT[2], 0.4))
    assert [bank.wants_to_reflect(0, round) for round in (2, 3, 9)] == [False, True, True]
    assert not bank.wants_to_reflect(1, 9)
    lived(bank, 4, told(DIFFERENT[3], 0.9), recalled={0: (REFLECTED,)})
    assert not bank.wants_to_reflect(0, 9)
    lived(bank, 5, told(DIFFERENT[4], 0.2))
    assert [bank.wants_to_reflect(0, round) for round in (5, 6, 7)] == [False, False, True]


def test_insights_do_not_count_towards_the_next_reflection():
    bank = bank_of(reflect_above=0.5, reflect_every=1)
    lived(bank, 1, told("I like westerns", 0.9, kind=MemoryKind.INSIGHT))
    assert not bank.wants_to_reflect(0, 9)


def test_reflection_looks_at_the_most_important_since_the_last_one():
    bank = bank_of()
    lived(bank, 1, told(DIFFERENT[0], 0.9))
    lived(bank, 2, *(told(DIFFERENT[n], weight) for n, weight in ((1, 0.3), (2, 0.8), (3, 0.5))))
    assert texts(bank.to_reflect_on(0, 3, 2)) == [DIFFERENT[0], DIFFERENT[2]]
    lived(bank, 3, told(DIFFERENT[4], 0.4), recalled={0: (REFLECTED,)})
    lived(bank, 4, told(DIFFERENT[5], 0.3))
    # What happened in the round of a reflection was not there when its user reflected.
    assert texts(bank.to_reflect_on(0, 5, 9)) == [DIFFERENT[4], DIFFERENT[5]]


def test_reflection_can_be_off_and_is_of_layers_alone():
    for settings in ({"reflection": False}, {"model": "simple"}, {"model": "none"}):
        bank = bank_of(reflect_above=0.1, reflect_every=1, **settings)
        lived(bank, 1, told(DIFFERENT[0], 0.9))
        assert not bank.wants_to_reflect(0, 9)


# ---------------------------------------------------------------------------- other models


def test_a_simple_memory_keeps_the_last_ones_word_for_word():
    bank = bank_of(model=MemoryModel.SIMPLE, recent=2, recall=3)
    for round in range(1, 9):
        lived(bank, round, told(DIFFERENT[round], 0.05))
    assert texts(bank.recent(0, 99)) == list(DIFFERENT[7:9])
    assert texts(bank.recall(0, 99, HASH.embed_now([DIFFERENT[1]]))) == list(DIFFERENT[6:3:-1])


def test_without_a_memory_there_is_nothing():
    bank = bank_of(model=MemoryModel.NONE)
    lived(bank, 1, told(DIFFERENT[0], 0.9, kind=MemoryKind.WATCHED, item=1))
    assert not bank.remembers
    assert bank.recent(0, 1) == bank.recall(0, 1, NO_CUES) == []
    assert bank.of_kinds(0, (MemoryKind.WATCHED,), 5) == []


# ---------------------------------------------------------------------------- opening again


def test_a_bank_made_from_what_was_stored_is_the_same():
    rng = np.random.default_rng(3)
    first, again = (bank_of(short_term=3, enhance_to_keep=1) for _ in range(2))
    for round in range(1, 25):
        rows = [
            told(str(rng.choice(DIFFERENT)), float(rng.random()), user=user,
                 kind=int(rng.integers(1, 8)), item=int(rng.integers(-1, 9)))
            for user in sorted(rng.integers(0, 4, 8).tolist())
        ]  # fmt: skip
        recalled: Recalled = {}
        for user in range(4):
            found = first.recall(user, round, HASH.embed_now([DIFFERENT[round % 16]]))
            if found:
                ids = tuple(sorted(one.id for one in found))
                recalled[user] = (REFLECTED, *ids) if (round + user) % 5 == 0 else ids
        made = columns(round, rows, recalled)
        apply(first, round, made)
        apply(again, round, memories_from(memory_table(made, round)))
    assert state(again) == state(first)
    assert Layer.CONSOLIDATED in layers(first)
    cue = HASH.embed_now([DIFFERENT[4]])
    for user in range(4):
        assert again.recall(user, 25, cue) == first.recall(user, 25, cue)
