"""Ways of asking that should make no difference, and how much they do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recarena.evaluation.judging.answers import Answers
from recarena.evaluation.judging.contrasts import chosen, users_of
from recarena.evaluation.judging.estimates import Estimate, over_users
from recarena.evaluation.judging.replies import Probe, Reply
from recarena.evaluation.judging.scales import between, scores
from recarena.evaluation.questionnaires.form import Questionnaire
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.triples import Triple

Statement = tuple[str, str, str, str, int, int]
"""(triple, condition, construct, item, wording, draw)."""


@dataclass(frozen=True, slots=True)
class Probes:
    """What one judge gave way to."""

    authorship: Estimate
    """How much more favourable answers are (recoded, in points) when whoever asks says to have
    written the explanation."""
    flips: Estimate
    """Share of answers that are other ones after "are you sure?"."""
    hype: Mapping[str, Estimate]
    """By construct: praise without facts less empty words of the same length."""
    hype_behaviour: Estimate
    """The same of what is watched."""

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "authorship": self.authorship.as_json(),
            "flips": self.flips.as_json(),
            "hype_less_placebo": {name: one.as_json() for name, one in self.hype.items()},
            "hype_less_placebo_watched": self.hype_behaviour.as_json(),
        }


def probes(
    answers: Answers, questionnaire: Questionnaire | None, triples: Sequence[Triple]
) -> Probes:
    """Of one judge over these triples; without a questionnaire only of behaviour."""
    triples = [one for one in triples if not one.extra]
    by_probe = _by_probe(answers, {one.id for one in triples})
    plain = by_probe[Probe.NONE]
    users = users_of(triples)
    shifts, of_shifts = _shifts(by_probe[Probe.AUTHORSHIP], plain, questionnaire)
    flips, of_flips = _flips(by_probe[Probe.CHALLENGE], plain, questionnaire)
    return Probes(
        authorship=over_users(shifts, users, of_shifts),
        flips=over_users(flips, users, of_flips),
        hype=_hype(plain.values(), questionnaire, triples),
        hype_behaviour=chosen(answers, Condition.HYPE, Condition.PLACEBO, triples),
    )


def _by_probe(answers: Answers, wanted: set[str]) -> dict[str, dict[Statement, Reply]]:
    found: dict[str, dict[Statement, Reply]] = {one: {} for one in Probe}
    for one in answers.statements:
        if one.triple in wanted:
            key = (one.triple, one.condition, one.construct, one.item, one.wording, one.draw)
            found[one.probe][key] = one
    return found


def _shifts(
    tagged: Mapping[Statement, Reply], plain: Mapping[Statement, Reply],
    questionnaire: Questionnaire | None,
) -> tuple[dict[str, float], int]:  # fmt: skip
    """By triple, over statements of constructs that were answered with the remark and without."""
    values: dict[str, list[float]] = {}
    if questionnaire is None:
        return {}, 0
    by_id = questionnaire.by_id
    for key, with_it in tagged.items():
        item = by_id.get(with_it.item)
        without = plain.get(key)
        if item is None or item.asked_for or without is None:
            continue
        if with_it.value is not None and without.value is not None:
            a, b = (questionnaire.recoded(item, one) for one in (with_it.value, without.value))
            values.setdefault(with_it.triple, []).append(a - b)
    return _means(values), len({key[0] for key in tagged})


def _flips(
    second: Mapping[Statement, Reply], plain: Mapping[Statement, Reply],
    questionnaire: Questionnaire | None,
) -> tuple[dict[str, float], int]:  # fmt: skip
    """By triple, over statements of constructs that were answered both times."""
    values: dict[str, list[float]] = {}
    checks = {one.id for one in questionnaire.checks} if questionnaire else set[str]()
    for key, again in second.items():
        first = plain.get(key)
        if again.item in checks:
            continue
        if first is not None and first.value is not None and again.value is not None:
            values.setdefault(again.triple, []).append(float(again.value != first.value))
    return _means(values), len({key[0] for key in second})


def _hype(
    plain: Iterable[Reply], questionnaire: Questionnaire | None, triples: Sequence[Triple]
) -> dict[str, Estimate]:
    if questionnaire is None:
        return {}
    given = list(plain)
    asked = {(one.triple, one.condition) for one in given}
    of = sum((triple, Condition.PLACEBO) in asked for triple, under in asked
             if under == Condition.HYPE)  # fmt: skip
    return {
        one.id: between(
            scores(given, questionnaire, one.id), Condition.HYPE, Condition.PLACEBO, triples, of
        )
        for one in questionnaire.constructs
    }


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {triple: math.fsum(each) / len(each) for triple, each in values.items()}
