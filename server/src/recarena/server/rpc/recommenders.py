"""RecommenderService: the door through which recommenders come in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import grpc
import structlog
from google.protobuf.struct_pb2 import Struct
from google.rpc import status_pb2

from recarena.server.catalog import Catalog
from recarena.server.config import NAME
from recarena.server.errors import (
    InputError,
    NotFound,
    ProtocolViolation,
    RecArenaError,
    SessionLost,
    TooSlow,
)
from recarena.server.feedback import part, parts
from recarena.server.rpc import answers, feedback_codec, status
from recarena.server.rpc.lobby import Fenced, Lobby
from recarena.server.rpc.refusal import abort
from recarena.server.rpc.remote import EXTENSION, RemoteRecommender
from recarena.server.rpc.session import MAX_MESSAGE_BYTES, PROTOCOL_MINOR, Request, Session
from recarena.server.rpc.times import duration
from recarena.v1 import recommender_service_pb2 as pb
from recarena.v1 import recommender_service_pb2_grpc, session_pb2, types_pb2

log = structlog.get_logger()

REGISTER_TIMEOUT_S = 10.0
ITEMS_PER_PART = 500
MAX_ID_BYTES = 128


class RecommenderService(recommender_service_pb2_grpc.RecommenderServiceServicer):
    """Hosts sessions; which run a session serves is the lobby's business."""

    def __init__(self, lobby: Lobby) -> None:
        self._lobby = lobby
        self._catalogs: dict[str, Catalog] = {}
        self._sessions: dict[str, tuple[Session, RemoteRecommender]] = {}

    def offer_catalog(self, catalog: Catalog) -> None:
        """Makes a catalogue available to StreamCatalog."""
        self._catalogs[catalog.version] = catalog

    async def Connect(
        self,
        request_iterator: AsyncIterator[Request],
        context: grpc.aio.ServicerContext[Request, pb.ConnectResponse],
    ) -> AsyncIterator[pb.ConnectResponse]:
        """One session, from Register to its end."""
        try:
            session = Session(await self._register(request_iterator), context.peer())
        except ProtocolViolation as error:
            await abort(context, _refusal(error))
            return
        reader = asyncio.ensure_future(session.read(request_iterator))
        serving = asyncio.ensure_future(self._serve(session))
        try:
            async for message in session.outbound():
                yield message
        finally:
            session.end()
            reader.cancel()
            serving.cancel()
            for task in (reader, serving):
                with suppress(asyncio.CancelledError, RecArenaError):
                    await task
        if session.error:
            await abort(context, _ending(session.error))

    async def _register(self, requests: AsyncIterator[Request]) -> session_pb2.Register:
        try:
            async with asyncio.timeout(REGISTER_TIMEOUT_S):
                first = await anext(requests)
        except TimeoutError:
            raise TooSlow(f"no Register within {REGISTER_TIMEOUT_S:g} s") from None
        except StopAsyncIteration:
            raise ProtocolViolation("the stream ended before Register") from None
        if first.WhichOneof("message") != "register":
            raise ProtocolViolation("the first message must be Register")
        register = first.register
        if not re.fullmatch(NAME, register.recommender_id):
            raise ProtocolViolation(
                f"register.recommender_id: {register.recommender_id[:80]!r} does not match {NAME}"
            )
        if len(register.instance_id.encode()) > MAX_ID_BYTES:
            raise ProtocolViolation(f"register.instance_id: more than {MAX_ID_BYTES} bytes")
        if session_pb2.CAPABILITY_RANK not in register.capabilities:
            raise Incompatible("register.capabilities: RANK is required")
        return register

    async def _serve(self, session: Session) -> None:
        """Waits for a run, hands over what it needs to know, then keeps the session alive."""
        arm: RemoteRecommender | None = None
        logger = log.bind(
            session=session.session_id[:8], recommender=session.register.recommender_id
        )
        try:
            arm = await self._lobby.enter(session)
            a = arm.assignment
            position = arm.resumes(session.register)
            logger = logger.bind(run=a.run_id)
            logger.info("recommender joins", resumed=position is not None)
            self._sessions[session.session_id] = session, arm
            session.catalog_version = a.catalog.version
            registered = _registered(session, arm, position is not None)
            await session.send(pb.ConnectResponse(registered=registered))
            ready = a.settings.session.ready_timeout_s
            await session.catalog_loaded(ready)
            await arm.attach(session, position or (0, 0))
            leaving = asyncio.ensure_future(self._retire_when_draining(arm, session))
            try:
                await session.keep_alive(a.settings.session.ping_interval_s)
            finally:
                leaving.cancel()
        except SessionLost:
            pass
        except ProtocolViolation as error:
            logger.warning("session refused", why=str(error))
            session.end(error)
        except RecArenaError as error:
            logger.error("session failed", why=str(error))
            session.end(error)
        finally:
            self._sessions.pop(session.session_id, None)
            if arm:
                self._lobby.free(arm, session)
                logger.info("recommender leaves")

    async def _retire_when_draining(self, arm: RemoteRecommender, session: Session) -> None:
        """A recommender that says goodbye gets no more work; what is under way it may finish."""
        await session.draining.wait()
        self._lobby.free(arm, session)

    async def StreamCatalog(
        self,
        request: pb.StreamCatalogRequest,
        context: grpc.aio.ServicerContext[pb.StreamCatalogRequest, pb.StreamCatalogResponse],
    ) -> AsyncIterator[pb.StreamCatalogResponse]:
        """The catalogue in parts of 500 items."""
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
        for at in range(first, max(len(catalog), 1), ITEMS_PER_PART):
            end = min(at + ITEMS_PER_PART, len(catalog))
            yield pb.StreamCatalogResponse(
                catalog_version=catalog.version,
                items=[item_message(catalog, item) for item in range(at, end)],
                next_page_token=str(end) if end < len(catalog) else "",
            )

    async def ListFeedback(
        self,
        request: pb.ListFeedbackRequest,
        context: grpc.aio.ServicerContext[pb.ListFeedbackRequest, pb.ListFeedbackResponse],
    ) -> pb.ListFeedbackResponse:
        """Feedback after a cursor, in the rich form."""
        known = self._sessions.get(request.session_id)
        if known is None:
            await abort(context, status.of_error(NotFound("no such session")))
        _, arm = known
        a = arm.assignment
        after = arm.place(request.page_token) if request.page_token else (0, 0)
        if after is None:
            wrong = InputError(
                f"{request.page_token[:64]!r} is no cursor of this run", where="page_token"
            )
            await abort(context, status.of_error(wrong))
        batches = []
        most = min(max(request.page_size, 1), 100)
        for round in range(after[0], arm.told + 1):
            past = a.past(round)
            each = feedback_codec.PAGES_PER_RICH_PART
            for start, end in parts(past, each, after[1] if round == after[0] else 0):
                cursor = feedback_codec.cursor(a.epoch, round, end)
                sim_time = a.settings.time.of_round(max(round, 1))
                one = part(past, start, end)
                batches.append(
                    feedback_codec.rich(one, a.user_ids, a.catalog.item_ids, sim_time, cursor)
                )
                if len(batches) == most:
                    return pb.ListFeedbackResponse(batches=batches, next_page_token=cursor)
        return pb.ListFeedbackResponse(batches=batches)


class Incompatible(ProtocolViolation):
    """There is no protocol both sides can speak."""


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
    )


def _registered(session: Session, arm: RemoteRecommender, resumed: bool) -> session_pb2.Registered:
    a = arm.assignment
    timeout = a.settings.session.work_timeout(a.arm)
    return session_pb2.Registered(
        session_id=session.session_id,
        resumed=resumed,
        protocol_minor=min(session.register.protocol_minor, PROTOCOL_MINOR),
        capabilities=session.capabilities,
        run_id=a.run_id,
        epoch=a.epoch,
        arm_ids=[a.arm.id],
        catalog_version=a.catalog.version,
        catalog_size=len(a.catalog),
        user_count=len(a.user_ids),
        round_limit=a.settings.rounds,
        page_size=a.settings.visits.page_size,
        work_timeout=duration(timeout),
        max_work_timeout=duration(timeout * EXTENSION),
        resume_window=duration(a.settings.session.resume_window_s),
        ping_interval=duration(a.settings.session.ping_interval_s),
        limits=session_pb2.Limits(
            max_message_bytes=MAX_MESSAGE_BYTES,
            max_users_per_work=session.max_users(a.settings.session.max_users_per_work),
            max_items_per_list=answers.MAX_ITEMS_PER_LIST,
            max_explanation_chars=answers.MAX_EXPLANATION_CHARS,
            max_id_bytes=MAX_ID_BYTES,
            max_token_bytes=answers.MAX_TOKEN_BYTES,
        ),
    )


def _refusal(error: ProtocolViolation) -> status_pb2.Status:
    """The status of a Register that is not accepted."""
    if isinstance(error, Incompatible):
        code = grpc.StatusCode.FAILED_PRECONDITION
        return status.status_proto(
            code, str(error), "INCOMPATIBLE", supported=f"recarena.v1 minor 0..{PROTOCOL_MINOR}"
        )
    return status.of_error(error)


def _ending(error: Exception) -> status_pb2.Status:
    """The status of a stream that the server ends."""
    if isinstance(error, Fenced):
        text = "a newer session of this instance took its place"
        return status.status_proto(grpc.StatusCode.ABORTED, text, "FENCED")
    if isinstance(error, ProtocolViolation) and not isinstance(error, TooSlow):
        return status.status_proto(
            grpc.StatusCode.FAILED_PRECONDITION, str(error), "PROTOCOL_VIOLATION"
        )
    if isinstance(error, RecArenaError):
        return status.of_error(error)
    return status.status_proto(grpc.StatusCode.INTERNAL, "internal error")
