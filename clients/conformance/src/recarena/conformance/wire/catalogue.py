"""Cases of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from recarena.conformance.case import Script
from recarena.conformance.findings import Unmet
from recarena.conformance.wire.asking import Answer
from recarena.conformance.wire.peer import Peer
from recarena.conformance.wire.session import Session, kind_of
from recarena.v1.types_pb2 import Item

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


def without(items: Sequence[Item], gone: Sequence[int]) -> tuple[Item, ...]:
    """The items, those with these numbers withdrawn."""
    changed = list(items)
    for number in gone:
        changed[number] = Item()
        changed[number].CopyFrom(items[number])
        changed[number].withdrawn = True
    return tuple(changed)


def shown(answer: Answer) -> set[str]:
    """Ids of all items in its lists."""
    return {item for page in answer.pages for item in page}


async def takes(peer: Peer, session: Session, items: Sequence[Item], version: str,
                changed: Sequence[int]) -> None:  # fmt: skip
    """The catalogue becomes this one; Unmet where the program says that it has it, and has not."""
    peer.server.items = tuple(items)
    await session.changes(items, version, changed)
    if version not in peer.server.catalogs_read:
        raise Unmet(f"CatalogReady came, and version {version!r} had not been read")


async def changing(peer: Peer) -> tuple[Session, Answer]:
    """The last items are not there at first; between two rounds they come, and the first are
    withdrawn."""
    every = peer.server.items
    peer.server.items = every[:-FEW]
    session = await peer.serving()
    await session.asked([0, 1, 2], count=len(every))
    await session.round_ended(1)
    gone, new = range(FEW), range(len(every) - FEW, len(every))
    await takes(peer, session, without(every, gone), "v2", [*gone, *new])
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
    "after CatalogChanged no list has an item that was withdrawn",
    "leave out items whose `withdrawn` is set: in a list they count as unknown",
)
def lists_nothing_that_was_withdrawn(found: tuple[Session, Answer]) -> None:
    session, answer = found
    stale = sorted({item.item_id for item in session.items if item.withdrawn} & shown(answer))
    if stale:
        raise Unmet(f"{', '.join(stale)} were withdrawn in version 'v2', which is in force")


@SCRIPT.judged(
    changing,
    "lists that want all items have those that CatalogChanged has added",
    "rank items that nobody knows yet as well, if behind all others",
    optional=True,
)
def lists_what_was_added(found: tuple[Session, Answer]) -> None:
    session, answer = found
    missing = [item.item_id for item in session.items[-FEW:] if item.item_id not in shown(answer)]
    if missing:
        raise Unmet(f"{', '.join(missing)} are in no list, and all lists wanted all items")


@SCRIPT.case(
    "a catalogue may change several times between two rounds; each version is loaded",
    "answer each CatalogChanged with a CatalogReady of its version, in their order",
)
async def takes_changes_one_after_another(peer: Peer) -> None:
    every = peer.server.items
    session = await peer.serving()
    await session.asked()
    await session.round_ended(1)
    for version, gone in (("v2", 1), ("v3", 2), ("v4", 3)):
        await takes(peer, session, without(every, range(gone)), version, [gone - 1])
    await session.round(2)
    await session.asked(round=2)


@SCRIPT.case(
    "of a catalogue that has withdrawn items from the start none is listed",
    "leave out items whose `withdrawn` is set, also in the first catalogue of a run",
)
async def lists_nothing_withdrawn_before_it_came(peer: Peer) -> None:
    peer.server.items = without(peer.server.items, range(FEW))
    session = await peer.serving()
    stale = {item.item_id for item in session.items[:FEW]}
    stale &= shown(await session.asked([0, 1, 2], count=len(session.items)))
    if stale:
        raise Unmet(f"{', '.join(sorted(stale))} are listed, and were withdrawn")


@SCRIPT.case(
    "coming back, it loads a catalogue that changed while it was away",
    "compare Registered.catalog_version with the version held, also when resumed",
)
async def takes_a_catalogue_that_changed_meanwhile(peer: Peer) -> None:
    (await peer.serving()).stream.end(*peer.lost())
    peer.server.items = without(peer.server.items, range(FEW))
    session = await peer.back()
    await session.begin(resumed=True, version="v2")
    if "v2" not in peer.server.catalogs_read:
        raise Unmet("CatalogReady came, and version 'v2' had not been read")
    await session.round(1)
    await session.asked()
