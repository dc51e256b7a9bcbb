"""Cases of the handshake and of the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc

from recarena.conformance.findings import demand, expect
from recarena.conformance.probe.client import NAME, Client, ranked
from recarena.conformance.probe.script import COLUMNAR, ProbeScript
from recarena.conformance.scripted_server import ITEMS, ScriptedStream
from recarena.v1.session_pb2 import Capability, CatalogChanged, Ping
from recarena.v1.types_pb2 import Item

SCRIPT = ProbeScript("handshake")
RICH_ALONE = {
    Capability.CAPABILITY_RANK,
    Capability.CAPABILITY_SEARCH,
    Capability.CAPABILITY_CONVERSE,
    Capability.CAPABILITY_EXPLAIN,
}
TOKEN = "rct_conformance"


@SCRIPT.case()
async def registers_first_and_within_ten_seconds(client: Client) -> None:
    async with asyncio.timeout(10):
        stream = await client.accepted()  # whose first message was Register
    register = stream.register
    expect(register.recommender_id, NAME)
    demand(register.instance_id, "an instance_id", "none")
    expect(register.protocol_minor, 0)
    expect((register.resume_run_id, register.feedback_cursor), ("", ""))


@SCRIPT.in_both_encodings
async def offers_what_it_can_do(client: Client) -> None:
    offered = set((await client.accepted()).register.capabilities)
    more = {Capability.CAPABILITY_COLUMNAR} if client.columnar else set()
    expect(offered, RICH_ALONE | more)


@SCRIPT.case()
async def waits_until_a_run_wants_it(client: Client) -> None:
    stream = await client.accepted()
    for nonce in (7, 2**64 - 1):
        await client.heard(stream, nonce)
    expect(client.server.catalog_requests, [])
    await stream.begin()
    expect(await client.calls(stream), ["start run-1 v1 10"])


@SCRIPT.case(*COLUMNAR)
async def serves_rich_works_where_columnar_is_not_granted(client: Client) -> None:
    stream = await client.begun(capabilities=RICH_ALONE)
    client.columnar = False
    await client.feedback(stream, "a")
    expect(await client.asked(stream, "w1"), [ranked(0, 10), ranked(1, 10)])
    expect((await client.calls(stream))[1:], ["feedback 0 a 2"])


@SCRIPT.case("--token", TOKEN)
async def sends_its_token_with_every_call(client: Client) -> None:
    await client.begun()
    (said,) = client.server.metadata
    (asked,) = client.server.catalog_metadata
    expect([said["authorization"], asked["authorization"]], [f"Bearer {TOKEN}"] * 2)


@SCRIPT.case()
async def sends_no_token_that_it_was_not_given(client: Client) -> None:
    await client.begun()
    demand("authorization" not in client.server.metadata[0], "no token is sent")


# ------------------------------------------------------------------------------ the catalogue
async def changed(
    client: Client, stream: ScriptedStream, version: str, items: Sequence[int]
) -> None:
    """Tells of another version of what the server streams by now; the client takes it."""
    size = len(client.server.items)
    await stream.send(
        catalog_changed=CatalogChanged(
            catalog_version=version, catalog_size=size, changed_items=items
        )
    )
    ready = await stream.receive("catalog_ready")
    expect((ready.catalog_version, ready.HasField("error")), (version, False))


@SCRIPT.case()
async def loads_the_catalogue_before_it_says_so(client: Client) -> None:
    client.server.page = 3
    stream = await client.begun(version="v7")
    expect([one.catalog_version for one in client.server.catalog_requests], ["v7"])
    expect(await client.calls(stream), ["start run-1 v7 10"])


@SCRIPT.case()
async def goes_on_where_a_catalogue_broke_off(client: Client) -> None:
    client.server.break_catalog_after = 2
    stream = await client.begun()
    expect([one.page_token for one in client.server.catalog_requests], ["", "8"])
    expect(await client.asked(stream, "w1", [0], count=10), [list(range(10))])


@SCRIPT.case()
async def comes_back_where_the_catalogue_cannot_be_had(client: Client) -> None:
    client.server.break_catalog_after = 0
    stream = await client.accepted()
    await stream.registered()
    while (request := await stream.receive_request()) is not None:
        demand(
            not request.HasField("catalog_ready") or request.catalog_ready.HasField("error"),
            "no CatalogReady without the catalogue",
            request,
        )
    stream.end()
    await client.begun()


@SCRIPT.case()
async def refuses_a_catalogue_of_another_size(client: Client) -> None:
    stream = await client.accepted()
    await stream.registered(size=11)
    refused = await stream.receive_request()
    demand(
        refused and (refused.HasField("drain") or refused.catalog_ready.HasField("error")),
        "Drain, or CatalogReady with error",
        refused,
    )
    stream.end(grpc.StatusCode.FAILED_PRECONDITION, "refused")
    await client.gave_up("11")


@SCRIPT.case()
async def refuses_a_catalogue_that_it_cannot_use(client: Client) -> None:
    stream = await client.accepted()
    await stream.registered(version="unusable")
    ready = await stream.receive("catalog_ready")
    expect(ready.catalog_version, "unusable")
    demand("told to refuse" in ready.error.message, "CatalogReady.error says why", ready)
    stream.end(grpc.StatusCode.FAILED_PRECONDITION, "refused")
    await client.gave_up()


@SCRIPT.in_both_encodings
async def lists_nothing_of_an_empty_catalogue(client: Client) -> None:
    client.server.items = ()
    stream = await client.begun()
    expect(await client.asked(stream, "w1"), [[], []])


@SCRIPT.in_both_encodings
async def loads_a_catalogue_that_changed(client: Client) -> None:
    client.server.items = ITEMS[:8]
    stream = await client.begun()
    client.server.items = ITEMS
    await changed(client, stream, "v2", (8, 9))
    expect(await client.calls(stream), ["start run-1 v1 8", "catalogue v2 10"])
    expect(await client.asked(stream, "w1", [7], count=5), [[7, 8, 9, 0, 1]])


@SCRIPT.in_both_encodings
async def loads_a_catalogue_that_changed_at_its_beginning(client: Client) -> None:
    stream = await client.begun()
    gone = Item(item_id="item-0", title="Film 0", withdrawn=True)
    client.server.items = (gone, *ITEMS[1:])
    await changed(client, stream, "v2", (0,))
    expect(await client.calls(stream), ["start run-1 v1 10", "catalogue v2 10"])


@SCRIPT.case()
async def loads_all_of_a_catalogue_whose_changes_are_not_named(client: Client) -> None:
    stream = await client.begun()
    client.server.items = (*ITEMS, Item(item_id="item-10", title="Film 10"))
    client.server.catalog_requests.clear()
    await changed(client, stream, "v2", ())
    expect([one.page_token for one in client.server.catalog_requests], [""])
    expect(await client.calls(stream), ["start run-1 v1 10", "catalogue v2 11"])


@SCRIPT.case()
async def loads_each_of_several_changes(client: Client) -> None:
    stream = await client.begun()
    for size in (11, 12):
        client.server.items = (*client.server.items, Item(item_id=f"item-{size - 1}"))
        await changed(client, stream, f"v{size}", (size - 1,))
    calls = ["start run-1 v1 10", "catalogue v11 11", "catalogue v12 12"]
    expect(await client.calls(stream), calls)


@SCRIPT.case()
async def refuses_a_change_that_it_cannot_use(client: Client) -> None:
    stream = await client.begun()
    await stream.send(catalog_changed=CatalogChanged(catalog_version="unusable", catalog_size=10))
    ready = await stream.receive("catalog_ready")
    expect(ready.catalog_version, "unusable")
    demand("told to refuse" in ready.error.message, "CatalogReady.error says why", ready)
    stream.end(grpc.StatusCode.FAILED_PRECONDITION, "refused")
    await client.gave_up()


@SCRIPT.case()
async def refuses_a_change_of_another_size(client: Client) -> None:
    stream = await client.begun()
    await stream.send(catalog_changed=CatalogChanged(catalog_version="v2", catalog_size=11))
    refused = await stream.receive_request()
    demand(
        refused and (refused.HasField("drain") or refused.catalog_ready.HasField("error")),
        "Drain, or CatalogReady with error",
        refused,
    )
    stream.end(grpc.StatusCode.FAILED_PRECONDITION, "refused")
    await client.gave_up("11")


@SCRIPT.in_both_encodings
async def is_ready_anew_after_a_change(client: Client) -> None:
    stream = await client.begun()
    await client.round(stream, 1)
    client.server.items = (*ITEMS, Item(item_id="item-10", title="Film 10"))
    await changed(client, stream, "v2", (10,))
    await client.round(stream, 1)
    calls = ["start run-1 v1 10", "ready 1", "catalogue v2 11", "ready 1"]
    expect(await client.calls(stream), calls)


@SCRIPT.case()
async def answers_pings_in_a_run(client: Client) -> None:
    stream = await client.begun()
    for nonce in (1, 2, 3):
        await stream.send(ping=Ping(nonce=nonce))
    expect([(await stream.receive("pong")).nonce for _ in range(3)], [1, 2, 3])
