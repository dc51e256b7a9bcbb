"""What a run with language models cost: as the page shows it, and as it is stored."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.v1 import run_pb2
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from support.llm_stub.process import StubProcess
from support.observatory.looking import looked_at, wait_state
from support.observatory.programs import RECOMMENDER, observatory, program, server

ROUNDS = 2
PRICE = {"provider": "anthropic", "model": "stub", "effective_from": "2025-01-01", "input": 800.0,
         "output": 4000.0, "source": "a test"}  # fmt: skip
KEY = {"ANTHROPIC_API_KEY": "sk-ant-not-a-key"}


@pytest.mark.slow
def test_the_shown_cost_is_the_stored_cost(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(*next(iter(KEY.items())))
    with (
        StubProcess() as stub,
        server(tmp_path, "--llm", "--llm-url", stub.url) as (address, _),
        program(RECOMMENDER, "popular", "--server", address),
        observatory(address) as site,
        grpc.insecure_channel(address) as channel,
    ):
        control: Any = SimulationControlServiceStub(channel)
        run = run_pb2.Run(run_id="costly", seed=5, round_limit=ROUNDS, world="new:users=12,seed=1",
                          arms=[run_pb2.Arm(recommender_id="popular")])  # fmt: skip
        minds = {"provider": "anthropic", "model": "stub", "base_url": stub.url, "probe": False,
                 "prices": [PRICE], "max_cost": 900.0}  # fmt: skip
        run.settings.update({"llm": minds})
        control.CreateRun(control_pb.CreateRunRequest(run=run))
        with looked_at(browser, site, "/run/costly") as page:
            page.get_by_role("button", name="Start", exact=True).click()
            wait_state(page, "succeeded")
            calls, tokens, cost = stored(tmp_path / "costly")
            assert calls > 0
            shown = page.locator("header.bar").inner_text()
            assert f"{calls:,} calls" in " ".join(shown.split())
            assert f"{cost:.2f} USD of 900.00" in " ".join(shown.split())
            told = page.evaluate("async () => (await (await fetch('/api/runs/costly')).json())")
            spent = told["spending"]
            assert spent["calls"] == calls
            assert spent["input_tokens"] + spent["output_tokens"] == tokens
            assert spent["cost"] == pytest.approx(cost, rel=1e-9)
            page.goto(f"{site.origin}/")
            row = page.get_by_role("row").filter(has=page.get_by_role("link", name="costly"))
            assert f"{cost:.2f} USD" in row.inner_text()


def stored(folder: Path) -> tuple[int, int, float]:
    """Calls, tokens and money of the committed rounds, from the recording alone."""
    recording = sqlite3.connect(f"file:{folder / 'llm.sqlite'}?mode=ro", uri=True)
    try:
        query = (
            "SELECT count(*), sum(input + output), sum(cost) FROM calls WHERE paid AND round <= ?"
        )
        return recording.execute(query, (ROUNDS,)).fetchone()
    finally:
        recording.close()
