"""Cases of feedback: in order, once, before what it is needed for; also over a lost session."""

from __future__ import annotations

import grpc

from recarena.conformance.findings import expect
from recarena.conformance.probe.client import Client, ranked
from recarena.conformance.probe.script import ProbeScript
from recarena.conformance.scripted_server import ITEMS
from recarena.v1.session_pb2 import Ping, RoundStarted

SCRIPT = ProbeScript("feedback")
GONE = grpc.StatusCode.UNAVAILABLE
BUSY_ROUND = 100
"""A round for which the program gets ready when it is given a line."""


@SCRIPT.in_both_encodings
async def takes_the_history_before_any_work(client: Client) -> None:
    stream = await client.begun()
    await client.feedback(stream, "h1")
    await client.feedback(stream, "h2", rows=5)
    await client.ask(stream, "w1")
    expect(await client.lists(stream, "w1"), [ranked(0, 10), ranked(1, 10)])
    history = ["feedback 0 h1 2", "feedback 0 h2 5"]
    expect((await client.calls(stream))[1:], history)


@SCRIPT.in_both_encodings
async def is_ready_after_all_feedback(client: Client) -> None:
    stream = await client.begun()
    await client.feedback(stream, "a")
    await client.feedback(stream, "b", round=1)
    await client.round(stream, 2)
    expect((await client.calls(stream))[1:], ["feedback 0 a 2", "feedback 1 b 2", "ready 2"])


@SCRIPT.case()
async def answers_pings_while_it_trains(client: Client) -> None:
    stream = await client.begun()
    await stream.send(round_started=RoundStarted(round=BUSY_ROUND))
    for nonce in (1, 2):
        await stream.send(ping=Ping(nonce=nonce))
        expect((await stream.receive("pong")).nonce, nonce)
    await client.go_on()
    expect((await stream.receive("round_ready")).round, BUSY_ROUND)


@SCRIPT.in_both_encodings
async def applies_a_repeated_cursor_once(client: Client) -> None:
    stream = await client.begun()
    for cursor in ("a", "b", "a", "b", "c", "c"):
        await client.feedback(stream, cursor)
    told = [f"feedback 0 {cursor} 2" for cursor in "abc"]
    expect((await client.calls(stream))[1:], told)


@SCRIPT.in_both_encodings
async def takes_feedback_without_rows(client: Client) -> None:
    stream = await client.begun()
    await client.feedback(stream, "a", rows=0)
    stream.end(GONE)
    expect((await client.accepted()).register.feedback_cursor, "a")


# ------------------------------------------------------------------------------ lost sessions
@SCRIPT.in_both_encodings
async def names_its_run_and_cursor_when_it_comes_back(client: Client) -> None:
    first = await client.begun("run-9")
    await client.feedback(first, "a")
    await client.feedback(first, "b")
    await client.round(first, 1)
    first.end(GONE, "back soon")
    again = (await client.accepted()).register
    expect((again.resume_run_id, again.feedback_cursor), ("run-9", "b"))
    expect(again.instance_id, first.register.instance_id)
    expect(again.catalog_version, "v1")


@SCRIPT.in_both_encodings
async def goes_on_where_it_was_when_it_is_resumed(client: Client) -> None:
    first = await client.begun()
    await client.feedback(first, "a")
    await client.round(first, 1)
    first.end(GONE)
    again = await client.begun(resumed=True)
    for cursor in ("a", "b"):
        await client.feedback(again, cursor, round=1)
    await client.round(again, 1)  # that it is sent again, it answers again
    told = await client.report(again)
    expect(told["instance"], 1)
    expect(
        [call for call in told["calls"] if not call.startswith("ready")],
        [
            "start run-1 v1 10",
            "feedback 0 a 2",
            "feedback 1 b 2",
        ],
    )


@SCRIPT.in_both_encodings
async def starts_from_nothing_where_it_is_not_resumed(client: Client) -> None:
    first = await client.begun()
    await client.feedback(first, "a")
    await client.round(first, 1)
    first.end(GONE)
    again = await client.begun(resumed=False)
    await client.feedback(again, "a")
    told = await client.report(again)
    expect(
        told,
        {
            "instance": 2,
            "closed": 1,
            "calls": ["start run-1 v1 10", "feedback 0 a 2"],
        },
    )


@SCRIPT.case()
async def loads_a_catalogue_that_changed_while_it_was_away(client: Client) -> None:
    (await client.begun()).end(GONE)
    client.server.items = ITEMS[:4]
    again = await client.begun(resumed=True, version="v2")
    expect(await client.asked(again, "w1", [3], count=4), [[3, 0, 1, 2]])


@SCRIPT.in_both_encodings
async def answers_a_work_that_is_sent_again(client: Client) -> None:
    first = await client.begun()
    await client.ask(first, "w1", text="wait")
    await client.heard(first)
    first.end(GONE)
    again = await client.accepted()
    await client.go_on()
    await again.begin(resumed=True)
    await client.ask(again, "w1", attempt=2)
    expect(await client.lists(again, "w1"), [ranked(0, 10), ranked(1, 10)])


@SCRIPT.case()
async def gives_each_run_a_fresh_instance(client: Client) -> None:
    for number in (1, 2, 3):
        stream = await client.accepted()
        expect((stream.register.resume_run_id, stream.register.feedback_cursor), ("", ""))
        await stream.begin(f"run-{number}")
        await client.feedback(stream, "a")
        told = await client.report(stream)
        expect(told["calls"], [f"start run-{number} v1 10", "feedback 0 a 2"])
        expect((told["instance"], told["closed"]), (number, number - 1))
        await stream.end_run()
