"""What recommenders did against the rules, from the conduct.jsonl of runs (docs/run-folder.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "conduct.jsonl"


@dataclass(frozen=True, slots=True)
class Conduct:
    """Of one recommender, over several runs."""

    software: tuple[str, ...]
    """What it said of itself, each once."""
    sessions: int
    unsolicited: int
    """Messages that answered nothing; large ones count for more."""
    endings: Mapping[str, int]
    """Sessions that did not end as they should, by reason: FLOODED, QUARANTINED, ..."""
    dispositions: Mapping[str, int]
    """Answers that nothing waited for: LATE, DUPLICATE, UNKNOWN_WORK."""
    complaints: tuple[str, ...]
    """What it was told was wrong, each once, as `outcome: text`."""


def conduct_of(runs: Iterable[Path]) -> dict[str, Conduct]:
    """By recommender; without those of which nothing is written."""
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        for line in conduct_lines(run):
            lines.setdefault(str(line.get("recommender")), []).append(line)
    return {name: _summed(of_it) for name, of_it in lines.items()}


def conduct_lines(run: Path) -> Iterable[Mapping[str, Any]]:
    """The lines of a run's conduct.jsonl; none where no recommender ever came. A line that is cut
    off (the server was killed while it wrote) is passed over."""
    path = run / FILE
    if not path.is_file():
        return
    for text in path.read_text("utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _summed(lines: Iterable[Mapping[str, Any]]) -> Conduct:
    endings, dispositions = Counter[str](), Counter[str]()
    software, complaints = dict[str, None](), dict[str, None]()
    sessions = unsolicited = 0
    for line in lines:
        sessions += int(line.get("sessions", 0))
        unsolicited += int(line.get("unsolicited", 0))
        endings.update(line.get("endings") or {})
        dispositions.update(line.get("dispositions") or {})
        software[str(line.get("software") or "")] = None
        for one in line.get("complaints") or ():
            complaints[f"{one.get('outcome')}: {one.get('text')}"] = None
    software.pop("", None)
    return Conduct(
        tuple(software), sessions, unsolicited, dict(sorted(endings.items())),
        dict(sorted(dispositions.items())), tuple(complaints),
    )  # fmt: skip
