"""A recommender program as a process, and what the script says to it and hears from it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from recarena.conformance.findings import Unmet, demand, expect
from recarena.conformance.program import Program, addressed, started
from recarena.conformance.scripted_server import PATIENCE, ScriptedServer, ScriptedStream
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
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

NAME = "conformance"


class Client:
    """One program, started with its options, and the server that it dials."""

    def __init__(self, server: ScriptedServer, program: Program, columnar: bool) -> None:
        self.server, self.program, self.columnar = server, program, columnar
        self.go_on, self.said, self.left = program.go_on, program.said, program.left
        self.told_to_leave = program.told_to_leave

    async def gave_up(self, words: str = "") -> None:
        """Returns when the program has left with an error, and these words on stderr."""
        demand(await self.left() != 0, "another exit code than 0", 0)
        demand(words in self.said(), f"{words!r} on stderr", self.said()[-500:])

    # ------------------------------------------------------------------ sessions
    async def accepted(self) -> ScriptedStream:
        """Its next stream, once Register has come."""
        return await self.program.accepted(self.server)

    async def closed(self, stream: ScriptedStream) -> None:
        """Returns when the program has closed its half; nothing else may come before."""
        request = await stream.receive_request()
        demand(request is None, "the stream is closed", request)

    async def begun(self, run_id: str = "run-1", **registered: Any) -> ScriptedStream:
        """Its next stream, with the handshake done."""
        given = {"size": len(self.server.items), **registered}
        return await (await self.accepted()).begin(run_id, **given)

    async def round(self, stream: ScriptedStream, number: int) -> None:
        """Opens a round, for which the program gets ready."""
        await stream.send(round_started=RoundStarted(round=number))
        expect((await stream.receive("round_ready")).round, number)

    async def heard(self, stream: ScriptedStream, nonce: int = 1) -> None:
        """Returns when all that was sent has been read: a Ping was answered."""
        await stream.send(ping=Ping(nonce=nonce))
        expect((await stream.receive("pong")).nonce, nonce)

    async def answered_until_heard(self, stream: ScriptedStream, nonce: int = 1) -> list[str]:
        """The same; the works that were answered until then."""
        await stream.send(ping=Ping(nonce=nonce))
        answered: list[str] = []
        while True:
            request = await stream.receive_request()
            if request is None:
                raise Unmet("the stream has ended", required="Pong")
            kind = request.WhichOneof("message") or ""
            if kind == "pong":
                expect(request.pong.nonce, nonce)
                return answered
            demand(kind in ("rank_result", "rank_batch_result"), "answers, then Pong", kind)
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
        queries: list[dict[str, Any]] = [
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
            expect(result.work_id, work_id)
            numbers, lengths = list(result.item_numbers), list(result.list_lengths)
            lengths = lengths or [count] * users
            expect((len(lengths), sum(lengths)), (users, len(numbers)))
            ends = accumulate(lengths)
            return [numbers[end - one : end] for end, one in zip(ends, lengths, strict=True)]
        result = await stream.receive("rank_result")
        expect((result.work_id, result.complete), (work_id, True))
        number = {item.item_id: at for at, item in enumerate(self.server.items)}
        by_query = {one.query_index: one for one in result.lists}
        expect(sorted(by_query), list(range(users)))
        expect(len(result.lists), users)
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
        expect(result.work_id, "report")
        return json.loads(result.reply_text)

    async def calls(self, stream: ScriptedStream) -> list[str]:
        """What the program was told, in order."""
        return (await self.report(stream))["calls"]


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
    program: Sequence[str], options: Sequence[str], log: Path, patience: float = PATIENCE
) -> AsyncGenerator[Client]:
    """A server and a program that dials it; both are gone afterwards.

    The program is given `--server HOST:PORT` unless {server} stands in its words.
    """
    async with ScriptedServer(patience=patience) as server:
        words, _ = addressed(program, server.address)
        if words == list(program):
            words += ["--server", server.address]
        async with started([*words, *options], log, patience=patience, stdin=True) as process:
            yield Client(server, process, "--columnar" in options)
