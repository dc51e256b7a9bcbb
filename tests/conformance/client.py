"""A recommender program as a process, and what the script says to it and hears from it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.recommender_service_pb2 import ConnectResponse
from recarena.v1.session_pb2 import Ping, RoundStarted, WorkHeader
from recarena.v1.types_pb2 import CandidateSet, Interaction
from recarena.v1.work_pb2 import (
    ConverseWork,
    RankBatch,
    RankQuery,
    RankWork,
    SearchBatch,
    SearchQuery,
    SearchWork,
    Turn,
    UserContext,
)
from support.scripted_server import PATIENCE, ScriptedServer, ScriptedStream

NAME = "conformance"
UNKNOWN_FIELD = b"\xc2\x3e\x05later"
"""Field 1000 of any message, with five letters in it."""


class Client:
    """One program, started with its options, and the server that it dials."""

    def __init__(
        self, server: ScriptedServer, process: asyncio.subprocess.Process, columnar: bool, log: Path
    ) -> None:
        self.server, self._process, self.columnar, self._log = server, process, columnar, log

    # ------------------------------------------------------------------ the process
    async def go_on(self) -> None:
        """Gives the program the line that it waits for."""
        assert self._process.stdin
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()

    def told_to_leave(self, how: signal.Signals = signal.SIGINT) -> None:
        self._process.send_signal(how)

    async def left(self) -> int:
        """Its exit code, once it has left."""
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    def said(self) -> str:
        """What it has written to stderr."""
        return self._log.read_text("utf-8", errors="replace")

    # ------------------------------------------------------------------ sessions
    async def accepted(self) -> ScriptedStream:
        """Its next stream, once Register has come."""
        coming = asyncio.ensure_future(self.server.accept())
        gone = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({coming, gone}, return_when=asyncio.FIRST_COMPLETED)
            assert coming.done(), f"it left with {self._process.returncode}: {self.said()[-2000:]}"
            return coming.result()
        finally:
            coming.cancel()
            gone.cancel()

    async def begun(self, run_id: str = "run-1", **registered: Any) -> ScriptedStream:
        """Its next stream, with the handshake done."""
        given = {"size": len(self.server.items), **registered}
        return await (await self.accepted()).begin(run_id, **given)

    async def round(self, stream: ScriptedStream, number: int) -> None:
        """Opens a round, for which the program gets ready."""
        await stream.send(round_started=RoundStarted(round=number))
        assert (await stream.receive("round_ready")).round == number

    async def heard(self, stream: ScriptedStream, nonce: int = 1) -> None:
        """Returns when all that was sent has been read: a Ping was answered."""
        await stream.send(ping=Ping(nonce=nonce))
        assert (await stream.receive("pong")).nonce == nonce

    async def answered_until_heard(self, stream: ScriptedStream, nonce: int = 1) -> list[str]:
        """The same; the works that were answered until then."""
        await stream.send(ping=Ping(nonce=nonce))
        answered: list[str] = []
        while True:
            request = await stream.receive_request()
            assert request is not None, "the stream has ended"
            kind = request.WhichOneof("message")
            if kind == "pong":
                assert request.pong.nonce == nonce
                return answered
            assert kind in ("rank_result", "rank_batch_result"), kind
            answered.append(getattr(request, kind).work_id)

    async def feedback(
        self,
        stream: ScriptedStream,
        cursor: str,
        round: int = 0,
        rows: int = 2,
        also: Sequence[Interaction] = (),
    ) -> None:
        """Sends feedback in the program's encoding: so many interactions, and others (rich)."""
        if self.columnar:
            columns = FeedbackColumns(
                round=round, cursor=cursor, user_numbers=range(rows), item_numbers=range(rows),
                positions=[0] * rows, types=[Interaction.TYPE_VIEW_ITEM] * rows,
                values=[float("nan")] * rows,
            )  # fmt: skip
            await stream.send(feedback_columns=columns)
            return
        done = [
            Interaction(
                interaction_id=f"{cursor}-{n}", type=Interaction.TYPE_VIEW_ITEM, user_id=f"u{n}",
                item_id=self.server.items[n].item_id, round=round,
            )
            for n in range(rows)
        ]  # fmt: skip
        await stream.send(
            feedback_batch=FeedbackBatch(round=round, cursor=cursor, interactions=[*done, *also])
        )

    # ------------------------------------------------------------------ works
    async def ask(
        self,
        stream: ScriptedStream,
        work_id: str,
        users: Sequence[int] = (0, 1),
        *,
        count: int = 3,
        offsets: Sequence[int] = (),
        text: str | None = None,
        attempt: int = 1,
        timeout_s: float = 60.0,
        **of_queries: Any,
    ) -> None:
        """Sends a work in the program's encoding: lists for users, or searches with this text."""
        header = WorkHeader(work_id=work_id, attempt=attempt, round=1)
        header.timeout.FromMilliseconds(int(timeout_s * 1000))
        if self.columnar:
            common: dict[str, Any] = {
                "header": header, "result_count": count, "user_numbers": users, "offsets": offsets,
            }  # fmt: skip
            if text is None:
                await stream.send(rank_batch=RankBatch(**common))
            else:
                numbers = [0] * len(users)
                batch = SearchBatch(**common, texts=[text], text_numbers=numbers)
                await stream.send(search_batch=batch)
            return
        queries = [
            {
                "query_index": index, "user": UserContext(user_id=f"u{user}", user_number=user),
                "result_count": count, "offset": offsets[index] if offsets else 0, **of_queries,
            }
            for index, user in enumerate(users)
        ]  # fmt: skip
        if text is None:
            ranked = [RankQuery(**query) for query in queries]
            await stream.send(rank_work=RankWork(header=header, queries=ranked))
        else:
            searched = [SearchQuery(**query, text=text) for query in queries]
            await stream.send(search_work=SearchWork(header=header, queries=searched))

    async def lists(
        self, stream: ScriptedStream, work_id: str, users: int = 2, count: int = 3
    ) -> list[list[int]]:
        """The program's next message, which must answer this work: its lists as item numbers."""
        if self.columnar:
            result = await stream.receive("rank_batch_result")
            assert result.work_id == work_id
            numbers, lengths = list(result.item_numbers), list(result.list_lengths)
            lengths = lengths or [count] * users
            assert (len(lengths), sum(lengths)) == (users, len(numbers))
            ends = accumulate(lengths)
            return [numbers[end - one : end] for end, one in zip(ends, lengths, strict=True)]
        result = await stream.receive("rank_result")
        assert (result.work_id, result.complete) == (work_id, True)
        number = {item.item_id: at for at, item in enumerate(self.server.items)}
        by_query = {one.query_index: one for one in result.lists}
        assert sorted(by_query) == list(range(users))
        assert len(result.lists) == users
        return [[number[item.item_id] for item in by_query[n].items] for n in range(users)]

    async def asked(
        self, stream: ScriptedStream, work_id: str, users: Sequence[int] = (0, 1), **work: Any
    ) -> list[list[int]]:
        """Sends a work; the lists that come back."""
        await self.ask(stream, work_id, users, **work)
        return await self.lists(stream, work_id, len(users), work.get("count", 3))

    async def report(self, stream: ScriptedStream) -> dict[str, Any]:
        """What the program says of itself: `instance`, `closed` and `calls`."""
        words = Turn(speaker=Turn.SPEAKER_USER, text="What were you told?")
        work = ConverseWork(
            header=WorkHeader(work_id="report", attempt=1), conversation_id="c", turns=[words],
            user=UserContext(user_id="u0"), result_count=2,
        )  # fmt: skip
        await stream.send(converse_work=work)
        result = await stream.receive("converse_result")
        assert result.work_id == "report"
        return json.loads(result.reply_text)

    async def calls(self, stream: ScriptedStream) -> list[str]:
        """What the program was told, in order."""
        return (await self.report(stream))["calls"]


async def send_with_unknown_fields(stream: ScriptedStream, **message: Message) -> None:
    """Sends a message that has, like all in it, a field that nobody knows yet."""
    for inner in message.values():
        widen(inner)
    whole = ConnectResponse(seq=stream.seq + 1, **message)
    whole.MergeFromString(UNKNOWN_FIELD)
    stream.seq += 1
    await stream.context.write(whole)


def widen(message: Message) -> None:
    """Puts the unknown field into a message and into all messages in it."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type and not descriptor.message_type.GetOptions().map_entry:
            repeated = not isinstance(value, Message)
            for one in value if repeated else [value]:
                widen(one)
    message.MergeFromString(UNKNOWN_FIELD)


def ranked(
    user: int, size: int, *, offset: int = 0, count: int = 3, excluded: Sequence[int] = ()
) -> list[int]:
    """The list that the program must answer with, as item numbers."""
    every = [(user + rank) % size for rank in range(size)]
    return [one for one in every if one not in excluded][offset : offset + count]


def excluding(*item_ids: str) -> CandidateSet:
    return CandidateSet(whole_catalog=True, excluded_item_ids=item_ids)


@contextlib.asynccontextmanager
async def playing(
    program: Sequence[str], options: Sequence[str], log: Path
) -> AsyncIterator[Client]:
    """A server and a program that dials it; both are gone afterwards."""
    async with ScriptedServer() as server:
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *program, "--server", server.address, *options,
                stdin=asyncio.subprocess.PIPE, stdout=out, stderr=out,
            )  # fmt: skip
        try:
            yield Client(server, process, "--columnar" in options, log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
