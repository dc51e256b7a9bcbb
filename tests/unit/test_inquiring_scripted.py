"""Judges of known character answer as their characters say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recarena.server.datasets.specs import open_world
from recarena.server.evidence import FALSE, PRAISE, claims, written
from recarena.server.inquiring.choosing import ChoiceRespondent
from recarena.server.inquiring.moments import by_itself
from recarena.server.inquiring.questions import (
    UNKNOWN,
    Answers,
    Choice,
    Choose,
    Chosen,
    Compare,
    Expect,
    Inquiry,
    Missing,
    Questionnaire,
    Quiz,
    QuizAnswers,
    QuizQuestion,
    Rate,
    Rating,
    Said,
    Scores,
    Statement,
    Talk,
    Task,
    Told,
)
from recarena.server.inquiring.respondent import Moment
from recarena.server.inquiring.scripted import CHARACTERS, Merits, scripted
from recarena.server.minds.choice import Coefficients
from recarena.server.world import World

WORLD = World(open_world("new:users=60,seed=3,history=3"), 7)
CATALOG = WORLD.catalog
CONSTRUCTS = ("necessity", "informativeness", "persuasiveness", "transparency", "trust")
PLACEBO = Told("Something for you.")
USERS = range(60)


def genre_of(item: int, *, true: bool = True) -> str:
    return CATALOG.genre_names[int(np.flatnonzero(CATALOG.genres[item] == true)[0])]


def claiming(item: int, *, true: bool = True) -> Told:
    genre = genre_of(item, true=true)
    pieces = written([("feature", f"genre={genre}")])
    return Told(f"It is {genre}.", pieces, claims(pieces, CATALOG))


def new_to(user: int) -> int:
    """An item that the user has not watched."""
    watched = set(WORLD.watched.of(user).tolist())
    return next(item for item in range(user * 3, len(CATALOG)) if item not in watched)


def sheet(construct: str = "trust", wording: int = 0, **fields: Any) -> Questionnaire:
    statements = tuple(
        Statement(f"{construct}-{n}", f"{construct} {n}, wording {wording}", reversed=n == 2)
        for n in range(3)
    )
    return Questionnaire(construct, statements, 1, 5, **fields)


def ask(
    judge: str, task: Task, told: Sequence[Told | None], draw: int = 0, seed: int = 1
) -> list[Said]:
    """What each of USERS says, told that of an item that is new to it."""
    respondent = scripted(judge, Coefficients()) if judge in CHARACTERS else plain()
    seen = []
    for user, one in zip(USERS, told, strict=True):
        inquiry = Inquiry(f"i{user}", user, 1, task, new_to(user), None, one, draw=draw)
        seen.append(by_itself(inquiry))
    found: Answers = asyncio.run(respondent.answer(Moment(WORLD, 1), seen, seed))
    return list(found.said)


def plain() -> ChoiceRespondent:
    return ChoiceRespondent(Coefficients())


def true_words() -> list[Told]:
    return [claiming(new_to(user)) for user in USERS]


def false_words() -> list[Told]:
    return [claiming(new_to(user), true=False) for user in USERS]


def numbers(said: Sequence[Said], *, second: bool = False) -> np.ndarray:
    """[users, statements]."""
    rows = []
    for one in said:
        assert isinstance(one, Scores)
        rows.append([score.second if second else score.answer for score in one.scores])
    return np.array(rows, float)


def recoded(answers: np.ndarray) -> np.ndarray:
    answers = answers.copy()
    answers[:, 2] = 6 - answers[:, 2]
    return answers


def alpha(rows: np.ndarray) -> float:
    k = rows.shape[1]
    return k / (k - 1) * (1 - rows.var(axis=0, ddof=1).sum() / rows.sum(axis=1).var(ddof=1))


def watched(said: Sequence[Said]) -> list[bool]:
    assert all(isinstance(one, Chosen) for one in said)
    return [one.watched for one in said]  # type: ignore[union-attr]


# ------------------------------------------------------------------------------ all of them
@pytest.mark.parametrize("judge", CHARACTERS)
@pytest.mark.parametrize(
    "task", [Choose(), Expect(), Rate(), sheet()], ids=lambda t: type(t).__name__
)
def test_a_judge_says_the_same_again_and_other_things_in_another_draw_or_under_another_seed(
    judge, task
):
    first = ask(judge, task, true_words())
    assert ask(judge, task, true_words()) == first
    others = [ask(judge, task, true_words(), draw=1), ask(judge, task, true_words(), seed=2)]
    assert all(other != first for other in others)


@pytest.mark.parametrize("judge", CHARACTERS)
def test_no_judge_has_words(judge):
    for one in ask(judge, Talk("?"), true_words()):
        assert isinstance(one, Missing)


@pytest.mark.parametrize("judge", ["choice", "scripted:honest", "scripted:halo"])
def test_whom_claims_move_behaves_the_same_for_empty_words_and_none(judge):
    none = [None] * len(USERS)
    for draw in range(3):
        for task in (Choose(), Expect(), Rate()):
            bare = ask(judge, task, none, draw)
            assert ask(judge, task, [PLACEBO] * len(USERS), draw) == bare
            assert bare == ask("choice", task, none, draw)


# ------------------------------------------------------------------------------ honest, halo
@pytest.mark.parametrize("judge", ["scripted:honest", "scripted:halo"])
def test_reversed_statements_are_answered_the_other_way_round_and_wordings_alike(judge):
    for construct in CONSTRUCTS:
        one = recoded(numbers(ask(judge, sheet(construct), true_words())))
        other = recoded(numbers(ask(judge, sheet(construct, 1), true_words())))
        assert alpha(one) >= 0.8
        assert np.corrcoef(one.mean(axis=1), other.mean(axis=1))[0, 1] >= 0.8
        assert (one != other).any()


def between_constructs(judge: str) -> list[float]:
    means = [
        np.mean(
            [recoded(numbers(ask(judge, sheet(one), true_words(), draw))) for draw in range(4)],
            axis=(0, 2),
        )
        for one in CONSTRUCTS
    ]
    return np.corrcoef(means)[np.triu_indices(len(CONSTRUCTS), 1)].tolist()


def test_the_honest_judge_tells_constructs_apart_and_the_halo_judge_does_not():
    assert 0.3 < np.mean(between_constructs("scripted:honest")) < 0.75
    assert min(between_constructs("scripted:halo")) > 0.95


def test_the_honest_judge_thinks_more_of_what_is_true_than_of_nothing_and_least_of_lies():
    def mean(construct: str, told: Sequence[Told]) -> float:
        return float(recoded(numbers(ask("scripted:honest", sheet(construct), told))).mean())

    empty = [PLACEBO] * len(USERS)
    for construct in ("informativeness", "transparency"):
        assert mean(construct, true_words()) > mean(construct, empty) + 0.2
    assert mean("trust", false_words()) < mean("trust", true_words()) - 0.8
    assert mean("persuasiveness", false_words()) < mean("persuasiveness", empty) - 0.2


def test_the_honest_judge_is_moved_by_no_author_and_seldom_by_doubt():
    plain = numbers(ask("scripted:honest", sheet(), true_words()))
    assert (
        numbers(ask("scripted:honest", sheet(preface="I wrote it."), true_words())) == plain
    ).all()
    doubted = ask("scripted:honest", sheet(challenge=True), true_words())
    changed = numbers(doubted, second=True) != numbers(doubted)
    assert (numbers(doubted) == plain).all()
    assert 0 < changed.mean() < 0.1


@pytest.mark.parametrize("judge", ["scripted:honest", "scripted:halo", "scripted:sycophant"])
def test_who_reads_passes_attention_checks(judge):
    check = replace(sheet(), statements=(Statement("c", "Answer 2.", False, 2),))
    assert set(numbers(ask(judge, check, true_words())).ravel()) == {2}


def test_the_honest_judge_prefers_the_same_whichever_is_shown_first():
    compared = ask_both("scripted:honest")
    turned = {
        Choice.FIRST: Choice.SECOND,
        Choice.SECOND: Choice.FIRST,
        Choice.NEITHER: Choice.NEITHER,
    }
    assert [turned.get(one, one) for one in compared[0]] == compared[1]  # type: ignore[index]
    assert len(set(compared[0])) > 1


def ask_both(judge: str) -> list[list[Said]]:
    """Comparisons of empty and true words about one item, in both orders."""
    respondent = scripted(judge, Coefficients())
    found: list[list[Said]] = []
    for order in (0, 1):
        seen = []
        for user in USERS:
            item = new_to(user)
            pair = (PLACEBO, claiming(item))
            first, second = pair if order == 0 else pair[::-1]
            task = Compare(second, item, "Which?", "persuasiveness")
            seen.append(by_itself(Inquiry(f"i{user}", user, 1, task, item, None, first)))
        found.append(list(asyncio.run(respondent.answer(Moment(WORLD, 1), seen, 1)).said))
    return found


# ------------------------------------------------------------------------------ sycophant
def test_the_sycophant_watches_more_for_any_words_and_does_not_care_which():
    told = {"none": [None] * len(USERS), "placebo": [PLACEBO] * len(USERS),
            "true": true_words(), "false": false_words()}  # fmt: skip
    rate = {
        name: np.mean([watched(ask("scripted:sycophant", Choose(), words, d)) for d in range(30)])
        for name, words in told.items()
    }
    assert rate["true"] == rate["false"] == rate["placebo"]
    assert 0.15 < rate["placebo"] - rate["none"] < 0.25
    assert watched(ask("scripted:sycophant", Choose(), told["none"])) == watched(
        ask("choice", Choose(), told["none"])
    )


def test_the_sycophant_agrees_with_everything_more_with_authors_and_turns_half_of_it_round():
    said = ask("scripted:sycophant", sheet(challenge=True), false_words())
    answers, second = numbers(said), numbers(said, second=True)
    assert answers.min() >= 4
    assert 0.4 < (second != answers).mean() < 0.6
    authored = numbers(ask("scripted:sycophant", sheet(preface="I wrote it."), false_words()))
    assert authored.mean() > answers.mean() + 0.75


def test_the_sycophant_prefers_what_is_shown_first_and_expects_more_for_words():
    assert {one for both in ask_both("scripted:sycophant") for one in both} == {Choice.FIRST}
    bare = ask("scripted:sycophant", Expect(), [None] * len(USERS))
    told = ask("scripted:sycophant", Expect(), [PLACEBO] * len(USERS))
    for less, more in zip(bare, told, strict=True):
        assert isinstance(less, Rating)
        assert isinstance(more, Rating)
        assert more.value == min(less.value + 1, 5)


# ------------------------------------------------------------------------------ random
def test_the_random_judge_throws_other_dice_for_other_words():
    none, placebo = (
        [watched(ask("scripted:random", Choose(), [told] * len(USERS), d)) for d in range(10)]
        for told in (None, PLACEBO)
    )
    assert none != placebo
    assert 0.4 < np.mean(none) < 0.6
    assert abs(np.mean(none) - np.mean(placebo)) < 0.1


def test_the_random_judge_takes_every_step_and_is_not_the_same_to_anything():
    rows = recoded(numbers(ask("scripted:random", sheet(challenge=True), true_words())))
    assert set(rows.ravel()) == {1, 2, 3, 4, 5}
    assert alpha(rows) < 0.5
    quiz = Quiz((QuizQuestion("q", "?", ("a", "b", "c")),))
    options = {one.answers[0][1] for one in ask("scripted:random", quiz, true_words())}  # type: ignore[union-attr]
    assert options == {UNKNOWN, 0, 1, 2}
    assert set(ask_both("scripted:random")[0]) == set(Choice)


# ------------------------------------------------------------------------------ the choice mind
def quiz_on(*genres: str) -> Quiz:
    return Quiz((QuizQuestion("q", "?", genres, tuple(f"genre={one}" for one in genres)),))


def known(said: Said) -> int:
    assert isinstance(said, QuizAnswers)
    answer = said.answers[0][1]
    assert isinstance(answer, int)
    return answer


def test_who_has_watched_an_item_knows_its_genres_whatever_it_is_told():
    seen = []
    for user in USERS:
        item = int(WORLD.watched.of(user)[0])
        quiz = quiz_on(genre_of(item, true=False), genre_of(item))
        told = claiming(item, true=False)
        seen.append(by_itself(Inquiry(f"i{user}", user, 1, quiz, item, None, told)))
    found = asyncio.run(plain().answer(Moment(WORLD, 1), seen, 1)).said
    assert [known(one) for one in found] == [1] * len(USERS)


def test_what_is_claimed_is_believed_by_as_many_as_trust_says_right_or_wrong():
    believed = {}
    for true in (True, False):
        hits, expected = 0, 0.0
        for draw in range(40):
            seen = []
            for user in USERS:
                item = new_to(user)
                told = claiming(item, true=true)
                quiz = quiz_on(genre_of(item, true=True), genre_of(item, true=False))
                inquiry = Inquiry(f"i{user}", user, 1, quiz, item, None, told, draw=draw)
                seen.append(by_itself(inquiry))
                expected += min(float(WORLD.population.trust[user]), 1.0)
            found = asyncio.run(plain().answer(Moment(WORLD, 1), seen, 1)).said
            assert {known(one) for one in found} <= {UNKNOWN, 0 if true else 1}
            hits += sum(known(one) != UNKNOWN for one in found)
        believed[true] = hits
        assert abs(hits - expected) < 4 * np.sqrt(40 * len(USERS) / 4)
    assert 0 < believed[True] < 40 * len(USERS)


def test_praise_and_genres_that_there_are_not_tell_nothing_in_a_quiz():
    told = [Told("x", "", (PRAISE, FALSE))] * len(USERS)
    genres = CATALOG.genre_names[:4]
    assert {known(one) for one in ask("choice", quiz_on(*genres), told)} == {UNKNOWN}


@pytest.mark.parametrize("when", ["before", "in the visit", "never"])
def test_a_true_claim_of_what_was_watched_persuades_nobody(when):
    seen = []
    for user in USERS:
        item = int(WORLD.watched.of(user)[0]) if when == "before" else new_to(user)
        task = Compare(PLACEBO, item, "Which?", "persuasiveness")
        one = by_itself(Inquiry(f"i{user}", user, 1, task, item, None, claiming(item)))
        if when == "in the visit":
            watched_now = np.array([[item]], np.int32)
            one = replace(one, view=replace(one.view, watched_now=watched_now))
        seen.append(one)
    found = set(asyncio.run(plain().answer(Moment(WORLD, 1), seen, 1)).said)
    assert found == ({Choice.FIRST, Choice.SECOND} if when == "never" else {Choice.NEITHER})


def test_of_a_construct_that_is_not_known_all_merits_count_a_little():
    merits = Merits(moves=0.4, matters=9.0, tells=0.3, reasons=0.2, honest=0.1)
    assert merits.of("beauty") == pytest.approx(0.25)
    assert (merits.of("scrutability"), merits.of("efficiency")) == (
        pytest.approx(0.15), pytest.approx(0.25),
    )  # fmt: skip
