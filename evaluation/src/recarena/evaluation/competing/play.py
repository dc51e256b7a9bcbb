"""Playing a plan on servers that are there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from recarena.evaluation.competing.plan import Plan
from recarena.evaluation.playing.arena import Arena, Watch
from recarena.evaluation.playing.mirrored import Bout, Played


async def compete(
    plan: Plan,
    arena: Arena,
    watch: Watch | None = None,
    *,
    without: Collection[str] = (),
) -> list[Played]:
    """Plays the runs of a plan, but those whose run_id is in `without`, and says how each ended,
    in the plan's order.

    Starts and ends no program: `arena` says where the recommenders are. `watch` is called back as
    things happen. May be cancelled: with `arena.stops` the runs under way are then stopped at
    their last committed round. grpc.aio.AioRpcError where a server refuses a run or is gone.

    A server that runs already, and a recommender that is connected to it or will be:

        async with open_channel(Access("127.0.0.1:7788", token=operator)) as channel:
            arena = Arena({"theirs": channel}, {"theirs": 1}, stops=True)
            async with asyncio.timeout(budget_s):
                played = await compete(plan, arena, Watch(round=told))
    """
    bouts = [bout for bout in plan.bouts() if bout.run_id not in without]
    return await arena.play(bouts, plan.rounds, watch or Watch())


def only(plan: Plan, name: str) -> Plan:
    """The same plan with one of its recommenders alone. KeyError for a name that is not in it."""
    chosen = tuple(one for one in plan.recommenders if one.name == name)
    if not chosen:
        raise KeyError(name)
    return replace(plan, recommenders=chosen)


__all__ = ["Arena", "Bout", "Played", "Watch", "compete", "only"]
