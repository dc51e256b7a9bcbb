"""Recommenders and a client for tests against the scripted server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict

from recarena.client import Recommender, serve_async
from support.scripted_server import PATIENCE


class Fixed(Recommender):
    """Always the first items. Writes down what it is asked."""

    def __init__(self):
        self.calls = []

    def start(self, run):
        self.run = run
        self.calls.append(("start", run.run_id))

    def feedback(self, batch):
        self.calls.append(("feedback", batch.cursor))

    def ready(self, round):
        self.calls.append(("ready", round))

    def rank(self, queries):
        return [self.run.catalog.item_ids[: query.result_count] for query in queries]

    def close(self):
        self.calls.append(("close",))


class Gated(Fixed):
    """Async: answers a work of so many items when the gate of that number is opened."""

    def __init__(self):
        super().__init__()
        self.began = defaultdict(asyncio.Event)
        self.gates = defaultdict(asyncio.Event)
        self.under_way, self.most = 0, 0

    async def rank(self, queries):
        count = queries[0].result_count
        self.calls.append(("rank", count))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.began[count].set()
        try:
            await self.gates[count].wait()
        finally:
            self.under_way -= 1
        return super().rank(queries)

    def open(self, count):
        self.gates[count].set()


class Gate:
    """Holds a sync method until the test opens it."""

    def __init__(self):
        self._began, self._go = threading.Event(), threading.Event()

    def wait(self):
        self._began.set()
        assert self._go.wait(PATIENCE)

    async def reached(self):
        assert await asyncio.to_thread(self._began.wait, PATIENCE)

    def open(self):
        self._go.set()


class Factory:
    """Makes recommenders and keeps them."""

    def __init__(self, kind=Fixed):
        self.kind, self.made = kind, []

    def __call__(self):
        self.made.append(self.kind())
        return self.made[-1]


@contextlib.asynccontextmanager
async def serving(server, factory, **options):
    """A client that serves; it is made to leave at the end, unless it has ended by itself."""
    task = asyncio.create_task(serve_async(factory, "fixed", server=server.address, **options))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
