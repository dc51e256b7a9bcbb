"""Recommender programs that a run starts: which they are, and what is said where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recarena.server.cli.programs import command_of, words_of
from recarena.server.errors import InputError


def test_a_name_alone_is_a_reference_recommender():
    assert command_of("ease") == ("ease", "recarena-recommender ease --server {server}")
    assert words_of(command_of("ease")[1])[1:] == ["ease", "--server", "{server}"]


def test_a_command_must_say_where_the_server_is():
    assert command_of("mine=run me {server}") == ("mine", "run me {server}")
    with pytest.raises(InputError, match=r"Write \{server\} where"):
        command_of("mine=run me")


def test_a_bare_name_is_looked_for_beside_this_python_first():
    assert words_of("python -m x")[0] == str(Path(sys.executable).parent / "python")
    assert Path(words_of("sh -c x")[0]).name == "sh"


def test_a_path_and_its_quoted_arguments_are_taken_as_they_are(tmp_path: Path):
    program = tmp_path / "my program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert words_of(f"'{program}' 'a b' {{server}}") == [str(program), "a b", "{server}"]


@pytest.mark.parametrize(
    "command", ["", "   ", "no-such-program {server}", "./none {server}", "/ {server}", "'open"]
)
def test_what_is_no_program_is_told_before_anything_is_made(command: str):
    with pytest.raises(InputError, match=r"^--recommender: "):
        words_of(command)
