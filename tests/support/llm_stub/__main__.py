"""python -m support.llm_stub --mind random|obedient|reader|module:factory --latency 0.2 ...

Prints {"url": ...} when it listens, and ends on SIGTERM, on SIGINT and when stdin closes.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import resource
import signal
import stat
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from support.llm_stub.asking import Mind
from support.llm_stub.inquiries import reader_mind
from support.llm_stub.minds import random_mind
from support.llm_stub.obedient import obedient_mind
from support.llm_stub.server import LlmStub
from support.llm_stub.switches import Switches

MINDS: dict[str, Callable[[int], Mind]] = {
    "random": random_mind, "obedient": obedient_mind, "reader": reader_mind,
}  # fmt: skip
LISTS = ("keys", "models")


def value(text: str) -> Any:
    """As JSON; what is none is a list of words."""
    try:
        found = json.loads(text)
    except ValueError:
        found = text.split(",")
    return tuple(found) if isinstance(found, list) else found


def options() -> argparse.ArgumentParser:
    """One option for each switch; without a value it is on."""
    parser = argparse.ArgumentParser(prog="python -m support.llm_stub", description=__doc__)
    parser.add_argument(
        "--mind", default="random", help="random, obedient, reader or module:factory"
    )
    parser.add_argument("--record-bodies", type=Path)
    for field in fields(Switches):
        names = [f"--{field.name.replace('_', '-')}"]
        names += ["--latency"] if field.name == "latency_s" else []
        names += ["--malformed"] if field.name == "gibberish" else []
        parser.add_argument(
            *names, dest=field.name, type=value, nargs="?", const=True, default=field.default
        )
    return parser


def mind_named(name: str, seed: int) -> Mind:
    if name in MINDS:
        return MINDS[name](seed)
    module, _, factory = name.partition(":")
    return getattr(importlib.import_module(module), factory)(seed)


def when_stdin_closes(stop: Callable[[], object]) -> None:
    """Only a pipe or a socket is somebody who may go."""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def wait() -> None:
        while os.read(0, 4096):
            pass
        stop()

    threading.Thread(target=wait, daemon=True).start()


async def serve(stub: LlmStub) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, ended.set)
    async with stub:
        print(json.dumps({"url": stub.url}), flush=True)
        when_stdin_closes(lambda: loop.call_soon_threadsafe(ended.set))
        await ended.wait()


def main() -> None:
    given = vars(options().parse_args())
    mind, record_bodies = given.pop("mind"), given.pop("record_bodies")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    switches = Switches(**given)
    stub = LlmStub(mind_named(mind, switches.seed), switches, record_bodies=record_bodies)
    asyncio.run(serve(stub))


if __name__ == "__main__":
    main()
