"""Tokens are made, kept as digests, taken back, and read again by a server when they change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from recarena.server.errors import InputError, NotFound
from recarena.server.rpc.callers import Caller, Role
from recarena.server.rpc.tokens import TOKEN, TokenBook, TokenFile

DAY = timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def make(path: Path, name: str = "ease", role: Role = Role.RECOMMENDER) -> str:
    return TokenFile(path).new(role, name, DAY)[0]


# ------------------------------------------------------------------------------ giving out
def test_a_token_has_256_random_bits_and_its_id(path):
    one, two = make(path), make(path)
    assert one != two
    for token in (one, two):
        found = TOKEN.fullmatch(token)
        assert found
        assert len(found[2]) * 6 >= 256


def test_the_file_keeps_no_secret(path):
    token = make(path)
    assert token.split("_", 2)[2] not in path.read_text()


def test_a_token_says_who_calls(path):
    token, kept = TokenFile(path).new(Role.OPERATOR, "me", DAY, max_sessions=5)
    found = TokenBook(path).find(token)
    assert found == kept
    assert found.caller == Caller("me", Role.OPERATOR, kept.id, 5)
    assert found.state(datetime.now(UTC)) == "valid"
    assert found.state(datetime.now(UTC) + 2 * DAY) == "expired"


@pytest.mark.parametrize("name", ["", "Ease", "-ease", "a b", "x" * 64, "ease\n"])
def test_a_name_that_is_none_gets_no_token(path, name):
    with pytest.raises(InputError, match="--recommender"):
        make(path, name)
    assert not path.exists()


def test_nobody_else_may_read_or_write_the_file(path):
    old = os.umask(0)
    try:
        token = make(path)
        TokenFile(path).revoke(token.split("_")[1])
    finally:
        os.umask(old)
    assert {one.stat().st_mode & 0o777 for one in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_trusted(path, mode):
    make(path)
    path.chmod(mode)
    with pytest.raises(InputError, match="chmod 600"):
        TokenBook(path)


def test_two_processes_that_make_tokens_at_once_lose_none(path):
    program = textwrap.dedent(
        """
        import sys
        from datetime import timedelta
        from pathlib import Path
        from recarena.server.rpc.callers import Role
        from recarena.server.rpc.tokens import TokenFile

        file = TokenFile(Path(sys.argv[1]))
        sys.stdin.readline()
        for number in range(25):
            print(file.new(Role.RECOMMENDER, f"{sys.argv[2]}-{number}", timedelta(days=1))[0])
        """
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    made = [token for process in both for token in process.communicate(timeout=60)[0].split()]
    book = TokenBook(path)
    assert len(made) == 50
    assert all(book.find(token) for token in made)
    assert len({token.split("_")[1] for token in made}) == 50


# ------------------------------------------------------------------------------ finding
def test_only_the_right_secret_finds_a_token(path):
    one, two = make(path), make(path)
    book = TokenBook(path)
    wrong = [
        "", "rct", one[:-1], one + "x", one.upper(), f" {one}",
        f"rct_{one.split('_')[1]}_{'A' * 43}",
        f"rct_{one.split('_')[1]}_{two.split('_', 2)[2]}",
        f"rct_{'0' * 8}_{one.split('_', 2)[2]}",
    ]  # fmt: skip
    assert [book.find(token) for token in wrong] == [None] * len(wrong)
    assert book.find(one) != book.find(two)


# ------------------------------------------------------------------------------ taking back
def test_a_revoked_token_is_kept_and_stays_revoked(path):
    token = make(path)
    id = token.split("_")[1]
    first = TokenFile(path).revoke(id)
    assert first.state(datetime.now(UTC)) == "revoked"
    assert TokenFile(path).revoke(id) == first
    assert TokenFile(path).tokens() == (first,)


def test_an_unknown_token_cannot_be_revoked(path):
    make(path)
    with pytest.raises(NotFound, match="recarena token list"):
        TokenFile(path).revoke("00000000")


# ------------------------------------------------------------------------------ under a server
def test_a_book_sees_at_once_what_was_given_out_and_taken_back(path):
    make(path)
    book = TokenBook(path)
    token = make(path)
    assert book.find(token) is None
    book.refresh()
    found = book.find(token)
    assert found
    TokenFile(path).revoke(found.id)
    book.refresh()
    again = book.find(token)
    assert again
    assert again.revoked


def test_a_book_follows_a_link_to_another_file(tmp_path, path):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    first, second = make(one), make(two)
    path.symlink_to(one)
    book = TokenBook(path)
    path.unlink()
    path.symlink_to(two)
    book.refresh()
    assert book.find(first) is None
    assert book.find(second)
    make(path)
    assert path.is_symlink()
    assert len(TokenFile(two).tokens()) == 2


def broken(path: Path) -> None:
    path.write_text(path.read_text()[:-20])


def of_another_version(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))


def with_a_stranger(path: Path) -> None:
    values = json.loads(path.read_text())
    values["tokens"].append({**values["tokens"][0], "role": "king", "id": "0" * 8})
    path.write_text(json.dumps(values))


def with_two_of_one_id(path: Path) -> None:
    values = json.loads(path.read_text())
    values["tokens"] *= 2
    path.write_text(json.dumps(values))


def gone(path: Path) -> None:
    path.unlink()


def open_to_others(path: Path) -> None:
    path.write_text(path.read_text())
    path.chmod(0o666)


BREAKS = [broken, of_another_version, with_a_stranger, with_two_of_one_id, gone, open_to_others]


@pytest.mark.parametrize("harm", BREAKS)
def test_a_file_that_is_none_is_refused_with_its_name_and_a_remedy(path, harm):
    make(path)
    harm(path)
    with pytest.raises(InputError) as error:
        TokenBook(path)
    assert str(path) in error.value.where
    assert error.value.remedy


@pytest.mark.parametrize("harm", BREAKS)
def test_a_file_that_breaks_takes_nothing_away_and_gives_nothing(path, harm):
    structlog.reset_defaults()
    token = make(path)
    book = TokenBook(path)
    with capture_logs() as logs:
        harm(path)
        for _ in range(3):
            book.refresh()
        assert book.find(token)
        assert [one["log_level"] for one in logs] == ["error"]
        path.unlink(missing_ok=True)
        new = make(path)
        book.refresh()
    assert book.find(token) is None
    assert book.find(new)
    assert not re.search(r"rct_|sha256", str(logs))
