"""A real server and a client written from the protos, for the tests of the server's contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recarena.server.rpc.server import Server
from support.operators import Operator
from support.raw_client import RawClient


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "runs") as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[RawClient]:
    async with RawClient(server.address) as client:
        yield client


@pytest.fixture
async def operator(server: Server) -> AsyncIterator[Operator]:
    operator = Operator(server)
    yield operator
    await operator.channel.close()
