"""What is said of recommenders and runs that wait for one another under different names."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from recarena.server.rpc import lobby
from support.arena import begin, finished, settings
from support.raw_client import RawClient

HINT = "a recommender waits under a name that no run asks for"


async def test_a_recommender_under_another_name_than_the_run_wants_is_told_of_once(
    server, monkeypatch
):
    monkeypatch.setattr(lobby, "HINT_AFTER_S", 0.05)
    told: asyncio.Event = asyncio.Event()
    hint = lobby.Lobby._hint

    def hinted(*given) -> None:
        hint(*given)
        told.set()

    monkeypatch.setattr(lobby.Lobby, "_hint", hinted)
    run = await begin(server, settings("mine"), "run")
    with capture_logs() as logs:
        async with RawClient(server.address) as other, RawClient(server.address) as mine:
            await other.register("popular")
            await asyncio.wait_for(told.wait(), 10)
            await mine.join("mine")
            await mine.serve()
            await finished(run)
    hints = [one for one in logs if one["event"] == HINT]
    assert [(one["recommender"], one["wanted"]) for one in hints] == [("popular", ["mine"])]
