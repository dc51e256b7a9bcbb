"""Whom those who reach the server of `recarena run` may ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from recarena.server.cli.performance import own_minds
from recarena.server.config import parse_settings
from recarena.server.datasets.specs import open_world
from recarena.server.founding import create_run
from recarena.server.mind_rules import MindRules

URL = "http://127.0.0.1:1/v1"


def run_at(folder: Path, **tables: object) -> Path:
    values = {"rounds": 1, "arms": [{"id": "popular", "recommender": "popular"}], **tables}
    create_run(
        folder / "run", parse_settings(values, "test"), open_world("new:users=5,seed=1")
    ).close()
    return folder / "run"


@pytest.fixture
def thinking(tmp_path: Path) -> Path:
    llm = {"provider": "openai-compatible", "model": "m", "base_url": URL, "probe": False}
    return run_at(tmp_path, llm=llm)


def test_on_loopback_the_models_of_the_run_may_be_asked(thinking: Path):
    assert own_minds(thinking, "127.0.0.1:0") == MindRules(llm=True, urls=(URL,))


def test_off_loopback_no_model_may_be_asked(thinking: Path):
    assert own_minds(thinking, "0.0.0.0:7788") == MindRules()


def test_a_run_without_language_models_lets_none_be_asked(tmp_path: Path):
    assert own_minds(run_at(tmp_path), "127.0.0.1:0") == MindRules()
