"""What entrants' commands make of addresses, tokens and servers that are none."""

from __future__ import annotations

import io
import urllib.error
from email.message import Message
from http.client import BadStatusLine
from typing import Any

import pytest

from recarena.evaluation.hosting.client import Client
from recarena.evaluation.hosting.settings import BadCompetition

HERE = "http://127.0.0.1:8080"
REFUSAL = rb'{"error": {"code": "x", "message": "\u001b[2J"}}'


class Opener:
    """Answers every request with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def open(self, *_: Any, **__: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "server", ["", "ftp://a", "http://", "http://:80", "http://[a", "http://a:99999", "http://a:b"]
)
def test_what_is_no_address_is_said_with_one_that_is(server):
    with pytest.raises(BadCompetition, match="is no address; write it as http"):
        Client(server).get("/api/competition")


@pytest.mark.parametrize("token", ["rct_1\nrct_2", "a b", "\u00e9", "a\x00"])
def test_a_token_that_is_none_is_sent_and_shown_to_nobody(token):
    with pytest.raises(BadCompetition) as refused:
        Client(HERE, token).submission("s00001")
    assert str(refused.value).startswith("RECARENA_TOKEN is no token")
    assert token not in str(refused.value)


def test_a_token_is_not_sent_in_the_clear():
    with pytest.raises(BadCompetition, match="would be sent in the clear"):
        Client("http://10.0.0.1:8080", "rct_1").submission("s00001")


@pytest.mark.parametrize(
    "error",
    [
        BadStatusLine("\x1b[2J\x00@"),
        urllib.error.HTTPError(
            HERE,
            409,
            "",
            Message(),
            io.BytesIO(b'{"error": {"code": "x", "message": "\\u001b[2J"}}'),
        ),
    ],
)
def test_what_a_server_says_moves_no_cursor(monkeypatch, error):
    monkeypatch.setattr(Client, "_opener", lambda *_: Opener(error))
    with pytest.raises(BadCompetition) as refused:
        Client(HERE).get("/api/competition")
    assert "?[2J" in str(refused.value)
    assert str(refused.value).isprintable()
