"""Memory per user, each number of users in a fresh process (see memory_probe.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import Figure, Target, median, say

PROBE = Path(__file__).with_name("memory_probe.py")
LIMIT = 4096
"""Bytes a user, at the larger number of users."""


def figures(quick: bool) -> Iterator[Figure]:
    """At rest, and at the peak of a round; the figure for fewer users is the baseline."""
    if not Path("/proc/self/clear_refs").exists():
        say("  memory is measured on Linux alone: left out")
        return
    small, large = (200, 2_000) if quick else (10_000, 100_000)
    times = 1 if quick else 3
    few = [probed(small) for _ in range(times)]
    many = [probed(large) for _ in range(times)]
    for name, part in (("memory_per_user", "resting"), ("memory_per_user_peak", "peak")):
        yield Figure(
            name,
            median([one[part] for one in many]),
            "bytes/user",
            median([one[part] for one in few]),
            {
                "baseline": f"{small:,} users",
                "users": large,
                **{key: median([one[key] for one in many]) for key in many[0] if key != part},
            },
            Target("value", "below", LIMIT),
        )


def probed(users: int) -> dict[str, Any]:
    """What the probe finds, in bytes per user."""
    line = [sys.executable, str(PROBE), str(users)]
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE)
    return {part: size / users for part, size in json.loads(done.stdout).items()}
