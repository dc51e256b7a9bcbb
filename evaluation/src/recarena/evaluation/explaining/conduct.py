"""A study from its runs to its findings: what is played, told, asked and made of it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from recarena.evaluation.explaining.asking import Heard, Spent, ask, compose
from recarena.evaluation.explaining.delivery import delivered
from recarena.evaluation.explaining.folder import (
    MANIFEST,
    QUESTIONNAIRE,
    CheckedClaims,
    Study,
    add_replies,
    run_record,
    write_study,
)
from recarena.evaluation.explaining.generated import briefs, with_generated
from recarena.evaluation.explaining.inquiries import Ask, Quizzes, Wordings, build
from recarena.evaluation.explaining.judges import Judge
from recarena.evaluation.explaining.output import Output
from recarena.evaluation.explaining.plan import Plan
from recarena.evaluation.playing.arena import Watch
from recarena.evaluation.playing.contenders import Contender
from recarena.evaluation.playing.hall import Hall, Hosting, opened
from recarena.evaluation.playing.mirrored import Bout
from recarena.evaluation.playing.processes import ProgramDied
from recarena.evaluation.runs.conduct import conduct_of
from recarena.evaluation.runs.run_log import RunLog, open_runs
from recarena.evaluation.runs.steered import remarks
from recarena.evaluation.stimuli.catalogue import Catalogue
from recarena.evaluation.stimuli.faithfulness import check
from recarena.evaluation.stimuli.past import Past
from recarena.evaluation.stimuli.quiz import quiz
from recarena.evaluation.stimuli.sampling import Sample, sample
from recarena.evaluation.stimuli.wordings import TEMPLATE, wordings

ORDER = "order.json"
RUNS = "runs"
LOGS = "logs"
RUN_MANIFEST = "manifest.json"
"""In the folder of a run."""
SPENT = "spent.json"
HINT_AFTER_S = 20.0
"""How long a recommender may stay away before somebody is told to look at it."""


class BadOrder(Exception):
    """A study that cannot be made as it is ordered; the text is one line with the remedy."""


@dataclass(frozen=True)
class Order:
    """What determines a study."""

    folder: Path
    runs: tuple[Path, ...]
    """Run folders; none: they are played first."""
    world: str
    """As CreateRun takes it; "" with run folders."""
    recommenders: tuple[Contender, ...]
    """Each plays the world by itself."""
    rounds: int
    settings: Mapping[str, Any]
    """Of the runs that are played."""
    plans: tuple[Plan, ...]
    """One for each judge."""
    writer: Judge | None
    """Who writes the texts that are not the recommenders'; None: templates."""
    triples: int
    seed: int
    questionnaire: bytes = b""
    """The file of the statements that are asked; empty: none are."""
    urls: frozenset[str] = field(default_factory=frozenset[str])
    """Servers of models that are asked."""
    listen: str = "127.0.0.1:0"
    """Where recommenders dial in."""
    with_people: bool = False
    """Also about what people saw who played users."""

    @property
    def models(self) -> list[Judge]:
        """The language models among those who judge and write."""
        everybody = [plan.judge for plan in self.plans] + ([self.writer] if self.writer else [])
        return [one for one in everybody if one.is_llm]

    @property
    def serving(self) -> list[str]:
        """Options of the server."""
        urls = [word for url in sorted(self.urls) for word in ("--llm-url", url)]
        return ["--llm", *urls] if self.models else []

    def as_json(self) -> dict[str, Any]:
        """JSON values; two orders are the same where these are."""
        return {
            "runs": [str(one.absolute()) for one in self.runs],
            "world": self.world,
            "recommenders": {one.name: one.command for one in self.recommenders},
            "rounds": self.rounds if self.world else 0,
            "settings": dict(self.settings),
            "judges": [dict(plan.as_json()) for plan in self.plans],
            "writer": self.writer.name if self.writer else "",
            "triples": self.triples,
            "seed": self.seed,
            **({"with_people": True} if self.with_people else {}),
        }


@dataclass(frozen=True)
class Prepared:
    """A study before anybody was asked."""

    logs: Sequence[RunLog]
    sample: Sample
    told: Wordings
    quizzes: Quizzes

    def asks(self, plan: Plan) -> list[Ask]:
        """Everything that a plan's judge is asked."""
        return build(plan, self.sample.triples, self.told, self.quizzes)


def open_folder(order: Order) -> None:
    """Makes the study's folder, or finds in it an order that is the same, which is gone on with,
    or another one of which nothing came yet. BadOrder for any other folder that is not empty."""
    folder, file, wanted = order.folder, order.folder / ORDER, order.as_json()
    if folder.exists() and not folder.is_dir():
        raise BadOrder(f"{folder} is a file. Name a folder with --out")
    if file.is_file():
        try:
            there: Any = json.loads(file.read_text("utf-8"))
        except ValueError:
            there = {}
        changed = sorted(name for name, one in wanted.items() if there.get(name) != one)
        if not changed:
            return
        if _has_results(folder):
            raise BadOrder(
                f"{folder} holds a study with other {', '.join(changed)}. Name another folder "
                "with --out"
            )
        for link in (folder / RUNS).iterdir():
            if link.is_symlink():
                link.unlink()
    elif folder.exists() and any(folder.iterdir()):
        raise BadOrder(f"{folder} is not empty. Name another folder with --out")
    (folder / RUNS).mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wanted, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _has_results(folder: Path) -> bool:
    """Whether a study was made in it, or a run of its own was begun."""
    own = [one for one in (folder / RUNS).iterdir() if one.is_dir() and not one.is_symlink()]
    return (folder / MANIFEST).exists() or any((one / RUN_MANIFEST).exists() for one in own)


def prepare(logs: Sequence[RunLog], count: int, seed: int) -> Prepared:
    """Draws triples and words what is told of them. BadSample."""
    drawn = sample(logs, count, seed)
    catalogues = {log.run_id: Catalogue.of(log) for log in logs}
    quizzes = {
        one.id: quiz(catalogues[one.run_id], catalogues[one.run_id].number_of[one.item_id], seed)
        for one in drawn.triples
    }
    return Prepared(logs, drawn, wordings(drawn.triples, logs, seed), quizzes)


def make(order: Order, output: Output) -> Study:
    """Plays what is to be played, asks every judge, and keeps everything in the order's folder,
    which is not touched where its runs cannot be asked about. BadOrder, BadSample, and what
    `stage.EXPECTED` names."""
    drawn = None
    if order.runs:
        logs = open_runs(order.runs, with_people=order.with_people)
        drawn = prepare(logs, order.triples, order.seed)
    open_folder(order)
    return asyncio.run(_made(order, drawn, output))


async def _made(order: Order, drawn: Prepared | None, output: Output) -> Study:
    runs = order.folder / RUNS
    for log in drawn.logs if drawn else ():
        _link(runs / log.run_id, log.path)
    hosting = Hosting(
        runs=runs, logs=order.folder / LOGS, listen=order.listen, options=tuple(order.serving)
    )
    with ExitStack() as until_ready:
        until_ready.enter_context(output.starting())
        async with opened(hosting, order.recommenders) as hall:
            until_ready.close()
            return await _heard(order, drawn, hall, output)


async def _heard(order: Order, drawn: Prepared | None, hall: Hall, output: Output) -> Study:
    """The study, once everybody was asked."""
    prepared = drawn or prepare(
        [RunLog.open(one) for one in await _played(order, hall, output)], order.triples, order.seed
    )
    output.prepared(prepared.sample)
    for remark in remarks(prepared.logs):
        output.note(remark)
    for name, told in conduct_of(log.path for log in prepared.logs).items():
        if told.complaints:
            output.note(
                f"{name} did not always give a list that could be used, and the users saw others "
                f"in its place ({told.complaints[0]})"
            )
    prepared, texts, spent = await _worded(order, prepared, hall, output)
    heard: list[Heard] = []
    for plan in order.plans:
        asks = prepared.asks(plan)
        with output.asking(plan.judge.name, len(asks)) as progress:
            heard.append(await hall.while_served(ask(hall.channel, plan, asks, progress)))
    write_study(
        order.folder, _manifest(order, prepared, texts, heard), prepared.sample.triples,
        prepared.told, _checked(prepared),
    )  # fmt: skip
    if order.questionnaire:
        (order.folder / QUESTIONNAIRE).write_bytes(order.questionnaire)
    add_replies(order.folder, [reply for one in heard for reply in one.replies])
    models = {one.name for one in order.models}
    costs = {one.judge: one.spent for one in heard if one.judge in models}
    if order.writer:
        costs[f"{order.writer.name} (writer)"] = spent
    told = {name: one.as_json() for name, one in costs.items()}
    (order.folder / SPENT).write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    output.spent(costs)
    return Study.open(order.folder)


async def _played(order: Order, hall: Hall, output: Output) -> list[Path]:
    """The folders of a run for each recommender, in their order."""
    bouts = [
        Bout(one.name, (one.name,), order.world, order.seed, order.settings, explained=True)
        for one in order.recommenders
    ]
    output.waiting(hall.address, [one.name for one in order.recommenders if one.is_remote])
    started = {one.name for one in order.recommenders if not one.is_remote}
    away: set[str] = set()

    def hint(name: str) -> None:
        if name in away & started:
            started.discard(name)
            output.note(
                f"Still waiting for {name}. Does its program register by that name? What it said "
                f"is in {order.folder / LOGS}/recommender-{name}.log"
            )

    def waiting(bout: Bout) -> None:
        away.add(bout.recommender)
        asyncio.get_running_loop().call_later(HINT_AFTER_S, hint, bout.recommender)

    with output.playing(len(bouts) * order.rounds) as progress:
        watch = Watch(
            round=lambda _bout, _round: progress(1), waiting=waiting,
            playing=lambda bout: away.discard(bout.recommender),
        )  # fmt: skip
        # One that ends is an error, and its run can be gone on with once it is mended.
        playing = replace(hall.arena, lost={}).play(bouts, order.rounds, watch)
        try:
            played = await hall.programs.while_alive(playing)
        except ProgramDied as died:
            raise BadOrder(
                f"{died}\nOnce that is mended, the same command with --out {order.folder} goes on"
            ) from None
    for one in played:
        if one.error:
            raise BadOrder(
                f"the run of {one.bout.recommender} {one.error} (kept in {one.folder}), so that "
                "there is nothing to ask about"
            )
    return [one.folder for one in played]


async def _worded(
    order: Order, prepared: Prepared, hall: Hall, output: Output
) -> tuple[Prepared, dict[str, Any], Spent]:
    """The texts of a writer in the place of templates, where there is one; where texts come from;
    and what that took."""
    if order.writer is None:
        return prepared, {"source": TEMPLATE}, Spent()
    triples, logs = prepared.sample.triples, prepared.logs
    wanted = briefs(triples, logs, prepared.told, order.seed)
    with output.asking(f"{order.writer.name} (writer)", len(wanted)) as progress:
        writing = compose(hall.channel, logs[0].run_id, order.writer, wanted, progress)
        written = await hall.while_served(writing)
    made = with_generated(triples, logs, prepared.told, written, order.seed)
    texts = {
        "source": order.writer.name,
        "kept": dict(made.kept),
        "templates_instead": {name: dict(why) for name, why in made.fallbacks.items()},
    }
    return (
        Prepared(logs, prepared.sample, made.wordings, prepared.quizzes),
        texts,
        written.spent,
    )


def _checked(prepared: Prepared) -> CheckedClaims:
    """What every text claims, held against the run as it stood."""
    logs = {log.run_id: log for log in prepared.logs}
    users = {
        log.run_id: {user_id: number for number, user_id in enumerate(log.user_ids)}
        for log in prepared.logs
    }
    found: CheckedClaims = {
        (one.id, str(condition)): check(
            words,
            Catalogue.of(logs[one.run_id]).number_of[one.item_id],
            users[one.run_id][one.user_id],
            one.round,
            Past.of(logs[one.run_id]),
        )
        for one in prepared.sample.triples
        for condition, words in prepared.told[one.id].items()
        if words is not None
    }
    return found


def _manifest(
    order: Order, prepared: Prepared, texts: Mapping[str, Any], heard: Sequence[Heard]
) -> dict[str, Any]:
    """What makes the study what it is; nothing of where or when it was made."""
    drawn = prepared.sample
    return {
        "code_version": metadata.version("recarena-evaluation"),
        "seed": order.seed,
        "triples": {
            "wanted": order.triples,
            "bad_items_by": dict(drawn.bad_by),
            "offered": dict(drawn.offered),
            "short": dict(drawn.short),
        },
        "texts": dict(texts),
        "runs": [run_record(log) for log in prepared.logs],
        "delivery": [one.as_json() for one in delivered(prepared.logs)],
        "examples": _examples(prepared),
        "judges": [
            {**plan.as_json(), "settings": dict(plan.judge.settings), "called": one.called,
             "prompts": dict(one.prompts)}
            for plan, one in zip(order.plans, heard, strict=True)
        ],
    }  # fmt: skip


def _examples(prepared: Prepared) -> list[dict[str, Any]]:
    """Of each recommender its first triple, with everything that is told of it."""
    found: dict[str, dict[str, Any]] = {}
    logs = {log.run_id: log for log in prepared.logs}
    for one in prepared.sample.triples:
        if one.recommender not in found and not one.extra:
            catalogue = Catalogue.of(logs[one.run_id])
            found[one.recommender] = {
                "recommender": one.recommender,
                "triple": one.id,
                "user": one.user_id,
                "title": catalogue.titles[catalogue.number_of[one.item_id]],
                "told": {
                    str(condition): words.text if words else ""
                    for condition, words in prepared.told[one.id].items()
                },
            }
    return list(found.values())


def _link(link: Path, target: Path) -> None:
    """Shows a run folder to the server under its own name. BadOrder where another has it."""
    if link.is_symlink():
        if link.resolve() == target.resolve():
            return
        raise BadOrder(f"two runs are called {link.name}: a study can hold one of them")
    os.symlink(target.absolute(), link, target_is_directory=True)
