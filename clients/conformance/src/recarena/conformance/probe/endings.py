"""Cases of how sessions end: for good, for now, or because the program leaves."""

from __future__ import annotations

import asyncio
import signal

import grpc
from google.rpc.status_pb2 import Status

from recarena.conformance.findings import demand, expect
from recarena.conformance.probe.client import Client, ranked
from recarena.conformance.probe.script import Act, ProbeScript
from recarena.v1.session_pb2 import Drain

SCRIPT = ProbeScript("endings")
CODE = grpc.StatusCode
FOR_GOOD = (
    CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION, CODE.UNAUTHENTICATED, CODE.PERMISSION_DENIED,
)  # fmt: skip
FOR_NOW = (CODE.UNAVAILABLE, CODE.RESOURCE_EXHAUSTED, CODE.DEADLINE_EXCEEDED, CODE.INTERNAL)


def stops(code: grpc.StatusCode) -> Act:
    async def act(client: Client) -> None:
        (await client.accepted()).end(code, "we do not want you")
        await client.gave_up("we do not want you")

    return act


def comes_back(code: grpc.StatusCode) -> Act:
    async def act(client: Client) -> None:
        (await client.begun("run-3")).end(code, "not now")
        expect((await client.accepted()).register.resume_run_id, "run-3")

    return act


for one in FOR_GOOD:
    SCRIPT.case(name=f"stops_where_it_is_refused-{one.name}")(stops(one))
for one in FOR_NOW:
    SCRIPT.case(name=f"comes_back_after-{one.name}")(comes_back(one))


@SCRIPT.case()
async def stops_where_a_newer_session_took_over(client: Client) -> None:
    stream = await client.begun()
    await client.ask(stream, "w1", text="wait")
    await client.heard(stream)
    stream.end(CODE.ABORTED, "a newer session of this instance")
    await client.go_on()
    await client.gave_up("newer session")


@SCRIPT.case()
async def comes_back_where_the_stream_just_closes(client: Client) -> None:
    (await client.begun()).end()
    expect((await client.accepted()).register.resume_run_id, "run-1")


@SCRIPT.case()
async def comes_back_to_a_server_that_was_started_again(client: Client) -> None:
    stream = await client.begun()
    await client.feedback(stream, "a")
    await client.round(stream, 1)
    await client.server.restart()
    expect((await client.accepted()).register.feedback_cursor, "a")


@SCRIPT.case()
async def waits_longer_each_time_that_it_comes_back(client: Client) -> None:
    clock = asyncio.get_running_loop().time
    stream, pauses = await client.accepted(), list[float]()
    for _ in range(4):
        stream.end(CODE.UNAVAILABLE)
        before = clock()
        stream = await client.accepted()
        pauses.append(clock() - before)
    demand(pauses[-1] > 0.1, "the fourth pause is longer than 0.1 s", pauses)


# ------------------------------------------------------------------------------ drain
@SCRIPT.case()
async def closes_when_the_run_is_over_and_waits_for_the_next(client: Client) -> None:
    await (await client.begun()).end_run()
    register = (await client.accepted()).register
    expect((register.resume_run_id, register.feedback_cursor), ("", ""))


@SCRIPT.case()
async def comes_back_as_it_was_when_the_server_stops_for_now(client: Client) -> None:
    stream = await client.begun()
    await client.feedback(stream, "a")
    await stream.drain(CODE.UNAVAILABLE.value[0], "maintenance")
    await client.closed(stream)
    stream.end()
    again = await client.accepted()
    expect((again.register.resume_run_id, again.register.feedback_cursor), ("run-1", "a"))
    await again.begin(resumed=True)
    expect((await client.report(again))["instance"], 1)


@SCRIPT.in_both_encodings
async def finishes_what_is_under_way_when_it_is_drained(client: Client) -> None:
    stream = await client.begun()
    await client.ask(stream, "w1", text="wait")
    goodbye = Drain(reason=Status())
    goodbye.grace.FromSeconds(30)
    await stream.send(drain=goodbye)
    await client.heard(stream)
    await client.go_on()
    expect(await client.lists(stream, "w1"), [ranked(0, 10), ranked(1, 10)])
    await client.closed(stream)


# ------------------------------------------------------------------------------ leaving
def leaves_told_by(how: signal.Signals) -> Act:
    async def act(client: Client) -> None:
        stream = await client.begun()
        await client.ask(stream, "w1", text="wait")
        await client.heard(stream)
        client.told_to_leave(how)
        drain = await stream.receive("drain")
        expect(drain.reason.code, CODE.OK.value[0])
        await client.go_on()
        expect(await client.lists(stream, "w1"), [ranked(0, 10), ranked(1, 10)])
        await client.closed(stream)
        expect(await client.left(), 0)

    return act


for signaled in (signal.SIGINT, signal.SIGTERM):
    SCRIPT.case(name=f"says_goodbye_and_finishes_what_is_under_way-{signaled.name}")(
        leaves_told_by(signaled)
    )


@SCRIPT.case()
async def leaves_while_it_waits_for_a_run(client: Client) -> None:
    stream = await client.accepted()
    client.told_to_leave()
    await stream.receive("drain")
    await client.closed(stream)
    expect(await client.left(), 0)
