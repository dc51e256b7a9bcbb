"""What goes wrong with a recommender, times what its arm does about it.

A run of three rounds; the trouble comes in the second. Whatever comes of it is in the log, the
recommender is told all of it once, and the run goes on to its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from recarena.server.founding import RunState
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventColumns, EventKind, Outcome
from recarena.v1.session_pb2 import Drain, WorkOutcome
from recarena.v1.types_pb2 import Impression
from support.arena import log_of, settings, settled
from support.raw_client import OK, RawClient
from support.two_arms import BAD, GOOD, SMALL_WORLD, good_arm, outcomes_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
POLICIES = ("empty_list", "fallback_popular", "pause_run", "fail_run")
STOPS = {"pause_run": RunState.PAUSED, "fail_run": RunState.FAILED}
ROUNDS, TROUBLED = 3, 2
VALUES: dict[str, Any] = {
    "rounds": ROUNDS,
    "visits": {"step_cap": 1},
    "session": {"resume_window_s": 0.2, "max_users_per_work": 1},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with Server(tmp_path_factory.mktemp("matrix") / "runs") as made:
        yield made


@dataclass
class Play:
    """A run of two arms, and the sessions of the one that has trouble."""

    server: Server
    run: Run
    client: RawClient
    sessions: list[RawClient] = field(default_factory=list[RawClient])

    @classmethod
    async def begin(cls, server: Server, name: str, **arm: Any) -> Play:
        """The run, of which nothing is played yet."""
        chosen = settings(GOOD, {"recommender": BAD, **arm}, **VALUES)
        run = await server.house.create(name, SMALL_WORLD, chosen)
        client = RawClient(server.address)
        return cls(server, run, client, [client])

    async def play_well(self, rounds: int | None = None) -> None:
        """So many rounds, or all that are left, without trouble."""
        self.run.start(rounds)
        if not self.client.registered.run_id:
            coming_back = self._coming_back()
            await self.client.join(BAD, instance_id="bad-1", max_outstanding_work=1, **coming_back)
            assert self.client.registered.resumed == bool(coming_back)
        last = self.run.round + rounds if rounds else ROUNDS + 1
        await self.client.serve(
            until=lambda m: m.HasField("round_ended") and m.round_ended.round == last
        )
        await settled(self.run)

    async def work(self) -> tuple[str, Any]:
        """The troubled round begins, and there is the first work of it."""
        self.run.start(1)
        await self.client.open_round(TROUBLED)
        return await self.client.receive_work()

    def _coming_back(self) -> dict[str, str]:
        batches = [batch for one in self.sessions for batch in one.feedback()]
        if not batches:
            return {}
        return {"resume_run_id": self.run.run_id, "feedback_cursor": batches[-1].cursor}

    async def come_anew(self) -> None:
        """The recommender dials in again, and knows what it was told."""
        await self.client.hang_up()
        self.client = RawClient(self.server.address)
        self.sessions.append(self.client)

    def pages(self, round: int) -> EventColumns:
        """The pages of the troubled arm in a round."""
        pages = log_of(self.run, round).of(EventKind.PAGE)
        return pages.take(np.flatnonzero(self.run.arm_of_user[pages.user] == 1))

    def outcomes(self, round: int) -> Counter[Outcome]:
        return Counter(map(Outcome, self.pages(round).outcome.tolist()))

    def impressions(self, round: int) -> list[Impression]:
        """What all the sessions were told of a round."""
        told = [batch for one in self.sessions for batch in one.feedback(round)]
        return [impression for batch in told for impression in batch.impressions]

    def assert_told_once(self) -> None:
        """Each page in the log was told in one batch of one session."""
        batches = [batch.cursor for one in self.sessions for batch in one.feedback()]
        assert len(batches) == len(set(batches))
        ids = self.run.data.population.user_ids
        for round in range(1, ROUNDS + 1):
            told = self.impressions(round)
            assert len({one.impression_id for one in told}) == len(told)
            seen = sorted(ids[user] for user in self.pages(round).user.tolist())
            assert sorted(one.user_id for one in told) == seen
            assert seen


Trouble = Callable[[Play], Awaitable[Counter[Outcome] | None]]


async def breaks_before_register(play: Play) -> Counter[Outcome] | None:
    """Nothing comes of it: the arm has its session."""
    async with RawClient(play.server.address) as other:
        assert await other.stays_silent()
    await play.play_well(1)
    return None


async def breaks_mid_work(play: Play) -> Counter[Outcome]:
    await play.work()
    await play.client.hang_up()
    await settled(play.run)
    await play.come_anew()
    return Counter({Outcome.LOST: everybody(play)})


async def answers_late(play: Play) -> Counter[Outcome]:
    kind, work = await play.work()
    cancelled = await play.client.receive("cancel_work")
    assert cancelled.work_id == work.header.work_id
    await play.client.send(play.client.answer(kind, work))
    told = await play.client.find("work_outcome")
    assert (told.work_id, told.disposition) == (cancelled.work_id, WorkOutcome.DISPOSITION_LATE)
    await settled(play.run)
    return Counter({Outcome.LATE: everybody(play)})


async def half_closes(play: Play) -> Counter[Outcome]:
    await play.work()
    await play.client.close_half()
    while await play.client.receive_any():
        pass
    assert await play.client.status() == OK
    await settled(play.run)
    await play.come_anew()
    return Counter({Outcome.LOST: everybody(play)})


async def drains(play: Play) -> Counter[Outcome]:
    kind, work = await play.work()
    await play.client.send(drain=Drain())
    await play.client.send(play.client.answer(kind, work))
    assert await play.client.stays_silent()
    await play.client.close_half()
    assert await play.client.receive_any() is None
    assert await play.client.status() == OK
    await settled(play.run)
    await play.come_anew()
    finished = len(work.queries)
    return Counter({Outcome.ACCEPTED: finished, Outcome.LOST: everybody(play) - finished})


def everybody(play: Play) -> int:
    """Pages of the troubled round, where it was committed."""
    return len(play.pages(TROUBLED)) if play.run.round == TROUBLED else 0


TROUBLES: dict[str, Trouble] = {
    "the stream breaks before Register": breaks_before_register,
    "the stream breaks in a work": breaks_mid_work,
    "an answer after the deadline": answers_late,
    "a clean half-close": half_closes,
    "a clean Drain": drains,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def undisturbed(server: Server) -> str:
    """Digest of the run without any trouble."""
    play = await Play.begin(server, "undisturbed")
    async with good_arm(server) as good:
        await play.play_well()
        await good.is_done_with(play.run)
    await play.client.hang_up()
    return play.run.folder.digest


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_what_goes_wrong_is_dealt_with_as_the_arm_says(server, undisturbed, trouble, policy):
    name = f"{policy}-{list(TROUBLES).index(trouble)}"
    late = {"work_timeout_s": 0.3} if trouble == "an answer after the deadline" else {}
    play = await Play.begin(server, name, failure_policy=policy, **late)
    async with good_arm(server) as good:
        try:
            await play.play_well(1)
            expected = await TROUBLES[trouble](play)
            if expected is None:
                assert (play.run.state, play.run.round) == (RunState.PAUSED, TROUBLED)
                assert not play.run.error
            elif policy in STOPS:
                assert (play.run.state, play.run.round) == (STOPS[policy], TROUBLED - 1)
                assert f"recommender {BAD}" in play.run.error
            else:
                assert (play.run.state, play.run.round) == (RunState.PAUSED, TROUBLED)
                assert play.outcomes(TROUBLED) == expected
                assert (+expected).keys() & {Outcome.LOST, Outcome.LATE}
                assert_in_the_place_of_lists(play, policy)
            await play.play_well()
            await good.is_done_with(play.run)
        finally:
            await play.client.hang_up()
    play.assert_told_once()
    assert play.outcomes(1).keys() == play.outcomes(ROUNDS).keys() == {Outcome.ACCEPTED}
    if expected is None or policy in STOPS:
        assert play.run.folder.digest == undisturbed
        assert set(outcomes_of(play.run, BAD)) == {Outcome.ACCEPTED}
    else:
        assert play.outcomes(TROUBLED) == expected
        assert_labelled(play)


def assert_in_the_place_of_lists(play: Play, policy: str) -> None:
    """What users saw where there was no list: nothing, or the most watched."""
    failed = set(play.pages(TROUBLED).user[play.pages(TROUBLED).outcome != Outcome.ACCEPTED])
    shown = log_of(play.run, TROUBLED).of(EventKind.SHOWN)
    by_fame = np.argsort(-play.run.data.catalog.popularity, kind="stable")[:5].tolist()
    for user in failed:
        expected = by_fame if policy == "fallback_popular" else []
        assert shown.item[shown.user == user].tolist() == expected


def assert_labelled(play: Play) -> None:
    """The recommender is told which pages were its own, and gets no credit for the others."""
    ids = play.run.data.population.user_ids
    pages = play.pages(TROUBLED)
    own = {ids[user] for user in pages.user[pages.outcome == Outcome.ACCEPTED].tolist()}
    for one in play.impressions(TROUBLED):
        is_own = one.user_id in own
        assert (one.source == Impression.SOURCE_FALLBACK) is not is_own
        assert is_own or not one.attribution_token
    for round in (1, ROUNDS):
        assert Impression.SOURCE_FALLBACK not in {one.source for one in play.impressions(round)}
