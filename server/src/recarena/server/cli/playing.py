"""`recarena run` and `recarena resume`: one run, with the recommenders it needs, to its end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recarena.server.cli import minding
from recarena.server.cli.output import JSON, set_up_logging

if TYPE_CHECKING:
    from recarena.server.config import Settings

Listen = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Where recommenders dial in; port 0: any free one.")
]


def run(
    world: Annotated[
        str,
        typer.Argument(help="Folder of a world, or new:users=200,seed=1, or planted:users=200."),
    ],
    recommender: Annotated[
        list[str] | None,
        typer.Option(
            "--recommender",
            "-r",
            metavar="NAME[=COMMAND]",
            help="A reference recommender, or a program of yours ({server}: the address). Several "
            "share the users.",
        ),
    ] = None,
    remote: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Wait for a recommender that dials in by this name."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML.")] = None,
    explanations: Annotated[
        bool, typer.Option("--explanations", help="Ask the recommenders of all arms for reasons.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Everything random follows.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds to play.")] = None,
    name: Annotated[str, typer.Option(help="Name of the run; default: made up.")] = "",
    runs: Annotated[Path, typer.Option(help="Folder of the run folders.")] = Path("runs"),
    mind: minding.Mind = "",
    base_url: minding.BaseUrl = "",
    strategy: minding.Strategy = None,
    llm_share: minding.Share = None,
    llm_users: minding.LlmUsers = None,
    memory: minding.Memory = None,
    max_cost: minding.MaxCost = None,
    max_tokens: minding.MaxTokens = None,
    failure_limit: minding.FailureLimit = None,
    concurrency: minding.Concurrency = None,
    workers: minding.Workers = None,
    recording: minding.Recording = "",
    replay: minding.Replay = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what LLM minds will cost, and play nothing.")
    ] = False,
    listen: Listen = "127.0.0.1:0",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen without TLS off loopback.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Play a run: simulated users of a world, served by recommenders over gRPC.

    Ctrl-C stops at a consistent point and says how to go on.

    Example: recarena run new:users=200,seed=7 -r ease -r popular --rounds 10
    """
    from recarena.server.cli.performance import Manner, play
    from recarena.server.cli.programs import words_of
    from recarena.server.cli.serving import refuse_open_plaintext
    from recarena.server.datasets.specs import open_world
    from recarena.server.errors import RecArenaError
    from recarena.server.founding import create_run
    from recarena.server.store.run_folder import RunFolder

    set_up_logging("warning", as_json)
    refuse_open_plaintext(listen, insecure)
    llm = minding.mind_values(
        mind, base_url=base_url, strategy=strategy, share=llm_share, users=llm_users or [],
        max_cost=max_cost, max_tokens=max_tokens, failure_limit=failure_limit,
        concurrency=concurrency, workers=workers, recording=recording, replay=replay,
    )  # fmt: skip
    arms = _arms(recommender or [], remote or [])
    settings = _settings(
        config, arms, seed, rounds, llm, memory,
        must_have_arms=not estimate, explanations=explanations,
    )  # fmt: skip
    for arm in settings.arms:
        if arm.command:
            words_of(arm.command)
    data = open_world(world)
    if estimate:
        minding.show_estimate(settings, data, as_json)
        return
    minding.check_minds(settings)
    minding.say_estimate(settings, data)
    path = runs / _run_name(name, runs, data.name)
    create_run(path, settings, data).close()
    try:
        code = play(path, Manner(listen, as_json))
    except RecArenaError:
        if not RunFolder.open(path).last_round:
            shutil.rmtree(path)  # nothing was played: the name stays free
        raise
    raise typer.Exit(code)


def resume(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    max_cost: minding.MaxCost = None,
    max_tokens: minding.MaxTokens = None,
    failure_limit: minding.FailureLimit = None,
    concurrency: minding.Concurrency = None,
    workers: minding.Workers = None,
    base_url: minding.BaseUrl = "",
    only_change: Annotated[
        bool,
        typer.Option("--only-change", help="Change how models are called, and play nothing."),
    ] = False,
    listen: Listen = "127.0.0.1:0",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen without TLS off loopback.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Go on with a run from its last committed round, whatever ended it.

    Example: recarena resume runs/films-1
    """
    from recarena.server.cli.performance import Manner, play
    from recarena.server.cli.serving import refuse_open_plaintext

    set_up_logging("warning", as_json)
    refuse_open_plaintext(listen, insecure)
    changes = minding.mind_values(
        "", max_cost=max_cost, max_tokens=max_tokens, failure_limit=failure_limit,
        concurrency=concurrency, workers=workers, base_url=base_url,
    )  # fmt: skip
    minding.adjust(folder, changes)
    if only_change:
        return
    raise typer.Exit(play(folder, Manner(listen, as_json)))


def _arms(recommenders: list[str], remotes: list[str]) -> list[dict[str, Any]]:
    from recarena.server.cli.programs import command_of

    arms: list[dict[str, Any]] = [
        {"recommender": name, "command": command} for name, command in map(command_of, recommenders)
    ]
    return arms + [{"recommender": name} for name in remotes]


def _settings(
    config: Path | None,
    arms: list[dict[str, Any]],
    seed: int | None,
    rounds: int | None,
    llm: dict[str, Any],
    memory: str | None,
    *,
    must_have_arms: bool,
    explanations: bool,
) -> Settings:
    """Settings of the file with the options put over them."""
    from recarena.server.config import parse_settings, read_toml
    from recarena.server.errors import InputError

    values: dict[str, Any] = read_toml(config) if config else {}
    if arms:
        values["arms"] = arms
    if llm:
        values["llm"] = {**dict(values.get("llm", {})), **llm}
    if memory:
        values["memory"] = {**dict(values.get("memory", {})), "model": memory}
    if not values.get("arms") and not must_have_arms:
        values["arms"] = [{"recommender": "popular"}]
    if not values.get("arms"):
        raise InputError(
            "no recommender is named",
            remedy="Say --recommender popular, or --remote NAME for one that dials in, or write "
            "[[arms]] in the settings file",
        )
    if explanations:
        values["arms"] = [
            {**one, "explanations": True} if isinstance(one, dict) else one
            for one in values["arms"]
        ]
    if seed is not None:
        values["seed"] = seed
    if rounds is not None:
        values["rounds"] = rounds
    return parse_settings(values, str(config) if config else "options")


def _run_name(name: str, runs: Path, world: str) -> str:
    """The name asked for, or the first free one after the world's."""
    import re

    from recarena.server.config import NAME
    from recarena.server.errors import InputError

    if name:
        if not re.fullmatch(NAME, name):
            raise InputError(
                f"{name!r} is no name of a run", where="--name",
                remedy="A name has 1 to 63 of a-z, 0-9, '.', '_', '-'",
            )  # fmt: skip
        return name
    stem = re.sub(r"[^a-z0-9._-]+", "-", world.lower()).strip("-._")[:40] or "run"
    number = 1
    while (runs / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"
