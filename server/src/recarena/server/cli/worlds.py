"""`recarena world`: worlds made up, imported and shown."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from recarena.server.cli.output import JSON, console, emit

E = TypeVar("E", bound=StrEnum)

app = typer.Typer(
    no_args_is_help=True,
    help="Make worlds: catalogue, users, social network, history.\n\n"
    "Example: `recarena world new worlds/small --users 200 --seed 7`",
)


@app.command("new")
def new(
    folder: Annotated[Path, typer.Argument(help="New folder for the world.")],
    users: Annotated[int, typer.Option(min=1, help="Number of users.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same world.")] = 1,
    history: Annotated[int, typer.Option(min=0, help="Ratings per user before the run.")] = 20,
    planted: Annotated[
        int, typer.Option(min=0, help="Instead of films: so many items with planted tastes.")
    ] = 0,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Make up a world of films that ship with RecArena and users from a seed.

    Example: recarena world new worlds/small --users 200 --seed 7
    """
    from recarena.server.datasets.specs import open_world
    from recarena.server.datasets.world_folder import save_world

    spec = (
        f"planted:users={users},items={planted},seed={seed}"
        if planted
        else f"new:users={users},seed={seed},history={history}"
    )
    world = open_world(spec)
    save_world(world, folder)
    _made(folder, world, as_json)


@app.command("plant")
def plant(
    folder: Annotated[Path, typer.Argument(help="New folder for the world.")],
    users: Annotated[int, typer.Option(min=1, help="Number of users.")] = 200,
    items: Annotated[int, typer.Option(min=1, help="Number of items.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same world.")] = 1,
    communities: Annotated[int, typer.Option(min=1, help="Communities of taste.")] = 6,
    history: Annotated[
        int | None,
        typer.Option(min=0, help="Ratings per user before the run; default: 20, with groups 5."),
    ] = None,
    groups: Annotated[
        int, typer.Option(min=0, help="Item groups of equal merit and unequal fame; 0: none.")
    ] = 0,
    edges: Annotated[
        int, typer.Option(min=0, help="Ties whose words move the hearer, and as many null ones.")
    ] = 0,
    influence: Annotated[
        float | None,
        typer.Option(help="How much users move one another: 1 the usual, 0 not at all."),
    ] = None,
    fatigue: Annotated[
        float | None, typer.Option(help="How users tire of genres: 1 the usual, 0 not at all.")
    ] = None,
    credulity: Annotated[
        float | None,
        typer.Option(help="How praise in explanations moves users: 0, the usual, not at all."),
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Make a world whose truth is known, to see whether a measure finds it.

    What is planted stands in planted.json of the folder and in the manifest of every run.

    Example: recarena world plant worlds/talk --users 300 --edges 40 --influence 3
    """
    from recarena.server.datasets.planted import planted_world
    from recarena.server.datasets.planting import Planting
    from recarena.server.datasets.world_folder import save_world

    planting = Planting(groups, edges, influence, fatigue, credulity)
    world = planted_world(
        users, items, seed, communities, history_per_user=history, planting=planting
    )
    save_world(world, folder)
    _made(folder, world, as_json)


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="Folder of a MovieLens or RecAgent data set.")],
    folder: Annotated[Path, typer.Argument(help="New folder for the world.")],
    layout: Annotated[
        str,
        typer.Option(help="auto, ml-100k, ml-1m, ml-latest-small, ml-25m or recagent."),
    ] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="For what the data do not say.")] = 1,
    until: Annotated[
        str | None, typer.Option(help="Hold out the ratings from this date on, such as 1998-03-01.")
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Hold out all but the first part of the ratings by time."
        ),
    ] = None,
    history: Annotated[
        int, typer.Option(min=0, help="RecAgent: ratings per user to make up as a history.")
    ] = 0,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Import a world from data on this machine. Mind the data's licence.

    With --until or --fraction the later ratings are held out: no user and no recommender knows of
    them, and `recarena offline` measures against them.

    Example: recarena world import ~/data/ml-100k worlds/ml-100k
    """
    from recarena.server.datasets.importing import import_world
    from recarena.server.datasets.world_folder import save_world

    world = import_world(
        source,
        layout,
        seed,
        ratings_until=until,
        train_fraction=fraction,
        history_per_user=history,
    )
    save_world(world, folder)
    _made(folder, world, as_json)


@app.command("disguise")
def disguise(
    world: Annotated[str, typer.Argument(help="Folder of a world, or new:users=200,seed=1.")],
    folder: Annotated[Path, typer.Argument(help="New folder for the disguised world.")],
    seed: Annotated[
        int, typer.Option(min=0, help="The secret that everything follows from; many digits.")
    ],
    ids: Annotated[
        str, typer.Option(help="opaque: other ids, order and names of users; or keep.")
    ] = "opaque",
    titles: Annotated[
        str, typer.Option(help="keep, numbers (Item 0001) or ids (the source's ids as titles).")
    ] = "keep",
    users: Annotated[
        int | None, typer.Option(min=1, help="So many users, drawn by the seed. Without it: all.")
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Copy a world under other ids or titles, which follow from a seed that it does not tell.

    For hidden worlds of competitions, and to see what a language model knows by titles or ids.

    Example: recarena world disguise worlds/ml worlds/ml-hidden --seed 620448401733239439
    """
    from recarena.server.datasets.disguise import Disguise, Ids, Titles, disguised
    from recarena.server.datasets.specs import open_world
    from recarena.server.datasets.world_folder import save_world

    how = Disguise(seed, _one_of(Ids, ids, "ids"), _one_of(Titles, titles, "titles"), users)
    made = disguised(open_world(world), how)
    save_world(made, folder)
    _made(folder, made, as_json)


@app.command("nudge")
def nudge(
    world: Annotated[str, typer.Argument(help="Folder of a world, or new:users=200,seed=1.")],
    folder: Annotated[Path, typer.Argument(help="New folder for the nudged world.")],
    seed: Annotated[int, typer.Option(min=0, help="Says which half of the items is raised.")] = 1,
    by: Annotated[
        float, typer.Option(help="Rating points up for one half, down for the other; -4 to 4.")
    ] = 0.5,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Copy a world with the mean ratings that users see moved at random, and nothing else.

    Two copies, --by 0.5 and --by -0.5, tell how far ratings follow what others are said to think.

    Example: recarena world nudge worlds/ml worlds/ml-up --by 0.5
    """
    from recarena.server.datasets.nudge import nudged
    from recarena.server.datasets.specs import open_world
    from recarena.server.datasets.world_folder import save_world

    made = nudged(open_world(world), seed, by)
    save_world(made, folder)
    _made(folder, made, as_json)


def _one_of(kinds: type[E], word: str, where: str) -> E:
    from recarena.server.errors import InputError

    try:
        return kinds(word)
    except ValueError:
        known = ", ".join(kinds)
        raise InputError(f"{word!r} is not known", where=where, remedy=f"One of: {known}") from None


@app.command("show")
def show(
    world: Annotated[str, typer.Argument(help="Folder of a world, or new:users=200,seed=1.")],
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say what is in a world.

    Example: recarena world show worlds/small
    """
    from recarena.server.datasets.planting import KEY
    from recarena.server.datasets.specs import open_world
    from recarena.server.datasets.world_folder import describe_world

    described = describe_world(open_world(world))
    if as_json:
        emit(described)
        return
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in described.items():
        if name == KEY and isinstance(value, dict):
            table.add_row(name)
            for part, planted in value.items():
                table.add_row(f"  {part}", _readable(planted))
        else:
            table.add_row(name.replace("_", " "), _readable(value))
    console().print(table)


def _made(folder: Path, world: Any, as_json: bool) -> None:
    counts = {
        "world": str(folder),
        "users": len(world.population),
        "items": len(world.catalog),
        "relations": len(world.network),
        "ratings": len(world.history),
    }
    if as_json:
        emit(counts)
        return
    console().print(
        f"[bold]{folder}[/bold]: {counts['users']:,} users, {counts['items']:,} items, "
        f"{counts['relations']:,} relations, {counts['ratings']:,} ratings\n"
        f"Next: recarena run {folder} --recommender popular"
    )


def _readable(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_readable(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(_readable(one) for one in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
