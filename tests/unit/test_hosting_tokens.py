"""The competition server lets in exactly those whom the gRPC server lets in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.hosting.tokens import Caller, TokenBook
from recarena.server.rpc.callers import Role
from recarena.server.rpc.tokens import TokenFile
from support.callers import id_of, token


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def test_a_token_that_the_server_gave_out_says_who_calls(file):
    mine = token(file, Role.RECOMMENDER, "alice")
    olga = token(file, Role.OPERATOR, "olga")
    book = TokenBook(file)
    assert book.caller(mine) == Caller("recommender", "alice", id_of(mine))
    found = book.caller(olga)
    assert found is not None
    assert found.is_organiser


def test_a_token_made_or_taken_back_later_is_seen_at_once(file):
    first = token(file, Role.RECOMMENDER, "alice")
    book = TokenBook(file)
    second = token(file, Role.RECOMMENDER, "bob")
    assert book.caller(second) is not None
    TokenFile(file).revoke(id_of(first))
    assert book.caller(first) is None


def test_an_expired_token_opens_nothing_from_that_moment_on(file):
    mine = token(file, Role.RECOMMENDER, "alice", days=1)
    book, now = TokenBook(file), datetime.now(UTC)
    assert book.caller(mine, now + timedelta(hours=23)) is not None
    assert book.caller(mine, now + timedelta(hours=25)) is None


def test_nothing_but_the_whole_secret_is_let_in(file):
    mine = token(file, Role.RECOMMENDER, "alice")
    book = TokenBook(file)
    head, id, secret = mine.split("_", 2)
    swapped = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    sha256 = json.loads(file.read_text())["tokens"][0]["sha256"]
    for wrong in ("", mine[:-1], mine + "A", f"{head}_{id}_{swapped}", sha256, mine.upper(),
                  f"{head}_00000000_{secret}", f" {mine}", mine + "\n"):  # fmt: skip
        assert book.caller(wrong) is None, wrong


def test_a_file_that_breaks_takes_nothing_away_and_gives_nothing(file):
    mine = token(file, Role.RECOMMENDER, "alice")
    book = TokenBook(file)
    file.write_text("{")
    assert book.caller(mine) is not None
    file.unlink()
    assert book.caller(mine) is not None


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("{", 0o600, "is no file of tokens"),
        ('{"version": 2, "tokens": []}', 0o600, "version 2 is not 1"),
        ('{"version": 1, "tokens": [{}]}', 0o600, "is no file of tokens"),
        ('{"version": 1, "tokens": []}', 0o666, "can be written by others; chmod 600 it"),
    ],
)
def test_a_file_that_is_none_is_refused(file, text, mode, says):
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(BadCompetition, match=says):
        TokenBook(file)


def test_a_missing_file_is_said_with_the_command_that_makes_one(file):
    with pytest.raises(BadCompetition, match="recarena token new --recommender NAME"):
        TokenBook(file)
