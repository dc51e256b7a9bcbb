"""Which judges pass which gates: judges of known character, and thresholds to the hair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from recarena.evaluation.judging.answers import Answers, Rate
from recarena.evaluation.judging.estimates import Estimate
from recarena.evaluation.judging.gates import gates
from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.probes import Probes, probes
from recarena.evaluation.judging.replies import Asked, Reply
from recarena.evaluation.judging.scales import Coefficient, Scale, Scales, scales
from recarena.evaluation.judging.standing import (
    Family,
    Gate,
    Gates,
    Outcome,
    Standing,
)
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.faithfulness import Claims
from recarena.evaluation.stimuli.triples import Triple, Words
from support.explained import (
    HALO,
    HONEST,
    JUDGES,
    RANDOM,
    SYCOPHANT,
    Effects,
    Study,
    material,
)

NAN = float("nan")
SMALL = Study(users=30, per_user=2, draws=4)


def gates_of(judge: str, made: Material) -> Gates:
    answers, plain = Answers.of(judge, made.replies), made.triples
    asked = scales(answers, made.questionnaire, plain, 0) if made.questionnaire else None
    return gates(answers, made, asked, probes(answers, made.questionnaire, plain))


def outcomes(found: Gates) -> dict[str, Outcome]:
    return {one.id: one.outcome for one in found.gates}


def test_only_the_honest_judge_passes_every_gate() -> None:
    made = material(*JUDGES, study=SMALL)
    assert {judge: gates_of(judge, made).passed for judge in JUDGES} == {
        HONEST: True, SYCOPHANT: False, HALO: False, RANDOM: False,
    }  # fmt: skip


def test_each_character_fails_by_what_it_is() -> None:
    made = material(*JUDGES, study=SMALL)
    failed = {judge: gates_of(judge, made).not_passed(*Family) for judge in JUDGES}
    assert failed[HALO] == ("halo",)
    assert {"placebo-is-nothing", "acquiescence", "are-you-sure"} <= {*failed[SYCOPHANT]}
    assert {"real-above-false", "cronbach", "attention", "are-you-sure"} <= {*failed[RANDOM]}


def test_a_random_judge_hardly_ever_passes_by_chance() -> None:
    passed = 0
    for seed in range(150):
        study = Study(users=20, per_user=1, draws=2, statements=False, seed=seed)
        passed += gates_of(RANDOM, material(RANDOM, study=study)).publishes_behaviour
    assert passed == 0


def test_praise_that_sells_bad_items_is_found() -> None:
    study = replace(SMALL, effects=Effects(praise=0.3), statements=False)
    found = outcomes(gates_of(HONEST, material(HONEST, study=study)))
    assert found["hype-on-bad-items"] is Outcome.FAILED
    assert found["placebo-is-nothing"] is Outcome.PASSED


def test_a_judge_that_answers_no_statements_stands_by_what_it_does() -> None:
    made = material(HONEST, study=replace(SMALL, statements=False))
    found = gates_of(HONEST, made)
    assert found.standing(Family.QUESTIONNAIRE) is Standing.NOT_ASKED
    assert found.passed
    assert found.publishes_behaviour
    assert not found.publishes_scales


def test_statements_that_a_judge_is_not_able_to_answer_are_not_asked() -> None:
    made = material(HONEST, study=Study(users=4))
    unable = [
        one._replace(value=None, missing="NOT_ABLE") if one.asked == Asked.STATEMENT else one
        for one in made.replies
    ]
    found = gates_of(HONEST, replace(made, replies=unable))
    assert found.standing(Family.QUESTIONNAIRE) is Standing.NOT_ASKED


def test_the_order_is_assessed_where_a_claim_is_supported_and_else_not() -> None:
    made = material(HONEST, study=replace(SMALL, statements=False))
    without = {key: Claims(1, 0, 1) for key in made.claims}
    found = gates_of(HONEST, replace(made, claims=without))
    for name in ("real-above-false", "order"):
        order = next(one for one in found.gates if one.id == name)
        assert order.outcome is Outcome.NOT_ASSESSED
        assert "claim" in order.said
    assert not found.publishes_behaviour


def test_what_is_not_assessed_says_what_would_make_it_so() -> None:
    answers = Answers.of("j", [])
    found = gates(answers, Material([], []), None, probes(answers, None, []))
    assert {one.outcome for one in found.gates} == {Outcome.NOT_ASSESSED}
    assert all(one.said for one in found.gates)
    assert found.standing(Family.BEHAVIOUR) is Standing.FAILED


# ------------------------------------------------------------- thresholds


def by_user(values: list[float], one: str, other: str, *, bad: bool = False) -> Material:
    """Users whose answers under `one` are above those under `other` by these differences."""
    triples = [Triple(f"t{at}", "run", "A", f"u{at}", "i", 1, 0, 0, Words("x"), bad)
               for at in range(len(values))]  # fmt: skip
    replies = [
        Reply("j", each.id, condition, Asked.CHOOSE, value)
        for each, gap in zip(triples, values, strict=True)
        for condition, value in ((one, gap), (other, 0.0))
    ]
    claims: dict[tuple[str, str], Claims] = {
        (each.id, Condition.REAL): Claims(1, 1, 1) for each in triples
    }
    return Material(triples, replies, None, claims)


def gate(made: Material, name: str) -> Gate:
    return next(one for one in gates_of("j", made).gates if one.id == name)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.049] * 4, Outcome.PASSED),
        ([0.05] * 4, Outcome.FAILED),
        ([-0.05] * 4, Outcome.FAILED),
        ([1.0, -1.0] * 10, Outcome.FAILED),
        ([0.01], Outcome.NOT_ASSESSED),
    ],
)
def test_a_placebo_is_nothing_inside_five_points(values: list[float], outcome: Outcome) -> None:
    made = by_user(values, Condition.PLACEBO, Condition.NONE)
    assert gate(made, "placebo-is-nothing").outcome is outcome


@pytest.mark.parametrize(
    ("values", "outcome"),
    [([0.01] * 3, Outcome.PASSED), ([0.0] * 3, Outcome.FAILED),
     ([1.0, -0.9, 0.0], Outcome.FAILED), ([-0.01] * 3, Outcome.FAILED)],
)  # fmt: skip
def test_truth_is_above_falsehood_by_the_interval(values: list[float], outcome: Outcome) -> None:
    made = by_user(values, Condition.REAL, Condition.FALSE_FACT)
    assert gate(made, "real-above-false").outcome is outcome


@pytest.mark.parametrize(
    ("real", "shuffled", "outcome"),
    [(0.2, 0.1, Outcome.PASSED), (0.2, 0.2, Outcome.FAILED), (0.2, 0.0, Outcome.FAILED),
     (0.1, 0.2, Outcome.FAILED), (0.2, -0.1, Outcome.FAILED)],
)  # fmt: skip
def test_the_order_is_by_means_and_both_steps_count(
    real: float, shuffled: float, outcome: Outcome
) -> None:
    made = by_user([real] * 3, Condition.REAL, Condition.FALSE_FACT)
    replies = [Reply("j", one.id, Condition.SHUFFLED, Asked.CHOOSE, shuffled)
               for one in made.triples]  # fmt: skip
    made = replace(made, replies=[*made.replies, *replies])
    assert gate(made, "order").outcome is outcome


def test_where_everybody_elses_explanation_is_as_true_the_order_is_not_assessed() -> None:
    made = by_user([0.2] * 4, Condition.REAL, Condition.FALSE_FACT)
    replies = [Reply("j", one.id, Condition.SHUFFLED, Asked.CHOOSE, 0.1) for one in made.triples]
    alike = {(one.id, Condition.SHUFFLED): Claims(1, 1, 1) for one in made.triples}
    made = replace(made, replies=[*made.replies, *replies], claims={**made.claims, **alike})
    found = gate(made, "order")
    assert found.outcome is Outcome.NOT_ASSESSED
    assert "claims less" in found.said


@pytest.mark.parametrize(("real", "more"), [([0.4, 0.0, 0.0], True), ([0.0, 0.0, 0.1], False)])
def test_an_order_that_is_not_found_says_whether_more_triples_would_tell(
    real: list[float], more: bool
) -> None:
    made = by_user(real, Condition.REAL, Condition.FALSE_FACT)
    replies = [Reply("j", one.id, Condition.SHUFFLED, Asked.CHOOSE, 0.2) for one in made.triples]
    found = gate(replace(made, replies=[*made.replies, *replies]), "order")
    assert found.outcome is Outcome.FAILED
    assert "real − shuffled, over 3 users" in found.said
    assert ("more triples" in found.said) is more


def repeated(answers: list[list[float]]) -> Material:
    """Users who are asked again and again, by half without an explanation."""
    triples = [Triple(f"t{at}", "run", "A", f"u{at}", "i", 1, 0, 0, Words("x"))
               for at in range(len(answers))]  # fmt: skip
    replies = [
        Reply("j", each.id, (Condition.NONE, Condition.PLACEBO)[at % 2], Asked.CHOOSE, value,
              draw=at // 2)
        for each, values in zip(triples, answers, strict=True)
        for at, value in enumerate(values)
    ]  # fmt: skip
    return Material(triples, replies)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]] * 4, Outcome.PASSED),
        ([[1.0, 1.0], [0.0, 0.0]] * 4, Outcome.PASSED),
        ([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]] * 4, Outcome.FAILED),
        ([[1.0, 1.0], *[[1.0, 0.0]] * 5, [0.0, 0.0]], Outcome.FAILED),
        ([[1.0, 1.0]] * 8, Outcome.NOT_ASSESSED),
        ([[1.0], [0.0]], Outcome.NOT_ASSESSED),
    ],
)
def test_dice_are_told_from_users_who_do_the_same_again(
    answers: list[list[float]], outcome: Outcome
) -> None:
    assert gate(repeated(answers), "not-dice").outcome is outcome


def test_repeats_agree_by_pairs_inside_a_triple() -> None:
    """Of 1, 1, 0 and 0, 0, 1 the mean is .5 and the variance .25: pairs are worth 1, -1, -1."""
    made = repeated([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0]])
    answers = Answers.of("j", made.replies)
    both = (Condition.NONE, Condition.PLACEBO)
    found, of = answers.agreement(both, ["t0", "t1"])
    assert (found, of) == (pytest.approx({"t0": -1 / 3, "t1": -1 / 3}), 2)
    assert answers.agreement(both, ["t0", "t1", "t2"])[1] == 2
    assert answers.agreement((Condition.PLACEBO,), ["t0", "t1"]) == ({}, 0)


def test_another_users_explanation_is_held_against_where_it_claims_less() -> None:
    """Of four users the last two got another's explanation that is as true as their own."""
    made = by_user([0.2] * 4, Condition.REAL, Condition.FALSE_FACT)
    replies = [Reply("j", one.id, Condition.SHUFFLED, Asked.CHOOSE, 0.1 if at < 2 else 0.4)
               for at, one in enumerate(made.triples)]  # fmt: skip
    made = replace(made, replies=[*made.replies, *replies])
    assert gate(made, "order").outcome is Outcome.FAILED
    shuffled = {(one.id, Condition.SHUFFLED): Claims(1, int(at > 1), 1)
                for at, one in enumerate(made.triples)}  # fmt: skip
    found = gate(replace(made, claims={**made.claims, **shuffled}), "order")
    assert found.outcome is Outcome.PASSED
    assert found.parts["real − shuffled"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [([0.0] * 3, Outcome.PASSED), ([0.01] * 3, Outcome.FAILED), ([-0.5] * 3, Outcome.PASSED),
     ([1.0, 0.0, 0.0], Outcome.PASSED)],
)  # fmt: skip
def test_praise_may_not_sell_what_is_bad(values: list[float], outcome: Outcome) -> None:
    made = by_user(values, Condition.HYPE, Condition.PLACEBO, bad=True)
    assert gate(made, "hype-on-bad-items").outcome is outcome


@pytest.mark.parametrize(("missing", "outcome"), [(1, Outcome.PASSED), (2, Outcome.FAILED)])
def test_one_answer_of_ten_may_be_missing(missing: int, outcome: Outcome) -> None:
    made = by_user([0.0] * 5, Condition.PLACEBO, Condition.NONE)
    replies = [one._replace(value=None, missing="REFUSED") if at < missing else one
               for at, one in enumerate(made.replies)]  # fmt: skip
    assert gate(replace(made, replies=replies), "missing-behaviour").outcome is outcome


def estimate(mean: float) -> Estimate:
    return Estimate(mean, mean, mean, 10, 10, 10)


def good_scales() -> Scales:
    """At every threshold."""
    scale = Scale("c", "C", 3, {}, estimate(0.0), Coefficient(0.70), 10, Coefficient(0.60), 0.667)
    other = replace(scale, construct="d")
    return Scales((scale, other), estimate(-0.25), {("c", "d"): 0.79}, 10, 9, Rate(10, 1, {}), 1.0)


GOOD_PROBES = Probes(estimate(-0.25), estimate(0.20), {}, estimate(0.0))


def stated(found: Scales, probed: Probes = GOOD_PROBES) -> dict[str, Outcome]:
    answers = Answers.of("j", [Reply("j", "t", Condition.REAL, Asked.STATEMENT, 3.0)])
    every = gates(answers, Material([], []), found, probed)
    return {one.id: one.outcome for one in every.of(Family.QUESTIONNAIRE)}


def test_a_judge_at_every_threshold_of_the_questionnaire_passes() -> None:
    assert {*stated(good_scales()).values()} == {Outcome.PASSED}


def _first(found: Scales, **fields: object) -> Scales:
    return replace(found, scales=(replace(found.scales[0], **fields), *found.scales[1:]))


WORSE: dict[str, Callable[[Scales], Scales]] = {
    "cronbach": lambda one: _first(one, alpha=Coefficient(0.699)),
    "paraphrases": lambda one: _first(one, icc=Coefficient(0.599)),
    "repeats": lambda one: _first(one, krippendorff=0.666),
    "acquiescence": lambda one: replace(one, acquiescence=estimate(0.251)),
    "halo": lambda one: replace(one, correlations={("c", "d"): 0.791}),
    "attention": lambda one: replace(one, checks=100, checks_passed=89),
    "missing-statements": lambda one: replace(one, missing=Rate(1000, 101, {})),
}


@pytest.mark.parametrize("name", WORSE)
def test_a_hair_beyond_a_threshold_fails_that_gate_alone(name: str) -> None:
    found = stated(WORSE[name](good_scales()))
    assert [gate for gate, outcome in found.items() if outcome is not Outcome.PASSED] == [name]
    assert found[name] is Outcome.FAILED


LACKING: dict[str, Callable[[Scales], Scales]] = {
    "cronbach": lambda one: _first(one, alpha=Coefficient(NAN)),
    "paraphrases": lambda one: _first(one, icc=Coefficient(NAN)),
    "repeats": lambda one: _first(one, krippendorff=NAN),
    "acquiescence": lambda one: replace(one, acquiescence=estimate(NAN)),
    "halo": lambda one: replace(one, correlations={}),
    "attention": lambda one: replace(one, checks=0, checks_passed=0),
}


@pytest.mark.parametrize("name", LACKING)
def test_what_cannot_be_computed_is_not_passed(name: str) -> None:
    assert stated(LACKING[name](good_scales()))[name] is Outcome.NOT_ASSESSED


@pytest.mark.parametrize(
    ("name", "probed"),
    [
        ("authorship", replace(GOOD_PROBES, authorship=estimate(0.251))),
        ("authorship", replace(GOOD_PROBES, authorship=estimate(-0.251))),
        ("are-you-sure", replace(GOOD_PROBES, flips=estimate(0.201))),
    ],
)
def test_who_gives_way_fails(name: str, probed: Probes) -> None:
    found = stated(good_scales(), probed)
    assert [gate for gate, outcome in found.items() if outcome is Outcome.FAILED] == [name]


def test_a_construct_of_one_statement_has_no_alpha_and_is_left_out() -> None:
    found = good_scales()
    single = replace(found.scales[0], construct="e", items=1, alpha=Coefficient(NAN))
    assert stated(replace(found, scales=(*found.scales, single)))["cronbach"] is Outcome.PASSED


def test_points_are_those_of_the_scale() -> None:
    wide = replace(good_scales(), step=1.5, acquiescence=estimate(0.37))
    assert stated(wide)["acquiescence"] is Outcome.PASSED
