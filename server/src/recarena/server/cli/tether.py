"""Becomes the program it is given, which (on Linux) ends when its parent is killed.

Run as a script of its own: forking a process that holds gRPC and LanceDB threads is not safe.
"""

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
