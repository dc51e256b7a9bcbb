"""The catalogue is streamed, accepted or refused."""

from __future__ import annotations

import grpc
import pytest
from google.rpc.status_pb2 import Status

from recarena.server.founding import RunState
from recarena.v1.recommender_service_pb2 import (
    StreamCatalogRequest,
)
from recarena.v1.session_pb2 import (
    CatalogReady,
)
from support.arena import begin, finished, settings
from support.sessions import (
    ONE_PAGE,
    another,
)

CODE = grpc.StatusCode


async def test_the_catalogue_comes_in_parts_and_goes_on_from_a_token(server, client):
    run = await begin(server, settings("raw"))
    registered = await client.join()
    version = registered.catalog_version
    parts = [
        part async for part in client.stub.StreamCatalog(
            StreamCatalogRequest(catalog_version=version)
        )
    ]  # fmt: skip
    assert len(parts) > 1
    assert {part.catalog_version for part in parts} == {version}
    assert [bool(part.next_page_token) for part in parts] == [True] * (len(parts) - 1) + [False]
    items = [item for part in parts for item in part.items]
    assert [item.item_id for item in items] == run.data.catalog.item_ids
    assert [item.title for item in items] == run.data.catalog.titles
    token = parts[0].next_page_token
    rest = client.stub.StreamCatalog(
        StreamCatalogRequest(catalog_version=version, page_token=token)
    )
    assert [item.item_id async for part in rest for item in part.items] == [
        item.item_id for item in items[len(parts[0].items) :]
    ]
    assert items[0].categories
    assert {"year"} <= set(items[0].attributes)


async def test_an_unknown_catalogue_is_not_found(client):
    call = client.stub.StreamCatalog(StreamCatalogRequest(catalog_version="none"))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call.read()
    assert error.value.code() is CODE.NOT_FOUND


async def test_a_bad_token_of_the_catalogue_is_the_callers_fault(server, client):
    await begin(server, settings("raw"))
    version = (await client.join()).catalog_version
    for token in ("x", "-1", "9" * 30):
        call = client.stub.StreamCatalog(
            StreamCatalogRequest(catalog_version=version, page_token=token)
        )
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
        assert error.value.code() is CODE.INVALID_ARGUMENT


async def test_nothing_is_sent_before_the_catalogue_is_accepted(server, client):
    await begin(server, settings("raw"))
    await client.register()
    client.registered = await client.receive("registered")
    await client.load_catalog()
    assert await client.stays_silent()
    await client.catalog_ready()
    assert (await client.receive("feedback_batch")).round == 0


async def test_a_refused_catalogue_ends_the_session_and_leaves_the_arm_free(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.register()
    version = (await client.receive("registered")).catalog_version
    error = Status(code=13, message="no room for it")
    await client.send(catalog_ready=CatalogReady(catalog_version=version, error=error))
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.FAILED_PRECONDITION
    assert "no room for it" in text
    assert run.state is RunState.WAITING
    async with another(server) as second:
        await second.join()
        await second.serve()
    await finished(run)


async def test_a_catalogue_version_that_is_not_in_force_is_ignored(server, client):
    await begin(server, settings("raw"))
    await client.register()
    client.registered = await client.receive("registered")
    await client.send(catalog_ready=CatalogReady(catalog_version="another"))
    assert await client.stays_silent()
    await client.catalog_ready()
    assert (await client.receive("feedback_batch")).round == 0
