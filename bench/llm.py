"""Decisions of LLM minds a second through the real SDKs, against the bare SDK at the same stub."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from canned import CannedProcess
from figures import Figure, Target, median
from worlds import SEED, made

from recarena.server.llm.apis import encode
from recarena.server.llm.opening import open_thinker
from recarena.server.llm.settings import LlmSettings
from recarena.server.llm.workers import quick_loop
from recarena.server.memory.embedders import HashEmbedder
from recarena.server.memory.settings import MemorySettings
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.llm.diary import Diary
from recarena.server.minds.llm.mind import LlmMind
from recarena.server.minds.llm.opening import Minded, made_mind
from recarena.server.ports import PageView
from recarena.server.types import Surface
from recarena.server.world import World

USERS = 1_000
PROVIDERS = ("openai", "anthropic")
EFFICIENT = 0.90
TWO_WORKERS = 1.6
OUR_CPU_MS = 1.0


@dataclass(frozen=True, slots=True)
class Speed:
    """What some calls took."""

    calls: int
    seconds: float
    cpu: float

    @property
    def a_second(self) -> float:
        return self.calls / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Of this process, a call."""
        return 1000 * self.cpu / self.calls


def figures(quick: bool) -> Iterator[Figure]:
    """Efficiency at two latencies, two processes against one, and our share of the CPU."""
    os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = "bench"
    scene = Scene(40 if quick else USERS)
    times = 1 if quick else 3
    with CannedProcess() as stub:
        for provider in PROVIDERS:
            yield from _of_provider(scene, stub, provider, times, quick)


def _of_provider(
    scene: Scene, stub: CannedProcess, provider: str, times: int, quick: bool
) -> Iterator[Figure]:
    stub.set(latency_s=0.0)
    bodies = scene.bodies(provider, stub.url)
    for latency, concurrency in ((1.0, 256), (0.2, 64)):
        if quick:
            latency /= 10
        stub.set(latency_s=latency)
        ours, bare = _alternately(
            times,
            lambda c=concurrency: scene.decide(provider, stub.url, c),
            lambda c=concurrency: run(ask_bare(provider, stub.url, bodies, c)),
        )
        reached, sdk = median([o.a_second for o in ours]), median([b.a_second for b in bare])
        ideal = concurrency / latency
        yield Figure(
            f"llm_{provider}_{round(latency * 1000)}ms_{concurrency}",
            reached,
            "calls/s",
            min(ideal, sdk),
            {
                "baseline": "the lesser of concurrency / latency and the bare SDK's calls/s",
                "users": scene.users, "ideal": ideal, "bare_sdk": sdk,
                "all": [o.a_second for o in ours], "bare_all": [b.a_second for b in bare],
                "cpu_ms_a_call": median([o.cpu_ms for o in ours]),
                "bare_cpu_ms_a_call": median([b.cpu_ms for b in bare]),
            },
            Target("ratio", "at least", EFFICIENT),
        )  # fmt: skip
        yield Figure(
            f"llm_{provider}_own_cpu_{round(latency * 1000)}ms_{concurrency}",
            max(median([o.cpu_ms for o in ours]) - median([b.cpu_ms for b in bare]), 0.0),
            "ms/call",
            median([b.cpu_ms for b in bare]),
            {"baseline": "CPU of the bare SDK, a call", "signed":
             median([o.cpu_ms for o in ours]) - median([b.cpu_ms for b in bare])},
            Target("value", "at most", OUR_CPU_MS),
        )  # fmt: skip
    stub.set(latency_s=0.05)
    two, one = _alternately(
        2 * times - 1,
        lambda: scene.decide(provider, stub.url, 128, workers=2),
        lambda: scene.decide(provider, stub.url, 128),
    )
    yield Figure(
        f"llm_{provider}_two_workers",
        median([o.a_second for o in two]),
        "calls/s",
        median([o.a_second for o in one]),
        {
            "baseline": "one process, 128 calls in flight at 50 ms: the SDK is the ceiling",
            "users": scene.users, "all": [o.a_second for o in two],
            "baseline_all": [o.a_second for o in one],
        },
        Target("ratio", "at least", TWO_WORKERS),
    )  # fmt: skip


def _alternately(
    times: int, one: Callable[[], Speed], other: Callable[[], Speed]
) -> tuple[list[Speed], list[Speed]]:
    """One after the other, several times, so that both meet the same machine."""
    found: tuple[list[Speed], list[Speed]] = ([], [])
    for _ in range(times):
        found[0].append(one())
        found[1].append(other())
    return found


class Scene:
    """A world whose users each have a page in front of them."""

    def __init__(self, users: int) -> None:
        self.users = users
        self._bodies: list[dict[str, Any]] = []
        self.world = World(made(users), SEED)
        popular = np.argsort(-self.world.popularity, kind="stable").astype(np.int32)
        items = np.array([popular[n % 20 : n % 20 + 5] for n in range(users)], np.int32)
        self.view = PageView(
            1, 0, np.arange(users, dtype=np.int32), items, np.zeros(users, np.int16),
            np.full(users, Surface.FEED, np.int8), np.full(users, -1, np.int32), True,
            np.empty((users, 0), np.int32),
        )  # fmt: skip

    def bodies(self, provider: str, url: str) -> list[dict[str, Any]]:
        """What is sent for each page."""
        with tempfile.TemporaryDirectory(prefix="recarena-bench-") as folder:
            mind = self._mind(provider, url, 64, 1, Path(folder))

            async def asked() -> list[dict[str, Any]]:
                await self._act(mind)
                hashes = mind.thinker.recorder.rows("SELECT hash FROM calls")
                sent = [mind.thinker.recorder.request(one) for (one,) in hashes]
                await mind.close()
                return [json.loads(one) for one in sent if one]

            self._bodies = run(asked())
            return self._bodies

    def decide(self, provider: str, url: str, concurrency: int, workers: int = 1) -> Speed:
        """A decision for each user: prompt, budget, pace, call, reading, recording."""
        with tempfile.TemporaryDirectory(prefix="recarena-bench-") as folder:
            mind = self._mind(provider, url, concurrency, workers, Path(folder))

            async def decided() -> Speed:
                await self._warm(mind)
                wall, cpu = time.perf_counter(), time.process_time()
                await self._act(mind)
                took = time.perf_counter() - wall
                used = time.process_time() - cpu
                await mind.close()
                return Speed(self.users, took, used)

            return run(decided())

    async def _act(self, mind: LlmMind) -> None:
        mind._diary = Diary(1)  # pyright: ignore[reportPrivateUsage]
        decision = await mind.act(self.world, self.view)
        assert not decision.failed, decision.failed

    async def _warm(self, mind: LlmMind) -> None:
        """Both processes send a few calls, which are not counted, and load what that takes."""
        transport, _ = mind.thinker._sender()  # pyright: ignore[reportPrivateUsage]
        body = encode(self._bodies[0])
        await asyncio.gather(*(transport.post(0, body) for _ in range(64)))

    def _mind(
        self, provider: str, url: str, concurrency: int, workers: int, folder: Path
    ) -> LlmMind:
        settings = LlmSettings.model_validate(
            {
                "provider": provider, "model": "stub", "workers": workers,
                "base_url": url + ("" if provider == "anthropic" else "/v1"),
                "concurrency": concurrency, "concurrency_start": concurrency,
            }
        )  # fmt: skip
        thinker = open_thinker(settings, folder)
        minded = Minded(settings, MemorySettings(), SEED)
        dimension = HashEmbedder.dimension
        return made_mind(minded, self.world.data, ChoiceMind(), thinker, dimension)


async def ask_bare(
    provider: str, url: str, bodies: list[dict[str, Any]], concurrency: int
) -> Speed:
    """The same calls by the SDK's own method, and nothing around them."""
    import anthropic
    import httpx2
    import openai

    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    create: Callable[..., Awaitable[object]]
    client: Any
    if provider == "anthropic":
        http = anthropic.DefaultAioHttpClient(limits=limits)
        client = anthropic.AsyncAnthropic(base_url=url, max_retries=0, http_client=http)
        create = client.messages.create
    else:
        http = openai.DefaultAioHttpClient(limits=limits)
        client = openai.AsyncOpenAI(base_url=url + "/v1", max_retries=0, http_client=http)
        create = client.responses.create
    gate = asyncio.Semaphore(concurrency)

    async def ask(body: dict[str, Any]) -> None:
        async with gate:
            await create(**body)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(ask(body) for body in bodies))
    speed = Speed(len(bodies), time.perf_counter() - wall, time.process_time() - cpu)
    await client.close()
    return speed


def run(work: Any) -> Any:
    """On the loop that is used for calls: uvloop for both sides of each comparison."""
    with asyncio.Runner(loop_factory=quick_loop()) as runner:
        return runner.run(work)
