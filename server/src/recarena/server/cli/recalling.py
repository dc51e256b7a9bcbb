"""`recarena world recall`: what a language model knows of a data set by ids alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recarena.server.cli.minding import BaseUrl, MaxCost, Mind, mind_values
from recarena.server.cli.output import JSON, console, emit

if TYPE_CHECKING:
    from recarena.server.llm.recall import Recall


def recall(
    world: Annotated[str, typer.Argument(help="Folder of an imported world.")],
    mind: Mind,
    base_url: BaseUrl = "",
    items: Annotated[int, typer.Option(min=2, help="Items to ask about.")] = 50,
    data_set: Annotated[
        str, typer.Option(help="What the data set is called; MovieLens worlds say it themselves.")
    ] = "",
    max_cost: MaxCost = None,
    seed: Annotated[int, typer.Option(min=0, help="Says which items.")] = 1,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Ask a language model which title has which id: has it read the data set?

    Example: recarena world recall worlds/ml --mind anthropic:claude-haiku-4-5
    """
    import asyncio

    from recarena.server.datasets.specs import open_world
    from recarena.server.errors import InputError
    from recarena.server.llm.opening import check, open_thinker
    from recarena.server.llm.recall import data_set_of
    from recarena.server.llm.recall import recall as ask
    from recarena.server.llm.settings import LlmSettings

    values = mind_values(mind, base_url=base_url, max_cost=max_cost)
    if "provider" not in values:
        raise InputError(
            "the choice mind has read nothing", where="--mind",
            remedy="Name a language model: --mind anthropic:MODEL",
        )  # fmt: skip
    try:
        settings = LlmSettings(failure_limit=1.0, **values)
    except ValueError as error:
        raise InputError(str(error).splitlines()[-1].strip(), where="--base-url") from None
    check(settings)
    data = open_world(world)
    name = data_set_of(data, data_set)

    async def asked() -> Recall:
        thinker = open_thinker(settings, None)
        try:
            return await ask(thinker, data, name, items, seed)
        finally:
            await thinker.close()

    found = asyncio.run(asked())
    if as_json:
        emit({"event": "recall", "mind": mind, **found.as_json()})
        return
    _show(mind, found)


def _show(mind: str, found: Recall) -> None:
    low, high = found.interval
    out = console()
    colour = "red" if found.knows else "green"
    verdict = (
        "It knows the data set by its ids: what its users do there is no evidence of how well it "
        "plays people."
        if found.knows
        else "No sign that it knows the data set by its ids."
    )
    cost = "an unknown cost" if found.cost is None else f"{found.cost:,.4f}"
    out.print(
        f"{mind}, {found.data_set}: the titles of {found.matched} of {found.asked} ids "
        f"({found.share:.1%}, 95 % {low:.1%} to {high:.1%}; by chance {found.chance:.1%}), "
        f"{found.exact} letter by letter; {found.in_catalogue} answers are titles of the data set, "
        f"{found.failed} could not be read. {found.calls} calls, {cost}.",
        markup=False,
    )
    out.print(verdict, style=f"bold {colour}", markup=False)
