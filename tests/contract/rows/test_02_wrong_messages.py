"""Every kind of message in every state of a session in which it is wrong, out of order, repeated or
empty: it is ignored, told, or the end of that session, and hurts nobody else.

One server lives through all of them.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status

from recarena.server.rpc import limits
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import Outcome
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import (
    CatalogReady,
    Drain,
    ExtendDeadline,
    Pong,
    Register,
    RoundReady,
    WorkFailed,
    WorkOutcome,
)
from recarena.v1.work_pb2 import ConverseResult, RankBatchResult, RankResult
from support.raw_client import OK, RICH, RawClient, reason_of
from support.sessions import another
from support.two_arms import BAD, begin_both, good_arm, outcomes_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
CODE = grpc.StatusCode
UNKNOWN = WorkOutcome.DISPOSITION_UNKNOWN_WORK
WORK_ID = "not-a-work"

MESSAGES: dict[str, ConnectRequest | bytes] = {
    "register": ConnectRequest(
        register=Register(recommender_id=BAD, instance_id="bad-1", capabilities=RICH)
    ),
    "catalog_ready": ConnectRequest(catalog_ready=CatalogReady(catalog_version="none")),
    "catalog_ready without a version": ConnectRequest(catalog_ready=CatalogReady()),
    "catalog_ready with an error": ConnectRequest(
        catalog_ready=CatalogReady(error=Status(code=13, message="no"))
    ),
    "round_ready": ConnectRequest(round_ready=RoundReady(round=7)),
    "round_ready of no round": ConnectRequest(round_ready=RoundReady()),
    "rank_result": ConnectRequest(rank_result=RankResult(work_id=WORK_ID, complete=True)),
    "rank_batch_result": ConnectRequest(rank_batch_result=RankBatchResult(work_id=WORK_ID)),
    "converse_result": ConnectRequest(converse_result=ConverseResult(work_id=WORK_ID)),
    "work_failed": ConnectRequest(work_failed=WorkFailed(work_id=WORK_ID)),
    "extend_deadline": ConnectRequest(
        extend_deadline=ExtendDeadline(work_id=WORK_ID, timeout=Duration(seconds=1))
    ),
    "pong": ConnectRequest(pong=Pong(nonce=99)),
    "drain": ConnectRequest(drain=Drain(reason=Status(message="leaving"))),
    "nothing": ConnectRequest(),
    "of a later version": b"\xc2\x3e\x03abc",
    "no message": b"\xff\xff\xff",
    "bad utf-8": b"\x12\x03\x0a\x01\xff",
}
"""All kinds of messages; where one is right in some state, this one is not, but for the first
Register and Drain."""
ANSWERS = ("rank_result", "rank_batch_result", "converse_result", "work_failed")
FATAL = ("register", "no message", "bad utf-8")
HARMLESS = tuple(name for name in MESSAGES if name not in (*FATAL, *ANSWERS, "drain"))
STATES = (
    "before Register",
    "waiting for a run",
    "before CatalogReady",
    "before RoundReady",
    "with a work",
    "after Drain",
)
REGISTERED = STATES[1:]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server: what one message leaves behind would show in the next test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "UNSOLICITED_PER_S", 1000.0)
        async with Server(tmp_path_factory.mktemp("wrong") / "runs") as made:
            yield made


NUMBERS = itertools.count(1)


@dataclass
class Play:
    """A client that misbehaves in some state, and the run that it has or is to have."""

    server: Server
    client: RawClient
    state: str
    _run: Run | None = None
    _work: tuple[str, Any] | None = None

    async def run(self) -> Run:
        """The run, which begins when it is asked for."""
        if not self._run:
            self._run = await begin_both(self.server, f"run-{next(NUMBERS)}")
        return self._run

    async def reach(self) -> None:
        """Behaves well until the state is reached."""
        client, steps = self.client, STATES.index(self.state)
        if steps >= 1:
            await client.register(BAD, instance_id="bad-1")
            assert await client.stays_silent()
        if steps >= 2:
            await self.run()
            await self._registered()
        if steps >= 3:
            await client.catalog_ready()
            await client.find("round_started")
        if steps >= 4:
            await client.send(round_ready=RoundReady(round=1))
            self._work = await client.receive_work()
        if steps >= 5:
            await client.send(drain=Drain())

    async def _registered(self) -> None:
        self.client.registered = await self.client.receive("registered")
        assert self.client.seen[0].seq == 1
        await self.client.load_catalog()

    async def go_on(self) -> None:
        """Behaves well to the end of the run."""
        client = self.client
        await self.run()
        if self.state == "waiting for a run":
            await self._registered()
        if self.state in ("waiting for a run", "before CatalogReady"):
            await client.catalog_ready()
        if self.state == "before RoundReady":
            await client.send(round_ready=RoundReady(round=1))
        await self.finish_work()
        if self.state == "after Drain":
            await self.go_away()
        else:
            await client.serve()
        assert await client.status() == OK

    async def finish_work(self) -> None:
        """Answers the work it has."""
        if self._work:
            await self.client.send(self.client.answer(*self._work))

    async def go_away(self) -> None:
        """Leaves, and hears what is left to be told."""
        await self.client.close_half()
        while await self.client.receive_any():
            pass

    async def say(self, name: str) -> None:
        """Sends one of MESSAGES."""
        message = MESSAGES[name]
        await self.client.send_bytes(
            message if isinstance(message, bytes) else message.SerializeToString()
        )

    async def has_ended(self, code: grpc.StatusCode) -> None:
        """The server ends the stream for a wrong message."""
        while await self.client.receive_any():
            pass
        found, text = await self.client.status()
        assert found is code, text
        assert reason_of(await self.client.rich_status()) == "PROTOCOL_VIOLATION"
        assert text

    async def another_takes_over(self) -> None:
        """A new session of the same recommender plays the run to its end."""
        await self.run()
        async with another(self.server) as client:
            await client.join(BAD, instance_id="bad-2")
            assert client.registered.run_id == (await self.run()).run_id
            await client.serve()
            assert await client.status() == OK

    async def assert_nobody_was_hurt(self, good: Any) -> None:
        """Both arms have all their lists, and the server takes new sessions."""
        run = await self.run()
        await good.is_done_with(run)
        assert set(outcomes_of(run, BAD)) == {Outcome.ACCEPTED}
        async with another(self.server) as client:
            await client.register(BAD, instance_id="bad-3")
            assert await client.stays_silent()


@pytest.fixture
def play(server: Server) -> Callable[[RawClient, str], Play]:
    return lambda client, state: Play(server, client, state)


# ------------------------------------------------------------------------------ before Register
@pytest.mark.parametrize("name", [name for name in MESSAGES if name != "register"])
async def test_a_stream_that_does_not_begin_with_register_ends(server, play, name):
    async with good_arm(server) as good, another(server) as client:
        one = play(client, "before Register")
        await one.say(name)
        await one.has_ended(CODE.INVALID_ARGUMENT)
        await one.another_takes_over()
        await one.assert_nobody_was_hurt(good)


# ------------------------------------------------------------------------------ after it
@pytest.mark.parametrize("state", REGISTERED)
@pytest.mark.parametrize("name", FATAL)
async def test_a_message_that_breaks_the_rules_ends_its_session_only(server, play, name, state):
    async with good_arm(server) as good, another(server) as client:
        one = play(client, state)
        await one.reach()
        await one.say(name)
        await one.has_ended(CODE.FAILED_PRECONDITION)
        await one.another_takes_over()
        await one.assert_nobody_was_hurt(good)


@pytest.mark.parametrize("state", REGISTERED)
@pytest.mark.parametrize("name", HARMLESS)
async def test_a_message_that_means_nothing_now_is_ignored(server, play, name, state):
    async with good_arm(server) as good, another(server) as client:
        one = play(client, state)
        await one.reach()
        await one.say(name)
        await one.say(name)
        await one.go_on()
        await one.assert_nobody_was_hurt(good)
        assert client.all("work_outcome", "cancel_work") == []


@pytest.mark.parametrize("state", REGISTERED)
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_to_no_work_is_told_to_who_has_a_run(server, play, name, state):
    async with good_arm(server) as good, another(server) as client:
        one = play(client, state)
        await one.reach()
        await one.say(name)
        await one.say(name)
        await one.go_on()
        await one.assert_nobody_was_hurt(good)
        told = [(outcome.work_id, outcome.disposition) for outcome in client.all("work_outcome")]
        assert told == ([] if state == "waiting for a run" else [(WORK_ID, UNKNOWN)] * 2)


@pytest.mark.parametrize("state", REGISTERED)
async def test_who_drains_may_finish_its_work_and_gets_no_more(server, play, state):
    async with good_arm(server) as good, another(server) as client:
        one = play(client, state)
        await one.reach()
        await one.say("drain")
        assert await client.stays_silent()
        seen = len(client.seen)
        await one.run()
        if state in ("with a work", "after Drain"):
            await one.finish_work()
        else:
            await one.another_takes_over()  # while the other still holds its stream open
        await one.assert_nobody_was_hurt(good)
        await one.go_away()
        assert len(client.seen) == seen
        assert await client.status() == OK


@pytest.mark.parametrize("state", REGISTERED)
async def test_all_of_them_at_once_change_nothing(server, play, state):
    names = [name for name in (*HARMLESS, *ANSWERS) for _ in range(4)]
    random.Random(state).shuffle(names)
    async with good_arm(server) as good, another(server) as client:
        one = play(client, state)
        await one.reach()
        for name in names:
            await one.say(name)
        await one.go_on()
        await one.assert_nobody_was_hurt(good)


# ------------------------------------------------------------------------------ right, but not now
async def test_a_refused_catalogue_ends_the_session_only_while_it_is_asked_for(server, play):
    for state, ends in (("before CatalogReady", True), ("before RoundReady", False)):
        async with good_arm(server) as good, another(server) as client:
            one = play(client, state)
            await one.reach()
            refused = CatalogReady(
                catalog_version=client.registered.catalog_version, error=Status(code=13)
            )
            await client.send(catalog_ready=refused)
            if ends:
                await one.has_ended(CODE.FAILED_PRECONDITION)
                await one.another_takes_over()
            else:
                await one.go_on()
            await one.assert_nobody_was_hurt(good)


@pytest.mark.parametrize("state", ["before RoundReady", "with a work", "after Drain"])
async def test_what_was_said_already_may_be_said_again(server, play, state):
    async with good_arm(server) as good, another(server) as client:
        one = play(client, state)
        await one.reach()
        for _ in range(3):
            await client.catalog_ready()
            if state != "before RoundReady":
                await client.send(round_ready=RoundReady(round=1))
        await one.go_on()
        await one.assert_nobody_was_hurt(good)
        assert client.all("work_outcome") == []


@pytest.mark.parametrize("state", ["with a work", "after Drain"])
async def test_an_answer_that_is_sent_three_times_is_taken_once(server, play, state):
    async with good_arm(server) as good, another(server) as client:
        one = play(client, state)
        await one.reach()
        for _ in range(2):
            await one.finish_work()
        await one.go_on()
        await one.assert_nobody_was_hurt(good)
        told = [outcome.disposition for outcome in client.all("work_outcome")]
        assert told == [WorkOutcome.DISPOSITION_DUPLICATE] * 2
