"""A server that hosts runs until it is stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

from recarena.server.cli.output import emit, say
from recarena.server.cli.signals import stop_asked
from recarena.server.rpc.server import Server


def host(runs: Path, listen: str, as_json: bool) -> None:
    """Serves until SIGINT or SIGTERM; live runs pause at their last committed round."""
    runs.mkdir(parents=True, exist_ok=True)
    asyncio.run(_host(runs, listen, as_json))


async def _host(runs: Path, listen: str, as_json: bool) -> None:
    stopped = stop_asked()
    async with Server(runs, listen) as server:
        if as_json:
            emit({"event": "serving", "address": server.address, "runs": str(runs)})
        else:
            say(f"RecArena serves on {server.address}; runs are kept in {runs}. Ctrl-C stops.")
        await stopped.wait()
        say("Stopping: live runs pause at their last committed round.")
