"""Explanations from the wire to users, feedback, log and memories; some of them withheld."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from recarena.server.cli.summary import summary
from recarena.server.evidence import read
from recarena.server.replaying import play_again
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.store.exported import impressions
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventColumns, EventKind, Explained, MemoryKind
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1.session_pb2 import CAPABILITY_COLUMNAR, CAPABILITY_EXPLAIN
from recarena.v1.types_pb2 import Evidence
from support.arena import begin, finished, log_of, settings
from support.raw_client import RICH, RawClient

WORLD = "new:users=80,seed=5,history=3"
EXPLAINED = 3
"""Items at the top of each list that come with an explanation."""


def explaining(raw, kind, work):
    """Words that name a genre, without evidence; at the second place, evidence of its own."""
    answer = raw.answer(kind, work)
    if kind in ("rank_work", "search_work"):
        for one in answer.rank_result.lists:
            for rank, item in enumerate(one.items[:EXPLAINED]):
                item.explanation.text = f"A comedy for {rank}, unforgettable."
                item.explanation.method = "raw-template"
                item.explanation.locale = "en"
                if rank == 1:
                    item.explanation.evidence.add(
                        kind=Evidence.KIND_FEATURE, reference="genre=Drama"
                    )
    return [answer]


async def played(
    server: Server, share: float = 1.0, run_id: str = "run", rounds: int = 3, **values: object
) -> tuple[Run, RawClient]:
    arm = {"recommender": "raw", "explanations": True, "explanation_share": share}
    choice = {"credulity": 0.5, "explanation": 2.0, **dict(values.pop("choice", {}))}
    run = await begin(
        server, settings(arm, rounds=rounds, choice=choice, **values), run_id=run_id, world=WORLD
    )
    async with RawClient(server.address) as client:
        await client.join(capabilities=[*RICH, CAPABILITY_EXPLAIN])
        await client.serve(explaining)
        await finished(run)
    return run, client


def explained(log: EventColumns) -> EventColumns:
    shown = log.of(EventKind.SHOWN)
    return shown.take(shown.code != Explained.NONE)


async def test_what_the_words_claim_and_how_they_were_made_is_in_the_log(server):
    run, _ = await played(server, rounds=1)
    log = explained(log_of(run))
    made = ("method", "raw-template"), ("locale", "en")
    for row, words in log.text.items():
        claims = ("feature", "genre=Drama") if " 1," in words else ("parsed", "genre=Comedy")
        assert read(log.evidence[row]) == [claims, ("parsed", "praise"), *made]


async def test_a_share_of_the_explanations_is_withheld_and_told_to_nobody(server):
    run, client = await played(server, 0.5)
    log = explained(log_of(run))
    held = log.code == Explained.WITHHELD
    assert set(log.code.tolist()) == {Explained.SHOWN, Explained.WITHHELD}
    assert len(log) > 200
    assert abs(held.mean() - 0.5) < 4 * np.sqrt(0.25 / len(log))
    # Words and evidence of both are kept.
    assert set(log.text) == set(log.evidence) == set(range(len(log)))
    told = {
        (batch.round, page.user_id, item.item_id, item.explanation_shown)
        for round in range(1, 4)
        for batch in client.feedback(round)
        for page in batch.impressions
        for item in page.items
    }
    people, items = run.data.population.user_ids, run.data.catalog.item_ids
    for row in range(len(log)):
        at = int(log.round[row]), people[log.user[row]], items[log.item[row]]
        assert (*at, not held[row]) in told
        assert not held[row] or (*at, True) not in told
    assert sum(one[-1] for one in told) == int((~held).sum())
    (arm,) = summary(RunFolder.open(run.folder.path))["arms"]
    assert (arm["explained"], arm["withheld"]) == (int((~held).sum()), int(held.sum()))


async def test_the_same_item_is_explained_to_a_user_all_through_a_round_or_not_at_all(server):
    run, _ = await played(server, 0.5)
    log = explained(log_of(run))
    codes: dict[tuple[int, int, int], set[int]] = {}
    for at in zip(*(getattr(log, n).tolist() for n in ("round", "user", "item", "code")),
                  strict=True):  # fmt: skip
        codes.setdefault(at[:3], set()).add(at[3])
    assert all(len(one) == 1 for one in codes.values())
    # It is a draw for the user, the item and the round: each of them makes a difference.
    for left_out in range(3):
        mixed: dict[tuple[int, ...], set[int]] = {}
        for at, one in codes.items():
            mixed.setdefault(at[:left_out] + at[left_out + 1 :], set()).update(one)
        assert any(len(one) == 2 for one in mixed.values())


async def test_a_withheld_explanation_moves_nobody(server):
    none, _ = await played(server, 0.0, "none")
    unmoved, _ = await played(server, 1.0, "unmoved", choice={"explanation": 0.0})
    moved, _ = await played(server, 1.0, "moved")

    def watched(run: Run) -> list[tuple[int, ...]]:
        log = log_of(run).of(EventKind.WATCH)
        columns = (getattr(log, n).tolist() for n in ("round", "user", "item"))
        return list(zip(*columns, strict=True))

    assert set(explained(log_of(none)).code.tolist()) == {Explained.WITHHELD}
    assert watched(none) == watched(unmoved)
    assert watched(none) != watched(moved)


async def test_cohorts_do_not_change_who_gets_an_explanation_and_the_log_plays_again(server):
    one, _ = await played(server, 0.5, "one", rounds=2)
    other, _ = await played(server, 0.5, "other", rounds=2, execution={"cohort_size": 7})
    another, _ = await played(server, 0.5, "another", rounds=2, seed=8)
    assert one.folder.digest == other.folder.digest != another.folder.digest
    folder = RunFolder.open(one.folder.path)
    assert folder.verify_digest() == folder.digest
    expected = [row.digest for row in folder.round_rows()]
    rules = replace(one.settings.rules(), cohort_size=5)
    assert [row.digest async for row in play_again(folder, rules=rules)] == expected


async def test_words_of_what_was_watched_are_remembered_as_the_recommenders(server, operator):
    run, _ = await played(server, 0.5)
    log = explained(log_of(run))
    keys = {
        tuple(key): code
        for *key, code in zip(
            *(getattr(log, n).tolist() for n in ("round", "user", "step", "item", "code")),
            strict=True,
        )
    }
    watches = log_of(run).of(EventKind.WATCH)
    places = (getattr(watches, n).tolist() for n in ("round", "user", "step", "item"))
    expected = sorted(
        (key[1], key[0], key[3])
        for key in zip(*places, strict=True)
        if keys.get(key) == Explained.SHOWN
    )
    made = [memories for _, memories in run.folder.rounds(1, run.round)]
    found = sorted(
        (int(m.user[row]), int(m.round[row]), int(m.item[row]))
        for m in made
        for row in np.flatnonzero(m.kind == MemoryKind.TOLD).tolist()
    )
    assert found == expected
    assert len(found) > 10
    user = run.data.population.user_ids[found[0][0]]
    call = operator.observe.ListMemories
    listed = (await call(observe_pb.ListMemoriesRequest(run_id="run", user_id=user))).memories
    told = [one for one in listed if one.kind == "told"]
    assert told
    assert all(one.text.startswith("The recommender said of ") for one in told)
    assert {one.source_user_id for one in told} == {""}


async def test_exports_tell_shown_and_withheld_explanations_apart(server):
    run, _ = await played(server, 0.5, rounds=1)
    log = log_of(run)
    table: pa.Table = impressions(run.data, log, 0)
    code = log.of(EventKind.SHOWN).code
    assert table["explained"].to_pylist() == (code == Explained.SHOWN).tolist()
    assert table["withheld"].to_pylist() == (code == Explained.WITHHELD).tolist()
    assert sum(table["withheld"].to_pylist()) > 0


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_at_the_ends_all_are_withheld_or_shown(server, share):
    run, _ = await played(server, share, rounds=1)
    only = Explained.SHOWN if share else Explained.WITHHELD
    assert set(explained(log_of(run)).code.tolist()) == {only}


@pytest.mark.parametrize("wanted", [True, False])
async def test_who_explains_works_in_the_rich_encoding_where_explanations_are_wanted(
    server: Server, wanted: bool
):
    arm = {"recommender": "raw", "explanations": wanted}
    run = await begin(server, settings(arm, rounds=1), world=WORLD)
    async with RawClient(server.address) as client:
        registered = await client.join(
            capabilities=[*RICH, CAPABILITY_EXPLAIN, CAPABILITY_COLUMNAR]
        )
        assert CAPABILITY_EXPLAIN in registered.capabilities
        assert (CAPABILITY_COLUMNAR in registered.capabilities) is not wanted
        await client.serve(explaining)
        await finished(run)
    works = client.all("rank_work"), client.all("rank_batch")
    assert (bool(works[0]), bool(works[1])) == (wanted, not wanted)
    told = log_of(run).of(EventKind.SHOWN).code == Explained.SHOWN
    assert bool(told.any()) is wanted
