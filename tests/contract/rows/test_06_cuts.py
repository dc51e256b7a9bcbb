"""A connection cut at any moment of a run: the log is that of the uncut run, and no feedback is
lost, doubled or told in another order.

The small run is cut after each message that the server sent and after each that the recommender
sent. Before a message of the recommender is after the server's that it answers; the two that answer
nothing, Register and CatalogReady, are cut before as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from recarena.server.rpc.server import Server
from recarena.server.types import Outcome
from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from support.arena import begin, finished, settings, until
from support.raw_client import OK, WORKS, RawClient
from support.sessions import ENCODINGS, ONE_PAGE

SMALL_WORLD = "new:users=12,seed=3,history=2"
SMALL: dict[str, Any] = {
    "seed": 0,
    "rounds": 2,
    "visits": {"step_cap": 2},
    "session": {"max_users_per_work": 2},
}
EVER = 10**6


@dataclass(frozen=True, slots=True)
class Cut:
    """When a client goes: after so many messages of the server, or before or after one of its
    own."""

    received: int = EVER
    before: int = EVER
    after: int = EVER


class WasCut(Exception):
    """The moment has come."""


class Mortal(RawClient):
    """A client whose connection breaks at a given moment."""

    def __init__(self, address: str, cut: Cut = Cut()) -> None:
        super().__init__(address)
        self.cut, self.sent = cut, 0
        self.unanswered: dict[str, Any] = {}

    async def send(self, request: ConnectRequest | None = None, **message: Any) -> None:
        self.sent += 1
        if self.sent == self.cut.before:
            raise WasCut
        await super().send(request, **message)
        if request:
            answer = getattr(request, request.WhichOneof("message") or "")
            self.unanswered.pop(answer.work_id, None)
        if self.sent == self.cut.after:
            raise WasCut

    async def receive_any(self) -> ConnectResponse | None:
        message = await super().receive_any()
        if message and (kind := message.WhichOneof("message")) in WORKS:
            work = getattr(message, kind)
            self.unanswered[work.header.work_id] = work
        if message and len(self.seen) == self.cut.received:
            raise WasCut
        return message


@dataclass
class Told:
    """What was told of one run, over all its sessions."""

    digest: str = ""
    works: list[tuple[int, int, Outcome]] = field(default_factory=list)
    """(round, users, outcome) of each, in order."""
    sessions: list[Mortal] = field(default_factory=list)

    def feedback(self, *sessions: int) -> list[tuple[str, bytes]]:
        """(cursor, all of it) of the batches of these sessions, in order."""
        return [
            (batch.cursor, batch.SerializeToString())
            for number in sessions
            for batch in self.sessions[number].feedback()
        ]

    def sent(self) -> int:
        return sum(one.sent for one in self.sessions)


class Stage:
    """Plays the small run again and again in one server."""

    def __init__(self, server: Server, capabilities: Sequence[int]) -> None:
        self.server, self.capabilities, self._runs = server, capabilities, 0

    async def uncut(self) -> Told:
        """The run as it should be."""
        told = await self.play([Cut()], resume=True)
        kinds = set(told.sessions[0].kinds())
        assert {"rank_work", "search_work"} <= kinds or {"rank_batch", "search_batch"} <= kinds
        assert {outcome for _, _, outcome in told.works} == {Outcome.ACCEPTED}
        return told

    async def play(self, cuts: Sequence[Cut], *, resume: bool, behind: int = 0) -> Told:
        """The run, with a session for each cut and another one to the end. One that resumes names
        the last batch that it has got, or the one `behind` that."""
        self._runs += 1
        run = await begin(self.server, settings("raw", **SMALL), f"run-{self._runs}", SMALL_WORLD)
        told = Told()
        for cut in [*cuts, Cut()]:
            async with Mortal(self.server.address, cut) as client:
                told.sessions.append(client)
                try:
                    await client.join(
                        capabilities=self.capabilities,
                        **self._coming_back(told.sessions[:-1], resume, behind),
                    )
                    await client.serve()
                except WasCut:
                    continue
                assert await client.status() == OK
                break
        told.digest = await finished(run)
        told.works = sorted((one.round, one.lists, one.outcome) for one in run.folder.works())
        return told

    def _coming_back(self, before: list[Mortal], resume: bool, behind: int) -> dict[str, str]:
        known = [one for one in before if one.registered.run_id]
        if not known:
            return {}
        fields = {"resume_run_id": known[-1].registered.run_id}
        cursors = [batch.cursor for one in known for batch in one.feedback()]
        if resume and len(cursors) > behind:
            fields["feedback_cursor"] = cursors[-1 - behind]
        return fields


@pytest.fixture
async def stage(server: Server, capabilities: Sequence[int]) -> Stage:
    return Stage(server, capabilities)


def every_cut(uncut: Told) -> Iterator[Cut]:
    """All moments of a run."""
    yield from (Cut(before=1), Cut(before=2))
    yield from (Cut(received=number) for number in range(1, len(uncut.sessions[0].seen)))
    yield from (Cut(after=number) for number in range(1, uncut.sent() + 1))


def assert_same_run(told: Told, uncut: Told, cut: object) -> None:
    assert told.digest == uncut.digest, cut
    assert told.works == uncut.works, cut


def assert_works_come_again(told: Told, cut: object) -> None:
    """What the first session left unanswered comes once more, the same, as the second attempt."""
    first, second = told.sessions
    assert {work.header.attempt for work in first.all(*WORKS)} <= {1}, cut
    again = {work.header.work_id: work for work in second.all(*WORKS)}
    assert len(again) == len(second.all(*WORKS)), cut
    assert first.unanswered.keys() <= again.keys(), cut
    for work in first.all(*WORKS):
        if other := again.get(work.header.work_id):
            assert other.header.attempt == 2, cut
            work.ClearField("header")
            other.ClearField("header")
            assert other == work, cut
    assert {work.header.attempt for work in again.values() if work.HasField("header")} <= {1, 2}


@ENCODINGS
async def test_a_run_cut_anywhere_goes_on_from_the_cursor_as_if_it_had_not_been(
    stage, capabilities
):
    uncut = await stage.uncut()
    whole = uncut.feedback(0)
    cuts = list(every_cut(uncut))
    assert len(cuts) > 25
    for cut in cuts:
        told = await stage.play([cut], resume=True)
        assert_same_run(told, uncut, cut)
        first, second = told.feedback(0), told.feedback(1)
        assert told.sessions[1].registered.resumed == bool(first), cut
        assert first + second == whole, cut
        assert_works_come_again(told, cut)


@ENCODINGS
async def test_a_run_cut_anywhere_is_told_from_the_history_on_to_one_that_forgot_it(
    stage, capabilities
):
    uncut = await stage.uncut()
    whole = uncut.feedback(0)
    for cut in every_cut(uncut):
        told = await stage.play([cut], resume=False)
        assert_same_run(told, uncut, cut)
        assert not told.sessions[1].registered.resumed, cut
        assert told.feedback(1) == whole, cut
        assert told.feedback(0) == whole[: len(told.feedback(0))], cut
        assert_works_come_again(told, cut)


@ENCODINGS
async def test_a_batch_that_was_received_and_not_applied_comes_again_with_the_same_ids(
    stage, capabilities
):
    uncut = await stage.uncut()
    whole = uncut.feedback(0)
    kinds = uncut.sessions[0].kinds()
    batches = [at for at, kind in enumerate(kinds, start=1) if kind.startswith("feedback")]
    assert len(batches) == 3
    for number in batches[1:]:
        told = await stage.play([Cut(received=number)], resume=True, behind=1)
        assert_same_run(told, uncut, number)
        first, second = told.feedback(0), told.feedback(1)
        assert second[0] == first[-1]
        applied = dict(first) | dict(second)
        assert list(applied.items()) == whole
        ids = [one for client in told.sessions for one in ids_of(client)]
        once = ids_of(uncut.sessions[0])
        assert set(ids) == set(once)
        assert len(once) == len(set(once))


def ids_of(client: RawClient) -> list[str]:
    """Of all impressions and interactions, where the encoding has ids."""
    found: list[str] = []
    for batch in client.feedback():
        found += [one.impression_id for one in getattr(batch, "impressions", ())]
        found += [one.interaction_id for one in getattr(batch, "interactions", ())]
    return found


@ENCODINGS
async def test_a_connection_that_never_lasts_gets_through_all_the_same(stage, capabilities):
    uncut = await stage.uncut()
    longest = len(uncut.sessions[0].seen)
    cuts = [Cut(received=number) for number in range(1, longest)]
    told = await stage.play(cuts, resume=True)
    assert_same_run(told, uncut, "all")
    assert len(told.sessions) > 4
    assert told.feedback(*range(len(told.sessions))) == uncut.feedback(0)
    attempts: dict[str, list[int]] = {}
    for work in [work for one in told.sessions for work in one.all(*WORKS)]:
        attempts.setdefault(work.header.work_id, []).append(work.header.attempt)
    for each in attempts.values():
        assert each == sorted(set(each))


@ENCODINGS
async def test_each_loss_of_a_work_is_one_attempt_more(server, capabilities):
    run = await begin(server, settings("raw", **SMALL), "run", SMALL_WORLD)
    seen: list[tuple[str, int]] = []
    fields: dict[str, str] = {}
    for _ in range(5):
        async with RawClient(server.address) as client:
            registered = await client.join(capabilities=capabilities, **fields)
            await client.open_round()
            _, work = await client.receive_work()
            seen.append((work.header.work_id, work.header.attempt))
            cursor = fields.get("feedback_cursor") or client.feedback()[-1].cursor
            fields = {"resume_run_id": registered.run_id, "feedback_cursor": cursor}
    (work_id,) = {work_id for work_id, _ in seen}
    assert seen == [(work_id, attempt) for attempt in range(1, 6)]
    async with RawClient(server.address) as client:
        await client.join(capabilities=capabilities, **fields)
        await client.serve()
    await finished(run)


async def lost_at_the_end(server: Server, **session: Any) -> dict[str, str]:
    """A run of one work that is over; how its recommender, which heard nothing after its last
    answer, may come back."""
    run = await begin(server, settings("raw", session=session, **ONE_PAGE), "run", SMALL_WORLD)
    async with RawClient(server.address) as client:
        await client.join()
        await client.open_round()
        while len(client.all("rank_work")) < 1:
            await client.send(client.answer(*await client.receive_work()))
        await until(run, 1)
    await finished(run)
    cursor = client.feedback()[-1].cursor
    return {"resume_run_id": run.run_id, "feedback_cursor": cursor}


async def test_a_recommender_lost_with_its_last_answer_may_still_hear_what_came_of_it(server):
    fields = await lost_at_the_end(server)
    async with RawClient(server.address) as client:
        await client.join(**fields)
        await client.serve()
        assert client.kinds() == ["registered", "feedback_batch", "drain"]
        assert client.registered.resumed
        assert [batch.round for batch in client.feedback()] == [1]
        assert client.all("drain")[0].reason.code == 0
        assert await client.status() == OK


async def test_a_run_that_is_over_is_kept_for_its_recommender_as_long_as_the_resume_window(server):
    fields = await lost_at_the_end(server, resume_window_s=0.0)
    async with RawClient(server.address) as client:
        await client.register(**fields)
        assert await client.stays_silent()


async def test_a_run_that_was_reset_is_told_to_nobody_any_more(server):
    fields = await lost_at_the_end(server)
    await server.house.reset("run", None)
    async with RawClient(server.address) as client:
        await client.register(**fields)
        assert await client.stays_silent()
