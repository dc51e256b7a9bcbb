"""What readers have to know of runs that operators steered or people played in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.runs.steering import NAMES, Change, ChangeKind

MOST = 20
"""Interventions that are listed of one run."""


def left_out(log: RunLog, arm: str | None = None) -> NDArray[np.int64]:
    """[rounds]: users of an arm (without one: of all) whose round is in no figure, since people
    played them."""
    if log.with_people:
        return np.zeros(log.rounds, np.int64)
    steering = log.steering
    mine = log.users_of(arm)[steering.user]
    return np.bincount(steering.round[mine], minlength=log.rounds + 1)[1:]


def remarks(logs: Iterable[RunLog]) -> list[str]:
    """What readers of figures of these runs have to know, as sentences; none of runs that nobody
    steered."""
    steered = [log for log in logs if log.steering.changes]
    said = list[str]()
    played = sum(len(log.steering.user) for log in steered)
    kept = sum(len(log.steering.user) for log in steered if log.with_people)
    if played > kept:
        said.append(f"{_user_rounds(played - kept)} played by people {_are(played - kept)} left "
                    "out of all figures of what users do.")  # fmt: skip
    if kept:
        said.append(f"{_user_rounds(kept)} played by people {_are(kept)} in the figures.")
    for log in steered:
        changes = [_sentence(one, log) for one in log.steering.changes]
        more = f"; and {len(changes) - MOST:,} more" if len(changes) > MOST else ""
        said.append(
            f"Run {log.run_id} had interventions, so that it is no plain run of its seed and "
            f"compares with others only as far as these do not matter: "
            f"{'; '.join(changes[:MOST])}{more}."
        )
    return said


def _user_rounds(count: int) -> str:
    return f"{count:,} user-round{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _sentence(change: Change, log: RunLog) -> str:
    """Like "round 4: item added (Solaris)"."""
    known = change.kind in ChangeKind.__members__.values()
    name = NAMES[ChangeKind(change.kind)] if known else f"intervention of kind {change.kind}"
    about = [log.user_ids[change.user]] if 0 <= change.user < len(log.user_ids) else []
    about += [str(log.titles[change.item])] if 0 <= change.item < len(log.titles) else []
    return f"round {change.round}: {name}" + (f" ({', '.join(about)})" if about else "")
