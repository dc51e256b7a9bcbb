"""Becomes the program it is given, which (on Linux) gets SIGTERM when its parent is killed.

Run as a script: forking a process that holds gRPC and LanceDB threads is not safe, executing a new
one is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(program: list[str]) -> None:
    """Replaces this process by `program`; never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execv(program[0], program)


if __name__ == "__main__":
    become(sys.argv[1:])
