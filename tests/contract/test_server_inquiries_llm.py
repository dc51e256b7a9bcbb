"""Users whom a language model plays are asked over gRPC; its calls are recorded beside the runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.server.llm.recorder import Recorder
from recarena.server.mind_rules import MindRules
from recarena.server.rpc.server import Server
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_inquiry_service_pb2 as pb
from support.inquiries import PLACEBO, TASKS, Exposures, bytes_of, reply
from support.llm_stub import LlmStub, Switches, random_mind
from support.operators import Operator, refused
from support.raw_client import reason_of

KINDS = {
    "choose": "chosen", "expect": "rating", "rate": "rating", "questionnaire": "scores",
    "quiz": "quiz", "compare": "preference", "talk": "words",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs of users with the choice mind."""
    folder = tmp_path_factory.mktemp("place") / "runs"

    async def play() -> None:
        async with Server(folder) as server:
            operator = Operator(server)
            for name in ("run", "other"):
                await operator.played(name)
            await operator.channel.close()

    asyncio.run(play())
    return folder


@pytest.fixture
async def stub() -> AsyncIterator[LlmStub]:
    async with LlmStub(random_mind(1)) as stub:
        yield stub


@pytest.fixture
async def place(runs: Path, stub: LlmStub) -> AsyncIterator[Operator]:
    async with Server(runs, minds=MindRules(True, (stub.url,))) as server:
        operator = Operator(server)
        yield operator
        await operator.channel.close()


@pytest.fixture
def shown(place: Operator) -> Exposures:
    return Exposures(place.server.house.run("run"))


def judged_by(stub: LlmStub, recording: str = "", **llm: Any) -> pb.Judge:
    judge = pb.Judge(kind="llm", recording=recording)
    table = {"provider": "anthropic", "model": "m", "base_url": stub.url, **llm}
    judge.settings.update({"llm": table})
    return judge


def every_task(shown: Exposures) -> list[pb.Inquiry]:
    return [
        shown.inquiry(number * 7, task, PLACEBO, inquiry_id=task)
        for number, task in enumerate(TASKS)
    ]


async def test_every_task_is_answered_recorded_and_paid_for_once(place, shown, stub, runs):
    before, inquiries = bytes_of(runs / "run"), every_task(shown)
    judge = judged_by(stub, "mine")
    first = await reply(place, inquiries, judge=judge)
    for inquiry, answer in zip(inquiries, first.answers, strict=True):
        assert answer.inquiry_id == inquiry.inquiry_id
        assert answer.WhichOneof("answer") == KINDS[inquiry.WhichOneof("task")]
    assert first.judge == "anthropic:m"
    assert {"ask_choose", "ask_talk"} <= set(first.prompts)
    assert first.spent.calls >= len(TASKS)
    assert first.spent.input_tokens > 0
    with Recorder(runs / "inquiries" / "mine" / "llm.sqlite", read_only=True) as recorder:
        ((calls,),) = recorder.rows("SELECT COUNT(*) FROM calls")
    assert calls == first.spent.calls
    again = await reply(place, inquiries[::-1], judge=judge)
    assert list(again.answers)[::-1] == list(first.answers)
    assert (again.spent.calls, again.spent.replayed) == (0, first.spent.calls)
    assert bytes_of(runs / "run") == before
    found = await place.control.ListRuns(control_pb.ListRunsRequest())
    assert [run.run_id for run in found.runs] == ["other", "run"]
    async with Server(runs, minds=MindRules(True, (stub.url,))) as server:
        # Its runs are the other server's: they are read all the same.
        later = Operator(server)
        third = await reply(later, inquiries, judge=judge)
        assert (list(third.answers), third.spent.calls) == (list(first.answers), 0)
        await later.channel.close()


async def test_two_runs_can_go_into_one_recording_at_once(place, shown, stub, runs):
    other = Exposures(place.server.house.run("other"))
    judge = judged_by(stub, "shared")

    async def ask(exposures: Exposures, run_id: str, first: int) -> int:
        inquiries = [
            exposures.inquiry(n, "expect", inquiry_id=f"{run_id}-{n}")
            for n in range(first, first + 5)
        ]
        found = await reply(place, inquiries, run_id, judge)
        assert all(one.HasField("rating") for one in found.answers)
        return found.spent.calls

    wanted = [(shown, "run"), (other, "other")] * 3
    calls = await asyncio.gather(*(ask(*one, 5 * n) for n, one in enumerate(wanted)))
    with Recorder(runs / "inquiries" / "shared" / "llm.sqlite", read_only=True) as recorder:
        assert recorder.rows("SELECT COUNT(*) FROM calls") == [(sum(calls),)]


async def test_a_cap_pauses_the_asking_and_it_goes_on_from_there(place, shown, stub):
    inquiries = [shown.inquiry(n, "expect") for n in range(10)]
    slow = {"concurrency": 1, "concurrency_start": 1}
    async with refused(grpc.StatusCode.FAILED_PRECONDITION) as found:
        await reply(place, inquiries, judge=judged_by(stub, "capped", max_tokens=8000, **slow))
    assert reason_of(found) == "CAP_REACHED"
    found = await reply(place, inquiries, judge=judged_by(stub, "capped", **slow))
    assert 0 < found.spent.replayed < 10
    assert found.spent.calls + found.spent.replayed == 10


async def test_answers_that_cannot_be_had_are_missing_with_their_reason(runs):
    async with (
        LlmStub(random_mind(1), Switches(refusal=1.0)) as stub,
        Server(runs, minds=MindRules(True, (stub.url,))) as server,
    ):
        operator = Operator(server)
        shown = Exposures(server.house.run("run"))
        found = await reply(operator, every_task(shown), judge=judged_by(stub))
        await operator.channel.close()
    for answer in found.answers:
        missing = answer.missing
        if answer.HasField("scores"):
            missing = answer.scores.scores[0].missing
        elif answer.HasField("quiz"):
            missing = answer.quiz.answers[0].missing
        assert missing.reason == pb.Missing.REASON_REFUSED


async def test_texts_are_written_in_the_order_wanted_and_once(place, stub):
    wanted = [
        pb.ComposeTextsRequest.Wanted(
            text_id=f"t{n}", brief="Praise it.", material="Heat", max_chars=200
        )
        for n in range(5)
    ]
    request = pb.ComposeTextsRequest(run_id="run", writer=judged_by(stub, "texts"), wanted=wanted)
    first = await place.inquiry.ComposeTexts(request)
    assert [one.text_id for one in first.texts] == [one.text_id for one in wanted]
    assert all(1 <= len(one.text) <= 200 for one in first.texts)
    assert (first.writer, first.spent.calls) == ("anthropic:m", 5)
    again = await place.inquiry.ComposeTexts(request)
    assert list(again.texts) == list(first.texts)
    assert (again.spent.calls, again.spent.replayed) == (0, 5)


async def test_a_missing_key_is_told_and_nothing_is_kept_open(place, shown, stub, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    async with refused(grpc.StatusCode.INVALID_ARGUMENT) as found:
        await reply(place, [shown.inquiry(0, "rate")], judge=judged_by(stub, "keyless"))
    assert "ANTHROPIC_API_KEY" in found.message
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    found = await reply(place, [shown.inquiry(0, "rate")], judge=judged_by(stub, "keyless"))
    assert found.answers[0].HasField("rating")
