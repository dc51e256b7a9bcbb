"""Questionnaires and probes, scored: recoding, who agrees to everything, what stays missing."""

from __future__ import annotations

import math

import pytest

from recarena.evaluation.judging.answers import Answers
from recarena.evaluation.judging.probes import Probes, probes
from recarena.evaluation.judging.replies import Asked, Probe, Reply
from recarena.evaluation.judging.scales import Scale, Scales, agreement_over_judges, scales
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.triples import Triple, Words
from support.explained import HALO, HONEST, SYCOPHANT, Study, material, questionnaire

REAL, PLACEBO, HYPE = Condition.REAL, Condition.PLACEBO, Condition.HYPE
SHEET = questionnaire()
STEM = "persuasiveness"


def triple(name: str) -> Triple:
    return Triple(name, "run", "A", name, "i", 1, 0, 0, Words("because"))


def said(
    name: str, condition: str, number: int | str, value: float | None, *, wording: int = 0,
    draw: int = 0, probe: str = Probe.NONE,
) -> Reply:  # fmt: skip
    item = number if isinstance(number, str) else f"{STEM}-{number}"
    missing = "" if value is not None else "REFUSED"
    return Reply("j", name, condition, Asked.STATEMENT, value, missing, draw, wording, STEM, item,
                 probe=probe)  # fmt: skip


def scored(replies: list[Reply], names: str = "ab") -> tuple[Scales, Scale]:
    found = scales(Answers.of("j", replies), SHEET, [triple(one) for one in names], 0)
    return found, found.scales[0]


def probed(replies: list[Reply], names: str = "ab") -> Probes:
    return probes(Answers.of("j", replies), SHEET, [triple(one) for one in names])


def test_reversed_statements_are_recoded_for_the_mean_and_raw_for_acquiescence() -> None:
    replies = [said("a", REAL, 1, 5), said("a", REAL, 2, 4), said("a", REAL, 3, 2)]
    found, scale = scored(replies)
    assert scale.by_condition["real"].mean == pytest.approx((5 + 4 + 4) / 3)
    assert found.acquiescence.mean == pytest.approx(((5 + 4) / 2 + 2) / 2 - 3)


def test_who_agrees_to_everything_is_above_the_middle_by_as_much() -> None:
    found, _ = scored([said("a", REAL, number, 5) for number in (1, 2, 3)])
    assert found.acquiescence.mean == 2.0


def test_a_missing_answer_is_left_out_of_its_mean_and_counted() -> None:
    replies = [said("a", REAL, 1, 4), said("a", REAL, 2, None), said("a", REAL, 3, 2),
               said("a", PLACEBO, 1, 3), said("b", REAL, 1, None)]  # fmt: skip
    found, scale = scored(replies)
    assert scale.by_condition["real"].mean == 4.0
    assert (scale.by_condition["real"].triples, scale.by_condition["real"].of) == (1, 2)
    assert scale.difference.mean == 1.0
    assert (found.missing.missing, found.missing.asked) == (2, 5)
    assert found.missing.reasons == {"REFUSED": 2}
    assert scale.complete == 0


def test_a_statement_that_was_answered_oftener_weighs_no_more() -> None:
    replies = [said("a", REAL, 1, 5, draw=draw) for draw in range(3)]
    _, scale = scored([*replies, said("a", REAL, 2, 2)])
    assert scale.by_condition["real"].mean == 3.5


def test_wordings_that_shift_an_answer_count_against_agreement() -> None:
    same = [
        said(name, REAL, 1, value, wording=wording)
        for name, value in zip("abc", (1, 3, 5), strict=True)
        for wording in (0, 1)
    ]
    shifted = [one._replace(value=1.0) if one.wording else one for one in same]
    assert scored(same, "abc")[1].icc.value == pytest.approx(1.0)
    assert scored(shifted, "abc")[1].icc.value == pytest.approx(0.0)


def test_repeats_that_agree_have_an_alpha_of_1_and_one_alone_has_none() -> None:
    same = [said(name, REAL, 1, value, draw=draw)
            for name, value in zip("ab", (1, 5), strict=True) for draw in (0, 1)]  # fmt: skip
    assert scored(same)[1].krippendorff == pytest.approx(1.0)
    assert math.isnan(scored([one for one in same if not one.draw])[1].krippendorff)


def test_attention_checks_are_counted_and_belong_to_no_construct() -> None:
    found, scale = scored([said("a", REAL, "check", 2), said("b", REAL, "check", 5),
                           said("a", PLACEBO, "check", None)])  # fmt: skip
    assert (found.checks, found.checks_passed) == (2, 1)
    assert scale.by_condition == {}


def test_constructs_are_correlated_inside_conditions() -> None:
    """Conditions that move both alike make no halo."""
    replies: list[Reply] = []
    for at, name in enumerate("abcd"):
        for condition, level in ((REAL, 4), (PLACEBO, 2)):
            for construct, up in ((STEM, at % 2), ("transparency", at // 2)):
                one = said(name, condition, f"{construct}-1", level + up)
                replies.append(one._replace(construct=construct))
    found, _ = scored(replies, "abcd")
    assert found.correlations[STEM, "transparency"] == pytest.approx(0.0)


def test_one_impression_for_all_constructs_correlates_beyond_people() -> None:
    made = material(HONEST, HALO, study=Study(users=20, draws=1))
    by_judge = [
        scales(Answers.of(one, made.replies), SHEET, made.triples, 0).correlations[
            STEM, "transparency"
        ]
        for one in (HONEST, HALO)
    ]
    assert by_judge[0] < 0.79 < by_judge[1]


def test_coefficients_have_intervals_over_users_where_asked_for() -> None:
    made = material(HONEST, study=Study(users=12, draws=1))
    found = scales(Answers.of(HONEST, made.replies), SHEET, made.triples, 50).scales[0]
    assert found.alpha.low < found.alpha.value < found.alpha.high
    assert found.icc.low < found.icc.value < found.icc.high


def test_what_a_probe_was_about_is_not_scored() -> None:
    plain = [said("a", REAL, 1, 2)]
    tagged = [said("a", REAL, 1, 5, probe=Probe.AUTHORSHIP)]
    assert scored([*plain, *tagged])[1].by_condition["real"].mean == 2.0


def test_judges_that_say_the_same_agree() -> None:
    replies = [said("a", REAL, 1, 2), said("b", REAL, 1, 4)]
    answers = [Answers.of(name, [one._replace(judge=name) for one in replies]) for name in "jk"]
    assert agreement_over_judges(answers, SHEET)[STEM] == pytest.approx(1.0)
    assert math.isnan(agreement_over_judges(answers[:1], SHEET)[STEM])


# ----------------------------------------------------------------- probes


def test_a_remark_of_authorship_shifts_answers_by_what_they_are_kinder() -> None:
    replies = [
        said("a", REAL, 1, 3), said("a", REAL, 1, 4, probe=Probe.AUTHORSHIP),
        said("a", REAL, 3, 3), said("a", REAL, 3, 2, probe=Probe.AUTHORSHIP),  # reversed
        said("b", REAL, 1, 3), said("b", REAL, 1, None, probe=Probe.AUTHORSHIP),
    ]  # fmt: skip
    shift = probed(replies).authorship
    assert (shift.mean, shift.triples, shift.of) == (1.0, 1, 2)


def test_a_flip_is_another_answer_than_the_first() -> None:
    replies = [
        said("a", REAL, 1, 3), said("a", REAL, 1, 4, probe=Probe.CHALLENGE),
        said("a", REAL, 2, 3), said("a", REAL, 2, 3, probe=Probe.CHALLENGE),
        said("b", REAL, 1, 3), said("b", REAL, 1, 3, probe=Probe.CHALLENGE),
    ]  # fmt: skip
    assert probed(replies).flips.mean == 0.25


def test_praise_is_held_against_empty_words_of_its_length() -> None:
    replies = [said("a", HYPE, 1, 4), said("a", PLACEBO, 1, 3), said("b", HYPE, 1, 5)]
    found = probed(replies).hype[STEM]
    assert (found.mean, found.triples, found.of) == (1.0, 1, 1)


def test_a_sycophant_gives_way_and_an_honest_judge_does_not() -> None:
    made = material(HONEST, SYCOPHANT, study=Study(users=20, draws=1))
    honest, sycophant = (
        probes(Answers.of(one, made.replies), SHEET, made.triples) for one in (HONEST, SYCOPHANT)
    )
    assert honest.flips.mean < 0.1 < 0.3 < sycophant.flips.mean
    assert sycophant.authorship.low > 0.1
    assert abs(honest.authorship.mean) < 0.1
