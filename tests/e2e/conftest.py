"""The program, run in a workshop or in this process."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from recarena.server.cli import main
from support.commands import Ended
from support.competitions import Story, story
from support.shared import once
from support.workshop import Workshop


@pytest.fixture(scope="module")
def shop(room: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A copy for each file, whose tests may change it."""
    made = once(room, "workshop", Workshop)
    return made.copied(tmp_path_factory.mktemp("workshop") / "shop")


@pytest.fixture(scope="module")
def folder(shop: Workshop) -> Path:
    return shop.folder


@pytest.fixture(scope="session")
def competition(room: Path) -> Story:
    """A competition that was interrupted in every way and is finished; nobody changes it."""
    return once(room, "competition", lambda folder: asyncio.run(story(folder)))


@pytest.fixture
def here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ended]]:
    """Runs a command in this process: the same program, without the wait for its imports."""

    def run(*words: object, cwd: Path) -> Ended:
        monkeypatch.chdir(cwd)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["recarena", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    handlers = list(logging.root.handlers)
    yield run
    structlog.reset_defaults()
    for handler in set(logging.root.handlers) - set(handlers):
        logging.root.removeHandler(handler)
