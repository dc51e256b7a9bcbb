"""The conditions that explanations are held against each other under."""

from __future__ import annotations

from enum import StrEnum


class Condition(StrEnum):
    """What a user is told about the same item at the same moment."""

    NONE = "none"
    REAL = "real"
    """The recommender's own explanation."""
    PLACEBO = "placebo"
    """Words without content, as long as the real ones."""
    SHUFFLED = "shuffled"
    """Another user's explanation."""
    HYPE = "hype"
    """Praise without facts, as long as the real words."""
    FALSE_FACT = "false-fact"
    """Claims that the catalogue contradicts."""
