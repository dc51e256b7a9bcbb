"""Cases of works: what is answered, how, and what is not."""

from __future__ import annotations

import grpc
from google.rpc.status_pb2 import Status

from recarena.conformance.findings import Unmet, demand, expect
from recarena.conformance.probe.client import Client, excluding, ranked
from recarena.conformance.probe.script import ProbeScript
from recarena.v1.session_pb2 import CancelWork
from recarena.v1.types_pb2 import ExplanationMode, Item

SCRIPT = ProbeScript("works")
MANY = tuple(Item(item_id=f"long-name-of-an-item-{n}", title=f"Film {n}") for n in range(200))
LARGEST = 4096
"""Bytes of a message, where they are few."""


@SCRIPT.in_both_encodings
async def ranks_for_each_user(client: Client) -> None:
    stream = await client.begun()
    found = await client.asked(stream, "w1", [7, 0, 99], count=4)
    expect(found, [ranked(user, 10, count=4) for user in (7, 0, 99)])


@SCRIPT.in_both_encodings
async def ranks_for_as_many_users_as_a_work_may_have(client: Client) -> None:
    stream = await client.begun()
    users = range(16_384 if client.columnar else 256)
    expect(await client.asked(stream, "w1", users), [ranked(user, 10) for user in users])


@SCRIPT.in_both_encodings
async def gives_the_page_that_is_asked_for(client: Client) -> None:
    stream = await client.begun()
    found = await client.asked(stream, "w1", [1, 1, 1], offsets=[0, 3, 6])
    expect(found, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])


@SCRIPT.in_both_encodings
async def ends_a_list_with_the_catalogue(client: Client) -> None:
    stream = await client.begun()
    found = await client.asked(stream, "w1", [0, 4, 2], count=6, offsets=[0, 6, 10])
    expect(found, [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3], []])


@SCRIPT.case()
async def leaves_out_what_is_excluded(client: Client) -> None:
    stream = await client.begun()
    await client.ask(stream, "w1", [1], candidates=excluding("item-2", "item-3", "gone"))
    expect(await client.lists(stream, "w1", users=1), [[1, 4, 5]])


@SCRIPT.in_both_encodings
async def searches(client: Client) -> None:
    stream = await client.begun()
    found = await client.asked(stream, "w1", [2, 5], text="été 🎬", offsets=[0, 1])
    expect(found, [ranked(2, 10), ranked(5, 10, offset=1)])


@SCRIPT.in_both_encodings
async def finds_nothing_with_an_empty_list(client: Client) -> None:
    stream = await client.begun()
    expect(await client.asked(stream, "w1", text="nothing"), [[], []])


@SCRIPT.in_both_encodings
async def answers_a_work_of_no_users(client: Client) -> None:
    stream = await client.begun()
    expect(await client.asked(stream, "w1", []), [])
    expect(await client.asked(stream, "w2", [], text="words"), [])
    expect(await client.asked(stream, "w3", [1]), [[1, 2, 3]])


@SCRIPT.in_both_encodings
async def talks(client: Client) -> None:
    stream = await client.begun()
    expect((await client.report(stream))["instance"], 1)


@SCRIPT.case()
async def explains_where_it_is_asked_to(client: Client) -> None:
    stream = await client.begun()
    for mode in (
        ExplanationMode.EXPLANATION_MODE_TEXT, ExplanationMode.EXPLANATION_MODE_STRUCTURED,
    ):  # fmt: skip
        await client.ask(stream, "w1", [4], explanation_mode=mode)
        items = (await stream.receive("rank_result")).lists[0].items
        expect(
            [one.explanation.text for one in items], [f"because of {one.item_id}" for one in items]
        )
        demand(all(one.explanation.evidence for one in items), "evidence for each item", items)


@SCRIPT.case()
async def does_not_explain_unasked(client: Client) -> None:
    stream = await client.begun()
    for mode in (
        ExplanationMode.EXPLANATION_MODE_UNSPECIFIED, ExplanationMode.EXPLANATION_MODE_NONE,
    ):  # fmt: skip
        await client.ask(stream, "w1", [4], explanation_mode=mode)
        items = (await stream.receive("rank_result")).lists[0].items
        demand(items, "a list", "none")
        demand(not any(one.HasField("explanation") for one in items), "no explanation", items)


@SCRIPT.case()
async def gives_back_its_token_with_each_list(client: Client) -> None:
    stream = await client.begun()
    await client.ask(stream, "w1", [4, 6])
    lists = (await stream.receive("rank_result")).lists
    tokens = {one.query_index: one.attribution_token for one in lists}
    expect(tokens, {0: "user 4", 1: "user 6"})


# ------------------------------------------------------------------------------ several at once
@SCRIPT.in_both_encodings
async def answers_works_that_are_sent_before_others_are_answered(client: Client) -> None:
    stream = await client.begun()
    await client.ask(stream, "w1", [1], text="wait")
    for number in (2, 3, 4):
        await client.ask(stream, f"w{number}", [number])
    await client.heard(stream)
    await client.go_on()
    answered = {}
    for _ in range(4):
        request = await stream.receive_request()
        if request is None:
            raise Unmet("the stream has ended", required="an answer to each work")
        kind = request.WhichOneof("message") or ""
        expect(kind, "rank_batch_result" if client.columnar else "rank_result")
        demand(getattr(request, kind).work_id not in answered, "one answer to each work", request)
        answered[getattr(request, kind).work_id] = True
    expect(set(answered), {"w1", "w2", "w3", "w4"})


@SCRIPT.in_both_encodings
async def does_not_answer_what_was_withdrawn(client: Client) -> None:
    stream = await client.begun()
    await client.ask(stream, "w1", text="wait")  # is under way
    await client.ask(stream, "w2", text="wait")  # waits for its turn
    await client.ask(stream, "w3")
    for work_id in ("w2", "w1", "of-nobody"):
        await stream.cancel_work(work_id)
    # On a busy machine w1 was withdrawn before it was begun, and nothing holds w3 up.
    early = await client.answered_until_heard(stream)
    demand(early in ([], ["w3"]), "no answer to what was withdrawn", early)
    await client.go_on()
    if not early:
        expect(await client.lists(stream, "w3"), [ranked(0, 10), ranked(1, 10)])
    await client.heard(stream)


@SCRIPT.case()
async def answers_in_time_or_not_at_all(client: Client) -> None:
    stream = await client.begun()
    await client.ask(stream, "w1", text="wait", timeout_s=0.05)
    await client.heard(stream)
    late = Status(code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0], message="too late")
    await stream.send(cancel_work=CancelWork(work_id="w1", reason=late))
    await client.heard(stream)
    await client.go_on()
    expect(await client.asked(stream, "w2", [1]), [[1, 2, 3]])


# ------------------------------------------------------------------------------ failures
@SCRIPT.in_both_encodings
async def says_that_a_work_failed_and_answers_the_next(client: Client) -> None:
    stream = await client.begun()
    for work_id in ("w1", "w2"):
        await client.ask(stream, work_id, text="fail")
        failed = await stream.receive("work_failed")
        expect(failed.work_id, work_id)
        demand(failed.status.code != 0, "WorkFailed.status.code is an error's", 0)
        said = failed.status.message
        demand("told to fail" in said, "WorkFailed.status.message says why", said)
        demand(len(said) <= 500, "at most 500 characters", len(said))
    expect(await client.asked(stream, "w3", [1]), [[1, 2, 3]])


@SCRIPT.in_both_encodings
async def sends_no_message_larger_than_allowed(client: Client) -> None:
    client.server.items = MANY
    stream = await client.begun(max_message_bytes=LARGEST)
    await client.ask(stream, "w1", range(64), count=100)
    while True:  # in parts, if it can, or not at all
        request = await stream.receive_request()
        if request is None:
            raise Unmet("the stream has ended", required="an answer, or WorkFailed")
        demand(request.ByteSize() <= LARGEST, f"at most {LARGEST} bytes", request.ByteSize())
        if request.HasField("work_failed"):
            said = request.work_failed.status.message
            demand(str(LARGEST) in said, f"WorkFailed names the limit, {LARGEST}", said)
            break
        if not request.HasField("rank_result") or request.rank_result.complete:
            break
    expect(await client.asked(stream, "w2", [199]), [[199, 0, 1]])
