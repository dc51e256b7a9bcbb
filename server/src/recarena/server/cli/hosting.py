"""A server that hosts runs until it is stopped."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from recarena.server.cli.output import emit, say
from recarena.server.cli.signals import stop_asked
from recarena.server.cli.telemetry import metered, traced
from recarena.server.mind_rules import MindRules
from recarena.server.rpc.metrics import MetricsEndpoint
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server


@dataclass(frozen=True, slots=True)
class Hosting:
    """What a server is asked to be."""

    runs: Path
    listen: str
    security: Security
    metrics: str | None
    """HOST:PORT of /metrics."""
    insecure: bool
    as_json: bool
    minds: MindRules


def host(asked: Hosting) -> None:
    """Serves until SIGINT or SIGTERM; live runs pause at their last committed round."""
    asked.runs.mkdir(parents=True, exist_ok=True)
    asyncio.run(_host(asked))


async def _host(asked: Hosting) -> None:
    stopped = stop_asked()
    server = Server(asked.runs, asked.listen, asked.security, asked.minds)
    with (
        traced(),
        metered(asked.metrics, server.house.opened, insecure=asked.insecure) as metrics,
    ):
        async with server:
            _announce(asked, server.address, metrics)
            await stopped.wait()
            say("Stopping: live runs pause at their last committed round.")


def _announce(asked: Hosting, address: str, metrics: MetricsEndpoint | None) -> None:
    asks = asked.security.asks_who_calls
    if asked.as_json:
        emit(
            {"event": "serving", "address": address, "runs": str(asked.runs),
             "tls": asked.security.tls is not None, "asks_who_calls": asks,
             "metrics": metrics.address if metrics else None}
        )  # fmt: skip
        return
    say(f"RecArena serves on {address}; runs are kept in {asked.runs}. Ctrl-C stops.")
    if metrics:
        say(f"Metrics: http://{metrics.address}/metrics")
    if not asks:
        say("Whoever reaches this address can drive runs: it asks for no token.")
