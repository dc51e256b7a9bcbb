"""What is asked of a mind for its card, and the runs that ask it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recarena.evaluation.believability.asking import (
    WATCHES_ALL,
    Answers,
    Condition,
    merged,
    probe_contender,
    read_answers,
)
from recarena.evaluation.believability.people import Numbers, People, Rows, read_people
from recarena.evaluation.believability.rating import rated_slates
from recarena.evaluation.believability.slates import (
    Negatives,
    make_slates,
    measured_users,
    stand_ins,
)
from recarena.evaluation.offline.measures import NotSplit
from recarena.evaluation.playing.contenders import Contender, contender
from recarena.evaluation.playing.mirrored import Bout, Played, Progress
from recarena.evaluation.playing.processes import find_program
from recarena.evaluation.playing.stage import Stage, staged
from recarena.evaluation.runs.run_log import RunLog

NUDGE = 0.5
"""Rating points by which displayed means are moved up in one copy, down in the other."""
CONTROL = "random"
"""The recommender that no cocoon can come from."""
GATED = (1, Negatives.MATCHED)
"""The condition that gates are judged by."""
DISGUISES = ("numbers", "ids")
"""Titles of the worlds in which a language model finds nothing that it may have read about."""


class StudyFailed(Exception):
    """A card could not be made; the text is one line with the remedy."""


@dataclass(frozen=True)
class Study:
    """A mind, the people it is held against, and how much is asked."""

    world: Path
    folder: Path
    seed: int
    slates: int
    """Different slates a user and condition."""
    repeats: int
    """Times each is shown."""
    most_users: int
    at_least: float
    """Rating from which on a later item counts as held out."""
    min_history: int
    worlds: int
    """Copies for the study of cocoons; 0: none."""
    rounds: int
    ratios: Sequence[int]
    """Negatives for each held-out item, of POSITIVES; 1, by which gates are judged, is there."""
    recommender: str
    """The one that may make a cocoon."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the mind, as in a settings file."""
    keep_runs: bool = False
    studies: bool = True
    """Whether conformity and what is known by titles are studied, too."""

    @property
    def llm(self) -> Mapping[str, Any]:
        """The table `[llm]` of the settings."""
        return self.settings.get("llm") or {}

    @property
    def is_llm(self) -> bool:
        """Whether language models decide."""
        return bool(self.llm.get("provider"))

    @property
    def serving(self) -> list[str]:
        """Options of the server."""
        url = str(self.llm.get("base_url") or "")
        return [*(["--llm"] if self.is_llm else []), *(["--llm-url", url] if url else [])]


@dataclass(frozen=True)
class Plan:
    """All conditions of a study."""

    users: Numbers
    viewers: Numbers
    """[users]: the stranger in each user's place."""
    choosing: Mapping[tuple[int, Negatives], Sequence[Condition]]
    """(ratio, negatives) -> one condition a slate."""
    strangers: Sequence[Condition]
    """GATED, each user's slates shown to another."""
    rated: Condition | None
    """Held-out items, all of them watched; None where a mind cannot be made to."""
    nudged: tuple[Condition, Condition] | None
    disguised: Mapping[str, Sequence[Condition]]
    """DISGUISES -> GATED in that world."""

    def __iter__(self) -> Iterator[Condition]:
        for several in (*self.choosing.values(), self.strangers, *self.disguised.values()):
            yield from several
        if self.rated:
            yield self.rated
        yield from self.nudged or ()


def plan(study: Study, people: People) -> Plan:
    """NotSplit where fewer than two users can be measured."""
    users = measured_users(people, study.at_least, study.min_history, study.most_users, study.seed)
    if len(users) < 2:
        raise NotSplit(
            f"{study.world}: {len(users)} users have {study.min_history} ratings before the split "
            f"and a new one of {study.at_least:g} or more after it; two are needed. Split at "
            "another time, or ask for less"
        )
    viewers = stand_ins(users, study.seed)

    def asked(
        name: str, ratio: int, kind: Negatives, viewers: Numbers, world: Path
    ) -> list[Condition]:
        return [
            Condition(
                f"{name}-{number}",
                make_slates(people, users, ratio, kind, study.at_least, study.seed, number),
                viewers, study.repeats, world, study.seed,
            )
            for number in range(study.slates)
        ]  # fmt: skip

    ratio, kind = GATED
    rated, nudged = None, None
    if not study.is_llm:
        slates = rated_slates(people, users, study.seed)
        rated = Condition("rated", slates, users, 1, study.world, study.seed, "rated", WATCHES_ALL)
    if rated and study.studies:
        slates = rated.slates
        nudged = (
            Condition("nudged-up", slates, users, 1, study.folder / "worlds" / "up", study.seed,
                      "rated", WATCHES_ALL),
            Condition("nudged-down", slates, users, 1, study.folder / "worlds" / "down", study.seed,
                      "rated", WATCHES_ALL),
        )  # fmt: skip
    return Plan(
        users,
        viewers,
        {
            (ratio, kind): asked(f"{kind}-{ratio}", ratio, kind, users, study.world)
            for kind in Negatives
            for ratio in study.ratios
        },
        asked("stranger", ratio, kind, viewers, study.world),
        rated,
        nudged,
        {
            titles: asked(titles, ratio, kind, users, study.folder / "worlds" / titles)
            for titles in (DISGUISES if study.is_llm and study.studies else ())
        },
    )


@dataclass(frozen=True)
class Heard:
    """What came of a plan."""

    answers: Mapping[str, Answers]
    """Name of a condition -> its answers."""
    mind: Mapping[str, Any]
    """From a run's manifest."""
    cocoon: tuple[Sequence[RunLog], Sequence[RunLog]]
    """Runs with the recommender, and with the control, world by world; empty without the study."""
    displayed: tuple[Rows, Rows] | None
    """[items]: mean ratings as users saw them in the two nudged copies."""
    spent: Sequence[Any]
    """What LLM minds cost, run by run."""

    def of(self, conditions: Sequence[Condition]) -> list[Answers]:
        """Answers of some conditions, in their order."""
        return [self.answers[one.name] for one in conditions]


def make_worlds(study: Study) -> None:
    """The copies of the world that the plan speaks of, in `folder/worlds`. StudyFailed."""
    if not study.studies:
        return
    target = study.folder / "worlds"
    seed = ("--seed", str(study.seed))
    if study.is_llm:
        for titles in DISGUISES:
            _world("disguise", study, target / titles, *seed, "--ids", "keep", "--titles", titles)
    else:
        for name, by in (("up", NUDGE), ("down", -NUDGE)):
            _world("nudge", study, target / name, *seed, "--by", str(by))


def _world(command: str, study: Study, target: Path, *options: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [find_program("recarena"), "world", command, str(study.world), str(target), *options],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StudyFailed(f"the copy {target} of the world could not be made: {said}")


async def play(
    study: Study, people: People, plan: Plan, starting: AbstractContextManager[Any],
    playing: AbstractContextManager[Progress],
) -> Heard:  # fmt: skip
    """Plays all runs on a server of its own. Run folders are deleted once they have been read,
    unless they are to be kept or hold calls that were paid for. StudyFailed for a run that did not
    come to its end, and what `stage.EXPECTED` names."""
    lists = study.folder / "slates"
    lists.mkdir(parents=True, exist_ok=True)
    asking = _mind_settings(study, people, plan)
    bouts = {one.name: one.bouts(asking, lists) for one in plan}
    cocoon = _cocoon_bouts(study)
    runs = sum(map(len, bouts.values())) + len(cocoon)
    recommenders: list[Contender] = [probe_contender(lists)]
    if cocoon:
        recommenders += [contender(study.recommender), contender(CONTROL)]
    async with staged(study.folder, recommenders, runs, starting, study.serving) as stage:
        with playing as progress:
            played = await _all(stage, [b for own in bouts.values() for b in own], 1, progress)
            lived = await _all(stage, cocoon, study.rounds, progress) if cocoon else []
    heard = _read(plan, {one.bout.run_id: one for one in played}, lived)
    if not study.keep_runs and not study.is_llm:
        for one in (*played, *lived):
            shutil.rmtree(one.folder, ignore_errors=True)
        shutil.rmtree(study.folder / "worlds", ignore_errors=True)
        shutil.rmtree(lists, ignore_errors=True)
    return heard


def run_count(study: Study, plan: Plan) -> int:
    """Rounds to be played."""
    return sum(one.repeats for one in plan) + len(_cocoon_bouts(study)) * study.rounds


def _mind_settings(study: Study, people: People, plan: Plan) -> dict[str, Any]:
    """Of runs in which the mind is asked: of language models only those users who are measured."""
    if not study.is_llm:
        return dict(study.settings)
    ids = [people.user_ids[user] for user in plan.users.tolist()]
    return merged(study.settings, {"llm": {"activity": "habits", "users": ids, "share": 0.0}})


def _cocoon_bouts(study: Study) -> list[Bout]:
    world = str(study.world.absolute())
    names = {"personalised": study.recommender.partition("=")[0], "random": CONTROL}
    return [
        Bout(f"cocoon-{role}-{number}", (name,), world, study.seed + number, study.settings)
        for role, name in names.items()
        for number in range(study.worlds)
    ]


async def _all(
    stage: Stage, bouts: Sequence[Bout], rounds: int, progress: Progress
) -> Sequence[Played]:
    played = await stage.play(bouts, rounds, progress)
    for one in played:
        if one.error:
            raise StudyFailed(
                f"the run {one.bout.run_id} {one.error} (kept in {one.folder}), so that there is "
                "no card"
            )
    return played


def _read(plan: Plan, played: Mapping[str, Played], lived: Sequence[Played]) -> Heard:
    from recarena.evaluation.runs.thinking import thinking_of

    answers: dict[str, Answers] = {}
    mind: Mapping[str, Any] = {}
    spent: list[Any] = []
    for condition in plan:
        logs = [
            RunLog.open(played[f"{condition.name}-{repeat}"].folder)
            for repeat in range(condition.repeats)
        ]
        answers[condition.name] = read_answers(condition, logs)
        mind = logs[0].mind
        spent += [thinking_of(log.path, log.manifest, log.rounds) for log in logs]
    displayed = None
    if plan.nudged:
        up, down = (read_people(one.world).item_means for one in plan.nudged)
        displayed = up, down
    half = len(lived) // 2
    found = [RunLog.open(one.folder) for one in lived]
    spent += [thinking_of(log.path, log.manifest, log.rounds) for log in found]
    return Heard(answers, mind, (found[:half], found[half:]), displayed, spent)
