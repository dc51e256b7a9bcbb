"""What the models of a run took so far, in sums that are carried on from round to round: for those
who ask all the time. The same figures as `account`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recarena.server.errors import InputError
from recarena.server.llm.recorder import FILE, Recorder


@dataclass(frozen=True, slots=True)
class Spent:
    """Sums over a recording. What is not known is None, never 0."""

    calls: int = 0
    """Calls that were paid for, also those of a round that is not committed."""
    cost: float | None = 0.0
    """Of these."""
    input_tokens: int | None = 0
    """Of the decisions of committed rounds; likewise the others."""
    output_tokens: int | None = 0
    failures: int = 0
    """Decisions that could not be read."""


@dataclass(frozen=True, slots=True)
class _Sums:
    calls: int = 0
    cost: float = 0.0
    without_cost: int = 0
    input: int = 0
    output: int = 0
    unknown: int = 0
    failures: int = 0

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.calls + other.calls, self.cost + other.cost,
            self.without_cost + other.without_cost, self.input + other.input,
            self.output + other.output, self.unknown + other.unknown,
            self.failures + other.failures,
        )  # fmt: skip


class Ledger:
    """Of the recording in one run folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._folded, self._sums = 0, _Sums()

    def spent(self, last_round: int) -> Spent:
        """As it stands after a committed round. It takes a query of what is newer than the round
        before it: nothing more is decided or called for in rounds before that one."""
        if not self._file.is_file():
            return Spent()
        try:
            with Recorder(self._file, read_only=True) as recorder:
                if last_round - 1 > self._folded:
                    self._sums += _between(recorder, self._folded + 1, last_round - 1)
                    self._folded = last_round - 1
                now = self._sums + _newer(recorder, self._folded, last_round)
        except InputError:  # it is being replaced, with a run that is reset
            return Spent()
        return Spent(
            now.calls,
            None if now.without_cost else now.cost,
            None if now.unknown else now.input,
            None if now.unknown else now.output,
            now.failures,
        )


_CALLS = (
    "SELECT COUNT(*), COALESCE(SUM(cost), 0), COALESCE(SUM(cost IS NULL), 0) FROM calls "
    "WHERE paid = 1 AND "
)
_DECISIONS = (
    "SELECT COALESCE(SUM(input), 0), COALESCE(SUM(output), 0), "
    "COALESCE(SUM(input IS NULL OR output IS NULL), 0), COUNT(failure) FROM decisions WHERE "
)


def _between(recorder: Recorder, first: int, last: int) -> _Sums:
    """Calls and decisions of some rounds."""
    (calls,) = recorder.rows(_CALLS + "round BETWEEN ? AND ?", first, last)
    (decided,) = recorder.rows(_DECISIONS + "round BETWEEN ? AND ?", first, last)
    return _Sums(*calls, *decided)


def _newer(recorder: Recorder, folded: int, last: int) -> _Sums:
    """Calls outside the rounds 1..folded, decisions outside them up to a round."""
    (before,) = recorder.rows(_CALLS + "round < 1")
    (after,) = recorder.rows(_CALLS + "round > ?", folded)
    (early,) = recorder.rows(_DECISIONS + "round < 1")
    (decided,) = recorder.rows(_DECISIONS + "round > ? AND round <= ?", folded, last)
    return _Sums(*before, *early) + _Sums(*after, *decided)
