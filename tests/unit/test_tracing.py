"""Spans of rounds and works, and the context that goes along with a work."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from recarena.server.cli.telemetry import trace_exporter, traced
from recarena.server.errors import InputError
from recarena.server.rpc import tracing
from recarena.server.rpc.server import Server
from recarena.server.rpc.tracing import WorkSpan, round_span, set_up_tracing, work_span
from support.arena import begin, finished, settings
from support.raw_client import RawClient

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class Sent:
    """What was exported, after tracing was switched off."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._shut_down = set_up_tracing(self._exporter)

    def spans(self) -> list[ReadableSpan]:
        self._shut_down()
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def sent() -> Iterator[Sent]:
    sent = Sent()
    yield sent
    sent.spans()


def a_work(work_id: str = "1-1-0-1") -> WorkSpan:
    return work_span(
        run_id="run", arm_id="a", recommender="raw", kind="rank", round=1, users=3, work_id=work_id
    )


# ------------------------------------------------------------------------------ off
def test_off_nothing_is_kept():
    with round_span("run", 1) as outer, a_work() as inner:
        inner.ended("accepted", 0)
        assert (outer.traceparent, inner.traceparent) == ("", "")
        assert outer is inner


def test_off_opentelemetry_is_not_even_loaded():
    program = (
        "import sys, recarena.server.rpc.tracing as t\n"
        "with t.round_span('r', 1) as s: s.ended('committed')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# ------------------------------------------------------------------------------ on
def test_a_work_is_a_child_of_its_round(sent: Sent):
    with round_span("run", 1) as outer:
        with a_work() as inner:
            inner.ended("violations", 2)
        outer.ended("committed")
    work, round = sent.spans()
    assert (work.name, work.kind, round.name, round.kind) == (
        "rank", SpanKind.CLIENT, "round", SpanKind.INTERNAL,
    )  # fmt: skip
    assert work.parent.span_id == round.context.span_id
    assert round.parent is None
    assert dict(work.attributes) == {
        "recarena.run_id": "run", "recarena.round": 1, "recarena.arm_id": "a",
        "recarena.recommender_id": "raw", "recarena.work_id": "1-1-0-1", "recarena.users": 3,
        "recarena.outcome": "violations", "recarena.violations": 2,
    }  # fmt: skip
    assert (work.status.status_code, round.status.status_code) == (StatusCode.OK, StatusCode.OK)
    assert work.resource.attributes["service.name"] == "recarena"


def test_the_traceparent_is_that_of_the_span(sent: Sent):
    with a_work() as span:
        found = TRACEPARENT.fullmatch(span.traceparent)
    (one,) = sent.spans()
    assert found
    assert (int(found[1], 16), int(found[2], 16)) == (one.context.trace_id, one.context.span_id)


async def test_works_of_tasks_made_in_a_round_are_its_children(sent: Sent):
    async def work(number: int) -> None:
        with a_work(str(number)) as span:
            await asyncio.sleep(0)
            span.ended("accepted")

    async def round(number: int) -> None:
        with round_span("run", number):
            await asyncio.gather(work(number), asyncio.create_task(work(number)))

    await asyncio.gather(round(1), round(2))
    spans = sent.spans()
    rounds = {one.attributes["recarena.round"]: one for one in spans if one.name == "round"}
    works = [one for one in spans if one.name == "rank"]
    assert len(works) == 4
    for one in works:
        parent = rounds[int(one.attributes["recarena.work_id"])]
        assert one.parent.span_id == parent.context.span_id


@pytest.mark.parametrize("outcome", ["late", "failed", "rejected", "lost"])
def test_a_work_that_gave_no_list_is_an_error(sent: Sent, outcome: str):
    with a_work() as span:
        span.ended(outcome)
    (one,) = sent.spans()
    assert one.status.status_code is StatusCode.ERROR
    assert one.attributes["recarena.outcome"] == outcome


def test_an_exception_is_kept_and_goes_on(sent: Sent):
    with pytest.raises(ZeroDivisionError), round_span("run", 1):
        raise ZeroDivisionError("by zero")
    (one,) = sent.spans()
    assert one.status.status_code is StatusCode.ERROR
    assert one.events[0].attributes["exception.type"] == "ZeroDivisionError"


def test_switched_off_again_it_is_off(sent: Sent):
    sent.spans()
    with a_work() as span:
        assert span.traceparent == ""


def test_the_environment_names_the_service(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "arena-7")
    sent = Sent()
    with a_work():
        pass
    assert sent.spans()[0].resource.attributes["service.name"] == "arena-7"


def test_a_collector_that_is_away_does_not_keep_a_server_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(tracing, "FLUSH_S", 0.2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    shut_down = set_up_tracing()
    with a_work():
        pass
    start = time.monotonic()
    shut_down()
    assert time.monotonic() - start < 5


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InputError, match=r"pip install 'recarena-server\[tracing\]'"):
        set_up_tracing()


# ------------------------------------------------------------------------------ the environment
@pytest.mark.parametrize(
    ("environ", "exporter"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4317"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, None),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otlp"),
    ],
)
def test_the_usual_variables_switch_traces_on(environ: dict[str, str], exporter: str | None):
    assert trace_exporter(environ) == exporter


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: there is no 'zipkin'"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: there is no 'http/protobuf'",
        ),
    ],
)
def test_what_there_is_not_is_named(environ: dict[str, str], place: str):
    with pytest.raises(InputError, match=place):
        trace_exporter(environ)


def test_without_the_extra_a_server_warns_and_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    structlog.reset_defaults()
    with capture_logs() as said, traced():
        assert a_work().traceparent == ""
    assert [(one["event"], one["log_level"]) for one in said] == [
        ("traces are not sent", "warning")
    ]
    assert "recarena-server[tracing]" in said[0]["why"]


def test_the_console_gets_spans_on_stderr(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setattr(sys, "stderr", out := io.StringIO())
    with traced(), round_span("run", 3):
        pass
    assert json.loads(out.getvalue())["attributes"] == {
        "recarena.run_id": "run", "recarena.round": 3,
    }  # fmt: skip


# ------------------------------------------------------------------------------ on the wire
@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "runs") as server:
        yield server


async def test_a_recommender_gets_the_context_of_each_work(server: Server, sent: Sent):
    run = await begin(server, settings("raw", rounds=2))
    async with RawClient(server.address) as client:
        await client.join()
        await asyncio.gather(client.serve(), finished(run))
        headers = [work.header for work in client.all("rank_work", "search_work")]
    spans = sent.spans()
    rounds = {one.context.span_id: one for one in spans if one.name == "round"}
    assert [one.attributes["recarena.round"] for one in rounds.values()] == [1, 2]
    works = {one.attributes["recarena.work_id"]: one for one in spans if one.name != "round"}
    assert len(headers) == len(works) > 2
    for header in headers:
        span = works[header.work_id]
        found = TRACEPARENT.fullmatch(header.traceparent)
        assert found
        assert int(found[1], 16) == span.context.trace_id
        assert int(found[2], 16) == span.context.span_id
        parent = rounds[span.parent.span_id]
        assert parent.attributes["recarena.round"] == header.round
        assert span.attributes["recarena.outcome"] == "accepted"
        assert span.end_time <= parent.end_time


async def test_without_traces_headers_have_no_context(server: Server):
    run = await begin(server, settings("raw", rounds=1))
    async with RawClient(server.address) as client:
        await client.join()
        await asyncio.gather(client.serve(), finished(run))
        headers = [work.header for work in client.all("rank_work", "search_work")]
    assert {header.traceparent for header in headers} == {""}
