"""Two at a time: by what users did, and by what judges said in both orders."""

from __future__ import annotations

import math

import pytest

from recarena.evaluation.judging.answers import Answers
from recarena.evaluation.judging.pairs import Judged, judged, pairs, places
from recarena.evaluation.judging.replies import Asked, Reply
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.triples import Triple, Words

REAL, PLACEBO = Condition.REAL, Condition.PLACEBO


def triple(name: str, recommender: str = "A", user: str = "", method: str = "") -> Triple:
    words = Words("because", method=method)
    return Triple(name, "run", recommender, user or name, "i", 1, 0, 0, words)


def bout(name: str, first: float | None, second: float | None, other: str = "") -> list[Reply]:
    """Values for the left one when it is shown first, and when it is shown second."""
    return [
        Reply("j", name, REAL, Asked.COMPARE, value, "" if value is not None else "REFUSED",
              construct="persuasiveness", other_triple=other,
              other_condition=REAL if other else PLACEBO, order=order)
        for order, value in ((0, first), (1, second))
    ]  # fmt: skip


def of(replies: list[Reply], triples: list[Triple]) -> Judged:
    (found,) = judged(Answers.of("j", replies), triples)
    return found


def test_a_preference_that_the_order_turns_is_a_tie() -> None:
    replies = [*bout("a", 1, 1), *bout("b", 1, -1), *bout("c", 0, 0), *bout("d", -1, -1)]
    found = of(replies, [triple(one) for one in "abcd"])
    (duel,) = found.duels
    # Of placebo against real: names stand in their order.
    assert (duel.a, duel.b) == ("placebo", "real")
    assert (duel.won, duel.lost, duel.ties, duel.inconsistent) == (1, 1, 2, 1)
    assert duel.share.mean == 0.5


def test_who_always_takes_the_first_shown_wins_nothing_and_is_seen() -> None:
    found = of([*bout("a", 1, -1), *bout("b", 1, -1)], [triple("a"), triple("b")])
    assert found.first_shown == 1.0
    assert found.duels[0].share.mean == 0.5
    assert found.duels[0].inconsistent == 2


def test_a_comparison_without_an_answer_in_one_order_is_left_out_and_counted() -> None:
    found = of([*bout("a", 1, None), *bout("b", 1, 1)], [triple("a"), triple("b")])
    assert found.incomplete == 1
    assert found.duels[0].share.triples == 1
    assert found.preferences == 3


def test_repeats_of_a_comparison_are_averaged_inside_a_triple() -> None:
    again = [one._replace(draw=1) for one in bout("a", -1, -1)]
    more = [one._replace(draw=2) for one in bout("a", -1, -1)]
    found = of([*bout("a", 1, 1), *again, *more, *bout("b", 1, 1)], [triple("a"), triple("b")])
    assert found.duels[0].share.mean == pytest.approx((2 / 3 + 0) / 2)
    assert (found.duels[0].won, found.duels[0].lost) == (2, 2)


def test_two_triples_are_named_after_their_methods_or_else_their_recommenders() -> None:
    methods = [triple("a", "A", "u", "template"), triple("b", "B", "u", "llm")]
    assert {*of(bout("a", 1, 1, "b"), methods).strengths} == {"template", "llm"}
    same = [triple("a", "A", "u", "template"), triple("b", "B", "u", "template")]
    found = of(bout("a", 1, 1, "b"), same)
    assert {*found.strengths} == {"A", "B"}
    assert (found.duels[0].a, found.duels[0].share.mean) == ("A", 1.0)


def test_strengths_are_in_the_order_of_who_wins() -> None:
    replies = [reply for name in "abcd" for reply in bout(name, 1, 1)]
    strengths = of(replies, [triple(one) for one in "abcd"]).strengths
    assert strengths["real"].interval.mean > 0 > strengths["placebo"].interval.mean
    assert math.isfinite(strengths["real"].interval.high)


def test_pairs_are_compared_over_the_users_that_both_have() -> None:
    by_name = {"A": {"u": 1.0, "v": 0.5, "w": 9.0}, "B": {"u": 0.5, "v": 0.0}}
    (pair,) = pairs({"x": by_name})["x"]
    assert pair.difference.mean == 0.5
    assert pair.difference.worlds == 2
    assert pair.leader == "A"


def test_holm_is_over_all_pairs_of_all_tables() -> None:
    close = {"A": {"u": 0.3, "v": 0.1, "w": 0.2}, "B": {"u": 0.0, "v": 0.02, "w": 0.0}}
    (alone,) = pairs({"x": close})["x"]
    found = pairs({"x": close, "y": {"A": {"u": 1.0, "v": 0.0}, "B": {"u": 0.0, "v": 1.0}}})
    assert found["x"][0].adjusted_p == pytest.approx(2 * alone.p_value)


def test_who_cannot_be_told_apart_shares_its_places() -> None:
    near = {"u": 0.0, "v": 0.1, "w": 0.0, "x": 0.1}
    turned = {"u": 0.1, "v": 0.0, "w": 0.1, "x": 0.0}
    above = {user: value + 1 for user, value in near.items()}
    by_name = {"A": near, "B": turned, "C": above, "D": dict[str, float]()}
    found = places(by_name, pairs({"x": by_name})["x"])
    assert [(one.name, one.words) for one in found] == [("C", "1"), ("A", "2-3"), ("B", "2-3")]


def test_without_common_users_nobody_leads() -> None:
    by_name = {"A": {"u": 1.0}, "B": {"v": 0.0}}
    (pair,) = pairs({"x": by_name})["x"]
    assert pair.leader is None
    assert [one.words for one in places(by_name, [pair])] == ["1-2", "1-2"]
