"""Traces: a span per round and per work, whose context goes along in the header of the work.

Off until `set_up_tracing` is called; then a span costs some tens of microseconds, before that next
to nothing. Spans are made by hand: the interceptors that OpenTelemetry has for gRPC break streams
that are read and written by calls. Needs the extra `tracing`, and loads it only when it is switched
on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import metadata
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from recarena.server.errors import InputError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

FLUSH_S = 5.0
"""What is still unsent at the end is given up after so long: a collector that is away must not
keep a server from stopping."""


class WorkSpan:
    """The span of a round or a work. This class is the one that records nothing."""

    __slots__ = ()

    @property
    def traceparent(self) -> str:
        """W3C trace context for what is done on the span's behalf; "" where none is kept."""
        return ""

    def ended(self, outcome: str, violations: int = 0) -> None:
        """Says how it went. An exception that leaves the span says so itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class _Recorded(WorkSpan):
    """A span that is sent. While it is entered, spans that are begun in the same task, and in tasks
    made there, are its children."""

    __slots__ = ("_entered", "_good", "_span")

    def __init__(self, span: Span, good: frozenset[str]) -> None:
        from opentelemetry import trace

        self._span, self._good = span, good
        self._entered = trace.use_span(
            span, end_on_exit=True, record_exception=True, set_status_on_exception=True
        )

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def ended(self, outcome: str, violations: int = 0) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("recarena.outcome", outcome)
        if violations:
            self._span.set_attribute("recarena.violations", violations)
        self._span.set_status(StatusCode.OK if outcome in self._good else StatusCode.ERROR)

    def __enter__(self) -> Self:
        self._entered.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered.__exit__(kind, error, trace)


_SILENT = WorkSpan()
_USABLE = frozenset({"accepted", "violations", "split"})
_PLAYED = frozenset({"committed"})
_tracer: Tracer | None = None
"""Of the process, as OpenTelemetry's own provider is."""


def work_span(
    *, run_id: str, arm_id: str, recommender: str, kind: str, round: int, users: int, work_id: str
) -> WorkSpan:
    """The span of one work, a child of its round's."""
    if _tracer is None:
        return _SILENT
    attributes: dict[str, AttributeValue] = {
        "recarena.run_id": run_id,
        "recarena.round": round,
        "recarena.arm_id": arm_id,
        "recarena.recommender_id": recommender,
        "recarena.work_id": work_id,
        "recarena.users": users,
    }
    return _begun(_tracer, kind, attributes, _USABLE, asks=True)


def round_span(run_id: str, round: int) -> WorkSpan:
    """The span of one round of a run, the root of its own trace."""
    if _tracer is None:
        return _SILENT
    attributes: dict[str, AttributeValue] = {"recarena.run_id": run_id, "recarena.round": round}
    return _begun(_tracer, "round", attributes, _PLAYED, asks=False)


def _begun(
    tracer: Tracer,
    name: str,
    attributes: dict[str, AttributeValue],
    good: frozenset[str],
    *,
    asks: bool,
) -> WorkSpan:
    from opentelemetry.trace import SpanKind

    kind = SpanKind.CLIENT if asks else SpanKind.INTERNAL
    return _Recorded(tracer.start_span(name, kind=kind, attributes=attributes), good)


def set_up_tracing(
    exporter: SpanExporter | Literal["otlp", "console"] = "otlp", service_name: str = "recarena"
) -> Callable[[], None]:
    """Switches traces on; returns what sends the rest and switches them off again.

    `otlp` sends them by gRPC; where to is read by OpenTelemetry from its OTEL_* variables, like
    the service name if it stands there, sampling and sizes of batches. InputError where the extra
    is not installed.
    """
    global _tracer
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise InputError(
            "traces are not installed", remedy="pip install 'recarena-server[tracing]'"
        ) from None
    version = metadata.version("recarena-server")
    resource = Resource.create({SERVICE_NAME: service_name, "service.version": version})
    # `create` lets what it is given win; here the environment shall.
    resource = resource.merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    sent = _exporter(exporter) if isinstance(exporter, str) else exporter
    provider.add_span_processor(BatchSpanProcessor(sent))
    _tracer = provider.get_tracer("recarena", version)

    def shut_down() -> None:
        global _tracer
        _tracer = None
        # In a thread: sending is tried again for longer than anybody wants to wait at the end.
        sending = threading.Thread(target=provider.shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH_S)
        if sending.is_alive():
            sent.shutdown()

    return shut_down


def _exporter(name: Literal["otlp", "console"]) -> SpanExporter:
    if name == "console":
        import sys

        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        # Standard output belongs to what a command says with --json.
        return ConsoleSpanExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
