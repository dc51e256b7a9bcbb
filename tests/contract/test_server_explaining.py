"""A study of explanations asks a real server about a run that it played, and all is answered."""

from __future__ import annotations

from typing import Any

import pytest

from recarena.evaluation.explaining.asking import ask
from recarena.evaluation.explaining.inquiries import build
from recarena.evaluation.explaining.judges import judge
from recarena.evaluation.explaining.plan import Plan
from recarena.evaluation.judging.replies import Asked
from recarena.evaluation.playing.channels import open_channel
from recarena.evaluation.questionnaires.reading import load
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.stimuli.catalogue import Catalogue
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.faithfulness import Verdict, check
from recarena.evaluation.stimuli.past import Past
from recarena.evaluation.stimuli.quiz import quiz
from recarena.evaluation.stimuli.sampling import sample
from recarena.evaluation.stimuli.wordings import wordings
from support.answering import explained
from support.explained_logs import numbers
from support.shadows import recorded

ARM: dict[str, Any] = {"recommender": "raw", "explanations": True}


async def played(server) -> RunLog:
    run, _ = await recorded(server, ARM, answers=explained, rounds=2)
    return RunLog.open(run.folder.path)


def prepared(log: RunLog, count: int):
    triples = sample([log], count, 1).triples
    catalogue = Catalogue.of(log)
    quizzes = {one.id: quiz(catalogue, numbers(log, one)[1], 1) for one in triples}
    return triples, wordings(triples, [log], 1), quizzes


async def replies_of(server, plan: Plan, study) -> list[Any]:
    async with open_channel(server.address) as channel:
        heard = await ask(channel, plan, build(plan, *study), lambda _: None)
    return list(heard.replies)


async def test_the_choice_mind_answers_everything_and_is_not_moved_by_empty_words(server):
    log = await played(server)
    study = prepared(log, 8)
    plan = Plan.of(judge("choice"), draws=3)
    replies = await replies_of(server, plan, study)
    assert {one.asked for one in replies} == {
        Asked.CHOOSE, Asked.EXPECT, Asked.RATE, Asked.QUIZ, Asked.COMPARE,
    }  # fmt: skip
    assert not [one for one in replies if one.value is None]
    chosen = {
        name: {(one.triple, one.asked, one.draw, one.item): one.value for one in replies
               if one.condition == name and one.asked in (Asked.CHOOSE, Asked.EXPECT, Asked.QUIZ)}
        for name in (Condition.NONE, Condition.PLACEBO, Condition.REAL)
    }  # fmt: skip
    assert chosen[Condition.NONE] == chosen[Condition.PLACEBO]
    assert chosen[Condition.NONE] != chosen[Condition.REAL]
    assert replies == await replies_of(server, plan, study)
    assert RunLog.open(log.path).rounds == log.rounds


@pytest.mark.parametrize("name", ["scripted:honest", "scripted:sycophant"])
async def test_scripted_judges_agree_or_disagree_with_every_statement(server, name):
    log = await played(server)
    plan = Plan.of(judge(name), load("battery"), draws=1, repeats=1)
    replies = await replies_of(server, plan, prepared(log, 5))
    stated = [one for one in replies if one.asked == Asked.STATEMENT]
    assert {one.construct for one in stated} == {one.id for one in load("battery").constructs}
    assert {one.probe for one in stated} == {"", "authorship", "challenge"}
    assert not [one for one in replies if one.value is None]
    assert all(one.value in (1, 2, 3, 4, 5) for one in stated)


async def test_claims_that_a_recommender_made_up_are_found_in_the_run_folder(server):
    log = await played(server)
    triples, told, _ = prepared(log, 12)
    past = Past.of(log)
    for one in triples:
        user, item = numbers(log, one)
        own = past.catalogue.genres_of(item)
        found = check(one.explanation, item, user, one.round, past)
        assert {claim.value for claim in found} >= {"Drama"}
        for claim in found:
            true = claim.value in own
            assert claim.verdict == (Verdict.SUPPORTED if true else Verdict.CONTRADICTED)
        lie = told[one.id][Condition.FALSE_FACT]
        assert lie is not None
        planted = check(lie, item, user, one.round, past)
        assert planted
        assert {claim.verdict for claim in planted} == {Verdict.CONTRADICTED}
        empty = told[one.id][Condition.PLACEBO]
        assert empty is not None
        assert check(empty, item, user, one.round, past) == []
