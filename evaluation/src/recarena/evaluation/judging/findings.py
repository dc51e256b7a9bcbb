"""All that a study found, as JSON values: findings.json.

The first entry says whether the gates passed. What did not pass is withheld: no place and no leader
of it is in here, only the contrasts that it would have rested on, apart and by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from recarena.evaluation.judging.answers import Answers
from recarena.evaluation.judging.contrasts import (
    MEANINGS,
    NAIVE,
    SCORED,
    Contrasts,
    chosen,
    contrasts,
    grouped,
    persuasion,
    pooled,
    user_means,
)
from recarena.evaluation.judging.estimates import Estimate, number
from recarena.evaluation.judging.gates import gates
from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.pairs import ByName, judged, pairs, places
from recarena.evaluation.judging.probes import probes
from recarena.evaluation.judging.replies import Asked
from recarena.evaluation.judging.scales import (
    RESAMPLES,
    Scales,
    agreement_over_judges,
    each_scale,
    scales,
    scores,
)
from recarena.evaluation.judging.sentences import notes, verdict
from recarena.evaluation.judging.standing import Family, Gates, Standing
from recarena.evaluation.report.tables import listed
from recarena.evaluation.statistics.reliability import correlations, krippendorff
from recarena.evaluation.statistics.worlds import NAN
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.triples import Triple

Findings = Mapping[str, Any]
FORMAT = 1
POOLED = "all judges that passed"
FAMILIES = 2
CAVEAT = "simulated preference is not human preference"


def findings(material: Material, resamples: int = RESAMPLES) -> Findings:
    """Of a study. The same material gives the same findings; nothing of the machine or the time is
    in them. `resamples`: see `scales.scales`."""
    answers = [Answers.of(judge, material.replies) for judge in material.judges]
    found = [_Judge(one, material, resamples) for one in answers]
    passed = [one for one in found if one.gates.publishes_behaviour]
    return {
        "verdict": verdict([one.gates for one in found]),
        "format": FORMAT,
        "under": {
            "data": material.data,
            "judges": list(material.judges),
            "label": under(material.judges, material.data),
        },
        "notes": notes(material),
        "meanings": dict(MEANINGS),
        "sample": _sample(material),
        "questionnaire": _questionnaire(material),
        "pooled": _pooled(passed, found, material),
        "judges": [one.as_json() for one in found],
        "naive": _naive(answers, material),
        "matrix": _matrix(found),
        "agreement": _agreement(answers, material),
        "about": dict(material.about),
    }


def under(judges: Sequence[str], data: str) -> str:
    """What numbers are of."""
    who = f"judge{'s' if len(judges) > 1 else ''} {listed(judges) or 'none'}"
    return f"under {who}, data {data}: {CAVEAT}"


class _Judge:
    """One judge, measured once."""

    def __init__(self, answers: Answers, material: Material, resamples: int) -> None:
        self.answers, self.material = answers, material
        self.name = answers.judge
        plain = [one for one in material.triples if not one.extra]
        sheet = material.questionnaire
        self.scales: Scales | None = None
        if sheet is not None and answers.takes_statements:
            self.scales = scales(answers, sheet, plain, resamples)
        self.probes = probes(answers, sheet, plain)
        self.gates: Gates = gates(answers, material, self.scales, self.probes)

    def as_json(self) -> dict[str, Any]:
        material = self.material
        blocking = self.gates.not_passed(Family.BEHAVIOUR)
        return {
            "judge": self.name,
            "family": material.family(self.name),
            "under": under([self.name], material.data),
            **self.gates.as_json(),
            "ranking": ranking(self.answers, material, by_recommender, blocking),
            "ranking_of_methods": ranking(self.answers, material, by_method, blocking),
            "contrasts": _contrasts(self.answers, material),
            "not_to_be_used": _not_to_be_used(self.answers, material, blocking),
            "questionnaire_scales": self._scales(),
            "probes": self.probes.as_json(),
            "comparisons": [one.as_json() for one in judged(self.answers, material.triples)],
        }

    def _scales(self) -> dict[str, Any] | None:
        sheet = self.material.questionnaire
        if self.scales is None or sheet is None:
            return None
        by_name = {
            name: [one.as_json() for one in each_scale(self.answers, sheet, triples)]
            for name, triples in by_recommender(self.material.triples).items()
        }
        return {
            **self.scales.as_json(),
            "by_recommender": by_name,
            "rankings": self._scale_rankings(),
        }

    def _scale_rankings(self) -> dict[str, Any]:
        """By construct, by real less placebo; Holm over pairs and constructs."""
        sheet = self.material.questionnaire
        assert sheet is not None
        if not self.gates.publishes_scales:
            return _withheld("real − placebo of a construct", self.gates.not_passed(*Family))
        tables = {one.id: self._differences(one.id) for one in sheet.constructs}
        found = pairs(tables)
        return {
            "by": "real − placebo of a construct", "published": True,
            "constructs": {
                construct: {
                    "places": [one.as_json() for one in places(by_name, found[construct])],
                    "pairs": [one.as_json() for one in found[construct]],
                }
                for construct, by_name in tables.items()
            },
        }  # fmt: skip

    def _differences(self, construct: str) -> ByName:
        sheet = self.material.questionnaire
        assert sheet is not None
        scored = scores(self.answers.said_of(sheet.of(construct)), sheet, construct)
        values = {
            triple: value - scored[triple, Condition.PLACEBO]
            for (triple, condition), value in scored.items()
            if condition == Condition.REAL and (triple, Condition.PLACEBO) in scored
        }
        return {name: user_means(values, triples)
                for name, triples in by_recommender(self.material.triples).items()}  # fmt: skip


Groups = Callable[[Iterable[Triple]], dict[str, list[Triple]]]


def by_recommender(triples: Iterable[Triple]) -> dict[str, list[Triple]]:
    """Names in order."""
    return grouped(triples, lambda one: one.recommender)


def by_method(triples: Iterable[Triple]) -> dict[str, list[Triple]]:
    """Names in order."""
    return grouped(triples, lambda one: one.method)


def ranking(
    answers: Answers, material: Material, groups: Groups, blocking: Sequence[str]
) -> dict[str, Any]:
    """By persuasiveness, or that it is withheld, by which gates."""
    by = "persuasiveness: real − placebo"
    if blocking:
        return _withheld(by, blocking)
    by_name = _persuasion(answers, material, groups)
    found = pairs({SCORED: by_name})[SCORED]
    placed = places(by_name, found)
    return {
        "by": by,
        "published": True,
        "sentence": _sentence([one.as_json() for one in placed]),
        "places": [one.as_json() for one in placed],
        "pairs": [one.as_json() for one in found],
    }


def _withheld(by: str, blocking: Sequence[str]) -> dict[str, Any]:
    return {
        "by": by, "published": False, "withheld": list(blocking),
        "sentence": f"withheld: {', '.join(blocking)}",
    }  # fmt: skip


def _sentence(placed: Sequence[Mapping[str, Any]]) -> str:
    if len(placed) < FAMILIES:
        return "Nothing to rank: one alone has a value." if placed else "Nobody has a value."
    first = [one["name"] for one in placed if one["first"] == 1]
    if len(first) == len(placed):
        return f"{listed(first)} cannot be told apart."
    if len(first) == 1:
        return f"{first[0]} persuades most."
    return f"{listed(first)} share the first places; the others persuade less than one of them."


def _persuasion(
    answers: Answers, material: Material, groups: Groups, *, naive: bool = False
) -> dict[str, dict[str, float]]:
    return {name: user_means(persuasion(answers, triples, naive), triples)
            for name, triples in groups(material.triples).items()}  # fmt: skip


def _not_to_be_used(
    answers: Answers, material: Material, blocking: Sequence[str]
) -> dict[str, Any]:
    """The naive contrast of everyone, and of a judge whose ranking is withheld the scored one."""
    naive = _persuasion(answers, material, by_recommender, naive=True)
    means = {name: sum(one.values()) / len(one) for name, one in naive.items() if one}
    first = min(means, key=lambda name: (-means[name], name)) if means else None
    found = {name: _both(answers, triples)
             for name, triples in by_recommender(material.triples).items()}  # fmt: skip
    why = (
        "real − none counts what empty words do: it ranks who talks most, and who is judged by "
        "those that agree to anything"
    )
    if blocking:
        why += f"; and this judge did not pass {listed(blocking)}"
    return {
        "why": why,
        "naive_first": first if len(means) > 1 else None,
        "naive": {name: one[NAIVE].as_json() for name, one in found.items()},
        "scored": {name: one[SCORED].as_json() for name, one in found.items()} if blocking else {},
    }


def _both(answers: Answers, triples: Sequence[Triple]) -> dict[str, Estimate]:
    """The naive contrast and the scored one."""
    plain = [one for one in triples if not one.extra]
    return {
        NAIVE: chosen(answers, Condition.REAL, Condition.NONE, plain),
        SCORED: chosen(answers, Condition.REAL, Condition.PLACEBO, plain),
    }


def _contrasts(answers: Answers, material: Material) -> dict[str, Any]:
    def of(triples: Sequence[Triple], name: str) -> Contrasts:
        return contrasts(answers, triples, material, name)

    recommenders, methods = (of_all(material.triples) for of_all in (by_recommender, by_method))
    same = {name: [one.id for one in triples] for name, triples in recommenders.items()} == {
        name: [one.id for one in triples] for name, triples in methods.items()
    }
    return {
        "all": of(material.triples, "all").as_json(),
        "by_recommender": {name: of(one, name).as_json() for name, one in recommenders.items()},
        "by_method": {} if same else {
            name: of(one, name).as_json() for name, one in methods.items()
        },
    }  # fmt: skip


def _naive(answers: Sequence[Answers], material: Material) -> dict[str, Any]:
    """What each judge would be moved by over all explanations: the contrast that is not to be used
    beside the one that is."""
    found = {one.judge: _both(one, material.triples) for one in answers}
    first = {
        name: max(found, key=lambda judge: _or_least(found[judge][name].mean), default=None)
        for name in (NAIVE, SCORED)
    }
    return {
        "judges": {
            judge: {name: measures[name].as_json() for name in (NAIVE, SCORED)}
            for judge, measures in found.items()
        },
        "first_by_naive": first[NAIVE] if len(found) > 1 else None,
        "first_by_scored": first[SCORED] if len(found) > 1 else None,
    }


def _or_least(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _pooled(
    passed: Sequence[_Judge], everybody: Sequence[_Judge], material: Material
) -> dict[str, Any]:
    names = [one.name for one in passed]
    if not passed:
        blocking = sorted({gate for one in everybody
                           for gate in one.gates.not_passed(Family.BEHAVIOUR)})  # fmt: skip
        return {"judges": [], "ranking": _withheld("persuasiveness: real − placebo", blocking)}
    whole = pooled([one.answers for one in passed], POOLED)
    return {
        "judges": names,
        "under": under(names, material.data),
        "ranking": ranking(whole, material, by_recommender, ()),
        "ranking_of_methods": ranking(whole, material, by_method, ()),
        "contrasts": _contrasts(whole, material),
    }


def _sample(material: Material) -> dict[str, Any]:
    def counts(triples: Sequence[Triple]) -> dict[str, int]:
        plain = [one for one in triples if not one.extra]
        return {
            "triples": len(plain),
            "users": len({(one.world, one.user_id) for one in plain}),
            "with_claims": sum(material.has_claims(one.id) for one in plain),
            "bad": sum(one.bad for one in triples),
            "extra_bad": len(triples) - len(plain),
        }

    return {
        **counts(material.triples),
        "by_recommender": {name: counts(one)
                           for name, one in by_recommender(material.triples).items()},
        "replies": len(material.replies),
    }  # fmt: skip


def _questionnaire(material: Material) -> dict[str, Any] | None:
    one = material.questionnaire
    return one and {
        "id": one.id, "version": one.version, "title": one.title, "source": one.source,
        "hash": one.hash, "lowest": one.lowest, "highest": one.highest,
        "constructs": {each.id: each.title for each in one.constructs},
    }  # fmt: skip


def _matrix(found: Sequence[_Judge]) -> dict[str, Any]:
    names = list(dict.fromkeys(gate.id for one in found for gate in one.gates.gates))
    return {
        "gates": names,
        "judges": {
            one.name: {
                name: next((gate.outcome.value for gate in one.gates.gates if gate.id == name),
                           Standing.NOT_ASKED.value)
                for name in names
            }
            for one in found
        },
    }  # fmt: skip


def _agreement(answers: Sequence[Answers], material: Material) -> dict[str, Any] | None:
    """None with a single judge."""
    if len(answers) < FAMILIES:
        return None
    plain = [one for one in material.triples if not one.extra]
    watched = [
        [_or_nan(one.mean(Asked.CHOOSE, condition, triple.id)) for one in answers]
        for triple in plain for condition in Condition
    ]  # fmt: skip
    by_judge = [persuasion(one, plain) for one in answers]
    together = np.array([[one.get(triple.id, NAN) for one in by_judge] for triple in plain],
                        np.float64)  # fmt: skip
    related = correlations(together)
    sheet = material.questionnaire
    return {
        "watched": number(krippendorff(watched)),
        "statements": {} if sheet is None else {
            name: number(value) for name, value in agreement_over_judges(answers, sheet).items()
        },
        "persuasion": [
            {"a": answers[a].judge, "b": answers[b].judge,
             "correlation": number(float(related[a, b]))}
            for a, b in combinations(range(len(answers)), 2)
        ],
    }  # fmt: skip


def _or_nan(value: float | None) -> float:
    return NAN if value is None else value
