"""Options of commands that concern LLM minds, and what they change in the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recarena.server.cli.output import console, emit, say

if TYPE_CHECKING:
    from recarena.server.config import Settings
    from recarena.server.datasets.world_data import WorldData
    from recarena.server.estimating import Estimate

PROVIDERS = ("anthropic", "openai", "openai-compatible")

Mind = Annotated[
    str,
    typer.Option(
        metavar="PROVIDER:MODEL",
        help="Give users LLM minds: anthropic:MODEL, openai:MODEL or openai-compatible:MODEL. "
        "Default: the choice mind, which needs no key and no network.",
    ),
]
BaseUrl = Annotated[
    str,
    typer.Option(
        metavar="URL", help="Where the provider is; of OpenAI-compatible servers with /v1."
    ),
]
Strategy = Annotated[
    str | None, typer.Option(help="merged (one call per page) or faithful (step by step).")
]
Share = Annotated[
    float | None, typer.Option(min=0, max=1, help="Share of the users who have LLM minds.")
]
LlmUsers = Annotated[
    list[str] | None,
    typer.Option("--llm-user", metavar="USER", help="This user has an LLM mind; repeatable."),
]
Memory = Annotated[str | None, typer.Option(help="layers, simple (the last few) or none.")]
Recording = Annotated[
    str,
    typer.Option(
        metavar="RUN", help="Take calls that are the same from the recording of this run."
    ),
]
Replay = Annotated[
    str | None,
    typer.Option(help="strict: make no call at all, fail on what is not recorded; or reuse."),
]
MaxCost = Annotated[
    float | None, typer.Option(min=0, help="Pause before the calls cost more than this.")
]
MaxTokens = Annotated[
    int | None, typer.Option(min=0, help="Pause before the calls use more tokens than this.")
]
FailureLimit = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Share of decisions that may fail before the run pauses."),
]
Concurrency = Annotated[
    int | None, typer.Option(min=1, help="Most calls under way at once, per key.")
]
Workers = Annotated[int | None, typer.Option(min=1, max=16, help="Processes that send calls.")]


def mind_values(mind: str, **options: Any) -> dict[str, Any]:
    """Values of `[llm]` for the options that were given. InputError for a mind that is none."""
    from recarena.server.errors import InputError

    values = {name: value for name, value in options.items() if value not in (None, "", [])}
    if "recording" in values:
        values["recording"] = str(Path(values["recording"]).absolute())
    if mind and mind != "choice":
        provider, _, model = mind.partition(":")
        if provider not in PROVIDERS or not model:
            raise InputError(
                f"{mind!r} is no mind", where="--mind",
                remedy="Write PROVIDER:MODEL with one of the providers "
                f"{', '.join(PROVIDERS)}, or choice",
            )  # fmt: skip
        values |= {"provider": provider, "model": model}
    return values


def check_minds(settings: Settings) -> None:
    """InputError for a missing key, package, price or recording, before anything is made."""
    if settings.llm.provider:
        from recarena.server.errors import InputError
        from recarena.server.llm.opening import check

        if settings.llm.replay == "strict" and not settings.llm.recording:
            raise InputError(
                "a strict replay needs a recording", where="--replay",
                remedy="Name the run that is to be played again: --recording RUN",
            )  # fmt: skip
        check(settings.llm)


def show_estimate(settings: Settings, data: WorldData, as_json: bool) -> None:
    """The estimate in full, instead of the run."""
    from recarena.server.errors import InputError

    if not settings.llm.provider:
        raise InputError(
            "without LLM minds a run costs nothing", where="--estimate",
            remedy="Name a mind: --mind anthropic:MODEL",
        )  # fmt: skip
    from recarena.server.estimating import estimate

    found = estimate(settings, data)
    if as_json:
        emit({"event": "estimate", **found.as_json()})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for label, value in estimate_rows(found):
        table.add_row(Text(label), Text(value))
    out = console()
    out.print(table)
    out.print(
        "A dry run of the choice mind says how often users are asked and how long the prompts are "
        "(4 characters a token).\nTokens a call are right within about a third; how many calls "
        "come is the model's doing. A cap keeps you safe: --max-cost or --max-tokens."
    )


def estimate_rows(found: Estimate) -> list[tuple[str, str]]:
    """Label and value of each line."""
    told = found.as_json()
    purposes = ", ".join(f"{count:,} {name}" for name, count in found.calls.items())
    cost = (
        "unknown: no price for this model; add [[llm.prices]] to the settings"
        if found.cost is None
        else f"{found.cost:,.2f} {found.currency} ({found.price_source})"
    )
    each = "" if found.cost is None else f", {told['cost_per_user_round']:.5f} {found.currency}"
    return [
        ("users with LLM minds", f"{found.users:,}, {found.rounds} rounds"),
        ("calls", f"{told['calls']:,} ({purposes})"),
        ("tokens in", f"{found.input_tokens:,}"),
        ("tokens out", f"{found.output_tokens:,}"),
        ("cost", cost),
        (
            "per user and round",
            f"{told['calls_per_user_round']:.2f} calls, "
            f"{told['input_tokens_per_user_round']:,.0f} tokens in{each}",
        ),
        ("time", f"about {found.seconds / 60:,.0f} min at 2 s a call"),
    ]


def say_estimate(settings: Settings, data: WorldData) -> None:
    """The estimate in a line, before a run that will make calls."""
    if not settings.llm.provider or settings.llm.replay == "strict":
        return
    from recarena.server.estimating import estimate

    found = estimate(settings, data)
    cost = "unknown cost" if found.cost is None else f"{found.cost:,.2f} {found.currency}"
    say(
        f"About {sum(found.calls.values()):,} calls, {found.input_tokens:,} tokens in, "
        f"{found.output_tokens:,} out, {cost} (by a dry run; --estimate says more)."
    )


def adjust(folder: Path, changes: dict[str, Any]) -> None:
    """Changes how a run calls its model, not what comes out: caps, limits, concurrency."""
    if not changes:
        return
    from recarena.server.errors import InputError
    from recarena.server.founding import adjust_llm
    from recarena.server.store.run_folder import RunFolder

    with RunFolder.open(folder, writable=True) as run:
        if not dict(run.manifest.get("settings", {}).get("llm", {})).get("provider"):
            raise InputError(
                f"{folder} has no users with LLM minds, so {next(iter(changes))} changes nothing",
                where="resume",
            )
        adjust_llm(run, changes)
