"""A recommender on grpcio and recarena.v1 alone, right but for the defects that it is told to have.

    recarena-conformance -- python tests/conformance/broken.py --server {server} --defect no-pause

It shows how little a recommender needs, and that the conformance kit finds each defect.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import uuid
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from recarena.v1.recommender_service_pb2 import ConnectRequest, StreamCatalogRequest
from recarena.v1.recommender_service_pb2_grpc import RecommenderServiceStub
from recarena.v1.session_pb2 import (
    CAPABILITY_RANK,
    CatalogReady,
    Drain,
    Pong,
    Register,
    Registered,
    RoundReady,
    WorkFailed,
)
from recarena.v1.types_pb2 import Item, RankedItem
from recarena.v1.work_pb2 import RankedList, RankQuery, RankResult, RankWork

DEFECTS = {
    "repeats-items": "lists_no_item_twice",
    "unknown-items": "lists_items_of_the_catalogue",
    "shows-excluded": "leaves_out_what_is_excluded",
    "repeats-pages": "goes_on_where_the_last_page_ended",
    "answers-withdrawn": "does_not_answer_what_was_withdrawn",
    "new-instance": "keeps_its_instance_id",
    "returns-when-fenced": "stays_away_when_it_is_fenced",
    "no-pause": "pauses_before_it_comes_back",
    "rewinds-cursor": "takes_a_repeated_batch_once",
    "keeps-withdrawn": "lists_nothing_that_was_withdrawn",
    "leaves-silently": "says_goodbye_at_sigterm",
}
"""Defect -> the one case of the wire suite that it breaks."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
FOR_GOOD = {
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.ABORTED,
}  # fmt: skip
BUSY_S = 0.02
"""How long it works at a list: works queue up behind it, and may be withdrawn."""


class Refused(Exception):
    """The server does not want this recommender."""


class Broken:
    """Lists the catalogue from the user's number on, session after session."""

    def __init__(self, server: str, defects: Sequence[str]) -> None:
        self.server, self.defects = server, frozenset(defects)
        self.instance = uuid.uuid4().hex
        self.leaving = asyncio.Event()
        self.forget()

    def forget(self) -> None:
        """A run is over: what was learned in it goes."""
        self.run_id, self.session_id, self.cursor = "", "", ""
        self.cursors, self.version, self.ids = set[str](), "", list[str]()

    # ------------------------------------------------------------------ sessions
    async def serve(self) -> None:
        """Serves until it is told to leave. Refused where the server will not have it."""
        pause = FIRST_PAUSE_S
        while not self.leaving.is_set():
            if "new-instance" in self.defects:
                self.instance = uuid.uuid4().hex
            async with grpc.aio.insecure_channel(self.server) as channel:
                code, heard = await Session(self, channel).run()
            fenced = code is grpc.StatusCode.ABORTED and "returns-when-fenced" in self.defects
            if code in FOR_GOOD and not fenced:
                raise Refused(code.name)
            pause = FIRST_PAUSE_S if heard else min(2 * pause, LONGEST_PAUSE_S)
            if "no-pause" not in self.defects and not self.leaving.is_set():
                await asyncio.sleep(pause)

    def register(self) -> Register:
        """Who this is, and what it comes back to."""
        return Register(
            recommender_id="broken", instance_id=self.instance, capabilities=[CAPABILITY_RANK],
            resume_run_id=self.run_id, resume_session_id=self.session_id,
            feedback_cursor=self.cursor, catalog_version=self.version,
        )  # fmt: skip

    def learn(self, cursor: str) -> None:
        """Takes a batch of feedback, a repeated one not again."""
        if cursor not in self.cursors or "rewinds-cursor" in self.defects:
            self.cursor = cursor
        self.cursors.add(cursor)

    # ------------------------------------------------------------------ lists
    def page(self, query: RankQuery) -> list[str]:
        """What one user is shown."""
        excluded = set(query.candidates.excluded_item_ids)
        if "shows-excluded" in self.defects:
            excluded = set()
        start = query.user.user_number % max(1, len(self.ids))
        fresh = [one for one in self.ids[start:] + self.ids[:start] if one not in excluded]
        offset = query.offset
        if "repeats-pages" in self.defects and offset == query.result_count:
            offset = 0
        page = fresh[offset : offset + query.result_count]
        if "unknown-items" in self.defects and len(page) > 2:
            page[1] = "unheard-of"
        if "repeats-items" in self.defects and len(page) > 2:
            page[-1] = page[0]
        return page


class Session:
    """One stream. Works are done one after another, while the stream is read."""

    def __init__(self, owner: Broken, channel: grpc.aio.Channel) -> None:
        self.owner, self.stub = owner, RecommenderServiceStub(channel)
        self.call: Any = self.stub.Connect()
        self.writing = asyncio.Lock()
        self.works: asyncio.Queue[RankWork] = asyncio.Queue()
        self.withdrawn: set[str] = set()
        self.max_bytes = 4 * 2**20
        self.heard = False

    async def run(self) -> tuple[grpc.StatusCode, bool]:
        """How the stream ended, and whether a run was given in it."""
        reading = asyncio.create_task(self.read())
        others = [asyncio.create_task(step) for step in (self.answer(), self.goodbye())]
        try:
            await asyncio.wait({reading})
        finally:
            self.call.cancel()
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return reading.result(), self.heard

    async def send(self, **message: Any) -> None:
        async with self.writing:  # gRPC takes one write at a time
            await self.call.write(ConnectRequest(**message))

    async def goodbye(self) -> None:
        """Says Drain and closes its half when the program is told to leave."""
        await self.owner.leaving.wait()
        await self.send(drain=Drain())
        await self.works.join()
        await self.call.done_writing()

    async def read(self) -> grpc.StatusCode:
        try:
            await self.send(register=self.owner.register())
            while (message := await self.call.read()) is not grpc.aio.EOF:
                await self.take(message.WhichOneof("message"), message)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return await self.call.code()

    async def take(self, kind: str | None, message: Any) -> None:
        owner = self.owner
        if kind == "registered":
            await self.begin(message.registered)
        elif kind == "ping":
            await self.send(pong=Pong(nonce=message.ping.nonce))
        elif kind == "catalog_changed":
            changed = message.catalog_changed
            keeps = "keeps-withdrawn" in owner.defects
            await self.load(changed.catalog_version, changed.catalog_size, keeps=keeps)
        elif kind == "feedback_batch":
            owner.learn(message.feedback_batch.cursor)
        elif kind == "round_started":
            await self.send(round_ready=RoundReady(round=message.round_started.round))
        elif kind == "rank_work":
            self.works.put_nowait(message.rank_work)
        elif kind == "cancel_work":
            late = message.cancel_work.HasField("reason")
            if late or "answers-withdrawn" not in owner.defects:
                self.withdrawn.add(message.cancel_work.work_id)
        elif kind == "drain":
            if message.drain.reason.code != grpc.StatusCode.UNAVAILABLE.value[0]:
                owner.forget()
            await self.works.join()
            await self.call.done_writing()

    async def begin(self, registered: Registered) -> None:
        owner, self.heard = self.owner, True
        if not registered.resumed:
            owner.forget()
        owner.run_id, owner.session_id = registered.run_id, registered.session_id
        self.max_bytes = registered.limits.max_message_bytes or self.max_bytes
        await self.load(registered.catalog_version, registered.catalog_size)

    async def load(self, version: str, size: int, *, keeps: bool = False) -> None:
        """Loads a catalogue, from where it broke off if it does, and says so. Withdrawn items are
        listed no more, unless it `keeps` them."""
        items, token, owner = list[Item](), "", self.owner
        while token or not items:
            request = StreamCatalogRequest(catalog_version=version, page_token=token)
            try:
                async for part in self.stub.StreamCatalog(request):
                    items += part.items
                    token = part.next_page_token
            except grpc.aio.AioRpcError:
                continue
            if not token:
                break
        ready = CatalogReady(catalog_version=version)
        if size != len(items):
            ready.error.code = grpc.StatusCode.FAILED_PRECONDITION.value[0]
            ready.error.message = f"{len(items)} items, {size} were announced"
        owner.version = version
        owner.ids = [item.item_id for item in items if keeps or not item.withdrawn]
        await self.send(catalog_ready=ready)

    async def answer(self) -> None:
        while True:
            work = await self.works.get()
            await asyncio.sleep(BUSY_S)
            work_id = work.header.work_id
            if work_id not in self.withdrawn:
                result = RankResult(work_id=work_id, complete=True)
                for query in work.queries:
                    items = [RankedItem(item_id=one) for one in self.owner.page(query)]
                    result.lists.append(RankedList(query_index=query.query_index, items=items))
                if result.ByteSize() + 16 > self.max_bytes:
                    await self.send(work_failed=WorkFailed(work_id=work_id))
                else:
                    await self.send(rank_result=result)
            self.works.task_done()


async def live(server: str, defects: Sequence[str]) -> None:
    """Serves until SIGINT or SIGTERM."""
    loop, one = asyncio.get_running_loop(), Broken(server, defects)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, one.leaving.set)
    if "leaves-silently" in defects:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    await one.serve()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--defect", action="append", default=[], choices=[*DEFECTS, "all"])
    given = parser.parse_args()
    try:
        asyncio.run(live(given.server, [*DEFECTS] if "all" in given.defect else given.defect))
    except Refused as refused:
        sys.stderr.write(f"refused: {refused}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
