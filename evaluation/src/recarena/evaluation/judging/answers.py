"""The answers of one judge, to be looked up. A missing answer is never a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from recarena.evaluation.judging.estimates import number
from recarena.evaluation.judging.replies import Asked, Probe, Reply
from recarena.evaluation.questionnaires.form import Item
from recarena.evaluation.stimuli.conditions import Condition

BEHAVIOUR = (Asked.CHOOSE, Asked.EXPECT, Asked.RATE, Asked.QUIZ)
NOT_ABLE = "NOT_ABLE"
Key = tuple[int, str]
"""(draw, id of the quiz question or "")."""
Cell = Mapping[Key, "float | None"]


@dataclass(frozen=True, slots=True)
class Rate:
    """How many answers are missing, and why."""

    asked: int
    missing: int
    reasons: Mapping[str, int]

    @property
    def share(self) -> float | None:
        """None where nothing was asked."""
        return self.missing / self.asked if self.asked else None

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "asked": self.asked, "missing": self.missing,
            "share": number(self.share), "reasons": dict(sorted(self.reasons.items())),
        }  # fmt: skip


def missing_rate(replies: Iterable[Reply]) -> Rate:
    """Of these replies. What a judge is not able to answer was not asked of it."""
    asked, reasons = 0, Counter[str]()
    for one in replies:
        if one.value is None and one.missing == NOT_ABLE:
            continue
        asked += 1
        if one.value is None:
            reasons[one.missing or "UNKNOWN"] += 1
    return Rate(asked, sum(reasons.values()), reasons)


@dataclass(slots=True)
class Answers:
    """What one judge, or several as one, answered about behaviour."""

    judge: str
    cells: dict[tuple[str, str, str], dict[Key, float | None]] = field(
        default_factory=dict[tuple[str, str, str], dict[Key, "float | None"]]
    )
    """By (asked, condition, triple)."""
    replies: list[Reply] = field(default_factory=list[Reply])
    by_triple: dict[str, list[Reply]] = field(default_factory=dict[str, list[Reply]])
    by_item: dict[str, list[Reply]] = field(default_factory=dict[str, list[Reply]])
    """Answers to a statement that no probe was about, by the questionnaire's item."""
    statements: list[Reply] = field(default_factory=list[Reply])
    """All answers to statements, probes included."""

    @classmethod
    def of(cls, judge: str, replies: Iterable[Reply]) -> Answers:
        """Of all replies those of this judge."""
        found = cls(judge)
        for one in replies:
            if one.judge != judge:
                continue
            found.replies.append(one)
            found.by_triple.setdefault(one.triple, []).append(one)
            if one.asked == Asked.STATEMENT:
                found.statements.append(one)
                if one.probe == Probe.NONE:
                    found.by_item.setdefault(one.item, []).append(one)
            if one.asked in BEHAVIOUR and one.probe == Probe.NONE:
                cell = found.cells.setdefault((one.asked, one.condition, one.triple), {})
                cell[one.draw, one.item] = one.value
        return found

    def said_of(self, items: Iterable[Item], triples: Container[str] | None = None) -> list[Reply]:
        """Answers to these statements that no probe was about, of these triples or all."""
        return [
            one
            for item in items
            for one in self.by_item.get(item.id, ())
            if triples is None or one.triple in triples
        ]

    def about(self, triples: Iterable[str]) -> Iterator[Reply]:
        """All answers on these triples."""
        for triple in triples:
            yield from self.by_triple.get(triple, ())

    @property
    def takes_statements(self) -> bool:
        """Whether the judge was asked to agree or disagree, and is able to."""
        return any(one.value is not None or one.missing != NOT_ABLE for one in self.statements)

    def cell(self, asked: str, condition: str, triple: str) -> Cell:
        """All that was asked there, answered or not."""
        return self.cells.get((asked, condition, triple), {})

    def mean(self, asked: str, condition: str, triple: str) -> float | None:
        """Over repeats that were answered; None: none was."""
        return _mean(self.cell(asked, condition, triple).values())

    def after(self, condition: str, triple: str) -> Cell:
        """Ratings after watching: those of the same condition where it was asked, else those of
        users who had been told nothing. Where it was asked once, it stands beside every repeat of
        what was expected."""
        own = self.cell(Asked.RATE, condition, triple)
        own = own or self.cell(Asked.RATE, Condition.NONE, triple)
        if len(own) != 1:
            return own
        (only,) = own.values()
        return dict.fromkeys(self.cell(Asked.EXPECT, condition, triple), only)

    def compared(
        self, asked: str, one: str, other: str, triples: Iterable[str]
    ) -> tuple[dict[str, float], int]:
        """By triple the mean over repeats of (one condition less the other), a repeat having to be
        answered under both; and how many triples were asked under both."""
        pairs = {triple: (self.cell(asked, one, triple), self.cell(asked, other, triple))
                 for triple in triples}  # fmt: skip
        return differences(pairs, lambda a, b: a - b)

    def agreement(
        self, conditions: Iterable[str], triples: Iterable[str]
    ) -> tuple[dict[str, float], int]:
        """By triple how far any two answers to choosing, repeats under any of these conditions,
        agree beyond what answers of all triples would: 1 where each triple's are alike, about 0
        where a triple's are no more alike than all. And how many triples were asked twice.

        The mean over the triple's pairs of (y - m)(y' - m) / v, m and v the mean and the variance
        of all answers. No triple has a value where all answers are alike.
        """
        under = tuple(conditions)
        cells = {one: [value for condition in under
                       for value in self.cell(Asked.CHOOSE, condition, one).values()]
                 for one in triples}  # fmt: skip
        asked = {one: cell for one, cell in cells.items() if len(cell) > 1}
        given = {one: [value for value in cell if value is not None]
                 for one, cell in asked.items()}  # fmt: skip
        every = [value for values in given.values() for value in values]
        middle = sum(every) / len(every) if every else 0.0
        spread = sum((value - middle) ** 2 for value in every)
        if not spread:
            return {}, len(asked)
        found: dict[str, float] = {}
        for one, values in given.items():
            off = [value - middle for value in values]
            if len(off) > 1:
                products = sum(off) ** 2 - sum(value**2 for value in off)
                found[one] = products / (len(off) * (len(off) - 1)) * len(every) / spread
        return found, len(asked)

    def levels(
        self, asked: str, condition: str, triples: Iterable[str]
    ) -> tuple[dict[str, float], int]:
        """By triple the mean over repeats under a condition; and how many triples were asked."""
        found: dict[str, float] = {}
        of = 0
        for triple in triples:
            cell = self.cell(asked, condition, triple)
            of += bool(cell)
            mean = _mean(cell.values())
            if mean is not None:
                found[triple] = mean
        return found, of


def differences(
    pairs: Mapping[str, tuple[Cell, Cell]], less: Callable[[float, float], float]
) -> tuple[dict[str, float], int]:
    """By triple the mean of `less` over repeats that both cells answer; and how many triples were
    asked in both."""
    found: dict[str, float] = {}
    of = 0
    for triple, (one, other) in pairs.items():
        of += bool(one and other)
        mean = _mean([less(a, b) for a, b in both(one, other)])
        if mean is not None:
            found[triple] = mean
    return found, of


def both(one: Cell, other: Cell) -> list[tuple[float, float]]:
    """Answers to the same question of the same repeat, where both are answered."""
    found: list[tuple[float, float]] = []
    for key, a in one.items():
        b = other.get(key)
        if a is not None and b is not None:
            found.append((a, b))
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    given = [one for one in values if one is not None]
    return sum(given) / len(given) if given else None
