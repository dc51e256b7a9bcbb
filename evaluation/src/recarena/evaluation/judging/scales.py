"""What judges said to the statements of a questionnaire, and how far that can be relied on.

Answers to reversed statements are recoded where a construct is scored, and raw where acquiescence
is. One call of a judge (triple, condition, construct, wording, repeat) is one respondent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.judging.answers import Answers, Rate, missing_rate
from recarena.evaluation.judging.contrasts import users_of
from recarena.evaluation.judging.estimates import Estimate, number, over_users
from recarena.evaluation.judging.replies import Reply
from recarena.evaluation.questionnaires.form import Construct, Item, Questionnaire
from recarena.evaluation.statistics.clustered import bootstrap_over_clusters
from recarena.evaluation.statistics.reliability import (
    alpha_of,
    correlations,
    krippendorff,
    retest_of,
)
from recarena.evaluation.statistics.worlds import NAN
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.triples import Triple

Place = tuple[str, str]
"""(triple, condition)."""


RESAMPLES = 200
"""Of users, for the interval of a coefficient."""
SEED = 1
LEAST_ROWS = 2


@dataclass(frozen=True, slots=True)
class Coefficient:
    """Of reliability; NaN where it is not defined, and the ends where there is no interval."""

    value: float
    low: float = NAN
    high: float = NAN

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {"value": number(self.value), "low": number(self.low), "high": number(self.high)}


Rows = Sequence[tuple[str, Sequence[float]]]
"""(user, values)."""
NOTHING = Coefficient(NAN)


@dataclass(frozen=True, slots=True)
class Scale:
    """One construct, as one judge answered it."""

    construct: str
    title: str
    items: int
    by_condition: Mapping[str, Estimate]
    """Means of recoded answers."""
    difference: Estimate
    """Real less placebo."""
    alpha: Coefficient
    """Cronbach's, over calls that answered every item."""
    complete: int
    """Calls that did."""
    icc: Coefficient
    """Of scores over wordings, absolute agreement."""
    krippendorff: float
    """Over repeats of the same statement, on an interval scale; NaN: it cannot be computed."""

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "construct": self.construct, "title": self.title, "items": self.items,
            "by_condition": {name: one.as_json() for name, one in self.by_condition.items()},
            "real_less_placebo": self.difference.as_json(),
            "cronbach_alpha": self.alpha.as_json(), "complete_calls": self.complete,
            "icc_over_wordings": self.icc.as_json(),
            "krippendorff_over_repeats": number(self.krippendorff),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scales:
    """A questionnaire, as one judge answered it."""

    scales: tuple[Scale, ...]
    acquiescence: Estimate
    """(mean of forward + mean of raw reversed) / 2 - middle, constructs weighing the same: above 0
    for who agrees to both. No value without items of both directions."""
    correlations: Mapping[tuple[str, str], float]
    """Between constructs, over (triple, condition); see `_correlations`."""
    checks: int
    """Attention checks that were answered."""
    checks_passed: int
    missing: Rate
    step: float
    """Of the scale, as a share of one from 1 to 5: thresholds in points are multiplied by it."""

    @property
    def attention(self) -> float:
        """Share of checks passed; NaN where none was answered."""
        return self.checks_passed / self.checks if self.checks else NAN

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "constructs": [one.as_json() for one in self.scales],
            "acquiescence": self.acquiescence.as_json(),
            "correlations": [
                {"a": a, "b": b, "correlation": number(value)}
                for (a, b), value in self.correlations.items()
            ],
            "attention_checks": {
                "answered": self.checks, "passed": self.checks_passed,
                "share": number(self.attention),
            },
            "missing": self.missing.as_json(),
        }  # fmt: skip


def scales(
    answers: Answers, questionnaire: Questionnaire, triples: Sequence[Triple],
    resamples: int = RESAMPLES,
) -> Scales:  # fmt: skip
    """All of it over these triples, without answers that a probe was about. Coefficients have
    intervals from so many resamples of users; 0: they have none."""
    wanted = {one.id for one in triples}
    given = {one.id: answers.said_of(questionnaire.of(one.id), wanted)
             for one in questionnaire.constructs}  # fmt: skip
    scored = {name: scores(said, questionnaire, name) for name, said in given.items()}
    checked = answers.said_of(questionnaire.checks, wanted)
    everything = [*(one for said in given.values() for one in said), *checked]
    asked_for = {one.id: one.asked_for for one in questionnaire.checks}
    checks = [one for one in checked if one.value is not None]
    return Scales(
        scales=tuple(
            _scale(given[one.id], questionnaire, one, scored[one.id], triples, resamples)
            for one in questionnaire.constructs
        ),
        acquiescence=_acquiescence(everything, questionnaire, triples),
        correlations=_correlations(scored),
        checks=len(checks),
        checks_passed=sum(one.value == asked_for[one.item] for one in checks),
        missing=missing_rate(everything),
        step=(questionnaire.highest - questionnaire.lowest) / 4,
    )


def each_scale(
    answers: Answers, questionnaire: Questionnaire, triples: Sequence[Triple]
) -> tuple[Scale, ...]:
    """The constructs over these triples, as in `scales`, without intervals of coefficients."""
    wanted = {one.id for one in triples}
    found: list[Scale] = []
    for one in questionnaire.constructs:
        said = answers.said_of(questionnaire.of(one.id), wanted)
        scored = scores(said, questionnaire, one.id)
        found.append(_scale(said, questionnaire, one, scored, triples, 0))
    return tuple(found)


def scores(
    replies: Iterable[Reply], questionnaire: Questionnaire, construct: str
) -> dict[Place, float]:
    """By triple and condition the mean of recoded answers: over repeats and wordings inside an
    item, then over items, so that an item that was answered less often weighs the same."""
    recode = {one.id: questionnaire.recoding(one) for one in questionnaire.of(construct)}
    found: defaultdict[Place, defaultdict[str, list[float]]]
    found = defaultdict(lambda: defaultdict(list))
    for one in replies:
        if one.value is not None and one.item in recode:
            start, sign = recode[one.item]
            found[one.triple, one.condition][one.item].append(start + sign * one.value)
    return {place: _mean([_mean(each) for _, each in sorted(by_item.items())])
            for place, by_item in sorted(found.items())}  # fmt: skip


def between(
    scored: Mapping[Place, float], one: str, other: str, triples: Iterable[Triple], of: int
) -> Estimate:
    """The mean difference of a construct between conditions, over triples with both."""
    users = users_of(triples)
    values = {
        triple: scored[triple, one] - scored[triple, other]
        for triple in users
        if (triple, one) in scored and (triple, other) in scored
    }
    return over_users(values, users, of)


def agreement_over_judges(
    answers: Sequence[Answers], questionnaire: Questionnaire
) -> Mapping[str, float]:
    """By construct Krippendorff's alpha of judges' mean scores of the same explanations; NaN where
    no explanation has two judges."""
    found: dict[str, float] = {}
    for construct in questionnaire.constructs:
        units: dict[Place, list[float]] = {}
        for judge in answers:
            given = judge.said_of(questionnaire.of(construct.id))
            for place, value in scores(given, questionnaire, construct.id).items():
                units.setdefault(place, []).append(value)
        found[construct.id] = _krippendorff(units.values())
    return found


def _scale(
    mine: Sequence[Reply], questionnaire: Questionnaire, construct: Construct,
    scored: Mapping[Place, float], triples: Sequence[Triple], resamples: int,
) -> Scale:  # fmt: skip
    items = questionnaire.of(construct.id)
    users = users_of(triples)
    asked = {(one.triple, one.condition) for one in mine}
    rows = _respondents(mine, items, questionnaire, users)
    return Scale(
        construct=construct.id,
        title=construct.title,
        items=len(items),
        by_condition={
            one.value: over_users(
                {triple: value for (triple, under), value in scored.items() if under == one},
                users,
                sum(under == one for _, under in asked),
            )
            for one in Condition
            if any(under == one for _, under in asked)
        },
        difference=between(
            scored, Condition.REAL, Condition.PLACEBO, triples,
            sum((one, Condition.PLACEBO) in asked for one, under in asked
                if under == Condition.REAL),
        ),
        alpha=_coefficient(rows, alpha_of, resamples),
        complete=len(rows),
        icc=_coefficient(_by_wording(mine, items, questionnaire, users), retest_of, resamples),
        krippendorff=_krippendorff(_by_repeat(mine)),
    )  # fmt: skip


def _coefficient(
    rows: Rows, of: Callable[[NDArray[np.float64]], float], resamples: int
) -> Coefficient:
    """With its interval over users, where there are ten of them."""
    if len(rows) < LEAST_ROWS:
        return NOTHING
    table = np.array([values for _, values in rows], np.float64)
    users = [user for user, _ in rows]
    if not resamples:
        return Coefficient(of(table))
    found = bootstrap_over_clusters(lambda at: of(table[at]), users, SEED, resamples=resamples)
    return Coefficient(found.value, found.low, found.high)


def _respondents(
    given: Iterable[Reply], items: Sequence[Item], questionnaire: Questionnaire,
    users: Mapping[str, str],
) -> Rows:  # fmt: skip
    """Calls x items, recoded; calls without an answer to one of the items are left out."""
    recode = {one.id: questionnaire.recoding(one) for one in items}
    calls: defaultdict[tuple[str, str, int, int], dict[str, float]] = defaultdict(dict)
    for one in given:
        if one.value is not None:
            start, sign = recode[one.item]
            call = calls[one.triple, one.condition, one.draw, one.wording]
            call[one.item] = start + sign * one.value
    whole = sorted((key, call) for key, call in calls.items() if len(call) == len(items))
    return [(users[triple], [call[one.id] for one in items]) for (triple, *_), call in whole]


def _by_wording(
    given: Iterable[Reply], items: Sequence[Item], questionnaire: Questionnaire,
    users: Mapping[str, str],
) -> Rows:  # fmt: skip
    """Explanations x wordings: the mean of recoded answers over items and repeats; those without
    an answer in one of the wordings are left out."""
    recode = {one.id: questionnaire.recoding(one) for one in items}
    found: defaultdict[Place, defaultdict[int, list[float]]]
    found = defaultdict(lambda: defaultdict(list))
    for one in given:
        if one.value is not None:
            start, sign = recode[one.item]
            found[one.triple, one.condition][one.wording].append(start + sign * one.value)
    wordings = sorted({wording for place in found.values() for wording in place})
    return [(users[triple], [_mean(place[one]) for one in wordings])
            for (triple, _), place in sorted(found.items())
            if len(place) == len(wordings)]  # fmt: skip


def _by_repeat(given: Iterable[Reply]) -> list[list[float]]:
    """Statements x repeats."""
    found: defaultdict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for one in given:
        if one.value is not None:
            found[one.triple, one.condition, one.item, one.wording].append(one.value)
    return [unit for _, unit in sorted(found.items())]


def _krippendorff(units: Iterable[Sequence[float]]) -> float:
    """Of units with however many answers each."""
    taken = list(units)
    width = max(map(len, taken), default=0)
    if width < LEAST_ROWS:
        return NAN
    return krippendorff([[*unit, *[NAN] * (width - len(unit))] for unit in taken])


def _acquiescence(
    given: Iterable[Reply], questionnaire: Questionnaire, triples: Sequence[Triple]
) -> Estimate:
    """By triple the mean over constructs that were answered in both directions."""
    by_id = questionnaire.by_id
    raw: dict[str, dict[tuple[str, bool], list[float]]] = {}
    for one in given:
        item = by_id.get(one.item)
        if item is not None and item.construct and one.value is not None:
            directions = raw.setdefault(one.triple, {})
            directions.setdefault((item.construct, item.reversed), []).append(one.value)
    middle = (questionnaire.lowest + questionnaire.highest) / 2
    values: dict[str, float] = {}
    for triple, directions in raw.items():
        leanings = [
            (_mean(directions[one.id, False]) + _mean(directions[one.id, True])) / 2 - middle
            for one in questionnaire.constructs
            if (one.id, False) in directions and (one.id, True) in directions
        ]
        if leanings:
            values[triple] = _mean(leanings)
    return over_users(values, users_of(triples), len(raw))


def _correlations(scored: Mapping[str, Mapping[Place, float]]) -> dict[tuple[str, str], float]:
    """Of explanations' scores within conditions: what conditions do to all constructs alike is
    what the study is about, and no halo. NaN where one of them does not vary."""
    found: dict[tuple[str, str], float] = {}
    for a, b in combinations(scored, 2):
        common = sorted(scored[a].keys() & scored[b].keys())
        both = [_within(scored[one], common) for one in (a, b)]
        found[a, b] = float(correlations(np.array(both, np.float64).T)[0, 1])
    return found


def _within(scored: Mapping[Place, float], places: Sequence[Place]) -> list[float]:
    """Deviations from the mean of their condition."""
    means = {
        condition: _mean([scored[place] for place in places if place[1] == condition])
        for condition in {place[1] for place in places}
    }
    return [round(scored[place] - means[place[1]], 12) for place in places]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
