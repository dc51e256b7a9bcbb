"""Operators ask the users of a run, as they were at a round, and the run is as it was before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.server.mind_rules import MindRules
from recarena.server.rpc.server import Server
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_inquiry_service_pb2 as pb
from recarena.v1.types_pb2 import Explanation
from support.arena import finished
from support.inquiries import (
    CHOICE,
    PLACEBO,
    TASKS,
    Exposures,
    asked,
    bytes_of,
    reply,
    watched,
)
from support.operators import Operator, refused
from support.raw_client import RawClient, fields_of

CODE = grpc.StatusCode
INVALID = CODE.INVALID_ARGUMENT
HONEST = pb.Judge(kind="scripted:honest")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of three rounds, which tests only read."""
    folder = tmp_path_factory.mktemp("place") / "runs"

    async def play() -> None:
        async with Server(folder) as server:
            operator = Operator(server)
            await operator.played(round_limit=3)
            await operator.channel.close()

    asyncio.run(play())
    return folder


@pytest.fixture
async def place(runs: Path) -> AsyncIterator[Operator]:
    async with Server(runs) as server:
        operator = Operator(server)
        yield operator
        await operator.channel.close()


@pytest.fixture
def shown(place: Operator) -> Exposures:
    return Exposures(place.server.house.run("run"))


def mixed(shown: Exposures) -> list[pb.Inquiry]:
    """Every task, about exposures of all rounds in no order."""
    dice = random.Random(1)
    numbers = dice.sample(range(len(shown)), 60)
    tasks = [*TASKS] * 10
    return [
        shown.inquiry(number, task, shown.claiming(number) if at % 3 else PLACEBO, draw=at % 2)
        for at, (number, task) in enumerate(zip(numbers, tasks, strict=False))
    ]


# ------------------------------------------------------------------------------ answers
async def test_answers_come_in_the_order_of_the_inquiries_and_fit_their_tasks(place, shown):
    inquiries = mixed(shown)
    answers = await asked(place, inquiries, judge=HONEST)
    assert [one.inquiry_id for one in answers] == [one.inquiry_id for one in inquiries]
    kinds = {
        "choose": "chosen", "expect": "rating", "rate": "rating", "questionnaire": "scores",
        "quiz": "quiz", "compare": "preference", "talk": "missing",
    }  # fmt: skip
    for inquiry, answer in zip(inquiries, answers, strict=True):
        assert answer.WhichOneof("answer") == kinds[inquiry.WhichOneof("task")]


async def test_the_choice_mind_says_that_it_has_no_words(place, shown):
    found = await reply(
        place,
        [shown.inquiry(0, task, PLACEBO, inquiry_id=task) for task in TASKS],
    )
    said = {one.inquiry_id: one for one in found.answers}
    assert found.judge == "choice"
    for task in ("questionnaire", "compare", "talk"):
        assert said[task].missing.reason == pb.Missing.REASON_NOT_ABLE
    assert 1 <= said["expect"].rating.value <= 5
    assert said["quiz"].quiz.answers[0].unknown
    spent = found.spent
    assert (spent.calls, spent.input_tokens, spent.output_tokens, spent.cost) == (0, 0, 0, 0)
    assert spent.HasField("cost")


@pytest.mark.parametrize("judge", ["choice", "scripted:honest", "scripted:random"])
async def test_an_answer_depends_on_its_inquiry_and_the_seed_alone(place, shown, judge):
    judge, inquiries = pb.Judge(kind=judge), mixed(shown)
    first = await asked(place, inquiries, judge=judge)
    by_id = {one.inquiry_id: one for one in first}
    # In another order, with an earlier moment after a later one, and one at a time.
    again = await asked(place, inquiries[::-1], judge=judge)
    assert {one.inquiry_id: one for one in again} == by_id
    for one in (inquiries[5], inquiries[2], inquiries[9]):
        assert await asked(place, [one], judge=judge) == [by_id[one.inquiry_id]]
    half = await asked(place, inquiries[::2], judge=judge)
    assert half == first[::2]
    other = await asked(place, inquiries, judge=judge, seed=6)
    assert other != first


async def test_draws_differ_and_each_comes_back(place, shown):
    def draws(number: int) -> list[pb.Inquiry]:
        return [shown.inquiry(n, draw=number) for n in range(0, 200, 2)]

    zero, one = await asked(place, draws(0)), await asked(place, draws(1))
    assert watched(zero) != watched(one)
    assert await asked(place, draws(0)) == zero


async def test_words_that_claim_nothing_change_no_answer_of_the_choice_mind(place, shown):
    for task in ("choose", "expect", "rate"):
        numbers = range(0, len(shown), 2)
        none = await asked(place, [shown.inquiry(n, task) for n in numbers][:1000])
        told = await asked(place, [shown.inquiry(n, task, PLACEBO) for n in numbers][:1000])
        assert none == told


async def test_claims_move_who_believes_them_the_way_they_should(place, shown):
    judge = pb.Judge(kind="choice")
    judge.settings.update({"choice": {"explanation": 8.0, "false_claim": 1.0}})
    numbers = range(min(len(shown), 500))

    async def count(**told: Any) -> int:
        inquiries = [
            shown.inquiry(n, told=shown.claiming(n, **told) if told else None) for n in numbers
        ]
        return sum(watched(await asked(place, inquiries, judge=judge)))

    none, true, false = await count(), await count(true=True), await count(true=False)
    assert false < none != true


async def test_a_told_genre_is_known_in_a_quiz_by_those_who_believe_it(place, shown):
    def quizzed(number: int, told: Explanation | None) -> pb.Inquiry:
        names = shown.data.catalog.genre_names
        options = list(names[:8])
        question = {
            "question_id": "q", "text": "Which?", "options": options,
            "facts": [f"genre={one}" for one in options],
        }  # fmt: skip
        return shown.inquiry(number, "quiz", told, quiz={"questions": [question]})

    numbers = range(min(len(shown), 400))
    none = await asked(place, [quizzed(n, None) for n in numbers])
    told = await asked(place, [quizzed(n, shown.claiming(n)) for n in numbers])
    known = [[one.quiz.answers[0].HasField("option") for one in both] for both in (none, told)]
    assert sum(known[0]) < sum(known[1]) / 2
    assert all(after or not before for before, after in zip(*known, strict=True))
    catalog = shown.data.catalog
    for number, one in zip(numbers, told, strict=True):
        if one.quiz.answers[0].HasField("option"):
            assert catalog.genres[shown.item(number), one.quiz.answers[0].option]


async def test_persuasiveness_is_compared_by_the_choice_mind_too_and_not_by_order(place, shown):
    def compare(number: int, first: Explanation, second: Explanation) -> pb.Inquiry:
        task = {"other": second, "question": "Which?", "construct": "persuasiveness"}
        return shown.inquiry(number, "compare", first, compare=task)

    numbers = range(100)
    false = [shown.claiming(n, true=False) for n in numbers]
    ahead = await asked(place, [compare(n, PLACEBO, false[n]) for n in numbers])
    behind = await asked(place, [compare(n, false[n], PLACEBO) for n in numbers])
    first = {one.preference.choice for one in ahead}
    assert first == {pb.Preference.CHOICE_FIRST}
    assert {one.preference.choice for one in behind} == {pb.Preference.CHOICE_SECOND}
    same = await asked(place, [compare(n, PLACEBO, PLACEBO) for n in numbers])
    assert {one.preference.choice for one in same} == {pb.Preference.CHOICE_NEITHER}


async def test_users_are_asked_about_items_that_were_never_shown_too(place, shown):
    item = shown.data.catalog.item_ids[-1]
    alone = pb.Inquiry(inquiry_id="a", user_id="u1", item_id=item, expect={})
    alone.user_id = shown.data.population.user_ids[1]
    (answer,) = await asked(place, [alone])
    assert 1 <= answer.rating.value <= 5
    alone.before_round = 4  # what 0 stands for, after three rounds
    assert await asked(place, [alone]) == [answer]


# ------------------------------------------------------------------------------ no trace
@pytest.mark.parametrize("judge", ["choice", "scripted:sycophant"])
async def test_asking_leaves_no_trace_in_the_run(tmp_path, judge):
    async with Server(tmp_path / "runs") as server:
        operator = Operator(server)
        run = await operator.played()
        shown, folder, digest = Exposures(run), run.folder.path, run.folder.digest
        before, status = bytes_of(folder), await operator.get()
        memories = [len(memories) for _, memories in run.folder.rounds(1, run.round)]
        await asked(operator, mixed(shown), judge=pb.Judge(kind=judge))
        assert bytes_of(folder) == before
        assert await operator.get() == status
        assert run.folder.digest == digest
        assert [len(m) for _, m in run.folder.rounds(1, run.round)] == memories
        await operator.channel.close()
    async with Server(tmp_path / "runs") as server:  # also where nobody has opened the run
        operator = Operator(server)
        await asked(operator, mixed(shown), judge=pb.Judge(kind=judge))
        assert not server.house.opened()
        assert bytes_of(folder) == before
        await operator.channel.close()


async def test_a_live_run_is_asked_about_what_is_committed_and_goes_on_as_if_it_was_not(
    operator, server
):
    await operator.create(round_limit=3)
    await operator.start()
    run = server.house.run("run")
    async with RawClient(server.address) as client:
        await client.join()
        await client.serve(until=lambda _: any(one.round == 1 for one in client.feedback()))
        assert run.state.is_live
        assert run.round == 1
        shown = Exposures(run)
        inquiries = [shown.inquiry(n) for n in range(50)]
        early = await asked(operator, inquiries)
        now = pb.Inquiry(
            inquiry_id="now", user_id=shown.data.population.user_ids[0], talk=TASKS["talk"]
        )
        await asked(operator, [now])
        now.before_round = 3
        async with refused(INVALID) as found:
            await asked(operator, [now])
        assert fields_of(found) == ["inquiries[0].before_round"]
        await client.serve()
    digest = await finished(run)
    assert await asked(operator, inquiries) == early
    await asked(operator, [now])
    assert (await operator.played("left-alone", round_limit=3)).folder.digest == digest


async def test_a_run_that_was_reset_is_asked_as_it_is_now(operator, server):
    run = await operator.played()
    shown = Exposures(run)
    first = [shown.inquiry(n, "rate") for n in range(20)]
    await asked(operator, first)
    await operator.control.ResetRun(control_pb.ResetRunRequest(run_id="run", seed=8))
    async with refused(INVALID) as found:
        await asked(operator, first)
    assert fields_of(found) == [f"inquiries[{n}].impression.step" for n in range(16)]


# ------------------------------------------------------------------------------ what is refused
def changed(**fields: Any) -> Any:
    """The first inquiry of the run, with other fields."""
    return lambda shown: [shown.inquiry(0, fields.pop("task", "choose"), **fields)]


def explained(task: str, **fields: Any) -> Any:
    return lambda shown: [shown.inquiry(0, task, PLACEBO, **{task: {**TASKS[task], **fields}})]


def without_task(shown: Exposures) -> list[pb.Inquiry]:
    one = shown.inquiry(0)
    one.ClearField("choose")
    return [one]


LONG = "x" * 501
STATEMENT = {"statement_id": "s", "text": "yes"}
QUESTION = {"question_id": "q", "text": "which", "options": ["a", "b"]}


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (changed(user_id="nobody"), "user_id"),
        (changed(before_round=5), "before_round"),
        (changed(before_round=4), "impression.step"),
        (changed(impression={"step": 99}), "impression.step"),
        (changed(impression={"position": 5}), "impression.position"),
        (changed(item_id="nothing"), "item_id"),
        (changed(inquiry_id=""), "inquiry_id"),
        (changed(inquiry_id="x" * 129), "inquiry_id"),
        (lambda shown: [pb.Inquiry(
            inquiry_id="a", user_id=shown.data.population.user_ids[0], choose={})], "subject"),
        (without_task, "task"),
        (changed(task="questionnaire"), "explanation"),
        (changed(task="compare"), "explanation"),
        (explained("questionnaire", statements=[]), "questionnaire.statements"),
        (explained("questionnaire", statements=[STATEMENT] * 21), "questionnaire.statements"),
        (explained("questionnaire", statements=[STATEMENT] * 2),
         "questionnaire.statements[1].statement_id"),
        (explained("questionnaire", statements=[STATEMENT | {"text": LONG}]),
         "questionnaire.statements[0].text"),
        (explained("questionnaire", statements=[STATEMENT | {"text": "\u200b"}]),
         "questionnaire.statements[0].text"),
        (explained("questionnaire", statements=[STATEMENT | {"asked_for": 6}]),
         "questionnaire.statements[0].asked_for"),
        (explained("questionnaire", highest=1), "questionnaire.highest"),
        (explained("questionnaire", highest=12), "questionnaire.highest"),
        (explained("questionnaire", labels=["no", "yes"]), "questionnaire.labels"),
        (explained("questionnaire", preface=LONG), "questionnaire.preface"),
        (explained("quiz", questions=[]), "quiz.questions"),
        (explained("quiz", questions=[QUESTION] * 2), "quiz.questions[1].question_id"),
        (explained("quiz", questions=[QUESTION | {"options": ["a"]}]),
         "quiz.questions[0].options"),
        (explained("quiz", questions=[QUESTION | {"options": ["a"] * 9}]),
         "quiz.questions[0].options"),
        (explained("quiz", questions=[QUESTION | {"facts": ["genre=a"]}]),
         "quiz.questions[0].facts"),
        (explained("compare", other=None), "compare.other"),
        (explained("compare", other_item_id="nothing"), "compare.other_item_id"),
        (explained("compare", question=""), "compare.question"),
        (explained("talk", question=""), "talk.question"),
        (explained("talk", question="x" * 1001), "talk.question"),
        (explained("talk", turns=[{"text": "hm"}]), "talk.turns[0].speaker"),
        (explained("talk", turns=[{"speaker": 1, "text": "hm"}] * 21), "talk.turns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused_with_its_field(place, shown, make, field):
    good = shown.inquiry(1)
    async with refused(INVALID) as found:
        await asked(place, [good, *make(shown)])
    assert fields_of(found) == [f"inquiries[1].{field}"]
    assert f"inquiries[1].{field}" in found.message


async def test_every_inquiry_that_is_wrong_is_named_and_an_id_is_there_once(place, shown):
    one = shown.inquiry(0)
    async with refused(INVALID) as found:
        await asked(place, [one, one, shown.inquiry(1, user_id="nobody")])
    assert fields_of(found) == ["inquiries[1].inquiry_id", "inquiries[2].user_id"]


async def test_at_most_a_thousand_are_asked_at_once(place, shown):
    many = [shown.inquiry(0, inquiry_id=str(n)) for n in range(1001)]
    assert len(await asked(place, many[:1000])) == 1000
    async with refused(INVALID) as found:
        await asked(place, many)
    assert fields_of(found) == ["inquiries"]


async def test_steps_of_a_scale_may_be_without_a_name(place, shown):
    task = {**TASKS["questionnaire"], "labels": ["no", "", "", "", "yes"]}
    answers = await asked(place, [shown.inquiry(0, "questionnaire", PLACEBO, questionnaire=task)])
    assert answers[0].missing.reason == pb.Missing.REASON_NOT_ABLE


async def test_a_run_that_is_not_there_is_not_found(place, shown):
    for name, code in (("none", CODE.NOT_FOUND), ("../up", INVALID), ("", INVALID)):
        async with refused(code):
            await asked(place, [shown.inquiry(0)], run_id=name)


@pytest.mark.parametrize(
    ("kind", "settings", "field"),
    [
        ("", {}, "judge.kind"),
        ("scripted:kind", {}, "judge.kind"),
        ("choice", {"choice": {"explain": 1}}, "judge.settings"),
        ("choice", {"seed": 3}, "judge.settings.seed"),
        ("choice", {"visits": {"page_size": 3}}, "judge.settings.visits"),
        ("choice", {"llm": {"provider": "anthropic", "model": "m"}}, "judge.settings.llm"),
        ("choice", {"memory": {"embedder": "nonsense"}}, "judge.settings.memory.embedder"),
        ("llm", {}, "judge.settings.llm.provider"),
        ("llm", {"llm": {"provider": "anthropic", "model": "m"}}, "judge.settings.llm.provider"),
        ("llm", {"llm": {"provider": "nobody", "model": "m"}}, "judge.settings.llm.provider"),
    ],
)
async def test_a_judge_that_there_is_not_or_may_not_be_is_refused(
    place, shown, kind, settings, field
):
    judge = pb.Judge(kind=kind)
    judge.settings.update(settings)
    async with refused(INVALID) as found:
        await asked(place, [shown.inquiry(0)], judge=judge)
    assert fields_of(found) == [field]


async def test_judges_may_not_send_the_servers_keys_anywhere(tmp_path):
    async with Server(tmp_path / "runs", minds=MindRules(llm=True)) as server:
        operator = Operator(server)
        shown = Exposures(await operator.played())
        for name, value in (("base_url", "http://evil.example"), ("api_key_env", ["HOME"])):
            judge = pb.Judge(kind="llm")
            judge.settings.update({"llm": {"provider": "anthropic", "model": "m", name: value}})
            async with refused(INVALID) as found:
                await asked(operator, [shown.inquiry(0)], judge=judge)
            assert fields_of(found) == [f"judge.settings.llm.{name}"]
        await operator.channel.close()


@pytest.mark.parametrize("name", ["../up", "A", "/etc/passwd", ".hidden", "x" * 64])
async def test_a_recording_has_a_name_and_no_path(place, shown, name):
    async with refused(INVALID) as found:
        await asked(place, [shown.inquiry(0)], judge=pb.Judge(kind="choice", recording=name))
    assert fields_of(found) == ["judge.recording"]


async def test_texts_are_written_by_language_models_alone(place):
    request = pb.ComposeTextsRequest(run_id="run", writer=CHOICE)
    async with refused(INVALID) as found:
        await place.inquiry.ComposeTexts(request)
    assert fields_of(found) == ["writer.kind"]
    request.writer.kind = "llm"
    request.writer.settings.update({"llm": {"provider": "anthropic", "model": "m"}})
    async with refused(INVALID) as found:
        await place.inquiry.ComposeTexts(request)
    assert fields_of(found) == ["writer.settings.llm.provider"]
    for wrong, field in (
        ({"brief": "b", "max_chars": 9}, "text_id"),
        ({"text_id": "t", "max_chars": 9}, "brief"),
        ({"text_id": "t", "brief": "b"}, "max_chars"),
        ({"text_id": "t", "brief": "b", "max_chars": 501}, "max_chars"),
        ({"text_id": "t", "brief": "b", "max_chars": 9, "material": "x" * 2001}, "material"),
    ):
        request = pb.ComposeTextsRequest(
            run_id="run", writer=request.writer, wanted=[pb.ComposeTextsRequest.Wanted(**wrong)]
        )
        async with refused(INVALID) as found:
            await place.inquiry.ComposeTexts(request)
        assert fields_of(found) == [f"wanted[0].{field}"]


async def test_no_run_is_named_as_the_folder_of_recordings_is(operator, tmp_path: Path):
    (tmp_path / "runs" / "inquiries" / "one").mkdir(parents=True)
    async with refused(INVALID):
        await operator.create("inquiries")
    await operator.create("another")
    found = await operator.control.ListRuns(control_pb.ListRunsRequest())
    assert [run.run_id for run in found.runs] == ["another"]
