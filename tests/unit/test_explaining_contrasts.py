"""What explanations did, by hand: six replies, missing ones, and who counts as one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.judging.answers import Answers, missing_rate
from recarena.evaluation.judging.contrasts import Contrasts, contrasts, persuasion, pooled
from recarena.evaluation.judging.estimates import number, users_needed
from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.replies import Asked, Reply
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.faithfulness import Claims
from recarena.evaluation.stimuli.triples import Triple, Words

REAL, PLACEBO, NONE, HYPE = (
    Condition.REAL, Condition.PLACEBO, Condition.NONE, Condition.HYPE,
)  # fmt: skip


def triple(name: str, user: str = "", *, world: str = "w", extra: bool = False) -> Triple:
    return Triple(name, "run", "A", user or name, "i", 1, 0, 0, Words("because"), extra, extra,
                  world)  # fmt: skip


def reply(
    name: str, condition: str, value: float | None, asked: str = Asked.CHOOSE, draw: int = 0,
    item: str = "", said: str = "",
) -> Reply:  # fmt: skip
    missing = "" if value is not None else "REFUSED"
    return Reply("j", name, condition, asked, value, missing, draw, item=item, said=said)


def measured(triples: list[Triple], replies: Iterable[Reply], **fields: object) -> Contrasts:
    material = replace(Material(triples, list(replies)), **fields)
    return contrasts(Answers.of("j", material.replies), triples, material, "all")


def chosen(*rows: tuple[str, float | None, float | None, float | None]) -> list[Reply]:
    """(triple, Y(none), Y(placebo), Y(real))."""
    return [reply(name, condition, value) for name, *values in rows
            for condition, value in zip((NONE, PLACEBO, REAL), values, strict=True)]  # fmt: skip


SIX = (
    ("a", 0.0, 0.0, 1.0),
    ("b", 0.0, 1.0, 1.0),
    ("c", 1.0, 1.0, 1.0),
    ("d", 0.0, 0.0, 0.0),
    ("e", 0.0, 1.0, 0.0),
    ("f", 0.0, 0.0, 1.0),
)


def test_six_rows_by_hand() -> None:
    found = measured([triple(name) for name in "abcdef"], chosen(*SIX))
    persuasiveness = found.measures["persuasiveness"]
    # Differences 1, 0, 0, 0, -1, 1: mean 1/6, sum of squares 3 - 1/6, sd .7528, t_5 = 2.5706.
    assert persuasiveness.mean == pytest.approx(1 / 6)
    assert persuasiveness.high - persuasiveness.mean == pytest.approx(
        2.570582 * math.sqrt((3 - 1 / 6) / 5) / math.sqrt(6), rel=1e-6
    )
    assert found.measures["naive"].mean == pytest.approx(3 / 6)
    assert found.measures["placebo_effect"].mean == pytest.approx(2 / 6)
    # Of those who watched when told (a, b, c, f), three would not have without; of b, c, e two.
    assert found.measures["necessity_real"].mean == pytest.approx(3 / 4)
    assert found.measures["necessity_placebo"].mean == pytest.approx(2 / 3)
    assert found.measures["necessity"].mean == pytest.approx(3 / 4 - 2 / 3)
    assert found.watch_rates["real"].mean == pytest.approx(4 / 6)


def test_a_missing_answer_leaves_its_triple_out_and_is_counted_and_is_never_0() -> None:
    rows = [*SIX[:5], ("f", 0.0, 0.0, None)]
    found = measured([triple(name) for name in "abcdef"], chosen(*rows))
    persuasiveness = found.measures["persuasiveness"]
    assert persuasiveness.mean == 0.0
    assert (persuasiveness.triples, persuasiveness.of) == (5, 6)
    assert persuasiveness.missing == pytest.approx(1 / 6)
    assert found.watch_rates["real"].mean == pytest.approx(3 / 5)
    assert found.watch_rates["none"].triples == 6
    assert found.missing["choose"]["real"] == {
        "asked": 6, "missing": 1, "share": round(1 / 6, 9), "reasons": {"REFUSED": 1},
    }  # fmt: skip


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=8))
def test_missing_answers_beside_it_do_not_move_a_mean(pairs: list[tuple[bool, bool]]) -> None:
    names = [f"t{at}" for at in range(len(pairs))]
    rows = [(name, 0.0, float(b), float(a)) for name, (a, b) in zip(names, pairs, strict=True)]
    whole = measured([triple(name) for name in names], chosen(*rows)).measures
    more = [*rows, ("x", 0.0, None, 1.0), ("y", 0.0, 1.0, None)]
    beside = measured([triple(name) for name in (*names, "x", "y")], chosen(*more)).measures
    assert beside["persuasiveness"].mean == whole["persuasiveness"].mean
    assert beside["persuasiveness"].high == whole["persuasiveness"].high
    assert beside["persuasiveness"].of == whole["persuasiveness"].of + 2


def test_repeats_are_paired_so_that_one_that_is_missing_takes_its_partner_along() -> None:
    replies = [
        reply("a", PLACEBO, 0.0, draw=0), reply("a", REAL, None, draw=0),
        reply("a", PLACEBO, 1.0, draw=1), reply("a", REAL, 1.0, draw=1),
    ]  # fmt: skip
    assert measured([triple("a")], replies).measures["persuasiveness"].mean == 0.0


def test_a_user_counts_once_however_many_triples_it_has() -> None:
    triples = [triple("a", "u"), triple("b", "u"), triple("c", "u"), triple("d", "v")]
    rows = [("a", 0.0, 0.0, 1.0), ("b", 0.0, 0.0, 1.0), ("c", 0.0, 0.0, 1.0), ("d", 0.0, 0.0, 0.0)]
    persuasiveness = measured(triples, chosen(*rows)).measures["persuasiveness"]
    assert persuasiveness.mean == 0.5
    assert persuasiveness.users == 2


def test_users_of_the_same_name_in_two_worlds_are_two() -> None:
    triples = [triple("a", "u"), triple("b", "u", world="other")]
    rows = [("a", 0.0, 0.0, 1.0), ("b", 0.0, 0.0, 0.0)]
    assert measured(triples, chosen(*rows)).measures["persuasiveness"].users == 2


def test_one_user_has_a_mean_and_no_interval() -> None:
    persuasiveness = measured([triple("a")], chosen(("a", 0.0, 0.0, 1.0))).measures[
        "persuasiveness"
    ]
    assert (persuasiveness.mean, persuasiveness.bounded) == (1.0, False)
    assert "one user" in persuasiveness.reason


def test_extra_triples_count_for_the_hype_index_alone() -> None:
    triples = [triple("a"), triple("b"), triple("x", extra=True), triple("y", extra=True)]
    replies = [
        *chosen(("a", 0.0, 0.0, 0.0), ("b", 0.0, 0.0, 0.0), ("x", 0.0, 0.0, 1.0)),
        reply("x", HYPE, 1.0), reply("y", HYPE, 1.0), reply("y", PLACEBO, 0.0),
    ]  # fmt: skip
    found = measured(triples, replies)
    assert found.measures["hype_index"].mean == 1.0
    assert found.measures["hype_index"].users == 2
    assert found.measures["persuasiveness"].mean == 0.0
    assert found.triples == 2
    assert persuasion(Answers.of("j", replies), triples) == {"a": 0.0, "b": 0.0}


def test_who_expects_exactly_what_comes_is_not_oversold() -> None:
    replies = [reply(name, under, 3.0, asked) for name in "abc" for under in (REAL, PLACEBO, NONE)
               for asked in (Asked.EXPECT, Asked.RATE)]  # fmt: skip
    found = measured([triple(name) for name in "abc"], replies).oversold["real"]
    assert (found.gap.low, found.above_placebo.low) == (0.0, 0.0)
    assert not found.by_interval
    assert not found.beyond_placebo


def test_expected_beyond_found_is_oversold_and_forecasts_are_judged_by_their_errors() -> None:
    triples = [triple(name) for name in "abc"]
    replies: list[Reply] = []
    for name, none, placebo, real, after in (
        ("a", 3.0, 3.0, 5.0, 2.0), ("b", 4.0, 4.0, 5.0, 3.0), ("c", 1.0, 2.0, 4.0, 2.0),
    ):  # fmt: skip
        replies += [reply(name, NONE, none, Asked.EXPECT), reply(name, REAL, real, Asked.EXPECT),
                    reply(name, PLACEBO, placebo, Asked.EXPECT),
                    reply(name, NONE, after, Asked.RATE)]  # fmt: skip
    found = measured(triples, replies)
    assert found.oversold["real"].gap.mean == pytest.approx((3 + 2 + 2) / 3)
    assert found.oversold["real"].by_interval
    assert found.oversold["real"].above_placebo.mean == pytest.approx((2 + 1 + 2) / 3)
    assert found.oversold["none"].gap.mean == pytest.approx((1 + 1 - 1) / 3)
    assert not found.oversold["none"].by_interval
    # |3-2|, |4-3|, |1-2| less |5-2|, |5-3|, |4-2|.
    assert found.measures["effectiveness"].mean == pytest.approx((1 + 1 + 1 - 3 - 2 - 2) / 3)
    assert found.calibration == [
        {"expected": 4, "after": 2.0, "answers": 1}, {"expected": 5, "after": 2.5, "answers": 2},
    ]  # fmt: skip


def test_the_quiz_counts_who_does_not_know_as_wrong_and_says_how_many() -> None:
    replies = [
        reply("a", REAL, 1.0, Asked.QUIZ, item="q", said="Comedy"),
        reply("a", REAL, 0.0, Asked.QUIZ, item="r", said="unknown"),
        reply("a", PLACEBO, 0.0, Asked.QUIZ, item="q", said="unknown"),
        reply("a", PLACEBO, None, Asked.QUIZ, item="r"),
    ]
    found = measured([triple("a")], replies)
    assert found.measures["informativeness"].mean == 1.0  # of q alone: r has no partner
    assert found.accuracy["real"].mean == 0.5
    assert found.unknown["real"].mean == 0.5
    assert found.unknown["placebo"].mean == 1.0


def test_faithfulness_is_of_explanations_that_claim_something() -> None:
    claims = {("a", REAL): Claims(2, 1, 1), ("b", REAL): Claims(0, 0, 0)}
    found = measured([triple("a"), triple("b")], [], claims=claims).measures["faithfulness"]
    assert (found.mean, found.triples, found.of) == (0.5, 1, 2)


def test_what_a_judge_is_not_able_to_answer_was_not_asked() -> None:
    rows = [Reply("j", "a", REAL, Asked.STATEMENT, None, "NOT_ABLE"), reply("a", REAL, 1.0)]
    assert missing_rate(rows).as_json() == {
        "asked": 1, "missing": 0, "share": 0.0, "reasons": {},
    }  # fmt: skip


def test_judges_together_weigh_the_same() -> None:
    one = Answers.of("j", chosen(("a", 0.0, 0.0, 1.0)))
    other = Answers.of("k", [each._replace(judge="k") for each in chosen(("a", 0.0, 0.0, 0.0))])
    values, of = pooled([one, other], "both").compared(Asked.CHOOSE, REAL, PLACEBO, ["a"])
    assert (values, of) == ({"a": 0.5}, 1)


def test_about_so_many_users_are_needed() -> None:
    values = {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.0}
    users = {name: name for name in values}
    # 6.18 (sd / mean)^2 + 2, sd^2 = 1/3, mean 1/2.
    assert users_needed(values, users) == math.ceil(6.1826 / 3 * 4 + 2)
    assert users_needed(dict.fromkeys(values, 0.0), users) is None


def test_a_number_of_a_report_is_to_nine_places_and_never_minus_nothing() -> None:
    assert str(number(-1e-12)) == str(number(-0.0)) == "0.0"
    assert number(0.12345678949) == 0.123456789
    assert number(None) is number(float("nan")) is number(float("inf")) is None
