"""What is said on a terminal, and to machines, while a study is made."""

from __future__ import annotations

import json

import pytest

from recarena.evaluation.explaining.asking import Spent
from recarena.evaluation.explaining.output import Lines, Terminal

COSTS = {
    "openai:a": Spent(1200, 30, 61000, 900, 0.066, "USD"),
    "openai-compatible:b": Spent(3, 0, None, None, None, ""),
}


def test_a_terminal_says_what_language_models_took(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().spent(COSTS)
    assert capsys.readouterr().err.splitlines() == [
        "openai:a: 1,200 calls (30 more were recorded), 61,000 tokens in, 900 out, 0.07 USD",
        "openai-compatible:b: 3 calls, tokens not known, cost not known",
    ]


def test_machines_are_told_what_language_models_took(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().spent(COSTS)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["event"], first["who"], first["cost"]) == ("spent", "openai:a", 0.066)
    assert second["cost"] is None


def test_an_estimate_says_of_what_kinds_questions_are(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {"choose": 840, "questionnaire": 4960}
    Terminal().estimate("choice", 5800, 0, kinds)
    Terminal().estimate("openai:a", 5800, 5900, kinds)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "choice: 5,800 inquiries (choices 840, pages of statements 4,960)"
    assert lines[1].startswith("openai:a: 5,800 inquiries")
    assert lines[2].startswith("  5,900 calls")
    assert "5.9 million" in lines[2]
    assert len(lines) == 3
    Lines().estimate("choice", 5800, 0, kinds)
    assert json.loads(capsys.readouterr().out)["kinds"] == kinds


def test_who_is_to_dial_in_is_told_where(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().waiting("127.0.0.1:7788", ["mine"])
    said = capsys.readouterr().err
    assert said.startswith("Waiting for mine to dial in at 127.0.0.1:7788")
    assert "--id mine --server 127.0.0.1:7788" in said
