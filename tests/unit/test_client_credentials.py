"""Files for TLS: what can be used, and what is said of what cannot."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from recarena.client import BadCredentials, tls
from recarena.options import TOKEN
from recarena.recommenders import cli
from support.certificates import Authority, with_password


@pytest.fixture(scope="module")
def ca(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def test_an_authority_alone_or_with_a_certificate_makes_credentials(ca):
    own = ca.client("recarena:recommender:ease")
    for given in ((), (ca.certificate,), (str(ca.certificate), own.certificate, own.key)):
        assert isinstance(tls(*given), grpc.ChannelCredentials)


def test_what_cannot_be_used_is_named(ca, tmp_path: Path):
    own, other = ca.client("recarena:recommender:a"), ca.client("recarena:recommender:b")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    binary = tmp_path / "binary.pem"
    binary.write_bytes(b"\xff\xfe")
    away = tmp_path / "away.pem"
    locked = with_password(own, b"secret")
    for given, said in (
        ((away,), f"{away} cannot be read: No such file"),
        ((tmp_path,), f"{tmp_path} cannot be read: Is a directory"),
        ((text,), f"{text} holds no certificate"),
        ((binary,), f"{binary} holds no certificate"),
        ((None, own.certificate), "the key is missing"),
        ((None, None, own.key), "the certificate is missing"),
        ((None, own.certificate, other.key), f"{own.certificate} and {other.key} are no"),
        ((None, text, own.key), f"{text} and {own.key} are no"),
        ((None, own.certificate, away), f"{away} cannot be read"),
        ((None, own.certificate, locked), f"{locked} has a password"),
    ):
        with pytest.raises(BadCredentials) as refused:
            tls(*given)
        assert said in str(refused.value)


def test_the_command_says_in_a_line_what_is_wrong_with_a_file(tmp_path: Path, capsys):
    away = tmp_path / "away.pem"
    assert cli.main(["popular", "--tls-ca", str(away)]) == cli.FAILED
    said = capsys.readouterr().err
    assert said == f"recarena-recommender: {away} cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("option", "missing"), [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")]
)
def test_the_command_wants_certificate_and_key_together(option: str, missing: str, capsys):
    with pytest.raises(SystemExit):
        cli.main(["popular", option, "x.pem"])
    assert f"{option} needs {missing}" in capsys.readouterr().err


def test_the_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv(TOKEN, "rct_1")
    assert cli.command().parse_args(["popular"]).token == "rct_1"
    assert cli.command().parse_args(["popular", "--token", "rct_2"]).token == "rct_2"
    monkeypatch.setenv(TOKEN, "")
    assert cli.command().parse_args(["popular"]).token is None
