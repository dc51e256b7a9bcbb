"""What goes wrong in a bridge.

BridgeError             one line of text each
├── MappingError        the mapping cannot be used; it names the file and the key
└── ServiceFailed       the HTTP service gave no usable answer; it names method, path and status
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BridgeError(Exception):
    """Base of all errors that the bridge raises on purpose."""


class MappingError(BridgeError):
    """A mapping that cannot be used."""


class ServiceFailed(BridgeError):
    """A request that came to nothing. What it was for fails, and nothing else."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that is not known."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}"
