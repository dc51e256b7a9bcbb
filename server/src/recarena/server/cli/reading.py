"""`recarena show`, `log`, `digest`, `export`, `fork`: looking at runs and copying them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recarena.server.cli.output import JSON, console, emit, say

if TYPE_CHECKING:
    from recarena.server.store.run_folder import RunFolder
    from recarena.server.types import EventColumns, MemoryColumns

RunFolderPath = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
FOLLOW_INTERVAL_S = 0.5


def show(
    folder: RunFolderPath,
    user: Annotated[str, typer.Option(help="Show one user: profile, ties, memories.")] = "",
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say what happened in a run, or who one of its users is and what she remembers.

    Example: recarena show runs/films-1 --user u000007
    """
    from recarena.server.cli.summary import summary, summary_table
    from recarena.server.store.run_folder import RunFolder

    run = RunFolder.open(folder)
    if not user:
        result = summary(run)
        emit(result) if as_json else console().print(summary_table(result))
        return
    person = _person(run, user)
    if as_json:
        emit(person)
        return
    out = console()
    out.print(f"[bold]{person['name']}[/bold] ({person['user_id']}), arm {person['arm']}")
    for name, value in person["profile"].items():
        out.print(f"  {name}: {value}")
    ties = ", ".join(f"{tie['name']} ({tie['kind']})" for tie in person["ties"][:12])
    out.print(f"[bold]Ties[/bold] ({len(person['ties'])}): {ties}")
    out.print(f"[bold]Memories[/bold] ({len(person['memories'])})")
    for memory in person["memories"]:
        out.print(f"  round {memory['round']:>3}  {memory['text']}", markup=False)


def _person(run: RunFolder, user_id: str) -> dict[str, Any]:
    from recarena.server.narration import Narrator
    from recarena.server.store.steered import world_after
    from recarena.server.types import MemoryKind

    world = world_after(run)
    user = user_number(run, world.population.number_of, user_id)
    people, network = world.population, world.network
    narrator = Narrator(world.catalog, people)
    memories = run.memories_of(user)
    ties = network.ties_of(user)
    return {
        "user_id": user_id,
        "name": people.names[user],
        "arm": run.arms[int(run.arm_of_user()[user])],
        "profile": {name: column[user] for name, column in people.profile.items()},
        "ties": [
            {
                "user_id": people.user_ids[int(network.other[tie])],
                "name": people.names[int(network.other[tie])],
                "kind": network.kinds[int(network.kind[tie])],
                "closeness": round(float(network.closeness[tie]), 3),
            }
            for tie in range(ties.start, ties.stop)
        ],
        "memories": [
            {
                "round": int(memories.round[row]),
                "kind": MemoryKind(int(memories.kind[row])).name.lower(),
                "importance": round(float(memories.importance[row]), 3),
                "text": narrator.memory(memories, row),
                "generated_by": _author(memories, row),
            }
            for row in range(len(memories))
        ],
    }


def _author(memories: MemoryColumns, row: int) -> str:
    """Whose words a memory is in."""
    from recarena.server.types import MemoryKind

    if memories.kind[row] == MemoryKind.TOLD:
        return "recommender"
    return "own words" if row in memories.text else "template"


def user_number(run: RunFolder, numbers: dict[str, int], user_id: str) -> int:
    import difflib

    from recarena.server.errors import NotFound

    if user_id not in numbers:
        near = difflib.get_close_matches(user_id, numbers, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; ids look like {next(iter(numbers))}"
        raise NotFound(f"run {run.run_id} has no user {user_id!r}{hint}")
    return numbers[user_id]


def log(
    folder: RunFolderPath,
    user: Annotated[
        list[str] | None, typer.Option(help="Only this user; may be given several times.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only events of this kind, such as watch, search, chat, post, shown."),
    ] = None,
    first: Annotated[int, typer.Option("--from", min=1, help="First round.")] = 1,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with rounds as they are committed.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Tell what users did and said, event by event. Only committed rounds are told.

    Example: recarena log runs/films-1 --user u000007 --follow
    """
    import numpy as np

    from recarena.server.errors import InputError
    from recarena.server.interventions import of_events
    from recarena.server.narration import Narrator
    from recarena.server.steering.turning import turned
    from recarena.server.store.run_folder import RunFolder
    from recarena.server.store.steered import world_after
    from recarena.server.types import EventKind

    run = RunFolder.open(folder)
    world = world_after(run, first - 1)
    users = [user_number(run, world.population.number_of, one) for one in user or []]
    names = [one.name.lower() for one in EventKind]
    for one in kind or []:
        if one.lower() not in names:
            raise InputError(
                f"no kind {one!r}", where="--kind", remedy=f"One of {', '.join(names)}"
            )
    kinds = [EventKind[one.upper()] for one in kind or []]
    kinds = kinds or [one for one in EventKind if one is not EventKind.SHOWN]
    narrator = Narrator(world.catalog, world.population)
    out, at = console(), first
    if not run.last_round and not follow:
        say("no round is committed yet")
    while True:
        for round, (events, _) in enumerate(run.rounds(at, run.last_round), start=at):
            turned(world, of_events(events))
            wanted = np.isin(events.kind, kinds)
            if users:
                wanted &= np.isin(events.user, users)
            rows = np.flatnonzero(wanted).tolist()
            if rows and not as_json:
                out.print(f"[bold]Round {round}[/bold]")
            for row in rows:
                if as_json:
                    emit(_event(world, narrator, events, row))
                else:
                    out.print(f"  {narrator.sentence(events, row)}", markup=False, soft_wrap=True)
            at = round + 1
        ended = run.status.get("state") in ("succeeded", "failed", "stopped")
        if not follow or (ended and at > run.last_round):
            return
        time.sleep(FOLLOW_INTERVAL_S)


def _event(world: Any, narrator: Any, events: EventColumns, row: int) -> dict[str, Any]:
    from recarena.server.types import EventKind

    kind = EventKind(int(events.kind[row]))
    user, item, other = int(events.user[row]), int(events.item[row]), int(events.other[row])
    placed = events.position[row] >= 0 and kind is not EventKind.POST
    return {
        "round": int(events.round[row]),
        "user_id": world.population.user_ids[user] if user >= 0 else None,
        "kind": kind.name.lower(),
        "item_id": world.catalog.item_ids[item] if item >= 0 else None,
        "position": int(events.position[row]) if placed else None,
        "value": float(events.value[row]),
        "other_user_id": world.population.user_ids[other] if other >= 0 else None,
        "text": narrator.sentence(events, row),
    }


def digest(
    folder: RunFolderPath,
    verify: Annotated[
        bool, typer.Option("--verify", help="Recompute it from the event log.")
    ] = False,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay",
            help="Play the run again from its event log, without recommenders: each round must "
            "come out as it was.",
        ),
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Print the canonical hash of a run's event log. Equal digests: equal runs, byte for byte.

    Example: recarena digest runs/films-1 --verify
    """
    from recarena.server.store.run_folder import RunFolder

    run = RunFolder.open(folder)
    found = run.verify_digest() if verify else run.digest
    said = {"run": run.run_id, "rounds": run.last_round, "digest": found, "verified": verify}
    if replay:
        found = _played_again(run, said, as_json)
    if as_json:
        emit(said)
    else:
        console().print(found or "no round is committed yet")


def _played_again(run: RunFolder, said: dict[str, Any], as_json: bool) -> str:
    """The digest of all rounds, when each has come out as it was; what is to be said of it. An
    error names the first that does not."""
    import asyncio

    from recarena.server.errors import RecArenaError
    from recarena.server.replaying import play_again

    said |= {"rounds": 0, "digest": "", "replayed": True}

    async def play() -> None:
        async for row in play_again(run):
            said.update(rounds=row.round, digest=row.digest)

    try:
        asyncio.run(play())
    except RecArenaError as error:
        if as_json:
            emit({**said, "replayed": False, "differs": str(error)})
        elif said["rounds"]:
            say(f"Rounds 1 to {said['rounds']} come out as they were.")
        raise
    if said["rounds"] and not as_json:
        say(f"Rounds 1 to {said['rounds']} were played again: each comes out as it was.")
    return said["digest"]


def export(
    folder: RunFolderPath,
    target: Annotated[Path, typer.Argument(help="New folder for the files.")],
    format: Annotated[
        str, typer.Option(help="parquet, csv, recbole (atomic files) or movielens.")
    ] = "parquet",
    history: Annotated[
        bool, typer.Option(help="Whether what was known before the run is included.")
    ] = True,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Write a run for other tools: interactions, impressions, messages, memories and more.

    Example: recarena export runs/films-1 out --format recbole
    """
    from recarena.server.narration import Narrator
    from recarena.server.store.export import export_run
    from recarena.server.store.run_folder import RunFolder
    from recarena.server.store.steered import world_after

    run = RunFolder.open(folder)
    world = world_after(run)
    narrator = Narrator(world.catalog, world.population)
    rows = export_run(
        run, target, format, lambda event: narrator.words(event, 0), include_history=history
    )
    if as_json:
        emit({"folder": str(target), "rows": rows})
        return
    for name, count in rows.items():
        console().print(f"{target / name}: {count:,} rows")


def fork(
    folder: RunFolderPath,
    target: Annotated[Path, typer.Argument(help="Folder of the new run.")],
    at_round: Annotated[int, typer.Option("--round", min=0, help="Last round of the copy.")],
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds the copy is to play in all.")
    ] = None,
    recommender: Annotated[
        list[str] | None,
        typer.Option(
            "--recommender",
            "-r",
            metavar="NAME[=COMMAND]",
            help="Serve the copy by another recommender; as many as the run has arms.",
        ),
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Copy a run up to a round, to go on differently from there.

    Example: recarena fork runs/films-1 runs/films-1b --round 5 -r random
    """
    from recarena.server.cli.programs import command_of
    from recarena.server.errors import InputError
    from recarena.server.founding import settings_of
    from recarena.server.house import fork_run
    from recarena.server.store.run_folder import RunFolder

    run = RunFolder.open(folder)
    settings = settings_of(run).model_dump(mode="json")
    if rounds is not None:
        settings["rounds"] = rounds
    if recommender:
        if len(recommender) != len(settings["arms"]):
            raise InputError(
                f"{len(recommender)} recommenders for {len(settings['arms'])} arms",
                where="--recommender",
                remedy="Name one per arm, in the order of the arms",
            )
        for arm, (name, command) in zip(
            settings["arms"], map(command_of, recommender), strict=True
        ):
            arm.update(id=name, recommender=name, command=command)
    copy = fork_run(run, target, at_round, settings)
    copy.close()
    if as_json:
        emit({"run": str(target), "round": at_round, "digest": run.round_rows()[at_round - 1].digest
              if at_round else ""})  # fmt: skip
    else:
        say(f"{target} has rounds 1 to {at_round}. Go on with: recarena resume {target}")
