"""Competitions written by hand: a folder as `recarena compete` leaves it, without having played."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lancedb
import numpy as np

from recarena.evaluation.competing.folder import RESULTS, CompetitionFolder
from recarena.evaluation.competing.manifest import manifest_of, write_manifest
from recarena.evaluation.competing.plan import Plan, World
from recarena.evaluation.competing.results import Found, run_results, write_results
from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.playing.contenders import Contender
from recarena.evaluation.runs.events import Outcome
from support.run_logs import CHOICE_MIND, Row, page, visit, work, write_run

ITEMS = 20
USERS = 12
SHOWN = 4


@dataclass(frozen=True)
class Sketch:
    """What a competition is to look like."""

    recommenders: Sequence[str] = ("ease", "popular", "random")
    """The best first."""
    worlds: int = 3
    rounds: int = 3
    nothing: bool = False
    """Whether no user ever comes, so that there is nothing to measure."""
    world_name: str = "tiny"
    failing: str = ""
    """A recommender whose lists come late now and then."""
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    """By run_id: why a run did not come to its end."""
    gate: Gate = field(default_factory=Gate)
    results: bool = True
    more_results: Mapping[str, Any] = field(default_factory=dict[str, Any])
    card: Mapping[str, Any] | None = None


def write_competition(folder: Path, sketch: Sketch | None = None) -> Path:
    """Writes the folder; the same sketch gives the same figures."""
    sketch = sketch or Sketch()
    plan = Plan(
        name=folder.name,
        recommenders=tuple(Contender(name, "") for name in sketch.recommenders),
        worlds=tuple(World(at, f"new:users={USERS},seed={at}", at) for at in range(sketch.worlds)),
        rounds=sketch.rounds,
        gate=sketch.gate,
        minimum_effect=0.02,
    )
    folder.mkdir(parents=True)
    for bout in plan.bouts():
        (name,) = bout.recommenders
        rows = [] if sketch.nothing else _rows(sketch, plan.names.index(name), name, bout.seed)
        path = write_run(
            folder / "runs" / bout.run_id, rows, _works(sketch, name), arm_of_user=["a"] * USERS,
            arms={"a": name}, popularity=range(ITEMS, 0, -1), rounds=sketch.rounds, seed=bout.seed,
            world=sketch.world_name,
        )  # fmt: skip
        _end(path, sketch.errors.get(bout.run_id, ""))
    run = {"settings": {"visits": {"page_size": SHOWN}}, "mind": CHOICE_MIND}
    write_manifest(folder, manifest_of(plan, run))
    if sketch.results:
        _write_results(CompetitionFolder.open(folder), sketch.more_results)
    if sketch.card is not None:
        (folder / "card.json").write_text(json.dumps(sketch.card))
    return folder


def _end(run: Path, error: str) -> None:
    """Writes how a run ended."""
    lancedb.connect(str(run / "tables")).open_table("rounds").add_columns({"digest": "'abcdef'"})
    status = {"state": "failed" if error else "succeeded", "error": error}
    (run / "status.json").write_text(json.dumps(status))


def _write_results(folder: CompetitionFolder, more: Mapping[str, Any]) -> None:
    """Without the leaderboard and the metrics, which every reader can work out anew."""
    runs = run_results(folder, {})
    write_results(folder, Found(runs, {}, None, False, "", 1.0))
    if more:
        file = folder.path / RESULTS
        file.write_text(json.dumps({**json.loads(file.read_text()), **more}))


def _rows(sketch: Sketch, standing: int, name: str, seed: int) -> list[Row]:
    """Visits in which more is watched the better the recommender stands."""
    dice = np.random.default_rng((seed, standing))
    rows: list[Row] = []
    for round in range(1, sketch.rounds + 1):
        for user in range(USERS):
            reach = SHOWN + standing * (ITEMS - SHOWN) // max(1, len(sketch.recommenders) - 1)
            shown = [int(one) for one in dice.choice(reach, SHOWN, replace=False)]
            liked = dice.random(SHOWN) < 0.6 / (standing + 1)
            watched = {
                item: float(dice.integers(3, 6)) for item, likes in zip(shown, liked, strict=True)
                if likes
            }  # fmt: skip
            late = name == sketch.failing and user % 4 == 0
            one = (
                page(user, (), round=round, outcome=Outcome.LATE)
                if late
                else page(user, shown, watched, round=round)
            )
            rows += visit(user, one, round=round)
    return rows


def _works(sketch: Sketch, name: str) -> list[Row]:
    late = name == sketch.failing
    return [
        work(
            12.0 * round + 3 * at, arm="a", lists=3, round=round,
            outcome="late" if late and not at else "accepted",
        )
        for round in range(1, sketch.rounds + 1)
        for at in range(4)
    ]  # fmt: skip


def a_card(*, passed: bool = True) -> dict[str, Any]:
    """A believability card in which popularity is beaten, or wins."""

    def interval(mean: float) -> dict[str, Any]:
        return {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "n": 300, "unit": "user"}

    auc = 0.66 if passed else 0.44
    answers = {
        who: {name: interval(value) for name in ("auc", "accuracy", "precision", "recall")}
        for who, value in {"mind": auc, "random": 0.5, "popularity": 0.52}.items()
    }
    margin = interval(auc - 0.52)
    return {
        "format": "recarena-believability-card",
        "format_version": 1,
        "made": {"seed": 3, "repeats": 2, "seconds": 1.5, "code_version": "0"},
        "mind": {"kind": "choice", "is_llm": False, "name": "choice"},
        "data": {"name": "ml-tiny", "measured": 300},
        "verdict": {
            "passed": passed,
            "sentence": "Passed: choice on ml-tiny beats chance, popularity."
            if passed
            else "Not passed: of choice on ml-tiny, it does not beat popularity.",
            "gates": [{
                "id": "beats-popularity", "name": "beats popularity", "passed": passed,
                "value": margin, "limit": 0.0,
                "text": "AUC above popularity" if passed else "LOSES to popularity",
            }],
            "losses": [] if passed else ["LOSES to popularity on uniform negatives"],
            "alarms": [],
        },
        "discrimination": [
            {"ratio": ratio, "negatives": negatives, "slates": 300, "users": 300, "left_out": 0,
             "answers": answers}
            for negatives in ("uniform", "matched") for ratio in (1, 9)
        ],
        "yes_bias": {"shares": [{"ratio": 1, "truth": 0.5, "selected": interval(0.48)}]},
        "position": None,
        "notes": ["Position bias was not measured: the study was not asked for."],
    }  # fmt: skip
