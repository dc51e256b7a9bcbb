"""The HTTP recommender of tests/bridge as a program of its own, and a bridge to it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

PROGRAM = Path(__file__).parents[1] / "bridge" / "recommender.mjs"
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class HttpService:
    """A recommender that listens."""

    url: str

    def state(self) -> dict[str, Any]:
        """What it was told: requests by place, events one after another, and so on."""
        return httpx2.get(f"{self.url}/_state", trust_env=False, timeout=PATIENCE).json()

    def fail(self, *faults: dict[str, Any]) -> None:
        """From now on these faults, in place of those before."""
        answer = httpx2.post(f"{self.url}/_faults", json=faults, trust_env=False, timeout=PATIENCE)
        assert answer.status_code == 200

    def asked(self, place: str) -> int:
        """Requests to a place such as "POST /v1/events"."""
        return self.state()["requests"].get(place, 0)


@contextlib.contextmanager
def http_service(*words: str) -> Iterator[HttpService]:
    """The recommender, as long as it is needed. The test skips itself without node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here: the HTTP recommender is a program of node")
    with subprocess.Popen(
        [node, str(PROGRAM), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield HttpService(f"http://127.0.0.1:{json.loads(line)['listening']}")
        finally:
            process.stdin.close()
            process.wait(PATIENCE)
