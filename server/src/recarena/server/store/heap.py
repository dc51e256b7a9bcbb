"""What the C library's allocator keeps of memory that nobody uses any more."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

M_MMAP_THRESHOLD = -3
LARGE_BYTES = 4 * 1024 * 1024
"""From which on memory is mapped by itself, and so returned when it is freed. glibc's own threshold
grows with what is freed, up to 32 MiB; a small one costs the choice mind, which works on columns of
some hundred kilobytes, a third of its speed (128 KiB), this one nothing that could be measured."""


@cache
def _function(name: str) -> Callable[..., int] | None:
    """A function of glibc; None with another C library."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None


def return_large_blocks() -> None:
    """From now on large blocks go back to the system as soon as they are freed; does nothing where
    that cannot be.

    Compacting reads whole tables in several threads. Kept in the threads' heaps, its buffers are
    torn to pieces by small blocks among them: memory would grow with every compaction.
    """
    if option := _function("mallopt"):
        option(M_MMAP_THRESHOLD, LARGE_BYTES)


def give_back() -> None:
    """Gives free memory back to the system, in milliseconds; does nothing where that cannot be."""
    if trim := _function("malloc_trim"):
        trim(0)
