"""Triples come from what users were really shown, evenly, and the same whenever they are drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Outcome
from recarena.evaluation.runs.unreadable import UnreadableRun
from recarena.evaluation.stimuli.exposures import Exposures
from recarena.evaluation.stimuli.sampling import BadSample, Known, bad_items, sample
from support.explained_logs import explained_log, explained_page, many_users, numbers
from support.run_logs import event, page


def drawn(*logs, count=10, seed=1, **more):
    return sample(logs, count, seed, **{"least": 1, "extra": 0, **more})


def as_set(found):
    return {(one.run_id, one.user_id, one.item_id, one.round) for one in found.triples}


def test_a_triple_says_where_its_explanation_was_shown():
    rows = explained_page(
        1,
        {2: None, 3: "Because."},
        round=2,
        step=4,
        evidence={
            3: [("feature", "genre=War"), ("method", "m"), ("locale", "en"), ("parsed", "praise")]
        },
    )
    (one,) = drawn(explained_log(rows, rounds=2)).triples
    assert (one.user_id, one.item_id, one.round, one.step, one.position) == ("u1", "i3", 2, 4, 1)
    assert (one.id, one.run_id, one.recommender, one.extra) == ("t0001", "r", "a", False)
    words = one.explanation
    assert words.text == "Because."
    assert words.evidence == (("feature", "genre=War"), ("parsed", "praise"))
    assert (words.method, words.locale, one.method) == ("m", "en", "m")


def test_withheld_explanations_are_sampled_too_and_folders_without_evidence_are_read():
    rows = explained_page(0, {0: "Shown.", 1: "Withheld."}, withheld=[1])
    log = explained_log(rows, evidence=False)
    assert {one.explanation.text for one in drawn(log).triples} == {"Shown.", "Withheld."}
    assert Exposures.of(log).shown.tolist() == [True, False]


def test_nothing_is_asked_about_items_that_the_user_had_watched_before():
    rows = [
        *explained_page(0, {0: "History.", 1: "New."}, {1: 4.0}, round=1),
        *explained_page(0, {1: "Watched by now.", 2: "First."}, {2: 3.0}, round=2, step=0),
        *explained_page(0, {2: "Watched a page ago."}, round=2, step=1),
    ]
    log = explained_log(rows, rounds=2, history=[(0, 0, 4.0), (1, 1, 4.0)])
    assert {one.explanation.text for one in drawn(log).triples} == {"New.", "First."}
    assert Exposures.of(log).watched.tolist() == [False, True, False, True, False]


def test_lists_that_are_not_the_recommenders_own_and_other_pages_than_feeds_are_left_out():
    late = explained_page(0, {0: "Late."}, outcome=Outcome.LATE)
    search = explained_page(0, {1: "Searched."}, step=1)
    search[0]["surface"] = 3
    blank = explained_page(0, {2: "  "}, step=2)
    feed = explained_page(0, {3: "Feed."}, step=3)
    found = drawn(explained_log([*late, *search, *blank, *feed]))
    assert [one.explanation.text for one in found.triples] == ["Feed."]


def test_of_a_user_and_an_item_the_first_time_counts():
    log = many_users(2, items=2, rounds=3)
    found = drawn(log, count=50)
    assert {one.round for one in found.triples} == {1}
    assert len(found.triples) == 4


def test_users_come_one_by_one_before_any_comes_twice():
    found = drawn(many_users(10), count=10)
    assert Counter(one.user_id for one in found.triples) == {f"u{n}": 1 for n in range(10)}
    twice = drawn(many_users(10), count=20)
    assert set(Counter(one.user_id for one in twice.triples).values()) == {2}
    most = drawn(many_users(10), count=50, per_user=3)
    assert set(Counter(one.user_id for one in most.triples).values()) == {3}
    assert most.short == {"a": 20}


def test_recommenders_are_sampled_evenly_from_mirrored_runs_and_from_arms():
    runs = [many_users(9, run_id=name, recommenders=[name]) for name in ("x", "y", "z")]
    found = drawn(*runs, count=10)
    assert Counter(one.recommender for one in found.triples) == {"x": 4, "y": 3, "z": 3}
    arms = drawn(many_users(9, recommenders=["x", "y"]), count=8)
    assert Counter(one.recommender for one in arms.triples) == {"x": 4, "y": 4}


def test_mirrored_runs_are_asked_about_the_same_users_and_items():
    runs = [many_users(30, run_id=name, recommenders=[name]) for name in ("x", "y")]
    found = drawn(*runs, count=20)
    pairs = {
        name: {(one.user_id, one.item_id) for one in found.triples if one.recommender == name}
        for name in ("x", "y")
    }
    assert pairs["x"] == pairs["y"]
    assert len({one.world for one in found.triples}) == 1


def test_a_sample_depends_neither_on_the_order_of_runs_nor_on_its_size():
    runs = [many_users(12, run_id=name, recommenders=[name]) for name in ("x", "y")]
    few, many = drawn(*runs, count=8), drawn(*reversed(runs), count=20)
    assert list(many.triples[:8]) == list(few.triples)
    assert len({one.id for one in many.triples}) == 20
    assert as_set(drawn(*runs, count=8)) == as_set(few)
    assert as_set(drawn(*runs, count=8, seed=2)) != as_set(few)


def test_items_of_low_true_quality_are_bad_and_come_once_more():
    log = many_users(8, quality=[-1.0, 0.5, 0.4, 0.3, 0.2])
    known, bad = bad_items(log)
    assert known == Known.ESTIMATE
    assert bad.tolist() == [True, False, False, False, True]  # the lowest quarter of five
    found = drawn(log, count=8, extra=1, per_user=1)
    extra = [one for one in found.triples if one.extra]
    assert len(extra) == 8
    assert any(one.bad for one in found.triples if not one.extra)
    assert all(one.bad and one.item_id in ("i0", "i4") and one.id[0] == "b" for one in extra)
    plain = [one for one in found.triples if not one.extra]
    assert all(one.bad == (one.item_id in ("i0", "i4")) for one in plain)
    assert not as_set(replace(found, triples=extra)) & as_set(replace(found, triples=plain))


def test_without_the_truth_mean_ratings_tell_from_five_on():
    history = [
        (user, item, rating)
        for item, rating in ((0, 1.0), (1, 4.0), (2, 5.0))
        for user in range(2, 7)
    ]
    few = [(user, 3, 1.0) for user in range(2, 6)]  # one too few
    unrated = [(user, 4, 0.0) for user in range(2, 7)]
    log = many_users(7, history=[*history, *few, *unrated])
    known, bad = bad_items(log)
    assert known == Known.RATINGS
    assert bad.tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("source", "known"), [("planted", Known.TRUTH), ("generated", Known.TRUTH),
                          ("movielens", Known.ESTIMATE), ("disguised", Known.ESTIMATE)],
)  # fmt: skip
def test_only_worlds_that_were_made_up_know_the_truth(source, known):
    log = many_users(3, quality=[-1.0, 0.5, 0.4, 0.3, 0.2])
    log.manifest["dataset"]["origin"]["source"] = source
    assert bad_items(log)[0] == known


def test_where_nothing_is_known_or_all_are_alike_no_item_is_bad():
    assert bad_items(many_users(3))[0] == Known.NOTHING
    assert not bad_items(many_users(3))[1].any()
    assert not bad_items(many_users(3, quality=[0.0] * 5))[1].any()
    assert not [one for one in drawn(many_users(3), extra=1).triples if one.extra]


def test_a_run_without_explanations_is_refused_with_the_remedy():
    log = explained_log(page(0, [0, 1]))
    with pytest.raises(BadSample, match="without explanations; play it with --explanations, or"):
        drawn(log)


def test_a_run_whose_recommender_sent_none_says_so():
    log = explained_log(page(0, [0, 1]))
    log = replace(log, manifest={**log.manifest, "settings": {"arms": [{"explanations": True}]}})
    with pytest.raises(BadSample, match="were asked for, and none came from a"):
        drawn(log)


def test_explanations_without_words_are_said_to_have_none():
    log = explained_log([*explained_page(0, {0: "", 1: " "}), *explained_page(1, {2: ""})])
    with pytest.raises(BadSample, match="none of the 3 explanations of a has words"):
        drawn(log)


def test_too_few_and_nothing_new_are_refused():
    with pytest.raises(BadSample, match=r"a: 3 explained exposures of 3 users .* 5 are needed"):
        drawn(many_users(3, items=1), least=5)
    seen = explained_log(explained_page(0, {0: "Old."}), history=[(0, 0, 3.0)])
    with pytest.raises(BadSample, match="none is of a feed and of an item that was new"):
        drawn(seen)
    with pytest.raises(BadSample, match="Name a run folder"):
        drawn()
    with pytest.raises(BadSample, match="two runs are called r"):
        drawn(many_users(3), many_users(3))
    with pytest.raises(BadSample, match="ask for 1 or more"):
        drawn(many_users(3), count=0)


def test_evidence_that_cannot_be_read_is_told_and_not_thrown():
    rows = explained_page(0, {0: "Because."})
    rows[1]["evidence"] = "[[1,"
    with pytest.raises(UnreadableRun, match="evidence of an explanation cannot be read"):
        drawn(explained_log(rows))


def test_what_other_events_say_is_no_explanation():
    rows = [*explained_page(0, {0: "Because."}), event(0, Kind.POST, item=1, code=1, text="Hello.")]
    found = drawn(explained_log(rows))
    assert len(found.triples) == 1
    assert numbers(explained_log(rows), found.triples[0]) == (0, 0)
