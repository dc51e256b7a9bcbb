"""Asking judges over gRPC, the folder of a study, and what withholding did inside a run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import grpc.aio
import numpy as np
import pytest
import typer

from recarena.evaluation.explaining import asking
from recarena.evaluation.explaining.asking import AskingFailed, Spent, ask, batches, compose
from recarena.evaluation.explaining.command import command
from recarena.evaluation.explaining.delivery import delivered
from recarena.evaluation.explaining.folder import (
    Study,
    UnreadableStudy,
    add_replies,
    run_record,
    write_study,
)
from recarena.evaluation.explaining.inquiries import build
from recarena.evaluation.explaining.judges import judge
from recarena.evaluation.explaining.plan import Plan
from recarena.evaluation.judging.replies import Reply
from recarena.evaluation.playing.channels import open_channel
from recarena.evaluation.playing.stage import EXPECTED
from recarena.evaluation.report.command import report_command
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.faithfulness import check
from recarena.evaluation.stimuli.past import Past
from recarena.evaluation.stimuli.sampling import sample
from recarena.evaluation.stimuli.triples import Words
from recarena.evaluation.stimuli.wordings import wordings
from recarena.v1 import simulation_inquiry_service_pb2 as pb
from recarena.v1.simulation_inquiry_service_pb2_grpc import (
    SimulationInquiryServiceServicer,
    add_SimulationInquiryServiceServicer_to_server,
)
from support.explained_logs import a_triple, explained_log, explained_page, many_users, numbers

CHOICE = Plan.of(judge("choice"), draws=2, compared=())


class Answering(SimulationInquiryServiceServicer):
    """Watches in the draws that are odd, rates 3, writes what it was asked to; fails from a
    request on."""

    def __init__(
        self, fails_from: int = 10**9, calls: int = 0,
        code: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION,
    ) -> None:  # fmt: skip
        self.requests: list[pb.AskUsersRequest] = []
        self.fails_from, self.calls, self.code = fails_from, calls, code

    async def AskUsers(self, request, context):
        if len(self.requests) >= self.fails_from:
            await context.abort(self.code, "the cap\nis reached.")
        self.requests.append(request)
        answers = []
        for one in request.inquiries:
            answer = pb.InquiryAnswer(inquiry_id=one.inquiry_id)
            if one.WhichOneof("task") == "choose":
                answer.chosen.watched = bool(one.draw % 2)
            else:
                answer.rating.value = 3
            answers.append(answer)
        answers.reverse()  # they are joined by id
        spent = pb.CallsSpent(calls=self.calls, replayed=1)
        if self.calls:
            spent.input_tokens, spent.cost, spent.currency = 10, 0.5, "USD"
        return pb.AskUsersResponse(
            answers=answers, spent=spent, judge="known", prompts={"ask": "ask-1"}
        )

    async def ComposeTexts(self, request, context):
        texts = [
            {"text_id": one.text_id, "text": one.brief.upper()} if one.brief != "no"
            else {"text_id": one.text_id, "missing": {"reason": pb.Missing.REASON_REFUSED}}
            for one in request.wanted
        ]  # fmt: skip
        return pb.ComposeTextsResponse(texts=texts, spent={"calls": 1}, writer="w")


@asynccontextmanager
async def serving(service: Answering) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    add_SimulationInquiryServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def asks(plan=CHOICE, runs=("r",), rounds=(2,)):
    triples = [
        a_triple(10 * at + number, run_id=run, round=round)
        for at, run in enumerate(runs)
        for number, round in enumerate(rounds)
    ]
    told = dict.fromkeys(Condition, Words("Words."))
    return build(plan, triples, {one.id: told for one in triples}, {})


# ------------------------------------------------------------------------------------------- asking
async def test_answers_come_in_the_order_of_what_was_asked_whatever_the_order_of_asking():
    asked = asks(runs=("x", "y"), rounds=(3, 1))
    service, seen = Answering(), []
    async with serving(service) as channel:
        heard = await ask(channel, CHOICE, asked, seen.append)
    assert [one.triple for one in heard.replies] == [one.reading.blank.triple for one in asked]
    assert [one.draw for one in heard.replies] == [one.inquiry.draw for one in asked]
    for one in heard.replies:
        assert one.value == (one.draw % 2 if one.asked == "choose" else 3)
    assert sorted(one.run_id for one in service.requests) == ["x", "y"]
    for request in service.requests:
        rounds = [one.before_round for one in request.inquiries]
        assert rounds == sorted(rounds)
        assert len(set(rounds)) == 2
        assert (request.judge.kind, request.seed) == ("choice", CHOICE.seed)
    assert sum(seen) == len(asked)
    assert (heard.judge, heard.called, heard.prompts) == ("choice", "known", {"ask": "ask-1"})
    assert heard.spent == Spent(replayed=2)


def test_requests_are_neither_too_many_nor_too_large(monkeypatch):
    asked = asks(runs=("x", "y"), rounds=(2, 1))
    parts = list(batches(asked, 7))
    assert sorted(at for _, places in parts for at in places) == list(range(len(asked)))
    for run_id, places in parts:
        assert 0 < len(places) <= 7
        assert {asked[at].run_id for at in places} == {run_id}
    monkeypatch.setattr(asking, "MOST_BYTES", 200)
    for _, places in batches(asked, 1000):
        assert len(places) == 1 or sum(asked[at].inquiry.ByteSize() for at in places) <= 200
    assert list(batches([], 7)) == []


async def test_a_refused_call_is_one_line_and_says_that_nothing_is_paid_for_twice():
    plan = Plan.of(judge("openai:m"), draws=60, compared=())
    async with serving(Answering(fails_from=1)) as channel:
        with pytest.raises(AskingFailed) as caught:
            await ask(channel, plan, asks(plan), lambda _: None)
    assert str(caught.value) == (
        "openai:m could not be asked about run r: the cap is reached (FAILED_PRECONDITION). What "
        "was answered is recorded: the same command goes on from there"
    )
    assert isinstance(caught.value, EXPECTED)
    async with serving(Answering(fails_from=0)) as channel:
        with pytest.raises(AskingFailed, match=r"choice could not be asked .*\(FAILED_PREC\w+\)$"):
            await ask(channel, CHOICE, asks(), lambda _: None)


async def test_where_the_request_was_wrong_nothing_is_said_to_be_recorded():
    plan = Plan.of(judge("openai:m"), draws=1, compared=())
    async with serving(Answering(0, code=grpc.StatusCode.INVALID_ARGUMENT)) as channel:
        with pytest.raises(AskingFailed, match=r"\(INVALID_ARGUMENT\)$"):
            await ask(channel, plan, asks(plan), lambda _: None)


async def test_what_a_model_takes_is_summed_over_requests():
    plan = Plan.of(judge("openai:m"), draws=20, compared=())
    service = Answering(calls=4)
    async with serving(service) as channel:
        heard = await ask(channel, plan, asks(plan), lambda _: None)
    number = len(service.requests)
    assert number > 1
    assert all(len(one.inquiries) <= asking.MOST_OF_LLM for one in service.requests)
    assert all(one.judge.recording == "explain-openai-m" for one in service.requests)
    assert heard.spent == Spent(4 * number, number, 10 * number, None, 0.5 * number, "USD")


def test_what_is_not_known_of_one_request_is_not_known_of_the_sum():
    one, other = Spent(1, 0, 5, 5, 1.0, "USD"), Spent(1, 1, None, 5, 2.0, "EUR")
    assert one + other == Spent(2, 1, None, 10, None, "EUR and USD")
    assert one + Spent() == one


async def test_an_answer_that_does_not_come_is_told():
    class Silent(Answering):
        async def AskUsers(self, request, context):
            return pb.AskUsersResponse()

    async with serving(Silent()) as channel:
        with pytest.raises(AskingFailed, match="left t0000/none/choose/d0 of run r unanswered"):
            await ask(channel, CHOICE, asks(), lambda _: None)


async def test_texts_are_written_by_id_and_missing_ones_say_why():
    wanted = [pb.ComposeTextsRequest.Wanted(text_id="a", brief="yes", max_chars=9),
              pb.ComposeTextsRequest.Wanted(text_id="b", brief="no", max_chars=9)]  # fmt: skip
    async with serving(Answering()) as channel:
        found = await compose(channel, "r", judge("openai:m"), wanted, lambda _: None)
    assert (found.texts, found.missing, found.writer) == ({"a": "YES"}, {"b": "REFUSED"}, "w")
    assert found.spent == Spent(1, 0, None, None, None)


# ------------------------------------------------------------------------------------------- folder
def a_study():
    log = many_users(6, genres=[["Comedy"], ["War"]] * 2 + [["Drama"]])
    triples = sample([log], 8, 1, least=1).triples
    told = wordings(triples, [log], 1)
    checked = {
        (one.id, str(name)): check(words, *reversed(numbers(log, one)), one.round, Past.of(log))
        for one in triples for name, words in told[one.id].items() if words
    }  # fmt: skip
    return log, triples, told, checked


def written(path, **manifest):
    log, triples, told, checked = a_study()
    write_study(path, {"seed": 1, "runs": [run_record(log)], **manifest}, triples, told, checked)
    return triples, told, checked


def test_a_study_is_read_as_it_was_written(tmp_path):
    triples, told, checked = written(tmp_path / "s")
    assert Study.open(tmp_path / "s").replies == []
    replies = [Reply("choice", "t0001", "real", "choose", 1.0), Reply("x", "t", "c", "rate", None)]
    add_replies(tmp_path / "s", replies)
    found = Study.open(tmp_path / "s")
    assert (list(found.triples), found.wordings, found.checked) == (list(triples), told, checked)
    assert found.replies == replies
    assert found.manifest["runs"][0]["run_id"] == "r"
    assert found.claims["t0001", "placebo"].made == 0
    lie = found.claims["t0001", "false-fact"]
    assert lie.made > 0 == lie.supported


def test_the_same_study_is_the_same_bytes(tmp_path):
    written(tmp_path / "a")
    written(tmp_path / "b")
    files = sorted(one.name for one in (tmp_path / "a").iterdir())
    assert files == ["claims.jsonl", "study.json", "triples.jsonl", "wordings.jsonl"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_is_no_number_is_null_in_a_manifest(tmp_path):
    written(tmp_path, low=float("nan"), more=[{"high": float("inf")}], cost=1.5)
    found = json.loads((tmp_path / "study.json").read_text(), parse_constant=pytest.fail)
    assert (found["low"], found["more"], found["cost"]) == (None, [{"high": None}], 1.5)


def test_a_folder_that_is_no_study_is_told_with_file_and_remedy(tmp_path):
    with pytest.raises(UnreadableStudy, match=r"holds no study of explanations \(no study.json\)"):
        Study.open(tmp_path)
    written(tmp_path)
    (tmp_path / "triples.jsonl").write_text('{"id": 1')
    with pytest.raises(UnreadableStudy, match=r"triples.jsonl, line 1: .* Make it again"):
        Study.open(tmp_path)
    (tmp_path / "study.json").write_text('{"format": "recarena-explanations", "format_version": 9}')
    with pytest.raises(UnreadableStudy, match="has format 9, this release reads up to 1"):
        Study.open(tmp_path)
    (tmp_path / "study.json").write_text("[]")
    with pytest.raises(UnreadableStudy, match="is not of a study of explanations"):
        Study.open(tmp_path)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(UnreadableStudy, match="cannot be read as JSON"):
        Study.open(tmp_path)


def test_the_page_of_a_study_is_made_again_from_its_folder_and_by_no_other_command(
    tmp_path, capsys
):
    written(tmp_path / "s", code_version="0", texts={}, triples={}, delivery=[], judges=[])
    add_replies(tmp_path / "s", [Reply("choice", "t0001", "real", "choose", 1.0)])
    with pytest.raises(typer.Exit) as refused:
        report_command([tmp_path / "s"])
    assert refused.value.exit_code == 1
    assert f"recarena explain {tmp_path / 's'} makes it again" in capsys.readouterr().err
    assert not (tmp_path / "s" / "report.html").exists()
    with pytest.raises(typer.Exit) as made:
        command([tmp_path / "s"], as_json=True)
    assert made.value.exit_code == 0
    assert json.loads(capsys.readouterr().out)["folder"] == str(tmp_path / "s")
    page = (tmp_path / "s" / "report.html").read_bytes()
    with pytest.raises(typer.Exit):
        command([tmp_path / "s"])
    assert (tmp_path / "s" / "report.html").read_bytes() == page


# ----------------------------------------------------------------------------------------- delivery
def test_what_withholding_did_is_the_watch_rate_shown_less_withheld():
    rows = [
        *explained_page(0, {0: "a", 1: "b"}, {0: 0.0}, withheld=[1]),
        *explained_page(1, {0: "a", 1: "b", 2: "c"}, {0: 0.0, 1: 0.0}, withheld=[1]),
        *explained_page(2, {3: None}),
    ]
    (one,) = delivered([explained_log(rows, users="abc")])
    assert (one.recommender, one.shown, one.withheld) == ("a", 3, 2)
    assert one.rate_shown == pytest.approx(2 / 3)
    assert one.rate_withheld == pytest.approx(1 / 2)
    assert one.effect.mean == pytest.approx(1 / 6)
    assert one.effect.worlds == 2
    assert one.effect.low < 1 / 6 < one.effect.high
    assert one.as_json() == {
        "recommender": "a", "shown": 3, "withheld": 2, "rate_shown": pytest.approx(2 / 3),
        "rate_withheld": 0.5, "effect": pytest.approx(1 / 6), "low": pytest.approx(one.effect.low),
        "high": pytest.approx(one.effect.high), "users": 2, "reason": "",
    }  # fmt: skip


def test_where_nothing_was_withheld_there_is_nothing_to_tell():
    assert delivered([many_users(3)]) == []


def test_a_planted_effect_of_showing_is_found_by_its_interval():
    dice = np.random.default_rng(1)
    rows = []
    for user in range(150):
        hidden = [item for item in range(5) if dice.random() < 0.5]
        chances = [0.2 if item in hidden else 0.5 for item in range(5)]
        watched = {item: 0.0 for item in range(5) if dice.random() < chances[item]}
        rows += explained_page(user, dict.fromkeys(range(5), "w"), watched, withheld=hidden)
    (one,) = delivered([explained_log(rows, users="u" * 150)])
    assert one.effect.low < 0.3 < one.effect.high
    assert one.effect.low > 0.15


def test_arms_are_told_apart_and_the_whole_is_over_runs():
    rows = [row for user in range(4) for row in explained_page(user, {0: "a"}, withheld=[0])]
    runs = [
        explained_log(rows, users="abcd", recommenders=("x", "y"), run_id=name)
        for name in ("r1", "r2")
    ]
    found = delivered([replace(one) for one in runs])
    assert [(one.recommender, one.withheld, one.shown) for one in found] == [
        ("x", 4, 0),
        ("y", 4, 0),
    ]
    assert np.isnan(found[0].rate_shown)
