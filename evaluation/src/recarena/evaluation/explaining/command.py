"""`recarena explain`: do explanations help, as simulated users see it?"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recarena.evaluation.explaining.conduct import Order
    from recarena.evaluation.explaining.folder import Study
    from recarena.evaluation.explaining.output import Lines, Terminal

HERE = "127.0.0.1:0"


def command(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN",
            help="Folders of runs with explanations; or a study's, to make its report again.",
        ),
    ] = None,
    world: Annotated[
        str,
        typer.Option(help="Play this world first: a folder, new:… or planted:…, as recarena run."),
    ] = "",
    recommender: Annotated[
        list[str] | None,
        typer.Option(
            "--recommender", "-r", metavar="NAME[=COMMAND]",
            help="With --world: a reference recommender, or a program of yours ({server}: the "
            "address); each plays the world by itself; repeatable.",
        ),
    ] = None,
    remote: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="With --world: wait for a recommender that dials in by this name."
        ),
    ] = None,
    listen: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where recommenders dial in; 0: any free port."),
    ] = HERE,
    rounds: Annotated[int, typer.Option(min=1, help="With --world: rounds of each run.")] = 10,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JUDGE",
            help="Who answers for the users: choice, anthropic:MODEL, openai:MODEL, "
            "openai-compatible:MODEL, or scripted:honest, scripted:sycophant, scripted:halo, "
            "scripted:random; repeatable.  [default: choice]",
        ),
    ] = None,
    base_url: Annotated[
        str, typer.Option(metavar="URL", help="Where an openai-compatible server is, with /v1.")
    ] = "",
    config: Annotated[
        Path | None,
        typer.Option(
            help="Settings file: [llm], [memory] and [choice] of judges, and [judges.\"NAME\".llm] "
            "of one; all other tables of runs that are played."
        ),
    ] = None,
    triples: Annotated[
        int, typer.Option(min=1, help="Exposures (user, item, moment) that are asked about.")
    ] = 200,
    draws: Annotated[
        int | None,
        typer.Option(min=1, help="Repeats of choosing and rating.  [default: 10; LLM: 3]"),
    ] = None,
    questionnaire: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="battery, paper, a TOML file of yours, or none."),
    ] = "battery",
    questionnaire_triples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Ask it about so many triples.  [default: 100; scripted: 60; LLM: 20]"
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Times each statement is asked.")] = 3,
    texts: Annotated[
        str,
        typer.Option(
            metavar="template|generated", help="Where placebo, hype and false facts come from."
        ),
    ] = "template",
    writer: Annotated[
        str, typer.Option(metavar="PROVIDER:MODEL", help="Who writes generated texts: no judge.")
    ] = "",
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Most that all calls together may cost.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens that all calls together may take.")
    ] = None,
    with_people: Annotated[
        bool,
        typer.Option("--with-people", help="Also ask about what people saw who played users."),
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say how much would be asked.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the study; one that the same command was interrupted in is gone on "
            "with. Without it: runs/explain-TIME."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:  # fmt: skip
    """Ask simulated users whether explanations help, and say whether the answers can be trusted.

    From what users were really shown, users, items and moments are drawn. Each user is asked what
    it would do without an explanation, with the recommender's, with empty words, with another
    user's, with praise and with false facts: each time afresh, and nothing of it is remembered.

    Example: recarena explain --world new:users=200,seed=7 -r item-knn -r content -r popular
    """
    from recarena.evaluation.explaining.conduct import BadOrder
    from recarena.evaluation.explaining.judges import BadJudge
    from recarena.evaluation.explaining.ordering import Wishes, order_of, study_among
    from recarena.evaluation.explaining.output import Lines, Terminal
    from recarena.evaluation.playing.contenders import BadContender
    from recarena.evaluation.playing.stage import FAILED, finished
    from recarena.evaluation.questionnaires.reading import BadQuestionnaire
    from recarena.evaluation.stimuli.sampling import BadSample

    output: Lines | Terminal = Lines() if as_json else Terminal()
    folder = out or Path("runs") / f"explain-{datetime.now().astimezone():%Y%m%d-%H%M%S}"

    def act() -> int:
        wishes = Wishes(
            folder=folder, runs=tuple(runs or ()), world=world, recommenders=recommender or (),
            remote=remote or (), listen=listen, rounds=rounds, judges=judge or ["choice"],
            base_url=base_url, config=config, triples=triples, questionnaire=questionnaire,
            texts=texts, writer=writer, max_cost=max_cost,
            max_tokens=max_tokens, seed=seed,
            asked={"draws": draws, "questionnaire_triples": questionnaire_triples,
                   "repeats": repeats},
            environment=None if estimate else os.environ, with_people=with_people,
        )  # fmt: skip
        try:
            if study := study_among(wishes) if not estimate else None:
                return _show(study, output)
            order = order_of(wishes)
            return _estimate(order, output) if estimate else _make(order, output)
        except (BadContender, BadJudge, BadOrder, BadQuestionnaire, BadSample) as error:
            output.error(str(error))
            return FAILED

    stopped = (
        f"Stopped. What was played and what language models answered is in {folder}: the same "
        f"command with --out {folder} goes on from there"
    )
    raise typer.Exit(finished(act, output.error, lambda: stopped))


def _make(order: Order, output: Lines | Terminal) -> int:
    """Makes the study and its report."""
    from recarena.evaluation.explaining.conduct import make

    return _show(make(order, output), output)


def _show(study: Study, output: Lines | Terminal) -> int:
    """Works out what came of a study, writes its report, and says so."""
    from recarena.evaluation.explaining.output import Lines
    from recarena.evaluation.explaining.results import write_results

    results = write_results(study)
    if isinstance(output, Lines):
        output.say("findings", folder=str(study.path), **results.findings)
    else:
        from rich.console import Console

        from recarena.evaluation.judging.terminal import show

        show(results.findings, Console(highlight=False))
        output.note(f"Report: {results.page}; all answers: {study.path}")
    return 0


def _estimate(order: Order, output: Lines | Terminal) -> int:
    """Says what would be asked."""
    from recarena.evaluation.explaining.conduct import BadOrder, prepare
    from recarena.evaluation.explaining.generated import WRITTEN
    from recarena.evaluation.explaining.inquiries import count_calls, count_kinds
    from recarena.evaluation.runs.run_log import open_runs

    if order.world:
        raise BadOrder(
            "what would be asked follows from runs: play them first with recarena run "
            "--explanations, and name their folders"
        )
    logs = open_runs(order.runs, with_people=order.with_people)
    prepared = prepare(logs, order.triples, order.seed)
    output.prepared(prepared.sample)
    for plan in order.plans:
        asks = prepared.asks(plan)
        calls = count_calls(asks) if plan.judge.is_llm else 0
        output.estimate(plan.judge.name, len(asks), calls, count_kinds(asks))
    if order.writer:
        texts = len(prepared.sample.triples) * len(WRITTEN)
        output.estimate(f"{order.writer.name} (writer)", texts, texts, {"text": texts})
    return 0
