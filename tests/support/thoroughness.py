"""How much is tried where more trials only make a test surer.

`RECARENA_THOROUGH=1` tries what CI does: five times the mutated messages, twenty kills instead of
eight, every conformance case with every language. On two cores the suite takes half an hour either
way: most of it goes to real processes, browsers and languages.
"""

from __future__ import annotations

import os

THOROUGH = os.environ.get("RECARENA_THOROUGH") == "1"


def thorough(trials: int, *, otherwise: int) -> int:
    """The number of trials: `trials` where it is to be thorough."""
    return trials if THOROUGH else otherwise
