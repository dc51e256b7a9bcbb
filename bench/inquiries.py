"""Inquiries a second over gRPC, against the choice mind alone on as many pages."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from figures import Figure, alternately_async, median, spread
from served import PROGRAM, served

from recarena.evaluation.explaining.conduct import prepare
from recarena.evaluation.explaining.judges import judge
from recarena.evaluation.explaining.plan import Plan
from recarena.evaluation.questionnaires.reading import content_of, read
from recarena.evaluation.runs.run_log import RunLog
from recarena.server.inquiring.choosing import ChoiceRespondent, together
from recarena.server.inquiring.moments import Past, Walk
from recarena.server.rpc.inquiries_codec import inquiries_from
from recarena.v1.simulation_inquiry_service_pb2 import AskUsersRequest
from recarena.v1.simulation_inquiry_service_pb2_grpc import SimulationInquiryServiceStub

RUN = "asked"
ROUNDS = 2
AT_ONCE = 1000
SHEET = "battery"
JUDGES = {"choice": "choose", "scripted:honest": "questionnaire"}
"""What is asked of each."""
Act = Callable[[], Awaitable[float]]


def figures(quick: bool) -> Iterator[Figure]:
    """A request of a thousand pages for the choice mind, and of a thousand sheets of statements for
    a scripted judge, from a client that has its messages to a client that has parsed them."""
    with TemporaryDirectory(prefix="recarena-bench-") as folder:
        play(Path(folder) / "runs", 100 if quick else 1000)
        yield from asyncio.run(measured(Path(folder), 2 if quick else 9))


def play(runs: Path, users: int) -> None:
    """Makes a run that has shown explanations."""
    subprocess.run(
        [str(PROGRAM), "run", f"new:users={users},seed=1", "--explanations", "-r", "popular",
         "--rounds", str(ROUNDS), "--runs", str(runs), "--name", RUN, "--json"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


async def measured(folder: Path, repetitions: int) -> list[Figure]:
    """All of them, in turns with the bare mind."""
    requests = {name: request(folder / "runs" / RUN, name, task) for name, task in JUDGES.items()}
    async with served(folder) as server:
        stub: Any = SimulationInquiryServiceStub(server.channel)
        acts = [asking(stub, one) for one in requests.values()]
        bare = await choosing(folder / "runs" / RUN, requests["choice"])
        for act in (*acts, bare):
            await act()
        *asked, alone = await alternately_async(repetitions, *acts, bare)
    pages = len(requests["choice"].inquiries)
    return [
        Figure(
            f"inquiries_{name.rpartition(':')[2]}",
            len(one.inquiries) / median(took),
            "inquiries/s",
            pages / median(alone),
            {
                "baseline": f"ChoiceMind.act on {pages:,} pages at once",
                "inquiries": len(one.inquiries), "asked": JUDGES[name],
                "seconds_a_request": median(took), "between_s": spread(took),
                "baseline_s": median(alone),
            },
        )
        for (name, one), took in zip(requests.items(), asked, strict=True)
    ]  # fmt: skip


def request(run: Path, name: str, task: str) -> AskUsersRequest:
    """So many questions of one kind before one round, as a study asks them."""
    plan = Plan.of(judge(name), read(content_of(SHEET), SHEET), questionnaire_triples=AT_ONCE)
    asks = prepare([RunLog.open(run)], AT_ONCE, 1).asks(plan)
    of_round = [one.inquiry for one in asks if one.inquiry.before_round == ROUNDS]
    taken = [one for one in of_round if one.WhichOneof("task") == task]
    return AskUsersRequest(
        run_id=RUN, judge=plan.judge.message(), seed=1, inquiries=taken[:AT_ONCE]
    )


def asking(stub: Any, request: AskUsersRequest) -> Act:
    """One request and its answer."""

    async def act() -> float:
        start = time.perf_counter()
        answer = await stub.AskUsers(request)
        took = time.perf_counter() - start
        if len(answer.answers) != len(request.inquiries):
            raise RuntimeError("an inquiry was not answered")
        return took

    return act


async def choosing(run: Path, request: AskUsersRequest) -> Act:
    """The same pages, decided by the mind alone."""
    past = Past(run)
    respondent = ChoiceRespondent(past.settings.coefficients())
    inquiries = await inquiries_from(request.inquiries, past)
    seen = [await past.seen(one, "inquiries") for one in inquiries]
    views = [view for _, view in together([one.view for one in seen])]
    moment = await Walk(past, respondent).to(ROUNDS)

    async def act() -> float:
        start = time.perf_counter()
        for view in views:
            await respondent.mind.act(moment.world, view)
        return time.perf_counter() - start

    return act
