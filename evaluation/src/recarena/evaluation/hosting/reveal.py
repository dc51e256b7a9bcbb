"""The end of a season: seed and salt are published with everything that was played."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from recarena.evaluation.competing.folder import RESULTS, CompetitionFolder
from recarena.evaluation.competing.manifest import MANIFEST, manifest_of
from recarena.evaluation.competing.plan import Plan, World
from recarena.evaluation.competing.results import (
    Found,
    board_of,
    opened,
    results_of,
    run_results,
    write_whole,
)
from recarena.evaluation.hosting.commitment import Secret
from recarena.evaluation.hosting.conduct import by_recommender, conduct_of_run, conduct_records
from recarena.evaluation.hosting.config import BASELINE, Competition
from recarena.evaluation.hosting.ledger import Ledger, Submission, now
from recarena.evaluation.hosting.season import CLOSED, REVEAL, read_season
from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.hosting.standing import logs_in, ranked
from recarena.evaluation.hosting.worlds import Recipe, hidden_recipes
from recarena.evaluation.leaderboard.forms import as_csv, as_json_lines
from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.playing.contenders import REFERENCE, Contender
from recarena.evaluation.playing.mirrored import Played

FORMAT, FORMAT_VERSION = "recarena-reveal", 1
FOLDER = "published"
"""In the season's folder: what can be given away as it is."""


def reveal(competition: Competition) -> Path:
    """Closes the season and publishes it; the folder to give away.

    BadCompetition while submissions are open: nothing more may be submitted then, and it is called
    again when they have ended.
    """
    secret, published, _ = read_season(competition)
    folder = competition.folder
    (folder / CLOSED).touch(0o600)
    _, _, ledger = read_season(competition)  # what came in until it was closed
    open_ = [one.id for one in ledger if one.status.is_open and not one.baseline]
    if open_:
        raise BadCompetition(
            f"the season is closed now, but {', '.join(open_)} have not ended; keep serving it and "
            "reveal again when they have, or end them with recarena competition cancel ID"
        )
    chosen = ranked(ledger, competition)
    if not chosen:
        raise BadCompetition("nobody has been played in all hidden worlds: nothing to reveal")
    recipes = hidden_recipes(competition.season, competition.worlds, competition.base_world, secret)
    told = _told(competition, secret, published, recipes)
    place = folder / FOLDER
    if place.exists():
        shutil.rmtree(place)
    _publish(competition, ledger, chosen, recipes, place)
    for where in (place, folder):
        write_whole(where / REVEAL, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    return place


def _told(
    competition: Competition, secret: Secret, published: Mapping[str, Any], recipes: list[Recipe]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "season": competition.season,
        "revealed": now(),
        "code_version": metadata.version("recarena-evaluation"),
        "commitment": published["commitment"],
        **asdict(secret),
        "settings": published["settings"],
        "hidden_worlds": [
            {"number": one.number, "seed": one.seed, "run_seed": one.run_seed, "sha256": sha256,
             "source": None if competition.base_world else one.source}
            for one, sha256 in zip(recipes, published["hidden_worlds"], strict=True)
        ],
    }  # fmt: skip


def _publish(
    competition: Competition,
    ledger: Ledger,
    chosen: Mapping[str, Submission],
    recipes: list[Recipe],
    place: Path,
) -> None:
    """A folder as `recarena compete` leaves one: worlds, runs, manifest, results, report."""
    folder, runs = competition.folder, competition.folder / "runs"
    for recipe in recipes:
        _linked(folder / "worlds" / recipe.name, place / "worlds" / recipe.name)
    worlds = tuple(
        World(one.number, str(place / "worlds" / one.name), one.run_seed) for one in recipes
    )
    plan = Plan(
        name=f"{competition.name}, season {competition.season}",
        recommenders=tuple(Contender(name, _command(name)) for name in chosen),
        worlds=worlds,
        rounds=competition.worlds.rounds,
        settings=competition.run_settings,
        primary=competition.primary,
        minimum_effect=competition.minimum_effect,
        gate=Gate(competition.gate.max_p95_ms, competition.gate.max_unusable_rate),
    )
    played: dict[str, Played] = {}
    for world in worlds:
        for bout in plan.bouts_in(world):
            source = runs / chosen[bout.recommender].run_id(world.number)
            target = place / "runs" / bout.run_id
            _linked(source, target)
            conduct = {bout.recommender: conduct_of_run(source, bout.recommender)}
            played[bout.run_id] = Played(bout, target, plan.rounds, "", conduct)
    first = json.loads((next(iter(played.values())).folder / MANIFEST).read_text("utf-8"))
    manifest = manifest_of(plan, first)
    manifest["created"] = now()
    for world in manifest["worlds"]:
        world["spec"] = f"worlds/{Path(world['spec']).name}"
    for one in manifest["recommenders"]:
        one["version"] = chosen[one["name"]].version or one["version"]
    write_whole(place / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    competed = CompetitionFolder.open(place)
    results = run_results(competed, played)
    logs = opened(competed, results)
    board = board_of(competed, results, logs)
    found = Found(results, logs, board, False, "", _seconds(chosen))
    said = {
        **results_of(competed, found),
        "conduct": conduct_records(
            {
                name: [log for one in many for log in logs_in(runs, competition, one)]
                for name, many in by_recommender(ledger).items()
            },
            runs,
            folder,
        ),
        "submissions": [
            {"id": one.id, "recommender": one.recommender, "version": one.version,
             "track": one.track, "status": one.status, "submitted": one.submitted,
             "counted": one.counted}
            for one in ledger
        ],
    }  # fmt: skip
    write_whole(place / RESULTS, json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    if board:
        write_whole(place / "leaderboard.jsonl", as_json_lines(board))
        write_whole(place / "leaderboard.csv", as_csv(board))


def _command(name: str) -> str:
    """What starts a baseline again; entrants are nobody's to start."""
    if not name.startswith(BASELINE):
        return ""
    reference = name.removeprefix(BASELINE)
    return f"{REFERENCE} {reference} --id {name} --server {{server}} --sessions {{sessions}}"


def _linked(source: Path, target: Path) -> None:
    """A copy of a folder that takes no room: nothing in either is ever changed again."""
    shutil.copytree(
        source, target, copy_function=os.link, ignore=shutil.ignore_patterns("lock", "redo")
    )


def _seconds(chosen: Mapping[str, Submission]) -> float:
    from recarena.evaluation.hosting.rules import took

    return sum(took(one) for one in chosen.values())
