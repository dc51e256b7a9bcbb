"""Data sets whose licences keep them out of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def data_folder(name: str, title: str) -> Path:
    """The folder of a data set; skips the test where it is not on this machine.

    Sought in $RECARENA_DATA, else in ../shared/data beside the repository.
    """
    given = os.environ.get("RECARENA_DATA")
    folder = (Path(given) if given else ROOT.parent / "shared" / "data") / name
    if not folder.is_dir():
        pytest.skip(f"data: {title} is not here (set RECARENA_DATA)")
    return folder


def movielens_100k() -> Path:
    return data_folder("ml-100k", "MovieLens 100k")


def recagent() -> Path:
    return data_folder("recagent", "RecAgent")
