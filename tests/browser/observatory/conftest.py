"""A browser, made-up runs and real ones, and the real observatory of either."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.v1 import run_pb2
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from support.observatory.looking import CHROMIUM, flags
from support.observatory.plays import Pace
from support.observatory.programs import RECOMMENDER, Site, observatory, program, server
from support.observatory.staged import ThreadedStaged

HERE = Path(__file__).parent
PATIENCE_S = 300
"""For a test: browsers are slow where others use the machine too."""
REASON = "there is no chromium to look at the page with"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skipif(not CHROMIUM, reason=REASON))
            item.add_marker(pytest.mark.timeout(PATIENCE_S))


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=flags("--disable-gpu"))
        yield one
        one.close()


@pytest.fixture(scope="module")
def still_stage() -> Generator[ThreadedStaged]:
    """Made-up runs that nobody drives: 300 users, 30 rounds played, paused."""
    with ThreadedStaged(300, 1500, Pace(200, 120, 0.3), ahead=30) as staged:
        yield staged


@pytest.fixture(scope="module")
def still(still_stage: ThreadedStaged) -> Generator[Site]:
    """Their observatory."""
    with observatory(still_stage.address) as site:
        yield site


@pytest.fixture
def staged() -> Generator[ThreadedStaged]:
    """Made-up runs of a test's own."""
    with ThreadedStaged(60, 180, Pace(5000, 60, 0.2), ahead=5) as one:
        yield one


@pytest.fixture
def site(staged: ThreadedStaged) -> Generator[Site]:
    """Their observatory."""
    with observatory(staged.address) as one:
        yield one


@dataclass(frozen=True, slots=True)
class Arena:
    """A real server with recommenders that are waiting, and its observatory."""

    site: Site
    control: Any
    address: str
    runs: Path

    def create(self, run_id: str, *, users: int = 40, rounds: int = 50_000, **more: Any) -> None:
        made = run_pb2.Run(
            run_id=run_id, seed=7, round_limit=rounds, world=f"new:users={users},seed=7",
            arms=[run_pb2.Arm(arm_id=one, recommender_id=one) for one in ("popular", "content")],
            **more,
        )  # fmt: skip
        self.control.CreateRun(control_pb.CreateRunRequest(run=made))

    def run(self, run_id: str) -> run_pb2.Run:
        return self.control.GetRun(control_pb.GetRunRequest(run_id=run_id)).run


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Generator[Arena]:
    runs = tmp_path_factory.mktemp("arena")
    with (
        server(runs) as (address, _),
        program(RECOMMENDER, "popular", "--server", address, "--sessions", 6),
        program(RECOMMENDER, "content", "--server", address, "--sessions", 6),
        observatory(address) as site,
        grpc.insecure_channel(address) as channel,
    ):
        yield Arena(site, SimulationControlServiceStub(channel), address, runs)
