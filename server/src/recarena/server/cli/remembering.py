"""`recarena memory`: what one user of a run remembers, and what would come to her mind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recarena.server.cli.output import JSON, console, emit
from recarena.server.cli.reading import RunFolderPath, user_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recarena.server.memory.bank import Recollection
    from recarena.server.minds.llm.mind import LlmMind
    from recarena.server.store.run_folder import RunFolder
    from recarena.server.types import Floats


def memory(
    folder: RunFolderPath,
    user: Annotated[str, typer.Argument(metavar="USER", help="Id of the user.")],
    query: Annotated[
        str, typer.Option(help="What would come to mind at these words, such as a title.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is forgotten or was never kept.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show the memory of one user: layers, importance, strength, and where each comes from.

    Example: recarena memory runs/films-1 u000007 --query "The Lion King"
    """
    from recarena.server.store.run_folder import RunFolder
    from recarena.server.store.steered import world_after

    run = RunFolder.open(folder)
    world = world_after(run)
    number = user_number(run, world.population.number_of, user)
    found = asyncio.run(_remembered(run, number, query, everything))
    if as_json:
        emit({"run": run.run_id, "user_id": user, **found})
        return
    _show(found, f"{world.population.names[number]} ({user}) after round {run.last_round}", query)


async def _remembered(run: RunFolder, user: int, query: str, everything: bool) -> dict[str, Any]:
    from recarena.server.assembly import has_llm, recorded_mind_of
    from recarena.server.founding import settings_of
    from recarena.server.minds.llm.mind import LlmMind
    from recarena.server.store.steered import world_after

    settings, data = settings_of(run), world_after(run)
    if not has_llm(settings):
        return _told(run, user)
    mind = recorded_mind_of(settings, data, run)
    assert isinstance(mind, LlmMind)
    try:
        if not mind.mine[user]:
            return _told(run, user)
        for round, (_, memories) in enumerate(run.rounds(1, run.last_round), 1):
            mind.committed(round, memories)
        return await _banked(run, mind, user, query, everything)
    finally:
        await mind.close()


def _told(run: RunFolder, user: int) -> dict[str, Any]:
    """Of a user with the choice mind, whom only the world's columns move."""
    from recarena.server.narration import Narrator
    from recarena.server.store.steered import world_after
    from recarena.server.types import MemoryKind

    world, made = world_after(run), run.memories_of(user)
    narrator = Narrator(world.catalog, world.population)
    return {
        "mind": "choice",
        "memories": [
            {
                "round": int(made.round[row]),
                "kind": MemoryKind(int(made.kind[row])).name.lower(),
                "importance": round(float(made.importance[row]), 3),
                "text": narrator.memory(made, row),
            }
            for row in range(len(made))
        ],
    }


async def _banked(
    run: RunFolder, mind: LlmMind, user: int, query: str, everything: bool
) -> dict[str, Any]:
    import numpy as np

    from recarena.server.memory.bank import Layer
    from recarena.server.store.steered import world_after
    from recarena.server.types import MemoryKind

    bank, now = mind.bank, run.last_round + 1
    names = world_after(run).population.names
    alive = set(bank.alive(user, now).tolist())
    rows = np.array([r for r in bank.rows_of(user) if everything or r in alive], np.int64)
    strength, retention = bank.strength(rows), bank.retention(rows, now)
    rests_on = _grounds(run, user)
    memories: list[dict[str, Any]] = []
    for at, row in enumerate(rows.tolist()):
        one = bank.recollection(row)
        layer = Layer(int(bank.column("layer")[row]))
        memories.append(
            {
                "id": one.id,
                "round": one.round,
                "kind": MemoryKind(one.kind).name.lower(),
                "layer": layer.name.lower() if row in alive else "gone",
                "importance": round(one.importance, 3),
                "strength": round(float(strength[at]), 1),
                "retention": round(float(retention[at]), 3),
                "last_in_mind": int(bank.column("last_access")[row]),
                "recalls": int(bank.column("recalls")[row]),
                "enhanced": int(bank.column("enhanced")[row]),
                "from": _source(names, one),
                "text": one.text,
                **({"rests_on": rests_on[one.id]} if one.id in rests_on else {}),
            }
        )
    told: dict[str, Any] = {
        "mind": "llm",
        "embedder": mind.embedder.id,
        "lexical": mind.embedder.is_lexical,
        "memories": memories,
    }
    if query:
        cues = await _embedded(run, mind, query)
        told["query"] = query
        told["comes_to_mind"] = [
            {"id": one.id, "round": one.round, "text": one.text}
            for one in bank.recall(user, now, cues)
        ]
    return told


def _source(names: Sequence[str], one: Recollection) -> str:
    """Whose words a memory goes back to, empty for the user's own experience."""
    from recarena.server.types import NOBODY, MemoryKind

    if one.kind is MemoryKind.TOLD:
        return "the recommender"
    return names[one.source] if one.source != NOBODY else ""


async def _embedded(run: RunFolder, mind: LlmMind, query: str) -> Floats:
    """The query's vector: recorded, or asked for where that takes a server."""
    from recarena.server.founding import settings_of
    from recarena.server.llm.failures import NotRecorded
    from recarena.server.llm.recorder import Recorder
    from recarena.server.minds.llm.opening import embedder_of

    try:
        return await mind.embedder.embed([query])
    except NotRecorded:
        memory, nowhere = settings_of(run).memory, Recorder(None)
        asked = embedder_of(memory, mind.embedder.dimension, nowhere, None, strict=False)
        try:
            return await asked.embed([query])
        finally:
            await asked.close()
            nowhere.close()


def _grounds(run: RunFolder, user: int) -> dict[int, list[int]]:
    """Insight -> the memories it rests on, by their ids."""
    from recarena.server.types import memory_id

    found: dict[int, list[int]] = {}
    for round, (_, made) in enumerate(run.rounds(1, run.last_round), 1):
        for row, ids in made.rests_on.items():
            if made.user[row] == user:
                found[memory_id(round, row)] = list(ids)
    return found


def _show(found: dict[str, Any], title: str, query: str) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    out.print(Text(title, "bold"))
    if found["mind"] == "choice":
        out.print("This user has the choice mind; its memories move nobody, they are only told.")
    table = Table()
    wide = found["mind"] == "llm"
    columns = ["round", "layer", "imp.", "S", "R", "recalls", "from", "memory"]
    for name in columns if wide else ["round", "kind", "imp.", "memory"]:
        table.add_column(name, justify="left" if name in ("memory", "layer", "from") else "right")
    for one in found["memories"]:
        cells = [str(one["round"])]
        if wide:
            cells += [
                one["layer"] if one["kind"] != "insight" else "insight",
                f"{one['importance']:.2f}", f"{one['strength']:.0f}", f"{one['retention']:.2f}",
                str(one["recalls"]), one["from"], one["text"],
            ]  # fmt: skip
        else:
            cells += [one["kind"], f"{one['importance']:.2f}", one["text"]]
        table.add_row(*map(Text, cells))
    out.print(table)
    if wide:
        lexical = ", which compares words, not meanings" if found["lexical"] else ""
        out.print(Text(f"Embedder: {found['embedder']}{lexical}. S: strength in rounds; R: share "
                       "of such memories that is still there."))  # fmt: skip
    if query and wide:
        out.print(Text(f"At “{query}” comes to mind:", "bold"))
        for one in found["comes_to_mind"]:
            out.print(Text(f"  round {one['round']:>3}  {one['text']}"))
