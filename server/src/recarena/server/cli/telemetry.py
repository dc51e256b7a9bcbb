"""What a server tells those who run it: metrics where an option says so, traces where the
environment does."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Literal

import structlog

from recarena.server.errors import InputError
from recarena.server.rpc.metrics import MetricsEndpoint, RunsCollector, serve_metrics
from recarena.server.rpc.tracing import set_up_tracing
from recarena.server.runs import Run

log = structlog.get_logger()

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@contextmanager
def metered(
    address: str | None, open_runs: Callable[[], Iterable[Run]], *, insecure: bool = False
) -> Generator[MetricsEndpoint | None]:
    """Serves metrics of these runs for as long as it is entered, if there is an address."""
    if address is None:
        yield None
        return
    endpoint = serve_metrics(address, RunsCollector(open_runs), insecure=insecure)
    log.info("metrics", address=endpoint.address)
    try:
        yield endpoint
    finally:
        endpoint.close()


@contextmanager
def traced() -> Generator[None]:
    """Sends traces for as long as it is entered, if the environment asks for them. What cannot be
    done about them is a warning: a run is worth more than its traces."""
    try:
        exporter = trace_exporter(os.environ)
        shut_down = set_up_tracing(exporter) if exporter else None
    except InputError as error:
        log.warning("traces are not sent", why=str(error))
        shut_down = None
    try:
        yield
    finally:
        if shut_down:
            shut_down()


def trace_exporter(environ: Mapping[str, str]) -> Literal["otlp", "console"] | None:
    """What OpenTelemetry's variables ask for. Unlike its default, nothing is sent where none of
    them says so. InputError for what there is not."""

    def said(*names: str) -> tuple[str, str]:
        """The first variable that is set, and its value."""
        values = ((name, environ.get(name, "").strip()) for name in names)
        return next((pair for pair in values if pair[1]), ("", ""))

    if said("OTEL_SDK_DISABLED")[1].lower() == "true":
        return None
    wanted = said("OTEL_TRACES_EXPORTER")[1].lower() or ("otlp" if said(*ENDPOINTS)[1] else "none")
    if wanted == "none":
        return None
    if wanted == "console":
        return "console"
    if wanted != "otlp":
        raise InputError(
            f"there is no {wanted!r}", where="OTEL_TRACES_EXPORTER", remedy="otlp, console or none"
        )
    name, protocol = said(*PROTOCOLS)
    if protocol not in ("", "grpc"):
        raise InputError(f"there is no {protocol!r}", where=name, remedy="Only grpc")
    return "otlp"
