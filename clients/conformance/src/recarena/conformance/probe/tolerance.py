"""Cases of what a later server may send."""

from __future__ import annotations

from typing import Any

from google.rpc.status_pb2 import Status

from recarena.conformance.findings import demand, expect
from recarena.conformance.probe.client import Client, ranked
from recarena.conformance.probe.script import ProbeScript
from recarena.conformance.unknown import send_with_unknown_fields
from recarena.v1.session_pb2 import Registered, RoundEnded, RoundStarted, WorkHeader, WorkOutcome
from recarena.v1.types_pb2 import Interaction
from recarena.v1.work_pb2 import RankQuery, RankWork, UserContext

SCRIPT = ProbeScript("tolerance")


@SCRIPT.case()
async def ignores_messages_of_an_unknown_kind(client: Client) -> None:
    stream = await client.accepted()
    await send_with_unknown_fields(stream)
    await stream.send()
    await stream.begin()
    await send_with_unknown_fields(stream)
    expect(await client.asked(stream, "w1"), [ranked(0, 10), ranked(1, 10)])


@SCRIPT.case()
async def ignores_unknown_fields(client: Client) -> None:
    stream = await client.accepted()
    given = Registered(
        session_id="s", run_id="run-1", catalog_version="v1", catalog_size=10, page_size=5,
        capabilities=stream.register.capabilities,
    )  # fmt: skip
    await send_with_unknown_fields(stream, registered=given)
    await stream.receive("catalog_ready")
    await send_with_unknown_fields(stream, round_started=RoundStarted(round=1))
    await stream.receive("round_ready")
    queries = [RankQuery(user=UserContext(user_id="u1", user_number=1), result_count=2)]
    work = RankWork(header=WorkHeader(work_id="w1", attempt=1), queries=queries)
    await send_with_unknown_fields(stream, rank_work=work)
    expect(await client.lists(stream, "w1", users=1), [[1, 2]])


@SCRIPT.case()
async def takes_numbers_that_no_enum_has_yet(client: Client) -> None:
    stream = await client.accepted()
    await stream.registered(protocol_minor=9)
    await stream.receive("catalog_ready")
    odd = Interaction(interaction_id="i", user_id="u1", item_id="item-1")
    odd.type = 99  # type: ignore[assignment]
    await client.feedback(stream, "a", also=[odd])
    await client.ask(stream, "w1", [1], explanation_mode=99, surface=99)
    expect(await client.lists(stream, "w1", users=1), [[1, 2, 3]])


@SCRIPT.case()
async def takes_items_that_the_catalogue_has_not(client: Client) -> None:
    stream = await client.begun()
    gone = Interaction(interaction_id="i", user_id="nobody", item_id="no-such-item")
    await client.feedback(stream, "a", rows=0, also=[gone])
    expect(await client.asked(stream, "w1", [1]), [[1, 2, 3]])
    expect((await client.calls(stream))[1:], ["feedback 0 a 1"])


@SCRIPT.case()
async def takes_every_outcome_of_a_work(client: Client) -> None:
    stream = await client.begun()
    await client.asked(stream, "w1")
    known: list[Any] = [*WorkOutcome.Disposition.values(), 99]
    for disposition in known:
        for work_id in ("w1", "of-nobody", ""):
            status = Status(code=3, message="\x1b[31mred\nnext line")
            await stream.send(work_outcome=WorkOutcome(
                work_id=work_id, disposition=disposition, status=status))  # fmt: skip
    expect(await client.asked(stream, "w2"), [ranked(0, 10), ranked(1, 10)])
    demand("\x1b" not in client.said(), "no escape sequence of the server on the terminal")


@SCRIPT.in_both_encodings
async def goes_through_round_after_round(client: Client) -> None:
    stream = await client.begun()
    for number in (1, 2, 3):
        await client.round(stream, number)
        expect(await client.asked(stream, f"w{number}"), [ranked(0, 10), ranked(1, 10)])
        await client.feedback(stream, f"c{number}", number)
        await stream.send(round_ended=RoundEnded(round=number, accepted=2))
    told = [call for n in (1, 2, 3) for call in (f"ready {n}", f"feedback {n} c{n} 2")]
    expect((await client.calls(stream))[1:], told)
