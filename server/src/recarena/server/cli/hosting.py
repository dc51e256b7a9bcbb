"""A server that hosts runs until it is stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

from recarena.server.cli.output import emit, say
from recarena.server.cli.signals import stop_asked
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server


def host(runs: Path, listen: str, security: Security, as_json: bool) -> None:
    """Serves until SIGINT or SIGTERM; live runs pause at their last committed round."""
    runs.mkdir(parents=True, exist_ok=True)
    asyncio.run(_host(runs, listen, security, as_json))


async def _host(runs: Path, listen: str, security: Security, as_json: bool) -> None:
    stopped = stop_asked()
    async with Server(runs, listen, security) as server:
        if as_json:
            emit(
                {"event": "serving", "address": server.address, "runs": str(runs),
                 "tls": security.tls is not None, "asks_who_calls": security.asks_who_calls}
            )  # fmt: skip
        else:
            say(f"RecArena serves on {server.address}; runs are kept in {runs}. Ctrl-C stops.")
            if not security.asks_who_calls:
                say("Whoever reaches this address can drive runs: it asks for no token.")
        await stopped.wait()
        say("Stopping: live runs pause at their last committed round.")
