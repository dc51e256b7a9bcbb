"""The observatory: frames of its page, what its server takes, and what runs feel of it."""

from __future__ import annotations

import contextlib
import math
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from figures import Figure, Target, median, say, spread
from playwright.sync_api import sync_playwright

from recarena.v1 import run_pb2
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))
from support.observatory.looking import CHROMIUM, flags  # noqa: E402
from support.observatory.programs import (  # noqa: E402
    RECOMMENDER,
    Program,
    Site,
    observatory,
    program,
    server,
)

RATE = 500
CLIENTS = 7
GOING = (run_pb2.RUN_STATE_WAITING_FOR_RECOMMENDERS, run_pb2.RUN_STATE_RUNNING)
LOOK_S = 0.02
MEASURE = """seconds => new Promise(done => {
  const frames = [], tasks = [];
  new PerformanceObserver(list => {
    for (const one of list.getEntries()) tasks.push(one.duration);
  }).observe({type: 'longtask'});
  const began = performance.now();
  const tick = now => {
    frames.push(now);
    if (performance.now() - began < seconds * 1000) requestAnimationFrame(tick);
    else done({frames, tasks, seconds: (performance.now() - began) / 1000,
               nodes: document.getElementsByTagName('*').length});
  };
  requestAnimationFrame(tick);
})"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a page came to."""

    fps: list[float]
    """Of each whole second."""
    long_ms: float
    """Of tasks above 50 ms, a second."""
    tasks: int
    nodes: int
    cpu: float
    """Share of a core that the observatory took meanwhile."""
    idle_cpu: float
    rounds: int
    profile: dict[str, float]
    """Processor time of the page's main thread, in milliseconds a second, by kind."""


def figures(quick: bool) -> Iterator[Figure]:
    """Pages first, then runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags("--disable-gpu"))
        blank = frames(browser.new_page(), 2.1 if quick else 5)["fps"]
        for users, ties in ((60, 200),) if quick else ((1000, 5000), (5000, 25_000)):
            yield from page_figures(browser, users, ties, median(blank), quick)
        browser.close()
    yield from run_figures(quick)


def page_figures(
    browser: Any, users: int, ties: int, blank: float, quick: bool
) -> Iterator[Figure]:
    """Frames, long tasks and the server's share, for one size of world."""
    seen = looked(browser, users, ties, 3 if quick else 20)
    about = {"users": users, "ties": ties, "events_a_second": RATE, "rounds_meanwhile": seen.rounds,
             "rendering": "software", "nodes": seen.nodes}  # fmt: skip
    many = users > 1000
    yield Figure(
        f"observatory_fps_{users}", median(seen.fps), "fps", blank,
        {"baseline": "a blank page", **about, "spread": spread(seen.fps),
         "main_thread_cpu_ms_a_second": seen.profile,
         "main_thread_cpu_ms_a_frame": seen.profile["TaskDuration"] / statistics.fmean(seen.fps)},
        Target("value", "at least", 30 if many else 45),
    )  # fmt: skip
    yield Figure(
        f"observatory_long_tasks_{users}", seen.long_ms, "ms/s", 1000.0,
        {"baseline": "a second", **about, "tasks": seen.tasks},
        None if many else Target("value", "below", 50),
    )  # fmt: skip
    yield Figure(
        f"observatory_cpu_{users}", seen.cpu * 100, "% of a core", max(seen.idle_cpu * 100, 0.01),
        {"baseline": "the same with the run paused", **about},
        None if many else Target("value", "below", 5),
    )  # fmt: skip


def looked(browser: Any, users: int, ties: int, seconds: float) -> Looked:
    """Looks at a stage that is played at the rate."""
    say(f"  a page of {users} users")
    options = ("--users", users, "--ties", ties, "--rate", RATE, "--json")
    with (
        program(sys.executable, "-m", "support.observatory.staged", *options, folder=TESTS) as one,
        observatory(address := one.line("serving")["address"]) as site,
        grpc.insecure_channel(address) as channel,
    ):
        control: Any = SimulationControlServiceStub(channel)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(site.at("/run/live"))
        page.locator("canvas").first.wait_for()
        page.wait_for_timeout(2000)
        idle = share(site.program, 3)
        control.StartRun(control_pb.StartRunRequest(run_id="live"))
        page.wait_for_timeout(3000)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before, cpu, began = metrics(session), site.program.cpu_s, time.monotonic()
        round = control.GetRun(control_pb.GetRunRequest(run_id="live")).run.round
        result = frames(page, seconds)
        taken = time.monotonic() - began
        after, used = metrics(session), site.program.cpu_s - cpu
        rounds = control.GetRun(control_pb.GetRunRequest(run_id="live")).run.round - round
        page.close()
    spent = {key: (after[key] - before[key]) * 1000 / taken for key in after}
    return Looked(result["fps"], sum(result["tasks"]) / result["seconds"], len(result["tasks"]),
                  result["nodes"], used / taken, idle, rounds, spent)  # fmt: skip


def metrics(session: Any) -> dict[str, float]:
    """Seconds of processor that the main thread has taken."""
    wanted = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "TaskDuration")
    told = session.send("Performance.getMetrics")["metrics"]
    return {one["name"]: one["value"] for one in told if one["name"] in wanted}


def frames(page: Any, seconds: float) -> dict[str, Any]:
    """Frames a second for each whole second, and the long tasks."""
    result = page.evaluate(MEASURE, seconds)
    first = result["frames"][0]
    whole = int((result["frames"][-1] - first) / 1000)
    counts = [0] * whole
    for one in result["frames"]:
        if (second := int((one - first) / 1000)) < whole:
            counts[second] += 1
    return {**result, "fps": [float(one) for one in counts]}


def share(running: Program, seconds: float) -> float:
    """Share of a core that a process takes."""
    before = running.cpu_s
    time.sleep(seconds)
    return (running.cpu_s - before) / seconds


class Listener(threading.Thread):
    """A client of the live socket: reads and forgets, or stops reading after the first bytes."""

    def __init__(self, site: Site, run_id: str, *, reads: bool = True) -> None:
        super().__init__(daemon=True)
        self.read, self.reads = 0, reads
        host = urlsplit(site.origin)
        cookie = cookie_of(site)
        self.socket = socket.create_connection((host.hostname or "", host.port or 0))
        if not reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        key = b64encode(b"a bench listens.").decode()
        self.socket.sendall(
            f"GET /api/runs/{run_id}/live?epoch=0&since=0 HTTP/1.1\r\nHost: {host.netloc}\r\n"
            f"Origin: {site.origin}\r\nCookie: {cookie}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        answer = self.socket.recv(4096)
        if b" 101 " not in answer.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"the live socket was refused: {answer[:200]!r}")
        self.start()

    def run(self) -> None:
        """Reads until the socket is closed."""
        with contextlib.suppress(OSError):
            while self.reads and (got := self.socket.recv(1 << 16)):
                self.read += len(got)

    def close(self) -> None:
        """Goes away at once."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.join(10)


def cookie_of(site: Site) -> str:
    """Signs in, as a browser does."""
    import http.client

    host = urlsplit(site.origin)
    connection = http.client.HTTPConnection(host.hostname or "", host.port)
    connection.request("GET", f"/?token={site.token}")
    cookie = connection.getresponse().getheader("set-cookie") or ""
    connection.close()
    return cookie.split(";")[0]


@dataclass(slots=True)
class Durations:
    """Seconds of repetitions, by who listened."""

    alone: list[float] = field(default_factory=list[float])
    seven: list[float] = field(default_factory=list[float])
    stalled: list[float] = field(default_factory=list[float])
    bytes_read: list[int] = field(default_factory=list[int])
    memory_mib: list[float] = field(default_factory=list[float])
    cpu_s: list[float] = field(default_factory=list[float])
    """That the observatory took while seven listened."""


def run_figures(quick: bool) -> Iterator[Figure]:
    """How much longer a run takes with who listens."""
    say("  a real run at full speed")
    # Short runs in turns: what else a machine does is much the same for neighbours.
    taken = durations(40 if quick else 500, 20 if quick else 40, 2 if quick else 30)
    about = {"users": 40 if quick else 500, "clients": CLIENTS, "repetitions": len(taken.alone)}
    seven = {"bytes_read": median(taken.bytes_read), "observatory_cpu_s": median(taken.cpu_s)}
    stalled = {"observatory_mib": spread(taken.memory_mib)}
    for name, among, more in (
        ("seven", taken.seven, seven),
        ("stalled", taken.stalled, stalled),
    ):
        low, high = interval(among, taken.alone)
        yield Figure(
            f"observatory_run_{name}", statistics.fmean(among), "s", statistics.fmean(taken.alone),
            {"baseline": "nobody listens", **about, **more, "interval_of_ratio": [low, high]},
            Target("ratio", "at most", 1.05),
        )  # fmt: skip


def durations(users: int, rounds: int, repetitions: int) -> Durations:
    """Plays the same run again and again, in turns."""
    taken = Durations()
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder)) as (address, _),
        program(RECOMMENDER, "popular", "--server", address),
        observatory(address) as site,
        grpc.insecure_channel(address) as channel,
    ):
        control: Any = SimulationControlServiceStub(channel)
        asked = control_pb.GetRunRequest(run_id="live")
        arm = run_pb2.Arm(arm_id="popular", recommender_id="popular")
        made = run_pb2.Run(run_id="live", seed=7, round_limit=rounds, arms=[arm],
                           world=f"new:users={users},seed=7")  # fmt: skip
        control.CreateRun(control_pb.CreateRunRequest(run=made))

        def played() -> float:
            """From the first round that is committed on: recommenders take their time to come."""
            control.StartRun(control_pb.StartRunRequest(run_id="live"))
            began = 0.0
            while (run := control.GetRun(asked).run).state in GOING:
                began = began or (time.monotonic() if run.round else 0.0)
                time.sleep(LOOK_S)
            seconds = time.monotonic() - began
            if run.state != run_pb2.RUN_STATE_SUCCEEDED:
                raise RuntimeError(f"the run ended as {run}")
            control.ResetRun(control_pb.ResetRunRequest(run_id="live"))
            return seconds

        played()
        for number in range(repetitions):
            order = ["alone", "seven", "stalled"]
            for who in order[number % 3 :] + order[: number % 3]:
                count = {"alone": 0, "seven": CLIENTS, "stalled": 1}[who]
                listeners = [Listener(site, "live", reads=who == "seven") for _ in range(count)]
                cpu = site.program.cpu_s
                getattr(taken, who).append(played())
                if who == "seven":
                    taken.cpu_s.append(site.program.cpu_s - cpu)
                    taken.bytes_read.append(sum(one.read for one in listeners))
                for one in listeners:
                    one.close()
            taken.memory_mib.append(site.program.memory_bytes / 2**20)
    return taken


def interval(among: list[float], alone: list[float]) -> tuple[float, float]:
    """95 % interval of the ratio, from pairs that were measured one after another."""
    from scipy.stats import t

    logs = [math.log(a / b) for a, b in zip(among, alone, strict=True)]
    middle, size = statistics.fmean(logs), len(logs)
    half = float(t.ppf(0.975, size - 1)) * statistics.stdev(logs) / math.sqrt(size)
    return math.exp(middle - half), math.exp(middle + half)
