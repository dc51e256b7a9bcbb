"""Items of runs, recommenders, and what operators changed."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from recarena.server.rpc.health import RecommenderHealth
from recarena.server.rpc.paging import Sizes, page, position
from recarena.server.rpc.played import interventions_of
from recarena.server.rpc.recommenders import item_message
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.rpc.runs_codec import health_message
from recarena.server.rpc.steering_codec import intervention_message
from recarena.server.runs import Run
from recarena.server.store.fared import fared
from recarena.v1 import simulation_observe_service_pb2 as pb

ITEMS = INTERVENTIONS = RECOMMENDERS = Sizes(100, 1000)


async def list_items(run: Run, request: pb.ListItemsRequest) -> pb.ListItemsResponse:
    """Items by number. The token is the number to go on from."""
    catalog, world = run.world.catalog, run.world
    size = len(catalog)
    first, wanted = position(request, size), ITEMS.of(request)
    if sought := request.text.casefold().split():
        found = await asyncio.to_thread(_search, _keys(run), sought, first, wanted + 1)
    else:
        found = list(range(first, min(first + wanted + 1, size)))
    response = pb.ListItemsResponse(
        next_page_token=str(found[wanted]) if len(found) > wanted else ""
    )
    for item in found[:wanted]:
        response.entries.add(
            item=item_message(catalog, item),
            item_number=item,
            watches=int(world.item_watches[item]),
            displayed_rating=float(world.displayed_rating[item]),
        )
    return response


def _search(keys: list[str], sought: list[str], first: int, most: int) -> list[int]:
    """The items from `first` on that have all these words, at most so many."""
    found: list[int] = []
    for item in range(first, len(keys)):
        if all(one in keys[item] for one in sought):
            found.append(item)
            if len(found) == most:
                break
    return found


_searched: WeakKeyDictionary[Run, list[str]] = WeakKeyDictionary()


def _keys(run: Run) -> list[str]:
    """Id and title of each item in small letters. Titles never change; the catalogue grows."""
    catalog, keys = run.world.catalog, _searched.get(run, [])
    if len(keys) < len(catalog):
        rest = range(len(keys), len(catalog))
        keys = keys + [
            f"{catalog.item_ids[item]}\n{catalog.titles[item]}".casefold() for item in rest
        ]
        _searched[run] = keys
    return keys


async def list_interventions(
    run: Run, request: pb.ListInterventionsRequest
) -> pb.ListInterventionsResponse:
    """Newest first. The token is the number to go on from."""
    planned = interventions_of(run)
    first = position(request, len(planned), len(planned))
    size = INTERVENTIONS.of(request)
    shown = planned[max(first - size, 0) : first]
    return pb.ListInterventionsResponse(
        interventions=[intervention_message(one) for one in reversed(shown)],
        next_page_token=str(first - size) if first > size else "",
    )


async def list_recommenders(
    run: Run, request: pb.ListRecommendersRequest
) -> pb.ListRecommendersResponse:
    """Recommenders and their health, by id; of a run that has none at the moment, how those fared
    that it had."""
    healths = [one.health for one in run.recommenders if isinstance(one, RemoteRecommender)]
    if not run.recommenders:
        healths = await _past_healths(run)
    statuses = sorted(map(health_message, healths), key=lambda one: one.recommender_id)
    rows, token = page(request, len(statuses), RECOMMENDERS)
    return pb.ListRecommendersResponse(
        recommenders=[statuses[at] for at in rows], next_page_token=token
    )


_past: WeakKeyDictionary[Run, tuple[int, list[RecommenderHealth]]] = WeakKeyDictionary()
"""Last round -> how recommenders had fared then."""


async def _past_healths(run: Run) -> list[RecommenderHealth]:
    """By arm, as the folder has it; read anew only after another round."""
    last = run.round
    if last == 0:
        return []
    if run not in _past or _past[run][0] != last:
        found = await asyncio.to_thread(fared, run.folder, last)
        healths = [
            RecommenderHealth.of_folder(arm.recommender, one)
            for arm, one in zip(run.settings.arms, found, strict=True)
        ]
        _past[run] = last, healths
    return _past[run][1]
