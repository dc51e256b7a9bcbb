"""What judges are asked about triples, and how their answers become rows."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.explaining.inquiries import build, count_calls, explanation
from recarena.evaluation.explaining.judges import BadJudge, check_writer, judge
from recarena.evaluation.explaining.plan import Plan
from recarena.evaluation.judging.replies import Asked, Probe
from recarena.evaluation.questionnaires.reading import load
from recarena.evaluation.stimuli.catalogue import Catalogue
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.counterparts import beside
from recarena.evaluation.stimuli.quiz import Question, quiz
from recarena.evaluation.stimuli.triples import Words
from recarena.v1 import simulation_inquiry_service_pb2 as pb
from recarena.v1.types_pb2 import Evidence
from support.explained_logs import a_triple, explained_log

C = Condition
BATTERY = load("battery")
QUESTION = Question("genre-1", "Which?", ("War", "Comedy"), ("genre=War", "genre=Comedy"), 1)
TOLD = {one: Words(f"{one} words", (("feature", "genre=War"),)) for one in C if one != C.NONE}


def asks(*triples, name="scripted:honest", told=TOLD, quizzed=(QUESTION,), **plan):
    triples = triples or (a_triple(),)
    plan = Plan.of(judge(name), BATTERY, **{"draws": 2, "repeats": 1, **plan})
    return build(
        plan, triples, {one.id: {C.NONE: None, **told} for one in triples},
        {one.id: quizzed for one in triples},
    )  # fmt: skip


def the(found, inquiry_id):
    (one,) = [one for one in found if one.inquiry.inquiry_id == inquiry_id]
    return one


def task_counts(found):
    return Counter(one.inquiry.WhichOneof("task") for one in found)


# ------------------------------------------------------------------------------------ what is asked
def test_choosing_is_asked_on_the_page_and_expecting_by_the_item_under_every_condition():
    found = asks()
    choose = the(found, "t0001/real/choose/d1").inquiry
    assert (choose.user_id, choose.before_round, choose.draw) == ("u0", 2, 1)
    assert (choose.impression.step, choose.impression.position) == (1, 3)
    assert choose.explanation.text == "real words"
    expect = the(found, "t0001/none/expect/d0").inquiry
    assert expect.item_id == "i1"
    assert not expect.HasField("explanation")
    counts = Counter((one.reading.blank.asked, one.reading.blank.condition) for one in found)
    for condition in C:
        assert counts[Asked.CHOOSE, condition] == counts[Asked.EXPECT, condition] == 2
    assert counts[Asked.RATE, C.NONE] == 2
    assert sum(count for (asked, _), count in counts.items() if asked == Asked.RATE) == 2
    assert the(found, "t0001/none/rate/d1").inquiry.item_id == "i1"


def test_ids_are_unique_and_the_same_whatever_else_is_asked():
    found = asks(a_triple(), a_triple(2), draws=3)
    ids = [one.inquiry.inquiry_id for one in found]
    assert len(set(ids)) == len(ids)
    assert all(len(one.encode()) <= 128 for one in ids)
    alone = {one.inquiry.inquiry_id: one.inquiry for one in asks(a_triple(2), draws=1)}
    more = {one.inquiry.inquiry_id: one.inquiry for one in found}
    assert alone == {name: more[name] for name in alone}


def test_a_name_that_is_too_long_is_cut_to_another_one_each():
    names = [one.inquiry.inquiry_id for one in asks(a_triple(id="t" * 120))]
    assert all(len(name.encode()) <= 128 for name in names)
    assert len(set(names)) == len(names)


def test_the_quiz_is_asked_without_words_with_the_real_and_with_empty_ones():
    found = [one for one in asks() if one.reading.blank.asked == Asked.QUIZ]
    assert [one.inquiry.inquiry_id for one in found] == [
        f"t0001/{name}/quiz" for name in ("none", "real", "placebo")
    ]
    (question,) = found[0].inquiry.quiz.questions
    assert list(question.facts) == ["genre=War", "genre=Comedy"]
    assert not [one for one in asks(quizzed=()) if one.reading.blank.asked == Asked.QUIZ]


def test_statements_are_asked_in_each_wording_and_once_more_with_a_claim_of_authorship():
    found = [one for one in asks(repeats=2) if one.reading.blank.asked == Asked.STATEMENT]
    constructs = [one.id for one in BATTERY.constructs]
    wordings = len(BATTERY.items[0].texts)
    plain = [one for one in found if one.reading.blank.probe == Probe.NONE]
    assert len(plain) == len(constructs) * wordings * 2 * 5  # repeats, conditions with words
    assert not [one for one in found if one.reading.blank.condition == C.NONE]
    told = [one for one in found if one.inquiry.questionnaire.preface]
    assert {one.reading.blank.probe for one in told} == {Probe.AUTHORSHIP}
    assert {one.reading.blank.condition for one in told} == {C.REAL}
    assert sorted(one.reading.blank.construct for one in told) == sorted(constructs)
    challenged = [one for one in found if one.inquiry.questionnaire.challenge]
    assert len(challenged) == len(constructs)
    for one in told:
        (twin,) = [
            other for other in challenged
            if other.reading.blank.construct == one.reading.blank.construct
        ]  # fmt: skip
        assert twin.reading.items == one.reading.items
        assert one.reading.blank.order == int(one.inquiry.questionnaire.labels_from_highest)
    sheet = plain[0].inquiry.questionnaire
    assert (sheet.lowest, sheet.highest) == (BATTERY.lowest, BATTERY.highest)
    for statement in sheet.statements:
        item = BATTERY.by_id[statement.statement_id]
        assert statement.text in item.texts
        assert (statement.reversed, statement.asked_for) == (item.reversed, item.asked_for)


def test_only_the_first_triples_are_asked_for_statements_and_comparisons():
    found = asks(a_triple(), a_triple(2), questionnaire_triples=1)
    for asked in (Asked.STATEMENT, Asked.COMPARE):
        assert {one.reading.blank.triple for one in found if one.reading.blank.asked == asked} == {
            "t0001"
        }
    assert {one.reading.blank.triple for one in found} == {"t0001", "t0002"}


def test_the_choice_mind_is_asked_for_no_statements_and_language_models_less_often():
    assert not task_counts(asks(name="choice"))["questionnaire"]
    plan = Plan.of(judge("anthropic:m"), BATTERY)
    assert (plan.draws, plan.questionnaire_triples, plan.repeats) == (3, 20, 3)
    assert Plan.of(judge("choice")).draws == Plan.of(judge("scripted:halo")).draws == 10
    assert Plan.of(judge("scripted:halo")).questionnaire_triples == 60
    assert Plan.of(judge("choice"), draws=4, seed=7).as_json()["draws"] == 4


def test_of_extra_bad_items_only_behaviour_is_asked_and_only_where_it_matters():
    found = asks(a_triple(id="b0001", bad=True, extra=True))
    assert set(task_counts(found)) == {"choose", "expect", "rate"}
    assert {one.reading.blank.condition for one in found} == {C.NONE, C.REAL, C.PLACEBO, C.HYPE}


def test_a_condition_without_words_is_not_asked():
    told = {**TOLD, C.SHUFFLED: None}
    found = asks(told=told)
    for one in found:
        assert C.SHUFFLED not in (one.reading.blank.condition, one.reading.blank.other_condition)
    assert [one for one in found if one.reading.blank.condition == C.FALSE_FACT]


def test_calls_count_a_challenge_twice():
    found = asks()
    challenged = sum(one.inquiry.questionnaire.challenge for one in found)
    assert challenged > 0
    assert count_calls(found) == len(found) + challenged
    assert count_calls(asks(probes=False)) == len(asks(probes=False))


# -------------------------------------------------------------------------------------- comparisons
def test_explanations_are_compared_in_both_orders():
    found = asks(compared=("persuasiveness",))
    one = the(found, "t0001/real-placebo/compare/persuasiveness/o0").inquiry
    other = the(found, "t0001/real-placebo/compare/persuasiveness/o1").inquiry
    assert one.explanation.text == other.compare.other.text == "real words"
    assert other.explanation.text == one.compare.other.text == "placebo words"
    assert one.item_id == other.item_id == "i1"
    assert one.compare.other_item_id == other.compare.other_item_id == ""
    assert task_counts(found)["compare"] == 2 * 3  # with placebo, shuffled and hype
    assert task_counts(asks(compared=()))["compare"] == 0


def test_recommenders_are_compared_by_the_user_that_both_explained_something_to():
    mine = a_triple(1, recommender="a", run_id="ra", item_id="i1")
    theirs = a_triple(2, recommender="b", run_id="rb", item_id="i4", round=5)
    found = asks(mine, theirs, against=(), compared=("persuasiveness",))
    first, second = [one for one in found if one.reading.blank.asked == Asked.COMPARE]
    assert (first.run_id, second.run_id) == ("ra", "ra")
    assert (first.inquiry.item_id, first.inquiry.compare.other_item_id) == ("i1", "i4")
    assert (second.inquiry.item_id, second.inquiry.compare.other_item_id) == ("i4", "i1")
    assert first.inquiry.before_round == second.inquiry.before_round == 2
    assert first.reading.blank.other_triple == "t0002"
    assert not [
        one for one in asks(mine, theirs, against=(), between=False)
        if one.reading.blank.asked == Asked.COMPARE
    ]  # fmt: skip


def test_counterparts_are_of_the_same_user_and_world_with_the_same_item_first():
    a = [a_triple(n, recommender="a", item_id=f"i{n}") for n in (1, 2)]
    b = [a_triple(n, recommender="b", item_id=f"i{item}") for n, item in ((3, 9), (4, 1))]
    stranger = a_triple(5, recommender="b", user_id="u9")
    elsewhere = a_triple(6, recommender="b", world="other")
    found = [(one.id, other.id) for one, other in beside([*b, *a, stranger, elsewhere])]
    assert found == [("t0001", "t0004"), ("t0002", "t0003")]


# ------------------------------------------------------------------------------------------ as sent
def test_what_the_server_read_from_words_is_not_sent_as_evidence():
    sent = explanation(Words("A war.", (("item", "i1"), ("parsed", "genre=War"), ("social", "u1"),
                                        ("popularity", "3")), "m", "en"))  # fmt: skip
    assert [(one.kind, one.reference) for one in sent.evidence] == [
        (Evidence.KIND_ITEM, "i1"), (Evidence.KIND_SOCIAL, "u1"), (Evidence.KIND_POPULARITY, "3"),
    ]  # fmt: skip
    assert (sent.text, sent.method, sent.locale) == ("A war.", "m", "en")


# ------------------------------------------------------------------------------------------ answers
def read(inquiry_id, **answer):
    return the(asks(), inquiry_id).reading.replies(pb.InquiryAnswer(**answer))


def test_behaviour_becomes_numbers():
    (one,) = read("t0001/real/choose/d1", chosen=pb.Chosen(watched=True, also_watched=[1]))
    assert (one.judge, one.triple, one.condition, one.asked, one.value, one.draw) == (
        "scripted:honest", "t0001", "real", "choose", 1.0, 1,
    )  # fmt: skip
    (one,) = read("t0001/real/choose/d1", chosen=pb.Chosen())
    assert one.value == 0.0
    (one,) = read("t0001/none/rate/d0", rating=pb.Rating(value=4))
    assert (one.asked, one.value) == ("rate", 4.0)


@pytest.mark.parametrize(
    ("order", "choice", "value"),
    [(0, 1, 1), (0, 2, -1), (0, 3, 0), (1, 1, -1), (1, 2, 1), (1, 3, 0)],
)
def test_a_preference_is_for_the_left_whichever_was_shown_first(order, choice, value):
    name = f"t0001/real-hype/compare/persuasiveness/o{order}"
    (one,) = read(name, preference=pb.Preference(choice=choice))
    assert (one.value, one.order) == (value, order)
    assert (one.condition, one.other_condition, one.other_triple) == ("real", "hype", "")
    (none,) = read(name, preference=pb.Preference())
    assert (none.value, none.missing) == (None, "UNREADABLE")


def test_quiz_answers_are_right_or_wrong_and_not_knowing_is_wrong():
    def answered(**answer):
        quiz = pb.QuizAnswers(answers=[{"question_id": "genre-1", **answer}])
        (one,) = read("t0001/real/quiz", quiz=quiz)
        return one.value, one.said, one.missing, one.item

    assert answered(option=1) == (1.0, "Comedy", "", "genre-1")
    assert answered(option=0) == (0.0, "War", "", "genre-1")
    assert answered(unknown=True) == (0.0, "unknown", "", "genre-1")
    assert answered(option=7) == (None, "", "UNREADABLE", "genre-1")
    assert answered() == (None, "", "UNREADABLE", "genre-1")
    refused = {"reason": pb.Missing.REASON_REFUSED}
    assert answered(missing=refused) == (None, "", "REFUSED", "genre-1")


def statement_asks():
    found = [one for one in asks() if one.reading.blank.asked == Asked.STATEMENT]
    challenged = next(one for one in found if one.inquiry.questionnaire.challenge)
    plain = next(one for one in found if not one.inquiry.questionnaire.challenge)
    return challenged, plain


def test_scores_are_as_given_and_second_ones_are_rows_of_their_own():
    ask, _ = statement_asks()
    items = ask.reading.items
    scores = [{"statement_id": items[0], "value": 5, "second_value": 2},
              {"statement_id": items[1], "value": 4}]  # fmt: skip
    found = ask.reading.replies(pb.InquiryAnswer(scores=pb.Scores(scores=scores)))
    rows = {(one.item, one.probe): (one.value, one.missing) for one in found}
    assert len(rows) == len(found) == 2 * len(items)
    assert rows[items[0], ""] == (5.0, "")
    assert rows[items[0], "challenge"] == (2.0, "")
    assert rows[items[1], ""] == (4.0, "")
    assert rows[items[1], "challenge"] == (None, "UNREADABLE")
    assert rows[items[2], ""] == rows[items[2], "challenge"] == (None, "UNREADABLE")
    assert {one.construct for one in found} == {ask.inquiry.questionnaire.construct}


def test_a_missing_score_stays_missing_the_second_time():
    ask, _ = statement_asks()
    item = ask.reading.items[0]
    missing = {"statement_id": item, "missing": {"reason": pb.Missing.REASON_NOT_APPLICABLE}}
    found = ask.reading.replies(pb.InquiryAnswer(scores=pb.Scores(scores=[missing])))
    rows = [(one.value, one.missing, one.probe) for one in found if one.item == item]
    assert rows == [(None, "NOT_APPLICABLE", ""), (None, "NOT_APPLICABLE", "challenge")]


@given(st.sampled_from(sorted(pb.Missing.Reason.values())), st.integers(0, 10**6))
def test_a_missing_answer_has_as_many_rows_as_any_other_and_no_number(reason, number):
    found = ALL_ASKS[number % len(ALL_ASKS)]
    rows = found.reading.replies(pb.InquiryAnswer(missing=pb.Missing(reason=reason)))
    name = pb.Missing.Reason.Name(reason).removeprefix("REASON_") if reason else "UNREADABLE"
    assert rows
    assert {(one.value, one.missing) for one in rows} == {(None, name)}
    statements = len(found.inquiry.questionnaire.statements) * (
        2 if found.inquiry.questionnaire.challenge else 1
    )
    assert len(rows) == max(1, statements, len(found.inquiry.quiz.questions))


def test_an_answer_to_something_else_cannot_be_read():
    for ask in ALL_ASKS:
        rows = ask.reading.replies(pb.InquiryAnswer(words=pb.Words(text="Hm.")))
        assert {(one.value, one.missing) for one in rows} == {(None, "UNREADABLE")}


ALL_ASKS = asks()


# --------------------------------------------------------------------------------------------- quiz
def test_a_quiz_asks_for_genres_with_one_right_answer_and_for_the_decade():
    names = ("Comedy", "Drama", "War", "Western", "Action", "Horror")
    log = explained_log([], titles=["Alpha", "Beta (1994)"], years=[1987, 1994],
                        genres=[names[:2], names[1:]])  # fmt: skip
    catalogue = Catalogue.of(log)
    found = quiz(catalogue, 0, 1)
    assert [one.id for one in found] == ["genre-1", "genre-2", "decade"]
    for one in found[:2]:
        assert len(one.options) == len(set(one.options)) == 4
        assert one.options[one.right] in names[:2]
        assert not set(one.options) & set(names[:2]) - {one.options[one.right]}
        assert one.facts == tuple(f"genre={option}" for option in one.options)
    assert {one.options[one.right] for one in found[:2]} == set(names[:2])
    assert (found[2].options[found[2].right], found[2].facts[found[2].right]) == (
        "1980s", "decade=1980",
    )  # fmt: skip
    assert found == quiz(catalogue, 0, 1)
    assert len({quiz(catalogue, 0, seed)[0] for seed in range(8)}) > 1
    assert "decade" not in [one.id for one in quiz(catalogue, 1, 1)]  # the title tells it


def test_a_quiz_asks_for_three_genres_at_most():
    names = ("Comedy", "Drama", "War", "Western", "Action", "Horror")
    log = explained_log([], titles=["Alpha", "Beta"], genres=[names[:5], names[5:]])
    assert [one.id for one in quiz(Catalogue.of(log), 0, 1)] == ["genre-1", "genre-2", "genre-3"]


def test_there_is_no_quiz_where_the_catalogue_does_not_tell_enough():
    log = explained_log([], titles=["Alpha"], genres=[["Comedy"]])
    assert quiz(Catalogue.of(log), 0, 1) == ()


# ------------------------------------------------------------------------------------------- judges
def test_judges_are_named_as_on_the_command_line():
    model = judge("anthropic:claude-haiku-4-5", {"llm": {"max_cost": 1.0}, "memory": {"a": 1}})
    message = model.message()
    assert message.kind == "llm"
    assert message.settings["llm"]["provider"] == "anthropic"
    assert message.settings["llm"]["model"] == "claude-haiku-4-5"
    assert message.settings["llm"]["max_cost"] == 1.0
    assert message.settings["memory"]["a"] == 1
    assert message.recording == "explain-anthropic-claude-haiku-4-5"
    assert judge("choice").message().kind == "choice"
    assert judge("choice", {"llm": {"provider": "openai"}}).settings == {}
    assert judge("scripted:halo").message().kind == "scripted:halo"
    assert judge("scripted:halo").message().recording == ""


@pytest.mark.parametrize("name", ["", "gpt", "scripted:mean", "anthropic:", "llm:x"])
def test_a_name_that_is_no_judges_is_refused_with_those_that_are(name):
    with pytest.raises(BadJudge, match="is no judge: write choice, scripted:honest"):
        judge(name)


def test_nobody_judges_what_it_wrote():
    mine, other = judge("openai:a"), judge("anthropic:b")
    check_writer(None, [mine])
    check_writer(mine, [other, judge("choice")])
    with pytest.raises(BadJudge, match="openai:a would judge texts that it wrote itself"):
        check_writer(mine, [other, judge("openai:A")])
    with pytest.raises(BadJudge, match="wrote itself"):  # the same model behind another server
        check_writer(judge("openai-compatible:a"), [mine])
    with pytest.raises(BadJudge, match="cannot write texts"):
        check_writer(judge("choice"), [])
