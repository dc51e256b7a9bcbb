"""Calls that other processes send."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.llm import thinker as thinkers
from recarena.server.llm.calls import Source
from recarena.server.llm.transport import NotArrived, SdkTransport
from recarena.server.llm.workers import ENDED, Frames, WorkerTransport
from support.llm_stub import LlmStub, Switches
from support.thinkers import (
    FORM,
    RATED,
    always_good,
    asker,
    endpoint_at,
    prompt,
    thinker_by,
    until,
)

MODULE = "recarena.server.llm.workers"
HEADER = struct.Struct("<IHII")
KEYS = ("sk-one-secret", "sk-two-secret")
PARENT = """
import asyncio, sys
from recarena.server.llm.transport import Endpoint, NotArrived
from recarena.server.llm.workers import WorkerTransport

async def main():
    at = Endpoint("openai", "http://127.0.0.1:9/v1", "/responses", ("k",), 9.0, 1)
    transport = WorkerTransport(at, 1)
    try:
        await transport.post(0, b"{}")
    except NotArrived:
        print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def children(parent: int | None = None) -> set[int]:
    """The processes that send calls for this one."""
    found: set[int] = set()
    for tasks in Path(f"/proc/{parent or os.getpid()}/task").glob("*/children"):
        for pid in map(int, tasks.read_text().split()):
            if MODULE in Path(f"/proc/{pid}/cmdline").read_text():
                found.add(pid)
    return found


def alive(pid: int) -> bool:
    """A process that has ended and that nobody has asked for yet is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def seen_of(pid: int) -> bytes:
    """What others can see of a process."""
    return b"\0".join(Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ"))


async def test_two_processes_answer_and_hide_the_keys_and_end(monkeypatch, capfd):
    monkeypatch.setenv("SOME_KEYS", ", ".join(KEYS))
    monkeypatch.setenv("ANOTHER_KEY", KEYS[1])
    monkeypatch.setenv("HARMLESS", "anything")
    switches = Switches(keys=KEYS, latency_s=0.02)
    async with LlmStub(always_good, switches) as stub:
        transport = WorkerTransport(endpoint_at("anthropic", stub.url, KEYS), 2)
        assert children() == set(), "none is started before the first call"
        thinker = thinker_by(lambda: (transport, 2), "anthropic")
        decisions = (thinker.decide(prompt(n), FORM, asker(n)) for n in range(40))
        for outcome in await asyncio.gather(*decisions):
            assert (outcome.value, outcome.source) == (RATED, Source.LLM)
        assert len(stub.calls) == 40
        assert all(stub.by_key[key] >= 10 for key in KEYS)
        processes = children()
        assert len(processes) == 2
        for pid in processes:
            seen = seen_of(pid)
            assert b"HARMLESS=anything" in seen
            assert not any(key.encode() in seen for key in KEYS)
        await thinker.close()
        assert not any(alive(pid) for pid in processes)
    assert capfd.readouterr().err == ""


async def test_the_calls_of_a_process_that_is_killed_are_made_by_another(monkeypatch):
    monkeypatch.setattr(thinkers, "BACK_OFF_S", 0.001)
    async with LlmStub(always_good) as stub:
        transport = WorkerTransport(endpoint_at("openai-compatible", stub.url), 2)
        thinker = thinker_by(lambda: (transport, 1))

        async def decided(*numbers: int) -> None:
            decisions = (thinker.decide(prompt(n), FORM, asker(n)) for n in numbers)
            for outcome in await asyncio.gather(*decisions):
                assert (outcome.value, outcome.source) == (RATED, Source.LLM)

        try:
            await decided(0, 1)
            first = children()
            assert len(first) == 2
            stub.switches.update({"latency_s": 0.3})
            deciding = asyncio.ensure_future(decided(*range(2, 10)))
            await until(lambda: stub.in_flight == 8)
            killed = max(first)
            os.kill(killed, signal.SIGKILL)
            await deciding
            assert thinker.tally.again == {"transient": 4}
            assert stub.by_status == {200: 10, 0: 4}
            await decided(*range(10, 14))
            second = children()
            assert (len(second), first & second) == (2, first - {killed})
        finally:
            await thinker.close()
        assert not any(alive(pid) for pid in first | second)


async def test_a_response_comes_as_it_would_without_a_process_between():
    switches = Switches(rate_limited=True, retry_after_s=3)
    async with LlmStub(always_good, switches) as stub:
        endpoint = endpoint_at("openai", stub.url)
        direct, by_worker = SdkTransport(endpoint), WorkerTransport(endpoint, 1)
        got = [await one.post(0, b'{"model": "m"}') for one in (direct, by_worker)]
        assert {answer.status for answer in got} == {429}
        assert {answer.headers["retry-after"] for answer in got} == {"3"}
        assert got[0].body == got[1].body
        stub.switches.update({"rate_limited": 0, "reset": True})
        for one in (direct, by_worker):
            with pytest.raises(NotArrived, match="Error"):
                await one.post(0, b'{"model": "m"}')
        stub.switches.update({"reset": 0, "hang": True})
        waiting = asyncio.ensure_future(by_worker.post(0, b'{"model": "n"}'))
        await until(lambda: stub.in_flight)
        (pid,) = children()
        os.kill(pid, signal.SIGTERM)
        with pytest.raises(NotArrived, match=ENDED):
            await waiting
        await direct.close()
        await by_worker.close()


def test_a_process_ends_with_the_one_that_it_works_for():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        assert parent.stdout.readline() == "ready\n"
        (worker,) = children(parent.pid)
        os.kill(worker, signal.SIGINT)  # as Ctrl-C does; the parent says when it is over
        parent.kill()
        parent.wait()
        asyncio.run(until(lambda: not alive(worker)))


# ---------------------------------------------------------------------- frames


class Written(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += bytes(data)

    def is_closing(self) -> bool:
        return self.closing


FRAME = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1), st.binary(), st.binary())


@given(st.lists(FRAME, max_size=8), st.lists(st.integers(1, 40), min_size=1))
def test_frames_arrive_whole_however_they_are_cut(frames, cuts):
    got: list[tuple[int, int, bytes, bytes]] = []
    written = Written()
    sender = Frames(HEADER, lambda *_: None, lambda: None)
    sender.connection_made(written)
    for frame in frames:
        sender.send(*frame)
    receiver = Frames(HEADER, lambda *frame: got.append(frame), lambda: None)
    data, at = written.data, 0
    for cut in [*cuts, len(data)]:
        receiver.data_received(data[at : at + cut])
        at += cut
    assert got == frames


def test_nothing_is_written_to_a_stream_that_ends():
    written = Written()
    frames = Frames(HEADER, lambda *_: None, lambda: None)
    frames.send(1, 1, b"early", b"")
    frames.connection_made(written)
    written.closing = True
    frames.send(1, 1, b"late", b"")
    assert written.data == b""
