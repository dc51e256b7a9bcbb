"""Cases of the catalogue."""

from __future__ import annotations

from recarena.conformance.case import Script
from recarena.conformance.findings import Unmet
from recarena.conformance.wire.asking import Answer
from recarena.conformance.wire.peer import Peer
from recarena.conformance.wire.session import Session, kind_of
from recarena.v1.session_pb2 import CatalogChanged

SCRIPT = Script("catalogue")
FEW = 5


async def loading(peer: Peer) -> tuple[Peer, Session]:
    """The catalogue `v7` is named; the next message is waited for."""
    session = await peer.accepted()
    await session.registered(version="v7")
    first = await session.first("CatalogReady")
    if first is None or not first.HasField("catalog_ready"):
        seen = "the end of the stream" if first is None else kind_of(first)
        raise Unmet(f"{seen} came first", required="CatalogReady is the first answer to Registered")
    if first.catalog_ready.HasField("error"):
        raise Unmet(f"CatalogReady with error: {first.catalog_ready.error.message}")
    if first.catalog_ready.catalog_version != "v7":
        raise Unmet(f"CatalogReady of {first.catalog_ready.catalog_version!r}, not of 'v7'")
    return peer, session


@SCRIPT.judged(
    loading,
    "CatalogReady with the version that was named is the first answer to Registered",
    "send CatalogReady(catalog_version=Registered.catalog_version) before anything else",
)
def says_ready_before_anything_else(_: tuple[Peer, Session]) -> None:
    """The scene has seen to it."""


@SCRIPT.judged(
    loading,
    "StreamCatalog is called with the version that Registered names",
    "send StreamCatalogRequest(catalog_version=Registered.catalog_version)",
)
def loads_the_version_that_is_named(loaded: tuple[Peer, Session]) -> None:
    versions = [one.catalog_version for one in loaded[0].server.catalog_requests]
    if set(versions) != {"v7"}:
        raise Unmet(f"versions {versions}" if versions else "StreamCatalog was not called")


@SCRIPT.judged(
    loading,
    "the catalogue is read to its last part before CatalogReady",
    "read StreamCatalog until the stream ends, then send CatalogReady",
)
def loads_all_parts_before_it_is_ready(loaded: tuple[Peer, Session]) -> None:
    if not loaded[0].server.catalogs_read:
        raise Unmet("CatalogReady came, and the last part had not been read")


@SCRIPT.case(
    "a catalogue that breaks off is loaded again or further, then CatalogReady comes",
    "call StreamCatalog again, with the last page_token, or come back with a new stream",
)
async def gets_over_a_catalogue_that_breaks_off(peer: Peer) -> None:
    peer.server.break_catalog_after = 2
    session = await peer.accepted()
    await session.registered()
    first = await session.first("CatalogReady, or a new stream")
    if first is None or first.HasField("drain"):
        session.stream.end()
        session = await peer.back()
        await session.registered()
        first = await session.first("CatalogReady")
    if first is None or not first.HasField("catalog_ready"):
        raise Unmet("no CatalogReady")
    if first.catalog_ready.HasField("error"):
        raise Unmet(f"the catalogue was refused: {first.catalog_ready.error.message}")
    if not peer.server.catalogs_read:
        raise Unmet("CatalogReady came, and the catalogue had broken off")


@SCRIPT.case(
    "a catalogue of another size than Registered.catalog_size is refused",
    "compare the number of items with catalog_size; send CatalogReady with error where it differs",
    optional=True,
)
async def refuses_a_catalogue_of_another_size(peer: Peer) -> None:
    session = await peer.accepted()
    await session.registered(size=len(session.items) + 1)
    request = await session.first("CatalogReady with error, Drain, or the end of the stream")
    if request and request.HasField("catalog_ready"):
        if not request.catalog_ready.HasField("error"):
            raise Unmet("CatalogReady without error")
    elif request and not request.HasField("drain"):
        raise Unmet(f"{kind_of(request)} came")


@SCRIPT.case(
    "an empty catalogue gives empty lists",
    "let lists be empty where there is nothing to list",
)
async def lists_nothing_of_an_empty_catalogue(peer: Peer) -> None:
    peer.server.items = ()
    session = await peer.accepted()
    await session.begin()
    await session.round(1)
    found = [item for page in (await session.asked()).pages for item in page]
    if found:
        raise Unmet(f"items {found} of a catalogue that has none")


async def changing(peer: Peer) -> tuple[Session, Answer]:
    """The last items are not there at first; between two rounds they come, and the first go."""
    every = peer.server.items
    peer.server.items = every[:-FEW]
    session = await peer.serving()
    await session.asked([0, 1, 2], count=len(every))
    await session.round_ended(1)
    peer.server.items = session.items = every[FEW:]
    session.gone = every[:FEW]
    await session.send(catalog_changed=CatalogChanged(catalog_version="v2"))
    await session.loaded("v2")
    if "v2" not in peer.server.catalogs_read:
        raise Unmet("CatalogReady came, and version 'v2' had not been read")
    await session.round(2)
    return session, await session.asked([0, 1, 2], count=len(every), round=2)


@SCRIPT.judged(
    changing,
    "at CatalogChanged the new version is loaded; then come CatalogReady and the next round",
    "call StreamCatalog with CatalogChanged.catalog_version, then send CatalogReady with it",
)
def takes_a_changed_catalogue(_: tuple[Session, Answer]) -> None:
    """The scene has seen to it."""


@SCRIPT.judged(
    changing,
    "after CatalogChanged lists have items of the new version alone",
    "build lists from the new catalogue: items that are gone are dropped and counted",
    optional=True,
)
def lists_items_of_the_changed_catalogue(found: tuple[Session, Answer]) -> None:
    session, answer = found
    gone = {item.item_id for item in session.gone}
    stale = sorted({item for page in answer.pages for item in page if item in gone})
    if stale:
        raise Unmet(f"{', '.join(stale)} are in version 'v1' alone, and 'v2' is in force")


@SCRIPT.case(
    "coming back, it loads a catalogue that changed while it was away",
    "compare Registered.catalog_version with the version held, also when resumed",
)
async def takes_a_catalogue_that_changed_meanwhile(peer: Peer) -> None:
    (await peer.serving()).stream.end(*peer.lost())
    peer.server.items = peer.server.items[FEW:]
    session = await peer.back()
    await session.begin(resumed=True, version="v2")
    if "v2" not in peer.server.catalogs_read:
        raise Unmet("CatalogReady came, and version 'v2' had not been read")
    await session.round(1)
    await session.asked()
