"""The worlds that toy competitions are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import toy_pool


@pytest.fixture(scope="session")
def pool(request: pytest.FixtureRequest) -> toy_pool.Pool:
    """Toy worlds, played once also where several processes run tests."""
    room = getattr(request.config, "workerinput", {}).get("room")
    return toy_pool.pool(Path(room) if room else None)
