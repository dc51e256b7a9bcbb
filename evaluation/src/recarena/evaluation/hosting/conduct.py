"""What entrants did against the rules in a season: in their runs, and in what they asked for."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recarena.evaluation.hosting.account import account_of
from recarena.evaluation.hosting.ledger import Submission
from recarena.evaluation.hosting.refusals import FILE as REFUSED
from recarena.evaluation.hosting.standing import flags_of
from recarena.evaluation.playing.mirrored import Conduct
from recarena.evaluation.runs.conduct import conduct_lines
from recarena.evaluation.runs.run_log import RunLog

AUDIT = "audit.jsonl"
REFUSALS = ("PERMISSION_DENIED", "NOT_FOUND")
"""How calls end by which a recommender asks for what it may not have."""


def conduct_records(
    logs: Mapping[str, Iterable[RunLog]], runs: Path, folder: Path
) -> list[dict[str, Any]]:
    """A record for each recommender, by name: what happened in its runs, which calls it was
    refused, and `flags`, the same in a few words; no flags: it kept to the rules.

    `logs`: all its runs. `runs`: the folder with the gRPC server's audit.jsonl. `folder`: the
    season's.
    """
    refused = refused_calls(runs, folder)
    records: list[dict[str, Any]] = []
    for name in sorted({*logs, *refused}):
        account = account_of(logs.get(name, ()))
        calls = dict(sorted(refused[name].items()))
        flags = flags_of(account)
        if calls:
            asked = ", ".join(f"{what} {count}" for what, count in calls.items())
            flags.append(f"asked for what it may not have: {asked}")
        records.append({"recommender": name, **account, "refused_calls": calls, "flags": flags})
    return records


def refused_calls(runs: Path, folder: Path) -> dict[str, Counter[str]]:
    """By recommender the calls that it was refused, over gRPC and over HTTP. Both logs leave out
    what one caller tries too often, so that these are at least so many."""
    found: dict[str, Counter[str]] = defaultdict(Counter[str])
    for line in _lines(runs / AUDIT):
        caller = line.get("caller") or {}
        if caller.get("role") == "recommender" and line.get("code") in REFUSALS:
            found[str(caller["name"])][str(line["method"]).rpartition("/")[2]] += 1
    for line in _lines(folder / REFUSED):
        if line.get("role") == "recommender":
            found[str(line["name"])][str(line["what"])] += 1
    return found


def conduct_of_run(run: Path, recommender: str) -> Conduct:
    """As results of competitions have it for each run."""
    lines = [one for one in conduct_lines(run) if one["recommender"] == recommender]
    return Conduct(
        software=str(lines[-1]["software"]) if lines else "",
        unsolicited=sum(int(one["unsolicited"]) for one in lines),
        quarantined=sum(int(one["endings"].get("QUARANTINED", 0)) for one in lines),
    )


def by_recommender(submissions: Iterable[Submission]) -> dict[str, list[Submission]]:
    """Submissions that were played, by recommender."""
    found: dict[str, list[Submission]] = defaultdict(list[Submission])
    for one in submissions:
        if one.counted:
            found[one.recommender].append(one)
    return found


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """The JSON objects of a file; a line that a crash left half written is passed over."""
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
