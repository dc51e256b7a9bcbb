"""A recommender that misbehaves as it is told: `python misbehaving.py --list` explains how.

It dials in, serves run after run, and comes back where its stream breaks. See README.md.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from misdeeds import Misbehaving, die
from recommender import say
from switches import Faults, listing, parsed
from wire import Door, Ending, Stream

REFUSED = ("INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED")
"""Coming back changes nothing."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
OF_WORKS = ("work", "outcome", "cancelled", "feedback", "round", "unsent")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program: 0 where it left in good order, 1 where the server will not have it."""
    given, faults = parsed(arguments)
    try:
        if given.list:
            sys.stdout.write(listing() + "\n")
            sys.stdout.flush()
            return 0
        return asyncio.run(live(given, faults))
    except BrokenPipeError:  # who read it has read enough, and Python would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


async def live(given: Namespace, faults: Faults) -> int:
    """Serves until its time is over, or until SIGINT or SIGTERM."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for asked in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(asked, task.cancel)
    one = Misbehaving(
        given.id, faults,
        instance=given.instance, columnar=given.columnar, resume=not given.no_resume,
        tell=say_little if given.quiet else say,
    )  # fmt: skip
    door = Door(given.server, given.token, given.tls_ca)
    if faults.die_every is not None:
        loop.call_later(faults.die_every, die)
    try:
        async with asyncio.timeout(given.seconds):
            return await come_and_go(one, door, given)
    except (TimeoutError, asyncio.CancelledError):
        return 0


async def come_and_go(one: Misbehaving, door: Door, given: Namespace) -> int:
    """Session after session; the exit code."""
    pause = SHORTEST_PAUSE_S
    while True:
        async with door.channel() as channel:
            stream = Stream(channel, door.metadata)
            try:
                ending = await one.serve(stream)
            finally:
                stream.hang_up()
        say(event="ended", code=ending.code, reason=ending.reason, text=ending.text)
        if given.once:
            return 0
        if is_final(ending) and not given.stubborn:
            return 1
        if ending.code == "OK":
            pause = SHORTEST_PAUSE_S
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)


def is_final(ending: Ending) -> bool:
    """Whether a recommender in its right mind would stay away."""
    return ending.code in REFUSED or ending.reason in ("QUARANTINED", "INCOMPATIBLE", "FENCED")


def say_little(**line: Any) -> None:
    """Says what is not of single works."""
    if line["event"] not in OF_WORKS:
        say(**line)


if __name__ == "__main__":
    sys.exit(main())
