"""What an entrant is told of how its recommender fared: counts, times and its own errors.

Nothing here says what happened in a hidden world: no user, item, world or round, no rating, and
nobody else's data. Errors are what the recommender itself was told over its session, or said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from recarena.evaluation.runs.conduct import conduct_lines
from recarena.evaluation.runs.events import EventKind, Outcome
from recarena.evaluation.runs.run_log import RunLog

MOST_ERRORS = 5
"""Of each outcome."""
CAUSES = ("unknown", "duplicate", "excluded", "short", "token")


def account_of(logs: Iterable[RunLog]) -> dict[str, Any]:
    """The account of all runs of a submission; without any, of none."""
    pages, causes = Counter[str](), Counter[str]()
    lists, latencies = 0, list[np.ndarray[Any, Any]]()
    conduct: list[Mapping[str, Any]] = []
    for log in logs:
        outcome = log.events.of(EventKind.PAGE).outcome
        for one in Outcome:
            if one is not Outcome.NONE:
                pages[one.name.lower()] += int((outcome == one).sum())
        for name in CAUSES:
            causes[name] += int(np.maximum(getattr(log.works, name), 0).sum())
        lists += int(log.works.lists.sum())
        latencies.append(log.works.latency_ms.astype(np.float64))
        conduct += conduct_lines(log.path)
    times = np.concatenate(latencies) if latencies else np.zeros(0)
    return {
        "lists": lists,
        "pages": dict(pages),
        "items": dict(causes),
        "latency_ms": {
            f"p{percent}": round(float(np.percentile(times, percent)), 1) if len(times) else None
            for percent in (50, 95, 99)
        },
        **_summed(conduct),
        "errors": _errors(conduct),
    }


def _summed(conduct: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    unsolicited, sessions = 0, 0
    endings, dispositions = Counter[str](), Counter[str]()
    for line in conduct:
        unsolicited += int(line["unsolicited"])
        sessions += int(line["sessions"])
        endings.update(line["endings"])
        dispositions.update(line["dispositions"])
    return {
        "sessions": sessions,
        "unsolicited": unsolicited,
        "endings": dict(sorted(endings.items())),
        "dispositions": dict(sorted(dispositions.items())),
    }


def _errors(conduct: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The first of each outcome, each once. Places in a work are left out: they stand for users."""
    found: list[dict[str, str]] = []
    for line in conduct:
        for complaint in line["complaints"]:
            one = {
                "outcome": str(complaint["outcome"]),
                "field": re.sub(r"\[\d+\]", "[]", str(complaint["field"])),
                "text": re.sub(r"\[\d+\]", "[]", str(complaint["text"])),
            }
            of_it = sum(other["outcome"] == one["outcome"] for other in found)
            if one not in found and of_it < MOST_ERRORS:
                found.append(one)
    return found
