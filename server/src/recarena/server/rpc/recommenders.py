"""RecommenderService: the door through which recommenders come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import grpc
import structlog
from google.protobuf.struct_pb2 import Struct

from recarena.server.catalog import Catalog
from recarena.server.errors import (
    InputError,
    NotFound,
    NotYours,
    ProtocolViolation,
    RecArenaError,
    SessionLost,
)
from recarena.server.rpc import limits, status
from recarena.server.rpc.admission import admit, ending, first_register, registered
from recarena.server.rpc.audit import Audit
from recarena.server.rpc.callers import current_caller
from recarena.server.rpc.lobby import Lobby
from recarena.server.rpc.permits import path_of
from recarena.server.rpc.refusal import abort
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.rpc.session import Response, Session
from recarena.v1 import recommender_service_pb2 as pb
from recarena.v1 import recommender_service_pb2_grpc, types_pb2

log = structlog.get_logger()

ITEMS_PER_PART = 500
METHODS = pb.DESCRIPTOR.services_by_name["RecommenderService"].methods_by_name
CONNECT, FEEDBACK = path_of(METHODS["Connect"]), path_of(METHODS["ListFeedback"])


class RecommenderService(recommender_service_pb2_grpc.RecommenderServiceServicer):
    """Hosts sessions; which run a session serves is the lobby's business."""

    def __init__(self, lobby: Lobby, audit: Audit) -> None:
        self._lobby, self._audit = lobby, audit
        self._catalogs: dict[str, Catalog] = {}
        """Version -> the catalogue as it was then."""
        self._serving: dict[str, tuple[Session, RemoteRecommender]] = {}
        self._held: dict[str, set[Session]] = {}
        """Key of a caller -> its sessions."""

    def offer_catalog(self, catalog: Catalog) -> Catalog:
        """Makes a catalogue, as it is now, available to StreamCatalog; what this returns never
        changes. Versions that no arm has in force and no session knows any more are let go."""
        version = catalog.version
        if version not in self._catalogs:
            known = {session.catalog_version for session, _ in self._serving.values()}
            known |= self._lobby.catalogs()
            kept = {one: held for one, held in self._catalogs.items() if one in known}
            self._catalogs = {**kept, version: catalog.snapshot()}
        return self._catalogs[version]

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service. The messages of Connect stay bytes, in and out: what is sent has
        to be measured, and what comes in need not be a message at all."""
        name = pb.DESCRIPTOR.services_by_name["RecommenderService"].full_name
        connect = grpc.stream_stream_rpc_method_handler(self.Connect)
        recommender_service_pb2_grpc.add_RecommenderServiceServicer_to_server(self, server)
        server.add_registered_method_handlers(name, {"Connect": connect})

    async def Connect(  # pyright: ignore[reportIncompatibleMethodOverride]  # bytes, see add_to
        self,
        request_iterator: AsyncIterator[bytes],
        context: grpc.aio.ServicerContext[bytes, bytes],
    ) -> AsyncIterator[bytes]:
        """One session, from Register to its end."""
        try:
            caller = current_caller.get()
            register = await first_register(request_iterator)
            held = self._held.setdefault(caller.key, set()) if caller else set[Session]()
            admit(register, caller, held)
        except ProtocolViolation as error:
            log.info("recommender refused", peer=context.peer(), why=str(error))
            if isinstance(error, NotYours):
                await self._audit.refused(CONNECT, context, grpc.StatusCode.PERMISSION_DENIED)
            await abort(context, ending(error, begun=False))
            return
        session = Session(register, context.peer(), caller)
        held.add(session)
        reader = asyncio.ensure_future(session.read(request_iterator))
        serving = asyncio.ensure_future(self._serve(session))
        try:
            async for message in session.outbound():
                yield message
        finally:
            session.end()
            held.discard(session)
            if caller and not held:
                self._held.pop(caller.key, None)
            reader.cancel()
            serving.cancel()
            for task in (reader, serving):
                with suppress(asyncio.CancelledError, RecArenaError):
                    await task
        if session.error:
            await abort(context, ending(session.error))

    async def _serve(self, session: Session) -> None:
        """Waits for a run, hands over what it needs to know, then keeps the session alive."""
        arm: RemoteRecommender | None = None
        structlog.contextvars.bind_contextvars(
            session=session.session_id[:8], recommender=session.register.recommender_id
        )
        try:
            arm = await self._lobby.enter(session)
            structlog.contextvars.bind_contextvars(run=arm.assignment.run_id)
            await self._serve_arm(session, arm)
        except SessionLost:
            pass
        except ProtocolViolation as error:
            log.warning("session refused", why=str(error))
            session.end(error)
        except RecArenaError as error:
            log.error("session failed", why=str(error))
            session.end(error)
        finally:
            self._serving.pop(session.session_id, None)
            if arm:
                self._lobby.free(arm, session)
                arm.health.conduct.left(session, dismissed=arm.is_over)
                log.info("recommender leaves", why=str(session.error or "") or None)

    async def _serve_arm(self, session: Session, arm: RemoteRecommender) -> None:
        settings = arm.assignment.settings.session
        position = arm.record.resumes(session.register)
        log.info("recommender joins", resumed=position is not None)
        self._serving[session.session_id] = session, arm
        arm.health.conduct.joined(session)
        session.catalog_version = arm.catalog.version
        if arm.assignment.arm.explanations:
            session.explain()
        answer = registered(session, arm, position is not None)
        await session.send(Response(registered=answer))
        beside = [
            asyncio.ensure_future(session.keep_alive(settings.ping_interval_s)),
            asyncio.ensure_future(self._retire_when_draining(arm, session)),
        ]
        try:
            await session.catalog_loaded(settings.ready_timeout_s)
            # It may have said goodbye, or been fenced, meanwhile.
            if session in arm.reserved and not session.draining.is_set():
                await arm.attach(session, position or (0, 0))
            await session.ended.wait()
        finally:
            for task in beside:
                task.cancel()

    async def _retire_when_draining(self, arm: RemoteRecommender, session: Session) -> None:
        """A recommender that says goodbye gets no more work; what is under way it may finish."""
        await session.draining.wait()
        self._lobby.retire(arm, session)

    async def StreamCatalog(
        self,
        request: pb.StreamCatalogRequest,
        context: grpc.aio.ServicerContext[pb.StreamCatalogRequest, pb.StreamCatalogResponse],
    ) -> AsyncIterator[pb.StreamCatalogResponse]:
        """The catalogue in parts of 500 items. A token is the number of the item to go on with: any
        that the catalogue has, or one more."""
        catalog = self._catalogs.get(request.catalog_version)
        if catalog is None:
            text = f"no live run has the catalogue version {request.catalog_version[:64]!r}"
            await abort(context, status.of_error(NotFound(text)))
            return
        token = request.page_token or "0"
        first = int(token) if token.isdecimal() and len(token) < 10 else len(catalog) + 1
        if first > len(catalog):
            wrong = InputError(f"{token[:64]!r} is no token of this catalogue", where="page_token")
            await abort(context, status.of_error(wrong))
            return
        at = first
        while at < max(len(catalog), 1):
            part, at = _part(catalog, at)
            yield part

    async def ListFeedback(
        self,
        request: pb.ListFeedbackRequest,
        context: grpc.aio.ServicerContext[pb.ListFeedbackRequest, pb.ListFeedbackResponse],
    ) -> pb.ListFeedbackResponse:
        """Feedback after a cursor, in the rich form: what fits into a message, at most."""
        session, arm = self._serving.get(request.session_id, (None, None))
        caller = current_caller.get()
        if not session or not arm or (caller and caller.name != session.register.recommender_id):
            if session:
                await self._audit.refused(FEEDBACK, context, grpc.StatusCode.NOT_FOUND)
            await abort(context, status.of_error(NotFound("no such session")))
        after = arm.record.place(request.page_token) if request.page_token else (0, 0)
        if after is None:
            wrong = InputError(
                f"{request.page_token[:64]!r} is no cursor of this run", where="page_token"
            )
            await abort(context, status.of_error(wrong))
        answer = pb.ListFeedbackResponse()
        most = min(max(request.page_size, 1), 100)
        size = 0
        for round in range(after[0], arm.record.told + 1):
            for batch, _ in arm.record.rich(round, after[1] if round == after[0] else 0):
                size += batch.ByteSize()
                if answer.batches and size > limits.MAX_MESSAGE_BYTES - limits.SPLIT_BYTES:
                    return answer
                answer.batches.append(batch)
                answer.next_page_token = batch.cursor
                if len(answer.batches) == most:
                    return answer
        answer.next_page_token = ""
        return answer


def _part(catalog: Catalog, first: int) -> tuple[pb.StreamCatalogResponse, int]:
    """A part of the catalogue, and the item that the next one begins with."""
    end = min(first + ITEMS_PER_PART, len(catalog))
    while True:
        part = pb.StreamCatalogResponse(
            catalog_version=catalog.version,
            items=[item_message(catalog, item) for item in range(first, end)],
            next_page_token=str(end) if end < len(catalog) else "",
        )
        if end - first <= 1 or part.ByteSize() <= limits.SPLIT_BYTES:
            return part, max(end, first + 1)
        end = (first + end) // 2


def item_message(catalog: Catalog, item: int) -> types_pb2.Item:
    """An item's public fields."""
    attributes = Struct()
    if catalog.years[item]:
        attributes["year"] = int(catalog.years[item])
    if catalog.directors[item]:
        attributes["director"] = catalog.directors[item]
    return types_pb2.Item(
        item_id=catalog.item_ids[item],
        title=catalog.titles[item],
        description=catalog.descriptions[item],
        categories=catalog.genres_of(item),
        attributes=attributes,
        withdrawn=not catalog.available[item],
    )
