"""The folder of a competition: what was planned, played and found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recarena.evaluation.competing.manifest import (
    MANIFEST,
    UnreadableCompetition,
    plan_of,
    read_manifest,
)
from recarena.evaluation.competing.plan import Plan

RESULTS = "results.json"
RESULTS_FORMAT = "recarena-competition-results"
RESULTS_VERSION = 1
CARD = "card.json"


@dataclass(frozen=True)
class CompetitionFolder:
    """A competition as its folder stands; files that are not there yet are None."""

    path: Path
    manifest: Mapping[str, Any]
    """manifest.json as it is; docs/competition.md says what stands in it."""
    results: Mapping[str, Any] | None
    """results.json as it is; None before the first end of playing."""

    @classmethod
    def open(cls, path: Path | str) -> CompetitionFolder:
        """The competition at `path`, or whose manifest.json it is. UnreadableCompetition where
        there is none, or one of a newer format."""
        path = Path(path)
        folder = path.parent if path.is_file() else path
        manifest = read_manifest(path if path.is_file() else path / MANIFEST)
        return cls(folder, manifest, _results(folder / RESULTS))

    @property
    def plan(self) -> Plan:
        """What the manifest says is to be played. UnreadableCompetition."""
        return plan_of(self.manifest, self.path / MANIFEST)

    @property
    def manifest_sha256(self) -> str:
        """Of the bytes of manifest.json."""
        return hashlib.sha256((self.path / MANIFEST).read_bytes()).hexdigest()

    @property
    def runs(self) -> Path:
        """Where the run folders are."""
        return self.path / "runs"

    @property
    def logs(self) -> Path:
        """What programs said."""
        return self.path / "logs"

    @property
    def card(self) -> Mapping[str, Any] | None:
        """The believability card of mind and data; None where there is none."""
        file = self.path / CARD
        return read_json(file) if file.is_file() else None

    def run_folders(self) -> dict[str, Path]:
        """The run folders that are there, by run_id, in the plan's order."""
        paths = {bout.run_id: self.runs / bout.run_id for bout in self.plan.bouts()}
        return {name: path for name, path in paths.items() if (path / MANIFEST).is_file()}


def read_json(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file. UnreadableCompetition names the file."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UnreadableCompetition(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise UnreadableCompetition(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise UnreadableCompetition(f"{path} holds no JSON object")
    return value


def _results(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    found = read_json(path)
    version = found.get("format_version")
    if found.get("format") != RESULTS_FORMAT or not isinstance(version, int):
        raise UnreadableCompetition(f"{path} holds no results of a competition")
    if version > RESULTS_VERSION:
        raise UnreadableCompetition(
            f"{path} has format {version}, this release reads up to {RESULTS_VERSION}. "
            "Update RecArena"
        )
    return found


def keep_card(card: Path, folder: Path) -> None:
    """Copies a believability card into a competition's folder. UnreadableCompetition where it is
    no JSON object."""
    read_json(card)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).write_bytes(card.read_bytes())
