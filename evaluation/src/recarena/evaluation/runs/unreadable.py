"""What every folder that is not what it should be has in common."""

from __future__ import annotations


class Unreadable(Exception):
    """A folder is not what was asked for, or cannot be read as it; the text is one line that ends
    with the remedy."""


class UnreadableRun(Unreadable):
    """A folder cannot be read as a run."""
