"""Excerpts: few users, few rounds, everything that users can do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc.aio
import pytest
from rich.console import Console

from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.excerpt import (
    ALL,
    Answer,
    Doing,
    Line,
    as_record,
    as_table,
    choose,
    find_answers,
    read_lines,
)
from recarena.evaluation.runs.run_log import RunLog
from recarena.v1.run_pb2 import RoundSummary, Run, UserEvent
from recarena.v1.simulation_observe_service_pb2 import StreamEventsRequest, StreamEventsResponse
from recarena.v1.simulation_observe_service_pb2_grpc import (
    SimulationObserveServiceServicer,
    SimulationObserveServiceStub,
    add_SimulationObserveServiceServicer_to_server,
)
from support.run_logs import Row, event, page, run_log, visit

CHAT, POST = Kind.CHAT, Kind.POST


def lively() -> list[Row]:
    """Three users in four rounds: 1 posts about item 3, 2 answers, then watches it; 0 browses."""
    return [
        *visit(0, page(0, [0, 1]), page(0, [2], step=1)),
        event(1, POST, item=3),
        event(2, Kind.IDLE),
        event(2, CHAT, item=3, other=1, round=2),
        *visit(2, page(2, [3], {3: 5}, round=3), round=3),
        *visit(0, page(0, [0], round=3), round=3, last=Kind.SEARCH),
        event(1, CHAT, item=0, other=0, round=4),
    ]


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return run_log(tmp_path / "r", lively(), arm_of_user=("a", "a", "a", "a"), rounds=4)


def test_an_answer_is_a_chat_with_the_author_about_an_earlier_post(log: RunLog):
    assert find_answers(log.events) == [Answer(user=2, round=2, author=1, posted=1, watched=3)]


def test_a_post_of_the_same_round_cannot_be_answered_yet(tmp_path: Path):
    rows = [event(0, POST, item=1), event(1, CHAT, item=1, other=0)]
    assert find_answers(run_log(tmp_path / "r", rows).events) == []


def test_a_post_that_names_whom_it_answers_is_an_answer(tmp_path: Path):
    rows = [event(0, POST, item=1), event(1, POST, item=1, other=0, round=2)]
    answers = find_answers(run_log(tmp_path / "r", rows, rounds=2).events)
    assert answers == [Answer(user=1, round=2, author=0, posted=1)]


def test_three_users_show_everything_and_the_answered_post_comes_with_its_answer(log: RunLog):
    choice = choose(log)
    assert choice.shows == ALL == Doing(127)
    assert choice.rounds == {1: (1, 4), 2: (2, 3), 0: (1, 3)}


def test_a_run_without_social_life_shows_what_there_is(tmp_path: Path):
    choice = choose(run_log(tmp_path / "r", visit(1, page(1, [0], {0: 4}))))
    assert choice.rounds == {1: (1,)}
    assert choice.shows == Doing.BROWSE | Doing.WATCH


def test_the_shorter_of_two_rounds_is_told(tmp_path: Path):
    rows = [
        *visit(0, page(0, [0]), page(0, [1], step=1), page(0, [2], step=2)),
        *visit(0, page(0, [0], round=2), page(0, [1], round=2, step=1), round=2),
    ]
    assert choose(run_log(tmp_path / "r", rows, rounds=2)).rounds == {0: (2,)}


def test_an_empty_run_has_no_excerpt(tmp_path: Path):
    assert choose(run_log(tmp_path / "r", [], rounds=0)).rounds == {}


class Narrator(SimulationObserveServiceServicer):
    """Tells every event of a log as "<user> <kind>"."""

    def __init__(self, log: RunLog) -> None:
        self.log = log
        self.asked: list[StreamEventsRequest] = []

    async def StreamEvents(
        self, request: StreamEventsRequest, context: object
    ) -> AsyncIterator[StreamEventsResponse]:
        self.asked.append(request)
        yield StreamEventsResponse(run_changed=Run(run_id=self.log.run_id))
        for message in self.messages(request):
            yield message

    def messages(self, request: StreamEventsRequest) -> Iterator[StreamEventsResponse]:
        events = self.log.events
        for round in range(1, self.log.rounds + 1):
            for row in (events.round == round).nonzero()[0].tolist():
                user = self.log.user_ids[events.user[row]]
                kind = Kind(events.kind[row])
                if user in request.user_ids and kind is not Kind.SHOWN:
                    one = UserEvent(user_id=user, user_name="Ann", text=f"{user} {kind.name}")
                    yield StreamEventsResponse(round=round, user_event=one)
            yield StreamEventsResponse(round=round, round_ended=RoundSummary(round=round))

    async def ListRecommenders(self, request: object, context: object): ...
    async def ListUsers(self, request: object, context: object): ...
    async def ListRelations(self, request: object, context: object): ...
    async def ListMemories(self, request: object, context: object): ...


async def test_the_sentences_are_the_servers_for_the_chosen_users_and_rounds(log: RunLog):
    narrator = Narrator(log)
    server = grpc.aio.server()
    add_SimulationObserveServiceServicer_to_server(narrator, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = [("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        stub = SimulationObserveServiceStub(channel)
        lines = await read_lines(stub, log, choose(log))
    await server.stop(None)
    assert [(line.round, line.text) for line in lines] == [
        (1, "u0 ENTER_RECOMMENDER"), (1, "u0 PAGE"), (1, "u0 NEXT"), (1, "u0 PAGE"),
        (1, "u0 LEAVE"), (1, "u1 POST"), (2, "u2 CHAT"),
        (3, "u2 ENTER_RECOMMENDER"), (3, "u2 PAGE"), (3, "u2 WATCH"), (3, "u2 LEAVE"),
        (3, "u0 ENTER_RECOMMENDER"), (3, "u0 PAGE"), (3, "u0 SEARCH"), (4, "u1 CHAT"),
    ]  # fmt: skip
    assert list(narrator.asked[0].user_ids) == ["u0", "u1", "u2"]


def test_words_of_users_are_printed_as_they_are():
    console = Console(width=60, record=True)
    console.print(as_table([Line(2, "u1", "Ann", "Ann says: “[red]bold[/red]”")]))
    assert "round 2  Ann says: “[red]bold[/red]”" in console.export_text()


def test_a_line_becomes_a_json_object():
    record = as_record(Line(2, "u1", "Ann", "Ann leaves."))
    assert record == {"round": 2, "user_id": "u1", "user_name": "Ann", "text": "Ann leaves."}
