"""Time on processors: what is left to compare where others use the machine too."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds on processors, all threads, of this process and of the one at the other end."""

    here: float = 0.0
    there: float = 0.0
    """In steps of 10 ms; NaN where the system does not say (anything but Linux)."""

    @classmethod
    def so_far(cls, pid: int | None) -> Cpu:
        """Since the processes began; pid None: there is no other one."""
        return cls(time.process_time(), of_process(pid) if pid else 0.0)

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.here - earlier.here, self.there - earlier.there)

    def __add__(self, other: Cpu) -> Cpu:
        return Cpu(self.here + other.here, self.there + other.there)

    def microseconds_each(self, number: int) -> dict[str, float]:
        """By side, for each of so many things."""
        return {"server": self.here / number * 1e6, "recommender": self.there / number * 1e6}


def of_process(pid: int) -> float:
    """Seconds that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
