"""Operators add and withdraw items while programs of all languages serve: users see the rest."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from conformance.programs import RECOMMENDERS, unbuilt
from recarena.server.interventions import Change
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventKind, InterventionKind, Outcome
from support.arena import finished, log_of, program, recommender, settings, settled

pytestmark = pytest.mark.slow
WORLD = "planted:users=40,items=60,seed=3"
LEFT = (2, 9, 30, 31)
"""Numbers of the items that stay; with the one that is added they fill a page."""
PYTHON = "python"


def co_occurrence(server: Server, language: str, name: str, log: Path):
    """The recommender of a language's examples as a program of its own."""
    words = RECOMMENDERS[language]
    tool = shutil.which(words[0]) or words[0]
    return program(tool, *words[1:], "--server", server.address, "--id", name, log=log)


def add(run: Run, item_id: str) -> None:
    item = {"item_id": item_id, "title": f"The film {item_id}", "categories": []}
    run.intervene(Change(InterventionKind.ADD_ITEM, {"item": item}))


def withdraw(run: Run, numbers: list[int]) -> None:
    ids = run.data.catalog.item_ids
    for number in numbers:
        run.intervene(Change(InterventionKind.WITHDRAW_ITEM, {"item_id": ids[number]}))


async def one_round(server: Server, name: str) -> Run:
    """A run of this recommender that stands after its first round."""
    run = await server.house.create(name, WORLD, settings(name, rounds=3))
    run.start(rounds=1)
    await settled(run)
    assert run.round == 1, run.error
    return run


async def changed(server: Server, name: str) -> Run:
    """The same to its end: items come and go after the first round, and after the second."""
    run = await one_round(server, name)
    size = len(run.data.catalog)
    gone = [number for number in range(size) if number not in LEFT]
    withdraw(run, gone[5:])
    run.start(rounds=1)
    await settled(run)
    withdraw(run, gone[:5])
    add(run, "late")
    run.start()
    await finished(run)
    return run


def shown(run: Run, round: int) -> set[int]:
    return set(log_of(run, round).of(EventKind.SHOWN).item.tolist())


def is_as_it_should_be(run: Run) -> None:
    """Lists had what was there, all of it, and nothing else."""
    late = len(run.data.catalog) - 1
    first_five = {n for n in range(late) if n not in LEFT}
    assert shown(run, 2) <= {*LEFT, *sorted(first_five)[:5]}
    assert shown(run, 3) == {*LEFT, late}
    for round in (1, 2, 3):
        pages = log_of(run, round).of(EventKind.PAGE)
        assert len(pages)
        assert set(pages.outcome.tolist()) == {Outcome.ACCEPTED}


@pytest.mark.parametrize("language", RECOMMENDERS)
async def test_every_language_lists_what_is_left_and_what_is_new(language, tmp_path):
    if reason := unbuilt(language):
        pytest.skip(reason)
    async with Server(tmp_path / "runs") as server, contextlib.AsyncExitStack() as programs:
        for one in dict.fromkeys((PYTHON, language)):
            log = tmp_path / f"{one}.log"
            await programs.enter_async_context(co_occurrence(server, one, one, log))
        names = list(dict.fromkeys((PYTHON, language)))
        runs = await asyncio.gather(*(changed(server, name) for name in names))
        for run in runs:
            is_as_it_should_be(run)
        events = [log_of(run) for run in runs]
        np.testing.assert_array_equal(events[0].item, events[-1].item)
        np.testing.assert_array_equal(events[0].user, events[-1].user)


@pytest.mark.parametrize(
    ("name", "encoding"), [("popular", "columnar"), ("content", "rich"), ("random", "columnar")]
)
async def test_reference_recommenders_do_in_either_encoding(name, encoding, tmp_path):
    log = tmp_path / "program.log"
    async with (
        Server(tmp_path / "runs") as server,
        recommender(server, name, "--encoding", encoding, log=log),
    ):
        is_as_it_should_be(await changed(server, name))


async def test_a_program_begun_again_after_a_change_finds_the_catalogue_as_it_is(tmp_path):
    log = tmp_path / "program.log"
    async with Server(tmp_path / "runs") as server:
        async with co_occurrence(server, PYTHON, PYTHON, log) as first:
            run = await one_round(server, PYTHON)
            first.kill()
            await first.wait()
        add(run, "late")
        withdraw(run, [n for n in range(len(run.data.catalog)) if n not in LEFT])
        run.start()
        async with co_occurrence(server, PYTHON, PYTHON, log):
            await finished(run)
        late = len(run.data.catalog) - 1
        assert shown(run, 2) == shown(run, 3) == {*LEFT, late}
        outcomes = log_of(run).of(EventKind.PAGE).outcome
        assert set(outcomes.tolist()) == {Outcome.ACCEPTED}


async def test_a_server_begun_again_offers_the_catalogue_as_it_is(tmp_path):
    log = tmp_path / "program.log"
    async with Server(tmp_path / "runs") as server:
        async with co_occurrence(server, PYTHON, PYTHON, log):
            run = await one_round(server, PYTHON)
            add(run, "late")
            run.start(rounds=1)
            await settled(run)
            withdraw(run, [n for n in range(len(run.data.catalog)) if n not in LEFT][:-1])
        version = run.data.catalog.version
    async with (
        Server(tmp_path / "runs") as server,
        co_occurrence(server, PYTHON, PYTHON, log),
    ):
        again = server.house.run(PYTHON)
        assert again.data.catalog.version == version
        again.start()
        await finished(again)
        assert shown(again, 3) == {*LEFT, len(again.data.catalog) - 1}
