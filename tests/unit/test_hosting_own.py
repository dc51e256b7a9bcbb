"""Tokens that the competition server gave itself are taken back, also after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recarena.evaluation.hosting.own import FILE, own_tokens
from recarena.evaluation.hosting.settings import BadCompetition
from recarena.server.rpc.callers import Role
from recarena.server.rpc.tokens import TokenFile
from support.callers import id_of, token


def open_ids(tokens: Path) -> list[str]:
    return [one.id for one in TokenFile(tokens).tokens() if not one.revoked]


async def test_what_a_kill_left_is_taken_back_and_what_is_not_there_is_no_matter(tmp_path):
    tokens = tmp_path / "tokens.json"
    left = id_of(token(tokens, Role.OPERATOR, "competition"))
    alice = id_of(token(tokens, Role.RECOMMENDER, "alice"))
    (tmp_path / FILE).write_text(json.dumps([left, "00000000"]))
    async with own_tokens(tmp_path, tokens, []) as (_, own):
        assert own == {}
        (operator,) = json.loads((tmp_path / FILE).read_text())
        assert open_ids(tokens) == [alice, operator]
    assert open_ids(tokens) == [alice]
    assert not (tmp_path / FILE).exists()


async def test_a_broken_list_of_own_tokens_is_said_with_the_remedy(tmp_path):
    tokens = tmp_path / "tokens.json"
    token(tokens, Role.RECOMMENDER, "alice")
    (tmp_path / FILE).write_text("{")
    with pytest.raises(BadCompetition, match="revoke the tokens of competition"):
        async with own_tokens(tmp_path, tokens, []):
            pass
