"""Checks of the machine: clock, limits, and whether a server comes up on it."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recarena.server.cli.checks import Finding, Level, failure
from recarena.server.errors import RecArenaError

FEWEST_FILES = 1024
LONGEST_CHECK_S = 10.0
PROXIES = ("grpc_proxy", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


def clock(now: datetime | None = None) -> Finding:
    """Whether time passes, and is not earlier than it can be."""
    before = time.monotonic_ns()
    time.sleep(0.001)
    if time.monotonic_ns() <= before:
        return Finding("clock", Level.FAIL, "the monotonic clock stands still", "Mend the machine")
    now, made = now or datetime.now(UTC), _made()
    text = f"{now:%Y-%m-%d %H:%M} UTC"
    # A day: files that were copied may bear the time of another time zone.
    if now < made - timedelta(days=1):
        text += f", but RecArena was installed or made on {made:%Y-%m-%d}"
        remedy = "Set the clock: certificates and tokens expire by it"
        return Finding("clock", Level.FAIL, text, remedy)
    return Finding("clock", Level.OK, text)


def _made() -> datetime:
    """When the newest file of the server was made."""
    package = Path(__file__).parents[2]
    newest = max(path.stat().st_mtime for path in package.rglob("*.py"))
    return datetime.fromtimestamp(newest, UTC)


def open_files() -> Finding:
    """Whether the process may have enough files and connections open."""
    try:
        import resource
    except ImportError:
        return Finding("open files", Level.OK, "no limit on this system")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return Finding("open files", Level.OK, "no limit")
    if limit >= FEWEST_FILES:
        return Finding("open files", Level.OK, f"at most {limit}")
    remedy = f"ulimit -n {FEWEST_FILES}, or LimitNOFILE= of the systemd unit"
    return Finding("open files", Level.WARN, f"at most {limit}", remedy)


def loopback() -> Finding:
    """Whether a server starts here and answers on loopback."""
    try:
        took = asyncio.run(_answered())
    except RecArenaError as error:
        return failure("loopback", error)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what was asked for
        proxies = [name for name in PROXIES if os.environ.get(name)]
        remedy = "See that a firewall lets 127.0.0.1 through"
        if proxies:
            remedy = f"{proxies[0]} is set: set no_proxy=localhost,127.0.0.1, too"
        why = " ".join(str(error).split()) or type(error).__name__
        return Finding("loopback", Level.FAIL, f"no answer from a server: {why[:200]}", remedy)
    return Finding("loopback", Level.OK, f"a server started and answered in {took * 1000:.0f} ms")


async def _answered() -> float:
    """Seconds until a server that was started for it said that it serves."""
    import grpc
    from grpc_health.v1 import health_pb2

    from recarena.server.rpc.server import Server

    with tempfile.TemporaryDirectory(prefix="recarena-doctor-") as runs:
        start = time.perf_counter()
        async with asyncio.timeout(LONGEST_CHECK_S), Server(Path(runs)) as server:
            async with grpc.aio.insecure_channel(server.address) as channel:
                check = channel.unary_unary(
                    "/grpc.health.v1.Health/Check",
                    health_pb2.HealthCheckRequest.SerializeToString,
                    health_pb2.HealthCheckResponse.FromString,
                )
                answer = await check(health_pb2.HealthCheckRequest(), timeout=LONGEST_CHECK_S)
            took = time.perf_counter() - start
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise RuntimeError("it says that it does not serve")
    return took
