"""What has to hold before a judge's numbers are published.

Two families: what judges do (a ranking by persuasiveness needs these), and what they say to
statements (a ranking by a questionnaire needs both). A gate that cannot be assessed is not passed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from recarena.evaluation.judging.answers import BEHAVIOUR, Answers, Rate, missing_rate
from recarena.evaluation.judging.contrasts import chosen, users_of
from recarena.evaluation.judging.estimates import (
    Estimate,
    by_user,
    over_users,
    users_needed,
)
from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.probes import Probes
from recarena.evaluation.judging.replies import Asked
from recarena.evaluation.judging.scales import Coefficient, Scales
from recarena.evaluation.judging.standing import Family, Gate, Gates, Outcome
from recarena.evaluation.statistics.equivalence import equivalence
from recarena.evaluation.statistics.worlds import NAN
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.triples import Triple

MARGIN = 0.05
"""Of the placebo: what is inside is nothing."""
ONE_SIDED = 0.90
"""Confidence of a two-sided interval each of whose ends errs in 5 %: that of TOST."""
MOST_MISSING = 0.10
LEAST_ALPHA = 0.70
LEAST_ICC = 0.60
LEAST_KRIPPENDORFF = 0.667
MOST_ACQUIESCENCE = 0.25
MOST_CORRELATION = 0.79
LEAST_ATTENTION = 0.90
MOST_SHIFT = 0.25
MOST_FLIPS = 0.20
ROUNDING = 1e-9
"""Values that are at a threshold but for what binary fractions add are at it."""
CLAIMING = "triples whose real explanation claims what the catalogue supports"
UNCLAIMED = (
    "no real explanation carries a claim that the catalogue supports: have the recommender send "
    "evidence, or name genres in its words"
)
MORE = "play longer, with more users, or beside a recommender that shows some, such as content"


def gates(answers: Answers, material: Material, scales: Scales | None, probes: Probes) -> Gates:
    """Of one judge, over all triples of the study."""
    asked = answers.takes_statements and scales is not None
    of_statements = tuple(_questionnaire(scales, probes)) if asked and scales else ()
    return Gates(answers.judge, (*_behaviour(answers, material), *of_statements), asked)


def _behaviour(answers: Answers, material: Material) -> Iterable[Gate]:
    triples = [one for one in material.triples if not one.extra]
    bare = _bare(Family.BEHAVIOUR)
    yield _placebo(answers, triples, bare)
    yield _steady(answers, triples, bare)
    claiming = [one for one in triples if material.has_claims(one.id)]
    yield _truth(answers, claiming, bare)
    yield _order(answers, claiming, material, bare)
    yield _hype(answers, [one for one in material.triples if one.bad], bare)
    asked = [one for one in answers.replies if one.asked in BEHAVIOUR]
    yield _missing(bare("missing-behaviour"), missing_rate(asked))


def _placebo(answers: Answers, triples: Sequence[Triple], bare: Callable[[str], Gate]) -> Gate:
    ids, users = [one.id for one in triples], users_of(triples)
    values, of = answers.compared(Asked.CHOOSE, Condition.PLACEBO, Condition.NONE, ids)
    found = over_users(values, users, of, ONE_SIDED)
    gate = replace(
        bare("placebo-is-nothing"),
        meaning="Empty words do not make anybody watch, nor keep anybody from it",
        threshold=f"placebo − none inside ±{MARGIN:.2f} (two one-sided tests at 5 %)",
        limit=MARGIN,
    )
    if not found.bounded:
        return _unassessed(gate, found, "ask under placebo and none, of at least two users")
    means = by_user(values, users)
    inside = equivalence(list(means.values()), list(means), MARGIN).equivalent
    wide = found.high - found.low >= 2 * MARGIN
    said = "inside" if inside else (
        "too wide an interval: more users are needed" if wide else "outside")  # fmt: skip
    return _assessed(gate, found, inside, said)


def _steady(answers: Answers, triples: Sequence[Triple], bare: Callable[[str], Gate]) -> Gate:
    """Against dice, which pass one gate in so many by chance: users and items have to differ by
    more than repeats do."""
    gate = replace(
        bare("not-dice"),
        meaning="Asked again, without an explanation or with empty words, the same users watch the "
        "same items",
        threshold="agreement of repeats beyond chance above 0 (lower end of the interval)",
        limit=0.0,
    )
    values, of = answers.agreement((Condition.NONE, Condition.PLACEBO), [one.id for one in triples])
    found = over_users(values, users_of(triples), of)
    if not found.bounded:
        return _unassessed(
            gate, found, "ask under placebo and none, of two users who do not all do the same"
        )
    said = "above 0" if found.low > 0 else "not told apart from chance"
    return _assessed(gate, found, found.low > 0, said)


def _truth(answers: Answers, claiming: Sequence[Triple], bare: Callable[[str], Gate]) -> Gate:
    """The ends of the order, told apart."""
    gate = replace(
        bare("real-above-false"),
        meaning=f"The recommender's own explanation persuades more than false claims ({CLAIMING})",
        threshold="real − false-fact above 0 (lower end of the interval)",
        limit=0.0,
    )
    if not claiming:
        return _unassessed(gate, None, UNCLAIMED)
    found = chosen(answers, Condition.REAL, Condition.FALSE_FACT, claiming)
    if not found.bounded:
        return _unassessed(gate, found, "ask under real and false-fact, of at least two users")
    if found.low > 0:
        return _assessed(gate, found, True, "above 0")
    ids = [each.id for each in claiming]
    values, _ = answers.compared(Asked.CHOOSE, Condition.REAL, Condition.FALSE_FACT, ids)
    need = users_needed(values, users_of(claiming))
    said = "not above 0" if need is None else (
        f"not told apart from 0; if the difference is as it looks, about {need} users tell it "
        f"({found.users} here)")  # fmt: skip
    return _assessed(gate, found, False, said)


def _order(
    answers: Answers, claiming: Sequence[Triple], material: Material, bare: Callable[[str], Gate]
) -> Gate:
    """The steps between the ends, by their means: the smaller one decides."""
    gate = replace(
        bare("order"),
        meaning="Real explanations persuade more than another user's, and those more than false "
        f"claims ({CLAIMING}; another user's where it claims less that holds)",
        threshold="real − shuffled and shuffled − false-fact above 0, by their means",
        limit=0.0,
    )
    if not claiming:
        return _unassessed(gate, None, UNCLAIMED)
    lesser = [one for one in claiming if material.claims_less(one.id)]
    steps = {
        "real − shuffled": chosen(answers, Condition.REAL, Condition.SHUFFLED, lesser),
        "shuffled − false-fact": chosen(
            answers, Condition.SHUFFLED, Condition.FALSE_FACT, claiming
        ),
    }
    gate = replace(gate, parts={name: one.mean for name, one in steps.items()})
    if not all(one.bounded for one in steps.values()):
        one = next(one for one in steps.values() if not one.bounded)
        return _unassessed(gate, one, "ask under real, shuffled and false-fact, of two users to "
                           "whom another user's explanation claims less that holds")  # fmt: skip
    name = min(steps, key=lambda step: steps[step].mean)
    found = steps[name]
    if found.mean > ROUNDING:
        return _assessed(gate, found, True, f"smaller step: {name}")
    said = f"smaller step: {name}, over {found.users} users"
    if found.high > 0:
        said += ", not told apart from 0; more triples would tell"
    return _assessed(gate, found, False, said)


def _hype(answers: Answers, bad: Sequence[Triple], bare: Callable[[str], Gate]) -> Gate:
    gate = replace(
        bare("hype-on-bad-items"),
        meaning="Praise without facts talks nobody into items that are known to be bad",
        threshold="hype − placebo on bad items not above 0 (lower end of the interval at most 0)",
        limit=0.0,
    )
    if not bad:
        return _unassessed(gate, None, f"no item that was shown is known to be bad: {MORE}")
    found = chosen(answers, Condition.HYPE, Condition.PLACEBO, bad)
    if not found.bounded:
        return _unassessed(
            gate, found, f"fewer than two users were shown bad items with an explanation: {MORE}"
        )
    passed = found.low <= 0
    return _assessed(gate, found, passed, "not above 0" if passed else "oversells bad items")


def _missing(gate: Gate, rate: Rate) -> Gate:
    gate = replace(
        gate,
        meaning="Few answers are missing: those that are may be missing for a reason",
        threshold=f"at most {100 * MOST_MISSING:.0f} % missing",
        limit=MOST_MISSING,
    )
    if rate.share is None:
        return _unassessed(gate, None, "nothing was asked")
    why = ", ".join(f"{count} {reason.lower()}" for reason, count in sorted(rate.reasons.items()))
    said = f"{rate.missing} of {rate.asked}" + (f" ({why})" if why else "")
    return _plain(gate, rate.share, said, at_most=MOST_MISSING)


def _questionnaire(scales: Scales, probes: Probes) -> Iterable[Gate]:
    bare = _bare(Family.QUESTIONNAIRE)
    every = scales.scales
    yield _worst(
        replace(bare("cronbach"), meaning="Items of one construct measure the same",
                threshold=f"Cronbach's α at least {LEAST_ALPHA:.2f} in every construct",
                limit=LEAST_ALPHA),
        {one.construct: one.alpha for one in every if one.items > 1},
        "have constructs of two items or more answered by two users whose answers differ",
    )  # fmt: skip
    yield _worst(
        replace(bare("paraphrases"), meaning="Other words for the same get the same answer",
                threshold=f"ICC over wordings at least {LEAST_ICC:.2f} in every construct",
                limit=LEAST_ICC),
        {one.construct: one.icc for one in every},
        "ask every statement in two wordings, of two users whose answers differ",
    )  # fmt: skip
    yield _worst(
        replace(bare("repeats"), meaning="Asked again in a fresh context, the answer is the same",
                threshold=f"Krippendorff's α over repeats at least {LEAST_KRIPPENDORFF} in every "
                          "construct (our threshold)",
                limit=LEAST_KRIPPENDORFF),
        {one.construct: Coefficient(one.krippendorff) for one in every},
        "repeat every question at least twice, of users whose answers differ",
    )  # fmt: skip
    yield _acquiescence(scales, bare)
    yield _halo(scales, bare)
    yield _attention(scales, bare)
    yield from _sycophancy(probes, scales.step, bare)
    yield _missing(bare("missing-statements"), scales.missing)


def _acquiescence(scales: Scales, bare: Callable[[str], Gate]) -> Gate:
    limit = MOST_ACQUIESCENCE * scales.step
    gate = replace(
        bare("acquiescence"), meaning="Nobody agrees whatever is said: statements and their "
        "opposites balance around the middle of the scale",
        threshold=f"|(forward + reversed, raw) / 2 − middle| at most {limit:.2f}", limit=limit,
    )  # fmt: skip
    found = scales.acquiescence
    if math.isnan(found.mean):
        return _unassessed(gate, found, "ask statements in both directions of one construct")
    return _assessed(gate, found, abs(found.mean) <= limit + ROUNDING, "points from the middle")


def _halo(scales: Scales, bare: Callable[[str], Gate]) -> Gate:
    gate = replace(
        bare("halo"), meaning="Constructs are told apart no worse than people tell them "
        "(between explanations of one condition)",
        threshold=f"correlation between constructs at most {MOST_CORRELATION}",
        limit=MOST_CORRELATION,
    )  # fmt: skip
    named = {f"{a} and {b}": Coefficient(value) for (a, b), value in scales.correlations.items()}
    return _worst(gate, named, "ask about two constructs, of users whose answers differ",
                  highest=True)  # fmt: skip


def _attention(scales: Scales, bare: Callable[[str], Gate]) -> Gate:
    gate = replace(
        bare("attention"), meaning="The judge reads what it is asked",
        threshold=f"at least {100 * LEAST_ATTENTION:.0f} % of attention checks passed",
        limit=LEAST_ATTENTION,
    )  # fmt: skip
    if not scales.checks:
        return _unassessed(gate, None, "ask attention checks")
    return _plain(gate, scales.attention, f"{scales.checks_passed} of {scales.checks}",
                  at_least=LEAST_ATTENTION)  # fmt: skip


def _sycophancy(probes: Probes, step: float, bare: Callable[[str], Gate]) -> Iterable[Gate]:
    limit = MOST_SHIFT * step
    gate = replace(
        bare("authorship"), meaning="Answers are no kinder to an author of the explanation",
        threshold=f"shift at most {limit:.2f} points either way", limit=limit,
    )  # fmt: skip
    found = probes.authorship
    if math.isnan(found.mean):
        yield _unassessed(gate, found, "ask some statements with the remark and without")
    else:
        yield _assessed(gate, found, abs(found.mean) <= limit + ROUNDING, "points")
    gate = replace(
        bare("are-you-sure"), meaning="An answer stands when it is doubted",
        threshold=f"at most {100 * MOST_FLIPS:.0f} % of answers changed", limit=MOST_FLIPS,
    )  # fmt: skip
    found = probes.flips
    if math.isnan(found.mean):
        yield _unassessed(gate, found, "ask “are you sure?” after some statements")
    else:
        yield _assessed(gate, found, found.mean <= MOST_FLIPS + ROUNDING, "of answers changed")


def _worst(
    gate: Gate, values: Mapping[str, Coefficient], remedy: str, *, highest: bool = False
) -> Gate:
    """The lowest of the values (the highest, where those are bad) decides; none may be lacking."""
    gate = replace(gate, parts={name: one.value for name, one in values.items()})
    lacking = [name for name, one in values.items() if math.isnan(one.value)]
    if not values or lacking:
        return _unassessed(gate, None, remedy + (f" ({', '.join(lacking)})" if lacking else ""))
    name = (max if highest else min)(values, key=lambda one: values[one].value)
    worst = values[name]
    gate = replace(gate, low=worst.low, high=worst.high)
    if highest:
        return _plain(gate, worst.value, f"highest: {name}", at_most=gate.limit)
    return _plain(gate, worst.value, f"lowest: {name}", at_least=gate.limit)


def _plain(
    gate: Gate, value: float, said: str, *, at_least: float = -math.inf, at_most: float = math.inf
) -> Gate:
    passed = at_least - ROUNDING <= value <= at_most + ROUNDING
    return replace(gate, value=value, said=said, outcome=_outcome(passed))


def _assessed(gate: Gate, found: Estimate, passed: bool, said: str) -> Gate:
    return replace(gate, value=found.mean, low=found.low, high=found.high, said=said,
                   outcome=_outcome(passed))  # fmt: skip


def _unassessed(gate: Gate, found: Estimate | None, remedy: str) -> Gate:
    why = f"{found.reason}; " if found and found.reason else ""
    return replace(gate, said=f"{why}{remedy}", outcome=Outcome.NOT_ASSESSED)


def _outcome(passed: bool) -> Outcome:
    return Outcome.PASSED if passed else Outcome.FAILED


def _bare(family: Family) -> Callable[[str], Gate]:
    return lambda name: Gate(name, family, "", "", NAN, NAN, NAN, NAN, Outcome.NOT_ASSESSED, "", {})
