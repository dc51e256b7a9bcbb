"""The leaderboard of a season, from the submissions that count."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recarena.evaluation.hosting.config import BASELINE, Competition
from recarena.evaluation.hosting.ledger import HIDDEN, Status, Submission
from recarena.evaluation.hosting.season import Season
from recarena.evaluation.leaderboard.board import Entrant, Leaderboard, build
from recarena.evaluation.leaderboard.comparing import better_of
from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.runs.run_log import RunLog

FEW = 100
"""Messages that answer nothing which a session may send without being slowed down."""


def ranked(submissions: Iterable[Submission], competition: Competition) -> dict[str, Submission]:
    """By recommender the submission that counts for its place: the latest or the best of those
    that were played in all hidden worlds. Of equals the earlier one is the best."""
    primary = competition.primary
    chosen: dict[str, Submission] = {}
    for one in submissions:
        if one.track != HIDDEN or one.status is not Status.FINISHED:
            continue
        before = chosen.get(one.recommender)
        if (
            before is None
            or competition.ranked == "latest"
            or _score(one, primary) > _score(before, primary)
        ):
            chosen[one.recommender] = one
    return chosen


def logs_in(runs: Path, competition: Competition, one: Submission) -> list[RunLog]:
    """The runs of a submission that have a committed round."""
    worlds = competition.worlds.hidden if one.track == HIDDEN else competition.practice.worlds
    found: list[RunLog] = []
    for number in range(worlds):
        path = runs / one.run_id(number)
        if (path / "manifest.json").is_file():
            log = RunLog.open(path)
            if log.rounds:
                found.append(log)
    return found


def board_of(season: Season, chosen: Mapping[str, Submission]) -> Leaderboard | None:
    """The leaderboard of these submissions; None without any."""
    if not chosen:
        return None
    counted = [one for one in season.ledger if one.track == HIDDEN and one.counted]
    entrants = {
        name: Entrant(
            one.version,
            None if one.baseline else sum(other.recommender == name for other in counted),
        )
        for name, one in chosen.items()
    }
    limits = season.competition.gate
    gate = None
    if (limits.max_p95_ms, limits.max_unusable_rate) != (None, None):
        gate = Gate(limits.max_p95_ms, limits.max_unusable_rate)
    logs = [log for one in chosen.values() for log in logs_in(season.runs, season.competition, one)]
    return build(logs, season.competition.primary, gate, entrants=entrants)


def row_records(board: Leaderboard, chosen: Mapping[str, Submission]) -> list[dict[str, Any]]:
    """Rows as the public sees them, best first: nothing by world, and no world's name."""
    from recarena.evaluation.leaderboard.forms import as_records

    rows: list[dict[str, Any]] = []
    for record in as_records(board):
        name = str(record["recommender"])
        kept = (
            "recommender", "version", "first_place", "last_place", "tied_with", "worlds", "users",
            "confidence", "metrics", "gate", "operations", "submissions",
        )  # fmt: skip
        rows.append(
            {
                **{key: record[key] for key in kept},
                "baseline": name.startswith(BASELINE),
                "conduct": flags_of(chosen[name].report),
                "submission": chosen[name].id,
                "submitted": chosen[name].submitted,
            }
        )
    return rows


class Standings:
    """The leaderboard as the page shows it, worked out again when a submission has ended."""

    def __init__(self, season: Season) -> None:
        self._season = season
        self._of: object = None
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        """What the ranking rests on, in sentences."""

    async def refresh(self) -> None:
        """Reads the runs that count, where they are others than before."""
        chosen = ranked(self._season.ledger, self._season.competition)
        counts = [one.id for one in self._season.ledger if one.track == HIDDEN and one.counted]
        of = [one.id for one in chosen.values()], counts
        if of == self._of:
            return
        board = await asyncio.to_thread(board_of, self._season, chosen)
        self.rows = row_records(board, chosen) if board else []
        self.notes = _notes(board) if board else []
        self._of = of


def _notes(board: Leaderboard) -> list[str]:
    who = " and ".join(sorted({str(mind.get("kind", "unknown")) for mind in board.minds}))
    return [
        f"Users are simulated, under mind {who}: no people. A place holds under this mind and "
        "these worlds.",
        f"± is the 95 % interval over {len(board.played)} hidden worlds; users of one world "
        "influence one another, so that the world is the unit. Places such as 1–2 are ties.",
        *board.warnings,
    ]


def flags_of(account: Mapping[str, Any]) -> list[str]:
    """What a recommender did against the rules, in a few words each."""
    pages, items = account.get("pages", {}), account.get("items", {})
    dispositions, endings = account.get("dispositions", {}), account.get("endings", {})
    shown = sum(pages.values())
    found = [
        f"{name} {count / shown:.1%}"
        for name in ("late", "rejected", "failed", "lost")
        if (count := pages.get(name, 0))
    ]
    for name, words in (
        ("unknown", "unknown ids"), ("duplicate", "repeated items"), ("excluded", "excluded items"),
        ("short", "short lists"),
    ):  # fmt: skip
        if count := items.get(name, 0):
            found.append(f"{words} {count:,}")
    if count := dispositions.get("DUPLICATE", 0):
        found.append(f"answered twice {count:,}")
    if (count := account.get("unsolicited", 0)) > FEW:
        found.append(f"floods: {count:,} messages that answer nothing")
    found += [f"{name.lower().replace('_', ' ')} {count}" for name, count in endings.items()]
    return found


def _score(one: Submission, primary: str) -> float:
    value = one.scores.get(primary)
    return -math.inf if value is None else value * better_of(primary)
