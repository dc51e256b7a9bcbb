"""manifest.json of a competition: everything that determines its result, from before the first
round."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from recarena.evaluation.competing.plan import BadPlan, Design, Plan, Split, World
from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.playing.contenders import REFERENCE, Contender

MANIFEST = "manifest.json"
FORMAT = "recarena-competition"
FORMAT_VERSION = 1
LOCK = "requirements.lock"
PACKAGES = (
    "recarena-server", "recarena-evaluation", "recarena-client", "recarena-recommenders",
    "recarena-protocol", "numpy", "scipy", "pyarrow", "lancedb", "grpcio", "protobuf",
)  # fmt: skip
"""Whose versions may change a result."""


class UnreadableCompetition(Exception):
    """A folder or file cannot be read as a competition; the text is one line with the remedy."""


def manifest_of(plan: Plan, run: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of a plan. `run`: the manifest of one of its runs, which has every setting
    resolved, and who decides for the users with which prompts.

    What is not known (a git state, a lock file, the version of a remote recommender) is null. The
    confidence is that of every leaderboard: it is stated, and cannot be chosen.
    """
    from recarena.evaluation.leaderboard.board import CONFIDENCE

    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": plan.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": metadata.version("recarena-evaluation"),
        "git": _git(Path(__file__).parent),
        "lock_sha256": _lock(Path(__file__)),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processors": os.cpu_count(),
        },
        "primary": plan.primary,
        "minimum_effect": plan.minimum_effect,
        "confidence": CONFIDENCE,
        "stop_early": plan.stop_early,
        "design": str(plan.design),
        "split": str(plan.split),
        "recommenders": [_recommender(one) for one in plan.recommenders],
        "worlds": [
            {
                "number": world.number,
                "spec": world.spec,
                "seed": world.seed,
                "sha256": folder_sha256(Path(world.spec)),
            }
            for world in plan.worlds
        ],
        "rounds": plan.rounds,
        "settings": settings_of(run),
        "mind": run.get("mind", {}),
        "memory": run.get("memory"),
        "gate": plan.gate.as_json(),
    }


def settings_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """All settings that a competition's runs share, from the manifest of one of them."""
    settings = dict(run.get("settings") or {})
    for own in ("seed", "rounds", "arms"):
        settings.pop(own, None)
    llm = dict(settings.get("llm") or {})
    for own in ("max_cost", "max_tokens", "recording", "replay"):
        llm.pop(own, None)  # of this playing, not of the competition
    if "llm" in settings:
        settings["llm"] = llm
    return settings


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes it once and for all. FileExistsError where there is one."""
    with (folder / MANIFEST).open("x", encoding="utf-8") as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest in a file. UnreadableCompetition."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UnreadableCompetition(
            f"{path.parent} is no competition: there is no {path.name} in it. "
            "Name a folder that recarena compete has made"
        ) from None
    except (OSError, ValueError) as error:
        raise UnreadableCompetition(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UnreadableCompetition(
            f"{path} is no manifest of a competition. Name a folder that recarena compete has made"
        )
    version = found.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UnreadableCompetition(
            f"{path} has format {version}, this release reads up to {FORMAT_VERSION}. "
            "Update RecArena"
        )
    return found


def plan_of(manifest: Mapping[str, Any], where: Path) -> Plan:
    """The plan that a manifest was written for. UnreadableCompetition names the file and what is
    wrong in it."""
    from recarena.evaluation.leaderboard.board import CONFIDENCE

    if manifest.get("confidence", CONFIDENCE) != CONFIDENCE:
        raise UnreadableCompetition(
            f"{where}: confidence is {manifest['confidence']}, and everything is told with "
            f"{CONFIDENCE:g} here. Write {CONFIDENCE:g}"
        )
    try:
        return Plan(
            name=str(manifest["name"]),
            recommenders=tuple(
                Contender(str(one["name"]), str(one["command"] or ""))
                for one in manifest["recommenders"]
            ),
            worlds=tuple(
                World(int(one["number"]), str(one["spec"]), int(one["seed"]))
                for one in manifest["worlds"]
            ),
            rounds=int(manifest["rounds"]),
            settings=dict(manifest["settings"]),
            design=Design(manifest["design"]),
            split=Split(manifest.get("split", "users")),
            primary=str(manifest["primary"]),
            minimum_effect=manifest["minimum_effect"],
            gate=Gate.of(manifest["gate"]),
            stop_early=bool(manifest.get("stop_early", False)),
        )
    except KeyError as error:
        raise UnreadableCompetition(f"{where}: {error.args[0]} is missing") from None
    except (TypeError, ValueError, AttributeError, BadPlan) as error:
        raise UnreadableCompetition(f"{where}: {error}") from None


def folder_sha256(path: Path) -> str | None:
    """SHA-256 over the files of a folder: of each, in order of its relative path, the path in
    UTF-8, a zero byte, and the SHA-256 of its bytes. None where there is no folder."""
    if not path.is_dir():
        return None
    whole = hashlib.sha256()
    files = sorted(one for one in path.rglob("*") if one.is_file())
    for file in sorted(files, key=lambda one: one.relative_to(path).as_posix()):
        whole.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as opened:
            whole.update(hashlib.file_digest(opened, "sha256").digest())
    return whole.hexdigest()


def _recommender(one: Contender) -> dict[str, Any]:
    """What is known of a recommender before it has connected."""
    words = shlex.split(one.command) if one.command else []
    return {
        "name": one.name,
        "command": one.command or None,
        "version": _version("recarena-recommenders") if words[:1] == [REFERENCE] else None,
        "files": {
            word: hashlib.sha256(Path(word).read_bytes()).hexdigest()
            for word in words
            if Path(word).is_file()
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(inside: Path) -> dict[str, Any]:
    """Commit of the code that runs, and whether it was changed since; null where it is not from a
    repository, or there is no git."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(inside), *words],
                capture_output=True, text=True, timeout=10, check=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # Installed into an environment that happens to lie in a repository: not that repository's.
    if ask("ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "changed": None}
    status = ask("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": ask("rev-parse", "HEAD"),
        "changed": None if status is None else bool(status),
    }


def _lock(inside: Path) -> str | None:
    """SHA-256 of the lock file of the repository that the code runs from; None elsewhere."""
    for folder in inside.parents:
        if (folder / LOCK).is_file():
            return hashlib.sha256((folder / LOCK).read_bytes()).hexdigest()
    return None
