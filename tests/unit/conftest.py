"""Worlds that several unit tests look at and none changes."""

from __future__ import annotations

import pytest

from recarena.server.datasets.generate import generate_world
from recarena.server.world import World
from support.pages import played


@pytest.fixture(scope="module")
def lived() -> World:
    """A generated world in which something has happened."""
    world, _ = played(generate_world(120, 4, history_per_user=4), 4)
    return world
