"""`recarena believe`: how like people a mind chooses and rates."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Generator

    from recarena.evaluation.believability.card import Card
    from recarena.evaluation.believability.study import Study
    from recarena.evaluation.playing.mirrored import Progress

PROVIDERS = ("anthropic", "openai", "openai-compatible")


class BadOption(Exception):
    """An option that means nothing; the text is one line with the remedy."""


def command(
    world: Annotated[Path, typer.Argument(help="World folder that was split by time.")],
    mind: Annotated[
        str,
        typer.Option(
            metavar="PROVIDER:MODEL",
            help="The mind: choice, anthropic:MODEL, openai:MODEL or openai-compatible:MODEL.",
        ),
    ] = "choice",
    base_url: Annotated[
        str, typer.Option(metavar="URL", help="Where an openai-compatible server is, with /v1.")
    ] = "",
    config: Annotated[
        Path | None, typer.Option(help="Settings of the mind, as for recarena run.")
    ] = None,
    users: Annotated[int, typer.Option(min=2, help="Measure so many users at most.")] = 500,
    slates: Annotated[
        int | None, typer.Option(min=1, help="Slates a user and condition. [default: 2; LLM: 1]")
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Times each is shown, in other orders. [default: 10; LLM: 1]"),
    ] = None,
    ratio: Annotated[
        list[int] | None,
        typer.Option(
            help="Negatives for each held-out item: 2, 3 or 9, beside 1; repeatable. Without it: "
            "all."
        ),
    ] = None,
    at_least: Annotated[
        float, typer.Option(min=1, max=5, help="Later rating from which on an item is held out.")
    ] = 1.0,
    min_history: Annotated[
        int, typer.Option(min=0, help="Measure users with so many ratings before the split.")
    ] = 5,
    recommender: Annotated[
        str, typer.Option(metavar="NAME[=COMMAND]", help="The one that may make a cocoon.")
    ] = "ease",
    worlds: Annotated[
        int | None,
        typer.Option(min=1, help="Worlds of the cocoon study. [default: 5; LLM: no such study]"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Rounds in each of them.")] = 12,
    studies: Annotated[
        bool,
        typer.Option(help="Study cocoons, conformity and what is known by titles, too."),
    ] = True,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="LLM: most that all calls together may cost.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for the card and logs. Without it: runs/believe-TIME."),
    ] = None,
    keep_runs: Annotated[
        bool, typer.Option("--keep-runs", help="Keep the run folders (an LLM's are always kept).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:  # fmt: skip
    """Hold a mind against what people went on to do: the believability card.

    Users are shown what they watched later among what they never did, by ordinary runs. What they
    choose and how they rate it is compared with people, chance, popularity, mean ratings and other
    users in their place. Split the data by time first: `recarena world import DATA OUT --fraction
    0.8`.

    Example: recarena believe worlds/ml-100k
    """  # fmt: skip
    from recarena.evaluation.believability.study import Study, StudyFailed
    from recarena.evaluation.playing.contenders import BadContender, contender
    from recarena.evaluation.playing.stage import FAILED, finished

    say = _error_line if as_json else _error_text
    folder = out or Path("runs") / f"believe-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    try:
        contender(recommender)
        settings = _settings(mind, base_url, config)
        ratios = _ratios(ratio)
    except (BadContender, BadOption) as error:
        say(str(error))
        raise typer.Exit(FAILED) from None
    is_llm = bool(settings.get("llm", {}).get("provider"))
    study = Study(
        world=world, folder=folder, seed=seed,
        slates=slates or (1 if is_llm else 2), repeats=repeats or (1 if is_llm else 10),
        most_users=users, at_least=at_least, min_history=min_history,
        worlds=(worlds or (0 if is_llm else 5)) if studies else 0,
        rounds=rounds, ratios=ratios, recommender=recommender, settings=settings,
        keep_runs=keep_runs, studies=studies,
    )  # fmt: skip

    def act() -> int:
        if folder.exists() and any(folder.iterdir()):
            say(f"{folder} is not empty. Name another folder with --out")
            return FAILED
        try:
            card = make_card(study, quiet=as_json, max_cost=max_cost)
        except StudyFailed as error:
            say(str(error))
            return FAILED
        _show_json(card) if as_json else _show(card, folder)
        return 0

    raise typer.Exit(
        finished(act, say, lambda: f"Stopped; there is no card. What was played is in {folder}")
    )


def make_card(study: Study, quiet: bool = True, max_cost: float | None = None) -> Card:
    """Asks the mind and writes `card.json` into the study's folder. StudyFailed, and what
    `stage.EXPECTED` names."""
    from dataclasses import replace

    from recarena.evaluation.believability.asking import merged
    from recarena.evaluation.believability.card import FILE, read_card, write_card
    from recarena.evaluation.believability.gather import card
    from recarena.evaluation.believability.people import read_people
    from recarena.evaluation.believability.study import make_worlds, plan, play, run_count

    people = read_people(study.world)
    planned = plan(study, people)
    count = run_count(study, planned)
    if max_cost is not None and study.is_llm:
        each = max_cost / sum(one.repeats for one in planned)
        study = replace(study, settings=merged(study.settings, {"llm": {"max_cost": each}}))
        planned = plan(study, people)
    with _spinner("Making copies of the world", quiet):
        make_worlds(study)
    heard = asyncio.run(
        play(
            study, people, planned, _spinner("Starting a server and recommenders", quiet),
            _bar(count, quiet),
        )
    )  # fmt: skip
    made = card(study, people, planned, heard)
    write_card(made, study.folder / FILE)
    return read_card(study.folder / FILE)


def _settings(mind: str, base_url: str, config: Path | None) -> dict[str, Any]:
    """Settings of the mind: those of the file, with what the options say over them."""
    import tomllib

    settings: dict[str, Any] = {}
    if config:
        try:
            settings = tomllib.loads(config.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BadOption(f"{config} cannot be read ({error})") from None
        for name in ("seed", "rounds", "arms", "activation", "visits"):
            settings.pop(name, None)  # the study says these itself
    if mind != "choice":
        provider, _, model = mind.partition(":")
        if provider not in PROVIDERS or not model:
            raise BadOption(
                f"{mind!r} is no mind: write choice, or PROVIDER:MODEL with one of the providers "
                f"{', '.join(PROVIDERS)}"
            )
        settings["llm"] = {**settings.get("llm", {}), "provider": provider, "model": model}
    if base_url:
        settings["llm"] = {**settings.get("llm", {}), "base_url": base_url}
    return settings


def _ratios(asked: list[int] | None) -> list[int]:
    from recarena.evaluation.believability.slates import POSITIVES

    if unknown := [one for one in asked or () if one not in POSITIVES]:
        known = ", ".join(map(str, POSITIVES))
        raise BadOption(f"slates are not made at 1:{unknown[0]}: --ratio is one of {known}")
    return [one for one in POSITIVES if not asked or one == 1 or one in asked]


@contextmanager
def _spinner(text: str, quiet: bool) -> Generator[None]:
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    showing: AbstractContextManager[Any] = nullcontext() if quiet else console.status(text)
    with showing:
        yield


@contextmanager
def _bar(total: int, quiet: bool) -> Generator[Progress]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False)
    with Progress(console=console, disable=quiet or not console.is_terminal) as bars:
        task = bars.add_task("asking the mind", total=total)
        yield lambda _bout, _round: bars.advance(task)


def _show(card: Card, folder: Path) -> None:
    from rich.console import Console

    from recarena.evaluation.believability.forms import show

    console = Console(highlight=False)
    console.width = max(console.width, 130) if not console.is_terminal else console.width
    show(card, console)
    console.print(
        f"Card: {folder / 'card.json'}; beside a leaderboard: recarena compete --card FILE"
    )


def _show_json(card: Card) -> None:
    """The card as one line."""
    _say("card", **card)


def _say(event: str, **values: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")


def _error_line(text: str) -> None:
    _say("error", message=text)


def _error_text(text: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False).print(Text(text, "red"), soft_wrap=True)
