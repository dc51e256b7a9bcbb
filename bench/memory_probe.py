"""Finds what a world of so many users takes, in a process of its own: JSON on stdout, in bytes.

Growth is counted from a process that has already played a small world, so that code and the
libraries' own memory are not put down to users.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from choice import InProcess

ROUNDS = 3
KIB = 1024


def main(users: int) -> None:
    """Makes a world, plays it, and says what stayed and what was needed meanwhile."""
    InProcess(200).play(2)
    at_first = resident()
    forget_peak()
    run = InProcess(users)
    made = resident()
    making = peak()
    run.results.clear()
    forget_peak()
    highest = 0
    for _ in range(ROUNDS):
        run.play()
        highest = max(highest, peak())
        run.results.clear()
    print(
        json.dumps(
            {
                "resting": resident() - at_first,
                "peak": highest - at_first,
                "before_round_1": made - at_first,
                "peak_of_making": making - at_first,
                "arrays": array_bytes(run.world),
                "strings": string_bytes(run.world.data),
            }
        )
    )


def resident() -> int:
    """Bytes of this process in memory, after all that is free was given back."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
    return status("VmRSS")


def peak() -> int:
    """The most bytes in memory since `forget_peak`."""
    return status("VmHWM")


def forget_peak() -> None:
    """Counts the peak from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def status(name: str) -> int:
    """A size from the process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * KIB


def array_bytes(root: object) -> int:
    """Bytes of all numpy arrays that an object holds, each counted once: the floor."""
    owners: dict[int, int] = {}
    for one in held(root):
        if isinstance(one, np.ndarray):
            owner = one if one.base is None else one.base
            owners[id(owner)] = getattr(owner, "nbytes", one.nbytes)
    return sum(owners.values())


def string_bytes(root: object) -> int:
    """Bytes of all strings that an object holds, each counted once, without their lists."""
    return sum({id(one): sys.getsizeof(one) for one in held(root) if isinstance(one, str)}.values())


def held(root: object) -> list[Any]:
    """All that can be reached through attributes, dicts, lists and tuples."""
    seen: dict[int, Any] = {}
    waiting: list[Any] = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen[id(one)] = one
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, (list, tuple, set)):
            waiting.extend(one)
        elif type(one).__module__.startswith("recarena."):
            waiting.extend(getattr(one, "__dict__", {}).values())
            names = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
            waiting.extend(getattr(one, name) for name in names if hasattr(one, name))
    return list(seen.values())


if __name__ == "__main__":
    main(int(sys.argv[1]))
