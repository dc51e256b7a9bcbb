"""What a card comes to: gates that it passes or not, and a sentence that says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from recarena.evaluation.believability.card import Interval

MOST_YES = 0.2
"""Largest excess of yes: share chosen over the share that is true, at the most negatives. Ours: at
1:9 a mind may say yes to three items in ten of which one is true."""

AGAINST = {
    "random": "chance",
    "popularity": "popularity",
    "item-mean": "the items' mean ratings",
    "shuffled-persona": "other people in the users' place",
}
"""What the mind is held against -> what it is called in a sentence."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One requirement."""

    id: str
    name: str
    passed: bool | None
    """None: it could not be judged."""
    value: Interval
    limit: float
    text: str


def margin_gate(against: str, margin: Interval) -> Gate:
    """Passed where the interval of the mind's AUC minus the other's lies above 0."""
    return Gate(
        f"beats-{against}", f"beats {AGAINST[against]}", _above(margin, 0), margin, 0.0,
        _margin_text(AGAINST[against], margin),
    )  # fmt: skip


def yes_gate(excess: Interval, ratio: int) -> Gate:
    """`excess`: at 1:ratio. Passed where the interval of the excess lies below MOST_YES."""
    passed = None if math.isnan(excess.high) else excess.high <= MOST_YES
    text = (
        f"chooses {excess.mean:+.0%} of the slate more than is true at 1:{ratio}; at most "
        f"{MOST_YES:+.0%} is let through"
    )
    return Gate("yes-bias", "does not say yes to everything", passed, excess, MOST_YES, text)


def skill_gate(skill: Interval) -> Gate:
    """Passed where the interval of the rating skill over a constant lies above 0."""
    passed = _above(skill, 0)
    worse = "" if passed else ": no better than giving everything the same rating"
    return Gate(
        "rating-skill", "rates better than a constant", passed, skill, 0.0,
        f"rating skill {_shown(skill)}{worse}",
    )  # fmt: skip


def leak_gate(rmse: Interval, limit: float) -> Gate:
    """Passed where ratings are not nearer to people's than people are to themselves."""
    passed = None if math.isnan(rmse.mean) else rmse.mean >= limit
    text = f"RMSE {rmse.mean:.3f}; below {limit:.2f} the answers must have been known"
    return Gate("no-leakage", "has not seen the answers", passed, rmse, limit, text)


def losses(margins: Sequence[Mapping[str, object]]) -> list[str]:
    """A sentence for each baseline that the mind loses to at 1:1, on either kind of negatives: the
    interval of the difference in AUC lies below 0."""
    found: list[str] = []
    for one in margins:
        value = one["auc"]
        if one["ratio"] == 1 and isinstance(value, Interval) and value.high < 0:
            other = AGAINST[str(one["against"])]
            found.append(f"LOSES to {other} on {one['negatives']} negatives: AUC {_shown(value)}")
    return found


def verdict(
    gates: Sequence[Gate], lost_to: Sequence[str], alarms: Sequence[str], mind: str, data: str
) -> Mapping[str, object]:
    """`verdict` of the card. Every gate has to be passed: no correction for their number is needed
    (an intersection-union test, Berger, 1982)."""
    failed = [gate for gate in gates if gate.passed is False]
    open_ = [gate for gate in gates if gate.passed is None]
    passed = not failed and not open_ and not alarms
    if passed:
        sentence = f"Passed: {mind} on {data} beats chance, popularity, mean ratings and strangers."
    else:
        lost = [AGAINST[one] for one in AGAINST if f"beats-{one}" in {gate.id for gate in failed}]
        parts = [f"it does not beat {_listed(lost)}"] if lost else []
        others = {
            "yes-bias": "it says yes too readily",
            "rating-skill": "its ratings are no better than a constant",
            "no-leakage": "its ratings are too good to be its own",
        }
        parts += [text for name, text in others.items() if name in {gate.id for gate in failed}]
        if open_:
            unknown = _listed([one.name for one in open_])
            parts.append(f"it could not be judged whether it {unknown}")
        if alarms:
            parts.append("there is an alarm")
        sentence = f"Not passed: of {mind} on {data}, {'; '.join(parts)}."
    return {
        "passed": passed,
        "sentence": sentence,
        "gates": [asdict(gate) | {"value": gate.value} for gate in gates],
        "losses": list(lost_to),
        "alarms": list(alarms),
    }


def _above(value: Interval, limit: float) -> bool | None:
    return None if math.isnan(value.low) else value.low > limit


def _margin_text(other: str, margin: Interval) -> str:
    if math.isnan(margin.mean):
        return f"could not be held against {other}"
    if margin.low > 0:
        return f"AUC {_shown(margin)} above {other}"
    if margin.high < 0:
        return f"LOSES to {other}: AUC {_shown(margin)}"
    return f"cannot be told from {other}: AUC {_shown(margin)}"


def _shown(value: Interval) -> str:
    if math.isnan(value.low):
        return f"{value.mean:+.3f}"
    return f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f})"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))
