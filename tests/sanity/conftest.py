"""The worlds that toy competitions are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import toy_pool
from support.shared import once


@pytest.fixture(scope="session")
def pool(room: Path) -> toy_pool.Pool:
    """Toy worlds, played once also where several processes run tests."""
    return once(room, "toy-pool", lambda _: toy_pool.pool())
