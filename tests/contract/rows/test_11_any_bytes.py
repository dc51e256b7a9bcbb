"""Whatever bytes a recommender sends, in whatever order: the server lives, its other sessions do
not notice, every work has one outcome, and nothing is shown that is not in the catalogue.

RECARENA_FUZZ_CASES says how many mutated messages are tried (20,000; thorough: 100,000).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test
from structlog.testing import capture_logs

from recarena.server import runs
from recarena.server.rpc import admission, limits, recommenders, session
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventKind, Outcome
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import ExtendDeadline, Register, RoundReady
from support.arena import begin, finished, log_of, settings
from support.figures import report
from support.fuzzing import Fuzzer, Manner, State, Tally
from support.machine import Sessions
from support.mutations import MUTATIONS
from support.raw_client import WORKS, RawClient
from support.sessions import ENCODINGS, ONE_PAGE, outcomes
from support.thoroughness import thorough

CODE = grpc.StatusCode
CASES = int(os.environ.get("RECARENA_FUZZ_CASES", thorough(100_000, otherwise=20_000)))
GUARDED_SHARE = 0.1
"""Of the cases, so many are tried with the budget for messages that answer nothing in force."""
FUZZERS = 8
SEED = 11
SHORT_STREAMS = Manner(mutants=(1, 200), fatal=0.04)
LONG_STREAMS = Manner(mutants=(1500, 3000), fatal=0.001)
SHORT: dict[str, Any] = {
    "rounds": 6,
    "visits": {"step_cap": 3},
    "session": {"ready_timeout_s": 0.5, "resume_window_s": 0.5, "ping_interval_s": 60.0},
}
FUZZED_WORLD = "new:users=16,seed=3,history=2"
FUZZED = {
    "recommender": "fuzz", "work_timeout_s": 0.2, "replicas": 4, "explanations": True,
    "failure_policy": "fallback_popular",
}  # fmt: skip
STEPS = hypothesis_settings(
    max_examples=thorough(80, otherwise=30), stateful_step_count=50, deadline=None,
    derandomize=True, database=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip
MAY_END = {
    CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION, CODE.RESOURCE_EXHAUSTED, CODE.ABORTED,
    CODE.DEADLINE_EXCEEDED, CODE.UNAVAILABLE,
}  # fmt: skip
"""What the server may end a stream with, when it is not OK."""


@pytest.fixture
async def server(tmp_path, monkeypatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(runs, "DRAIN_GRACE_S", 0.5)
    monkeypatch.setattr(admission, "REGISTER_TIMEOUT_S", 2.0)
    async with Server(tmp_path / "runs") as made:
        yield made


@asynccontextmanager
async def nothing_unexpected(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """No error is logged, by the server or by gRPC, and no task dies unheard."""
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    with capture_logs() as logs, caplog.at_level(logging.ERROR):
        yield
    assert [one for one in logs if one["log_level"] in ("error", "critical")] == []
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert unheard == []


async def is_healthy(server: Server) -> bool:
    async with grpc.aio.insecure_channel(server.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        answer = await check(health_pb2.HealthCheckRequest(), timeout=10)
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def assert_the_log_is_sound(run: Run) -> None:
    """Every page has an outcome, as many of them as lists were asked for, and shows items of the
    catalogue."""
    log = log_of(run)
    pages, shown = log.of(EventKind.PAGE), log.of(EventKind.SHOWN)
    assert Outcome.NONE not in set(pages.outcome.tolist())
    assert len(pages) == sum(work.lists for work in run.folder.works())
    assert not len(shown) or (shown.item.min() >= 0 and shown.item.max() < len(run.data.catalog))


# ------------------------------------------------------------------------------ the fuzz
@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Counter[grpc.StatusCode]:
    """With what the server ends streams, counted where it does."""
    counted: Counter[grpc.StatusCode] = Counter()
    by_number = {code.value[0]: code for code in grpc.StatusCode}

    def ending(error: Exception, begun: bool = True) -> Status:
        status = admission.ending(error, begun)
        counted[by_number[status.code]] += 1
        return status

    monkeypatch.setattr(recommenders, "ending", ending)
    return counted


def counting(tally: Tally, parse: Callable[[bytes], session.Request]) -> Callable[..., Any]:
    """Reads messages, and counts them."""

    def parsed(payload: bytes) -> session.Request:
        tally.handled += 1
        return parse(payload)

    return parsed


async def fuzzed(
    server: Server, cases: int, manner: Manner, seed: int, patch: pytest.MonkeyPatch
) -> tuple[Tally, list[Run]]:
    """Runs of a good recommender and a fuzzed one, one after another, until there were enough
    cases. The last is brought to its end by one that behaves."""
    dice, tally, played = random.Random(seed), Tally(cases, manner), []
    for module in (admission, session):
        patch.setattr(module, "parsed", counting(tally, module.parsed))
    fuzzers = [
        Fuzzer(server.address, "fuzz", random.Random(dice.random()), tally) for _ in range(FUZZERS)
    ]
    fuzzing: asyncio.Future[Any] | None = None
    while fuzzing is None or not fuzzing.done():
        chosen = settings("good", FUZZED, **SHORT)
        run = await begin(server, chosen, f"run-{seed}-{len(played)}", FUZZED_WORLD)
        played.append(run)
        if fuzzing is None:
            catalog = run.data.catalog
            given = catalog.item_ids, catalog.version
            fuzzing = asyncio.gather(*(one.run(*given) for one in fuzzers))
        relief = asyncio.ensure_future(relieve(server, fuzzing))
        async with RawClient(server.address) as good:
            await good.join("good")
            await good.serve()
            assert await good.status() == (grpc.StatusCode.OK, "")
        await finished(run)
        relief.cancel()
        await asyncio.wait({relief})
    await fuzzing
    return tally, played


async def relieve(server: Server, fuzzing: asyncio.Future[Any]) -> None:
    """Takes the place of the fuzzed recommender when there is enough of it."""
    await asyncio.wait({fuzzing})
    async with RawClient(server.address) as client:
        await client.join("fuzz", instance_id="relief")
        await client.serve()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_mutated_messages_hurt_nobody(server, refusals, caplog, monkeypatch):
    guarded = int(CASES * GUARDED_SHARE)
    start = time.perf_counter()
    async with nothing_unexpected(caplog):
        with monkeypatch.context() as patch:
            patch.setattr(limits, "MAX_UNSOLICITED", 10**9)
            tally, played = await fuzzed(server, CASES - guarded, SHORT_STREAMS, SEED, patch)
        with monkeypatch.context() as patch:  # as it is, but that nobody waits for it
            patch.setattr(limits, "UNSOLICITED_PER_S", 10**6)
            with_guard, more = await fuzzed(server, guarded, LONG_STREAMS, SEED + 1, patch)
        assert await is_healthy(server)
    took = time.perf_counter() - start
    tried = tally.tried + with_guard.tried
    sent, endings = tally.sent + with_guard.sent, tally.endings + with_guard.endings
    shown: Counter[str] = Counter()
    for run in played + more:
        assert_the_log_is_sound(run)
        pages = log_of(run).of(EventKind.PAGE)
        of_good = run.arm_of_user[pages.user] == 0
        assert set(pages.outcome[of_good].tolist()) == {Outcome.ACCEPTED}
        shown.update(Outcome(one).name.lower() for one in pages.outcome[~of_good].tolist())
    report(
        "11 any bytes",
        cases=tried, with_guard=with_guard.tried, sent=sent.total(), seconds=round(took, 1),
        per_s=round(tried / took), streams=tally.streams + with_guard.streams,
        no_messages=tally.no_messages + with_guard.no_messages, runs=len(played + more),
        by_kind=dict(sorted(sent.items())), by_state=dict(tally.states + with_guard.states),
        refusals={code.name: count for code, count in refusals.items()},
        endings=dict(endings), pages=dict(shown),
    )  # fmt: skip
    assert tried >= CASES
    assert {one.__name__ for one in MUTATIONS} <= sent.keys()
    assert set(tally.states) == set(State)
    assert set(refusals) <= MAY_END
    floods = 10 * limits.MAX_UNSOLICITED
    assert refusals[CODE.RESOURCE_EXHAUSTED] or guarded < FUZZERS * floods
    assert CODE.INTERNAL.name not in endings
    assert CODE.UNKNOWN.name not in endings


# ------------------------------------------------------------------------------ any order
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_any_sequence_of_actions_leaves_one_outcome_for_each_work(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "DRAIN_GRACE_S", 0.5)
    with asyncio.Runner() as runner:
        server = Server(tmp_path / "runs")
        runner.run(server.start())
        here = {"server": server, "runner": runner, "tried": Counter[str](), "played": [0]}
        machine = type("Machine", (Sessions,), here)
        try:
            run_state_machine_as_test(machine, settings=STEPS)
        finally:
            runner.run(server.stop())
    report(
        "11 any order",
        runs=machine.played[0],
        actions=machine.tried.total(),
        by_kind=dict(machine.tried),
    )


@ENCODINGS
async def test_the_order_in_which_answers_come_changes_nothing(server, capabilities):
    digests = []
    for seed in range(4):
        chosen = settings("raw", rounds=2, session={"max_users_per_work": 4})
        run = await begin(server, chosen, f"run-{seed}")
        async with RawClient(server.address) as client:
            await client.join(max_outstanding_work=8, capabilities=capabilities)
            await shuffled(client, random.Random(seed) if seed else None)
        digests.append(await finished(run))
        assert set(outcomes(run)) == {Outcome.ACCEPTED}
    assert len(set(digests)) == 1


async def shuffled(client: RawClient, dice: random.Random | None) -> None:
    """Serves a run; works that are there together are answered in an order that the dice choose,
    and the lists of each answer are, where they are told by their index."""
    waiting: list[ConnectRequest] = []
    while True:
        if waiting and (not dice or await client.stays_silent()):
            for one in waiting:
                await client.send(one)
            waiting = []
        message = await client.receive_any()
        assert message is not None
        kind = message.WhichOneof("message") or ""
        if kind in WORKS:
            answer = client.answer(kind, getattr(message, kind))
            waiting.append(answer)
            if dice:
                dice.shuffle(waiting)
            if dice and answer.HasField("rank_result"):
                lists = list(answer.rank_result.lists)
                dice.shuffle(lists)
                del answer.rank_result.lists[:]
                answer.rank_result.lists.extend(lists)
        elif kind == "round_started":
            await client.send(round_ready=RoundReady(round=message.round_started.round))
        elif kind == "drain":
            await client.close_half()
            return


# ------------------------------------------------------------------------------ moments
async def test_a_session_that_ends_as_it_is_called_leaves_its_place_to_others(server):
    run = await begin(server, settings("raw", **ONE_PAGE), "run", FUZZED_WORLD)
    await asyncio.sleep(0)
    assert run.recommenders
    gone = session.Session(Register(recommender_id="raw"), "nobody")
    entering = asyncio.ensure_future(server.lobby.enter(gone))
    await asyncio.sleep(0)  # it has been called, and does not know yet
    gone.end()
    entering.cancel()
    await asyncio.wait({entering})
    async with RawClient(server.address) as client:
        await client.join()
        await client.serve()
    await finished(run)


async def test_a_deadline_that_has_just_passed_is_not_extended(server):
    one = session.Session(Register(recommender_id="raw"), "nobody")
    asking = asyncio.ensure_future(one.ask("1", 1, 0.001, 1.0, b""))
    await asyncio.sleep(0)
    time.sleep(0.01)  # noqa: ASYNC251  # the loop stands still over the deadline
    extend = ExtendDeadline(work_id="1", timeout=Duration(seconds=1))
    requests = [ConnectRequest(extend_deadline=extend).SerializeToString()]
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the deadline is told, and whoever waits has not woken up
    assert not asking.done()
    await one.read(each(requests))
    with pytest.raises(TimeoutError):
        await asking


async def each(payloads: list[bytes]) -> AsyncIterator[bytes]:
    for one in payloads:
        yield one
