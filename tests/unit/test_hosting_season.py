"""A season is committed to once it can be played, and kept where it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from recarena.evaluation.hosting import season as under_test
from recarena.evaluation.hosting.config import load
from recarena.evaluation.hosting.season import held, open_season
from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.hosting.worlds import Made


async def test_settings_that_cannot_be_played_are_not_committed_to(tmp_path, monkeypatch):
    async def make(recipes, folder):
        return [Made(one, folder / one.name, "0" * 64) for one in recipes]

    async def refused(world: Path) -> None:
        assert world.name == "hidden-0"
        raise BadCompetition("settings.visits: none of them")

    async def fine(_: Path) -> None: ...

    monkeypatch.setattr(under_test, "make", make)
    file = tmp_path / "competition.toml"
    file.write_text('name = "Cup"\nseason = "s1"\n[settings]\nvisits = 1\n')
    with held(load(file).folder):
        with pytest.raises(BadCompetition, match="none of them"):
            await open_season(load(file), refused)
        assert not (tmp_path / "s1" / "season.json").exists()
        file.write_text('name = "Cup"\nseason = "s1"\n')
        season = await open_season(load(file), fine)
    assert season.published["settings"]["settings"].keys() == {"session"}


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(BadCompetition, match="the season cannot be kept in"),
        held(tmp_path / "file" / "s1"),
    ):
        pass
