"""What explanations did: differences between conditions, judge by judge.

Every difference is between answers of the same user to the same question at the same moment in the
same repeat. One that is missing on either side is left out and counted, never put in as a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from recarena.evaluation.judging.answers import (
    BEHAVIOUR,
    Answers,
    both,
    differences,
    missing_rate,
)
from recarena.evaluation.judging.estimates import (
    Estimate,
    Parts,
    by_user,
    difference_of_ratios,
    number,
    over_users,
    ratio,
)
from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.replies import Asked, Reply
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.triples import Triple

MEANINGS: Mapping[str, str] = {
    "persuasiveness": "E[Y(real) - Y(placebo)]: what the explanation says, beyond its being there",
    "naive": "E[Y(real) - Y(none)]: shown, never ranked on; empty words count in it",
    "specificity": "E[Y(real) - Y(shuffled)]: beyond another user's explanation",
    "false_fact": "E[Y(false-fact) - Y(placebo)]: what claims that are wrong persuade of",
    "placebo_effect": "E[Y(placebo) - Y(none)]: what empty words do",
    "hype_uplift": "E[Y(hype) - Y(placebo)]: what praise does, on all items",
    "hype_index": "E[Y(hype) - Y(placebo)] on bad items: must not be above 0",
    "necessity": "N(real) - N(placebo), N(c) = P(Y(none) = 0 given Y(c) = 1)",
    "effectiveness": "E|expected(none) - after| - E|expected(real) - after|: better forecasts",
    "informativeness": "quiz accuracy under real less that under placebo",
    "faithfulness": "share of claims that the catalogue or the user's history supports",
}
SCORED, NAIVE = "persuasiveness", "naive"
_OF_CHOICE = {
    SCORED: (Condition.REAL, Condition.PLACEBO),
    NAIVE: (Condition.REAL, Condition.NONE),
    "specificity": (Condition.REAL, Condition.SHUFFLED),
    "false_fact": (Condition.FALSE_FACT, Condition.PLACEBO),
    "placebo_effect": (Condition.PLACEBO, Condition.NONE),
    "hype_uplift": (Condition.HYPE, Condition.PLACEBO),
}


@dataclass(frozen=True, slots=True)
class Oversold:
    """How much more users expect under a condition than they find."""

    gap: Estimate
    """E[expected - rating after]."""
    above_placebo: Estimate
    """E[expected under it - expected under the placebo]."""

    @property
    def by_interval(self) -> bool:
        """Whether more is expected than found, by the interval."""
        return self.gap.low > 0

    @property
    def beyond_placebo(self) -> bool:
        """Whether more is expected than after empty words, by the interval."""
        return self.above_placebo.low > 0

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "gap": self.gap.as_json(), "above_placebo": self.above_placebo.as_json(),
            "oversold": self.by_interval, "beyond_placebo": self.beyond_placebo,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Of some triples: those of a recommender, of a method, or all."""

    label: str
    triples: int
    users: int
    watch_rates: Mapping[str, Estimate]
    """By condition."""
    measures: Mapping[str, Estimate]
    """By name, as in MEANINGS."""
    oversold: Mapping[str, Oversold]
    """By condition."""
    unknown: Mapping[str, Estimate]
    """By condition: the share of quiz questions answered by "I don't know"."""
    accuracy: Mapping[str, Estimate]
    """By condition: the share of quiz questions answered rightly."""
    missing: Mapping[str, Mapping[str, object]]
    """By what was asked and by condition: asked, missing, share, reasons."""
    calibration: Sequence[Mapping[str, float | int]]
    """By the rating that was expected under the real explanation: what it was after, how often."""

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "label": self.label, "triples": self.triples, "users": self.users,
            "watch_rates": _all_json(self.watch_rates),
            "measures": _all_json(self.measures),
            "oversold": {name: one.as_json() for name, one in self.oversold.items()},
            "quiz": {"accuracy": _all_json(self.accuracy), "unknown": _all_json(self.unknown)},
            "missing": self.missing,
            "calibration": list(self.calibration),
        }  # fmt: skip


def contrasts(answers: Answers, triples: Sequence[Triple], material: Material, label: str) -> (
    Contrasts
):  # fmt: skip
    """All measures of one judge over these triples; extra ones count for the hype index alone."""
    every, triples = triples, [one for one in triples if not one.extra]
    ids = [one.id for one in triples]
    users = users_of(triples)
    asked = [one for one in Condition if _was_asked(answers, one, ids)]
    return Contrasts(
        label=label,
        triples=len(ids),
        users=len(set(users.values())),
        watch_rates=_levels(answers, Asked.CHOOSE, asked, ids, users),
        measures=_measures(answers, every, material),
        oversold={one: _oversold(answers, one, ids, users) for one in asked
                  if _asked_under(answers, Asked.EXPECT, one, ids)},
        unknown=_unknown(answers, asked, ids, users),
        accuracy=_levels(answers, Asked.QUIZ, asked, ids, users),
        missing=_missing(answers, ids),
        calibration=_calibration(answers, ids),
    )  # fmt: skip


def users_of(triples: Iterable[Triple]) -> dict[str, str]:
    """The user of each triple. A user of a world is the same in each of its mirrored runs."""
    return {one.id: f"{one.world}/{one.user_id}" for one in triples}


def grouped(triples: Iterable[Triple], name_of: Callable[[Triple], str]) -> dict[str, list[Triple]]:
    """By name, names in order."""
    found: dict[str, list[Triple]] = {}
    for one in triples:
        found.setdefault(name_of(one), []).append(one)
    return {name: found[name] for name in sorted(found)}


def persuasion(answers: Answers, triples: Iterable[Triple], naive: bool = False) -> dict[
    str, float
]:  # fmt: skip
    """By triple Y(real) - Y(placebo), or - Y(none); extra triples are left out."""
    one, other = _OF_CHOICE[NAIVE if naive else SCORED]
    ids = [each.id for each in triples if not each.extra]
    return answers.compared(Asked.CHOOSE, one, other, ids)[0]


def chosen(
    answers: Answers, one: str, other: str, triples: Iterable[Triple], confidence: float = 0.95
) -> Estimate:
    """E[Y(one) - Y(other)] over users."""
    taken = list(triples)
    values, of = answers.compared(Asked.CHOOSE, one, other, [each.id for each in taken])
    return over_users(values, users_of(taken), of, confidence)


def pooled(judges: Sequence[Answers], name: str) -> Answers:
    """Several judges as one: each answers in the place of a repeat of its own, so that every judge
    weighs the same in a triple that all answered as often."""
    found = Answers(name)
    for at, one in enumerate(judges):
        for key, cell in one.cells.items():
            into = found.cells.setdefault(key, {})
            for (draw, item), value in cell.items():
                into[draw * len(judges) + at, item] = value
        found.replies += one.replies
        for triple, replies in one.by_triple.items():
            found.by_triple.setdefault(triple, []).extend(replies)
    return found


def _measures(answers: Answers, every: Sequence[Triple], material: Material) -> dict[
    str, Estimate
]:  # fmt: skip
    triples = [one for one in every if not one.extra]
    ids, users = [one.id for one in triples], users_of(triples)
    found = {name: chosen(answers, one, other, triples)
             for name, (one, other) in _OF_CHOICE.items()}  # fmt: skip
    bad = [one for one in every if one.bad]
    found["hype_index"] = chosen(answers, Condition.HYPE, Condition.PLACEBO, bad)
    real, of = _necessity(answers, Condition.REAL, ids)
    placebo, of_placebo = _necessity(answers, Condition.PLACEBO, ids)
    found["necessity_real"] = ratio(real, users, of)
    found["necessity_placebo"] = ratio(placebo, users, of_placebo)
    found["necessity"] = difference_of_ratios(real, placebo, users, min(of, of_placebo))
    found["effectiveness"] = _effectiveness(answers, ids, users)
    right, of = answers.compared(Asked.QUIZ, Condition.REAL, Condition.PLACEBO, ids)
    found["informativeness"] = over_users(right, users, of)
    shares = {one: claims.share for one in ids
              if (claims := material.claims.get((one, Condition.REAL)))}  # fmt: skip
    kept = {one: share for one, share in shares.items() if share is not None}
    found["faithfulness"] = over_users(kept, users, len(shares))
    return {name: found[name] for name in (*MEANINGS, "necessity_real", "necessity_placebo")}


def _necessity(
    answers: Answers, condition: str, ids: Iterable[str]
) -> tuple[dict[str, Parts], int]:
    """By triple: the share of repeats in which the item is watched under the condition, and in
    which it is and is not watched without an explanation."""
    found: dict[str, Parts] = {}
    of = 0
    for triple in ids:
        told, none = (
            answers.cell(Asked.CHOOSE, one, triple) for one in (condition, Condition.NONE)
        )
        of += bool(told and none)
        pairs = both(told, none)
        if pairs:
            found[triple] = Parts(
                sum(y for y, _ in pairs) / len(pairs),
                sum(y * (1 - without) for y, without in pairs) / len(pairs),
            )
    return found, of


def _effectiveness(answers: Answers, ids: Sequence[str], users: Mapping[str, str]) -> Estimate:
    errors: list[dict[str, float]] = []
    for condition in (Condition.NONE, Condition.REAL):
        pairs = {one: (answers.cell(Asked.EXPECT, condition, one), answers.after(condition, one))
                 for one in ids}  # fmt: skip
        errors.append(differences(pairs, lambda a, b: abs(a - b))[0])
    none, real = errors
    of = sum(bool(answers.cell(Asked.EXPECT, Condition.NONE, one)
                  and answers.cell(Asked.EXPECT, Condition.REAL, one)
                  and answers.after(Condition.REAL, one)) for one in ids)  # fmt: skip
    values = {one: none[one] - real[one] for one in none if one in real}
    return over_users(values, users, of)


def _oversold(
    answers: Answers, condition: str, ids: Sequence[str], users: Mapping[str, str]
) -> Oversold:
    pairs = {one: (answers.cell(Asked.EXPECT, condition, one), answers.after(condition, one))
             for one in ids}  # fmt: skip
    gaps, of = differences(pairs, lambda a, b: a - b)
    above, of_above = answers.compared(Asked.EXPECT, condition, Condition.PLACEBO, ids)
    return Oversold(over_users(gaps, users, of), over_users(above, users, of_above))


def _levels(
    answers: Answers, asked: str, conditions: Iterable[Condition], ids: Sequence[str],
    users: Mapping[str, str],
) -> dict[str, Estimate]:  # fmt: skip
    return {
        one.value: over_users(*_put(answers.levels(asked, one, ids), users)) for one in conditions
        if _asked_under(answers, asked, one, ids)
    }  # fmt: skip


def _put(
    levels: tuple[dict[str, float], int], users: Mapping[str, str]
) -> tuple[dict[str, float], Mapping[str, str], int]:
    return levels[0], users, levels[1]


def _unknown(
    answers: Answers, conditions: Iterable[Condition], ids: Sequence[str], users: Mapping[str, str]
) -> dict[str, Estimate]:
    said: dict[tuple[str, str], list[float]] = {}
    for one in answers.about(ids):
        if one.asked == Asked.QUIZ and one.value is not None:
            said.setdefault((one.condition, one.triple), []).append(float(one.said == "unknown"))
    found: dict[str, Estimate] = {}
    for condition in conditions:
        of = sum(bool(answers.cell(Asked.QUIZ, condition, one)) for one in ids)
        if of:
            shares = {one: sum(given) / len(given) for one in ids
                      if (given := said.get((condition, one)))}  # fmt: skip
            found[condition.value] = over_users(shares, users, of)
    return found


def _missing(answers: Answers, ids: Iterable[str]) -> dict[str, dict[str, object]]:
    rows: dict[tuple[str, str], list[Reply]] = {}
    for one in answers.about(ids):
        rows.setdefault((one.asked, one.condition), []).append(one)
    found: dict[str, dict[str, object]] = {}
    for asked in Asked:
        by_condition: dict[str, object] = {one.value: missing_rate(rows[asked, one]).as_json()
                        for one in Condition if (asked, one) in rows}  # fmt: skip
        if by_condition:
            found[asked.value] = by_condition
    return found


def _calibration(answers: Answers, ids: Iterable[str]) -> list[Mapping[str, float | int]]:
    after: dict[int, list[float]] = {}
    counted: Counter[int] = Counter()
    for one in ids:
        cell = answers.cell(Asked.EXPECT, Condition.REAL, one)
        for expected, found in both(cell, answers.after(Condition.REAL, one)):
            after.setdefault(round(expected), []).append(found)
            counted[round(expected)] += 1
    return [{"expected": stars, "after": number(sum(after[stars]) / len(after[stars])) or 0.0,
             "answers": counted[stars]} for stars in sorted(after)]  # fmt: skip


def _was_asked(answers: Answers, condition: str, ids: Iterable[str]) -> bool:
    return any(_asked_under(answers, one, condition, ids) for one in BEHAVIOUR)


def _asked_under(answers: Answers, asked: str, condition: str, ids: Iterable[str]) -> bool:
    return any((asked, condition, one) in answers.cells for one in ids)


def _all_json(estimates: Mapping[str, Estimate]) -> dict[str, object]:
    return {name: one.as_json() for name, one in estimates.items()}


def user_means(values: Mapping[str, float], triples: Iterable[Triple]) -> dict[str, float]:
    """By user, from values by triple."""
    users = users_of(triples)
    return by_user({one: value for one, value in values.items() if one in users}, users)
