"""`recarena compete`: recommenders compete in worlds of simulated users, by a plan that is written
down first."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recarena.evaluation.competing.plan import Plan
    from recarena.evaluation.conducting.conduct import Job
    from recarena.evaluation.conducting.output import Output
    from recarena.evaluation.playing.hall import Hosting

HERE = "127.0.0.1:0"


DECIDED = (
    "world", "recommender", "remote", "worlds", "rounds", "seed", "primary", "minimum_effect",
    "pilot", "stop_early", "design", "split", "max_p95_ms", "max_unusable_rate", "config", "mind",
    "base_url", "llm_share", "strategy", "name", "out",
)  # fmt: skip
"""What the manifest says, and no option changes later."""


def command(
    context: typer.Context,
    world: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORLD",
            help="What to make up, as new:users=500 or planted:users=500,items=500, or folders of "
            "worlds.",
        ),
    ] = None,
    recommender: Annotated[
        list[str] | None,
        typer.Option(
            "--recommender",
            "-r",
            metavar="NAME[=COMMAND]",
            help="A reference recommender, or a program of yours with {server} in it, and "
            "{sessions} if it serves several runs at once; NAME is what it registers by. May be "
            "given several times.",
        ),
    ] = None,
    remote: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Wait for a recommender that dials in by this name."),
    ] = None,
    worlds: Annotated[
        int | None, typer.Option(min=1, help="Worlds to play; default 10, or a folder each.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds to play in each.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="World w (from 0) has the seed SEED + w.")] = 1,
    primary: Annotated[
        str, typer.Option(metavar="METRIC", help="The one metric that recommenders are ranked by.")
    ] = "watch_rate",
    minimum_effect: Annotated[
        float | None,
        typer.Option(metavar="X", help="Smallest difference in it that matters to you."),
    ] = None,
    pilot: Annotated[
        Path | None,
        typer.Option(help="Runs of before, from which to say how many worlds X needs."),
    ] = None,
    stop_early: Annotated[
        bool,
        typer.Option("--stop-early", help="End when a confidence sequence has decided every pair."),
    ] = False,
    design: Annotated[
        str,
        typer.Option(
            help="mirrored: a copy of each world for each; split: all share each world, an arm "
            "each; both: both, to measure what spills over between arms."
        ),
    ] = "mirrored",
    split: Annotated[
        str, typer.Option(help="Of shared worlds: by users, or by clusters of acquainted users.")
    ] = "users",
    max_p95_ms: Annotated[
        float | None, typer.Option(min=0, help="Gate: longest p95 latency that passes.")
    ] = None,
    max_unusable_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Gate: most pages without the recommender's own list."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the runs in TOML.")] = None,
    mind: Annotated[
        str,
        typer.Option(
            metavar="PROVIDER:MODEL",
            help="Give users LLM minds: anthropic:MODEL, openai:MODEL or openai-compatible:MODEL.",
        ),
    ] = "",
    base_url: Annotated[str, typer.Option(metavar="URL", help="Where the provider is.")] = "",
    llm_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the users who have LLM minds.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="merged (one call per page) or faithful (step by step).")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Most calls of a run under way at once, per key.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Most that the calls of all runs cost together.")
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where recommenders dial in; 0: any free port.")
    ] = HERE,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="PEM", help="The server's certificate and its chain.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="The private key of that certificate.")
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Who signed it; default: who the system trusts."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Let in only who shows a token of this file."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen off loopback without TLS or tokens.")
    ] = False,
    at_once: Annotated[
        int, typer.Option(min=1, help="Runs of one recommender at the same time.")
    ] = 2,
    card: Annotated[
        Path | None, typer.Option(help="Believability card of mind and data, to print beside.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the competition; default: the folder's.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="New folder. Without it: runs/competition-TIME.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Go on with a competition, whatever ended it."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: play failed runs anew.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Let recommenders compete: mirrored worlds, one primary metric, a manifest written first.

    Each recommender plays its own copy of every world. What determines the result is in
    manifest.json before the first round; recarena reproduce plays it again. Ctrl-C keeps what is
    finished, and --resume goes on.

    To begin with a world, -r, --worlds and --rounds are enough; --minimum-effect says what matters.

    Example: recarena compete new:users=500 -r ease -r popular --minimum-effect 0.01

    A first look at yours: recarena compete new:users=100 -r popular
    -r "mine=python mine.py {server}" --worlds 4 --rounds 5
    """  # fmt: skip
    from recarena.evaluation.competing.telling import told
    from recarena.evaluation.conducting.output import JsonLines, Terminal

    output = JsonLines() if as_json else Terminal()
    given = dict(locals())

    def act() -> int:
        from recarena.evaluation.conducting.conduct import conduct

        job = _resumed(given, _typed(context)) if resume else _fresh(given)
        _announce(job, pilot, output)
        return conduct(job, output)

    raise typer.Exit(told(act, output.error))


def _typed(context: typer.Context) -> set[str]:
    """The parameters that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def _announce(job: Job, pilot: Path | None, output: Output) -> None:
    from recarena.evaluation.competing.advice import advice

    output.planned(job.plan, job.folder, "" if job.is_begun else advice(job.plan, pilot))


def _fresh(given: dict[str, Any]) -> Job:
    """A new competition. BadPlan, BadContender."""
    from recarena.evaluation.competing.folder import keep_card
    from recarena.evaluation.competing.plan import BadPlan
    from recarena.evaluation.conducting.conduct import Job

    if given["retry_failed"]:
        raise BadPlan("--retry-failed goes with --resume FOLDER")
    pilot: Path | None = given["pilot"]
    if pilot and given["minimum_effect"] is None:
        raise BadPlan("--pilot says how many worlds an effect needs: say which, --minimum-effect X")
    if pilot and not pilot.is_dir():
        raise BadPlan(f"--pilot: there is no folder {pilot}")
    out: Path = given["out"] or _unused(Path("runs"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadPlan(
            f"{out} is not empty. Name another folder with --out, or go on with it: "
            f"recarena compete --resume {out}"
        )
    plan = _plan(given, out)
    if given["card"]:
        keep_card(given["card"], out)
    private = {"concurrency": given["concurrency"]} if given["concurrency"] else {}
    return Job(plan, out, _hosting(given, out), given["max_cost"], private=private)


def _resumed(given: dict[str, Any], typed: Container[str]) -> Job:
    """A competition that is there already. BadPlan, UnreadableCompetition."""
    from recarena.evaluation.competing.folder import CompetitionFolder, keep_card
    from recarena.evaluation.competing.plan import BadPlan
    from recarena.evaluation.conducting.conduct import Job

    for name in DECIDED:
        if name in typed:
            option = {"world": "WORLD", "recommender": "-r"}.get(
                name, f"--{name.replace('_', '-')}"
            )
            raise BadPlan(
                f"{option} is decided already: with --resume the manifest says what is played"
            )
    folder = CompetitionFolder.open(given["resume"])
    if given["card"]:
        keep_card(given["card"], folder.path)
    private = {"concurrency": given["concurrency"]} if given["concurrency"] else {}
    return Job(
        folder.plan, folder.path, _hosting(given, folder.path), given["max_cost"],
        given["retry_failed"], private,
    )  # fmt: skip


def _plan(given: dict[str, Any], out: Path) -> Plan:
    from recarena.evaluation.competing.minds import mind_settings
    from recarena.evaluation.competing.plan import BadPlan, Design, Plan, Split, worlds_of
    from recarena.evaluation.competing.settings import choice_of, read_settings
    from recarena.evaluation.leaderboard.gate import Gate
    from recarena.evaluation.playing.contenders import contenders, remote

    settings = read_settings(given["config"]) if given["config"] else {}
    llm = mind_settings(
        given["mind"], base_url=given["base_url"], share=given["llm_share"],
        strategy=given["strategy"],
    )  # fmt: skip
    if llm:
        settings["llm"] = {**dict(settings.get("llm") or {}), **llm}
    places: list[str] = given["world"] or []
    number = given["worlds"] if given["worlds"] or len(places) > 1 else 10
    design, split = choice_of(given["design"], given["split"])
    if split is not Split.USERS and design is Design.MIRRORED:
        raise BadPlan(f"--split {split} goes with --design split or both: no world is shared")
    return Plan(
        name=given["name"] or out.resolve().name,
        recommenders=(
            *contenders(given["recommender"] or ()), *map(remote, given["remote"] or ())
        ),
        worlds=worlds_of(places, number, given["seed"]),
        rounds=given["rounds"],
        settings=settings,
        design=design,
        split=split,
        primary=given["primary"],
        minimum_effect=given["minimum_effect"],
        gate=Gate(given["max_p95_ms"], given["max_unusable_rate"]),
        stop_early=given["stop_early"],
    )  # fmt: skip


def _hosting(given: dict[str, Any], out: Path) -> Hosting:
    """The server that the options ask for."""
    from recarena.evaluation.playing.hall import Hosting

    passed_on: list[str] = []
    for option in ("tls_cert", "tls_key", "tokens"):
        if given[option]:
            passed_on += [f"--{option.replace('_', '-')}", str(given[option])]
    if given["insecure"]:
        passed_on.append("--insecure")
    return Hosting(
        runs=out / "runs",
        logs=out / "logs",
        listen=given["listen"],
        options=tuple(passed_on),
        tokens=given["tokens"],
        ca=given["tls_ca"],
        tls=bool(given["tls_cert"]),
        at_once=given["at_once"],
    )


def _unused(runs: Path) -> Path:
    """A folder that is not there yet, named after the time."""
    stem = f"competition-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    path, number = runs / stem, 1
    while path.exists():
        number += 1
        path = runs / f"{stem}-{number}"
    return path
