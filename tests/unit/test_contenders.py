"""Recommenders as options name them: references by name, others by a command."""

from __future__ import annotations

import sys

import pytest

from recarena.evaluation.playing.contenders import (
    AT_ONCE,
    BadContender,
    Contender,
    contender,
    contenders,
)

OWN = "mine=python mine.py --at {server}"


def test_a_bare_name_is_a_reference_recommender_of_many_sessions():
    ease = contender("ease")
    assert (ease.name, ease.at_once) == ("ease", AT_ONCE)
    program, *rest = ease.words("127.0.0.1:1", 3)
    assert program.endswith("recarena-recommender")
    assert rest == ["ease", "--server", "127.0.0.1:1", "--sessions", "3"]


def test_a_command_is_started_as_it_stands_with_the_address_in_it():
    mine = contender(OWN)
    assert mine == Contender("mine", "python mine.py --at {server}")
    program, *rest = mine.words("127.0.0.1:1", 3)
    assert program.startswith(sys.prefix)
    assert rest == ["mine.py", "--at", "127.0.0.1:1"]


def test_a_command_serves_one_run_at_a_time_unless_it_takes_the_number_of_sessions():
    many = contender("mine=python mine.py {server} -n {sessions}")
    assert (contender(OWN).at_once, many.at_once) == (1, AT_ONCE)
    assert many.words("a:1", 100)[-1] == str(AT_ONCE)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no name"),
        ("Mine=x {server}", "'Mine' is no name"),
        ("a" * 64, "at most 63"),
        ("mine=", "{server}"),
        ("mine=python mine.py", "{server}"),
    ],
)
def test_what_names_no_recommender_is_refused_with_the_remedy(text: str, says: str):
    with pytest.raises(BadContender, match=says):
        contender(text)


def test_a_program_that_is_not_there_and_open_quotes_are_refused():
    with pytest.raises(BadContender, match="no program 'no-such-program' to start mine"):
        contender("mine=no-such-program {server}").words("a:1", 1)
    with pytest.raises(BadContender, match="the command of mine: No closing quotation"):
        contender("mine=python 'mine.py {server}").words("a:1", 1)


def test_each_takes_part_once_and_no_two_share_a_name():
    assert [one.name for one in contenders(["random", "ease", "random"])] == ["random", "ease"]
    with pytest.raises(BadContender, match="two recommenders are called ease"):
        contenders(["ease", "ease=mine {server}"])


def test_a_misspelt_reference_is_refused_before_anything_is_started():
    with pytest.raises(BadContender, match=r"'populr'\. Did you mean popular\?.*-r 'populr=python"):
        contender("populr")
