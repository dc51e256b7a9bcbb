"""Memory that the allocator keeps though nobody uses it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim; None with another C library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


def give_back() -> None:
    """Gives free memory back to the system, in milliseconds; does nothing where that cannot be.

    Compacting merges whole tables in several threads, and each thread's heap keeps its high-water
    mark: in a server that lives long they add up.
    """
    if trim := _trim():
        trim(0)
