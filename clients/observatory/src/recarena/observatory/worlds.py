"""Users, ties and places of a run as the page draws them."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from recarena.observatory.chronicle import Chronicle
from recarena.observatory.communities import Ties
from recarena.observatory.failures import missing
from recarena.observatory.layout import Layout, layout_of
from recarena.observatory.messages import Json
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

KEPT = 4
RELATIONS_A_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Encoded:
    """JSON that is sent again and again."""

    body: bytes
    etag: str


def encoded(value: Json) -> Encoded:
    """Some JSON with the ETag of what it says."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Encoded(body, f'"{sha256(body).hexdigest()[:24]}"')


class Worlds:
    """Worlds that were asked for last. Places are worked out once for a run: who is edited does
    not move."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._made: OrderedDict[tuple[str, str], Encoded] = OrderedDict()
        self._places: OrderedDict[tuple[str, int], Layout] = OrderedDict()
        self._turn = asyncio.Lock()

    async def world(self, chronicle: Chronicle, version: str = "") -> Encoded:
        """The World of a version; without one, of that which is in force. Failure where there is
        none, or not any more."""
        key = chronicle.run.run_id, version or chronicle.world_version
        async with self._turn:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
            if key[1] != chronicle.world_version:
                await chronicle.ask_for_interventions()
            if key[1] != chronicle.world_version:
                raise missing(
                    f"world {key[1][:40]!r} is not in force",
                    f"Ask for {chronicle.world_version}, or without v",
                )
            made = await self._make(chronicle)
            self._made[key] = made
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
            return made

    async def _make(self, chronicle: Chronicle) -> Encoded:
        relations = await self._relations(chronicle.run.run_id)
        roster, place = chronicle.roster, (chronicle.run.run_id, chronicle.epoch)

        def work() -> tuple[Encoded, Layout]:
            drawn = _edges(roster.number_of, relations)
            layout = self._places.get(place) or layout_of(len(roster), drawn.ties)
            return encoded(_world(chronicle, drawn, layout)), layout

        made, self._places[place] = await asyncio.to_thread(work)
        while len(self._places) > KEPT:
            self._places.popitem(last=False)
        return made

    async def _relations(self, run_id: str) -> list[run_pb2.Relation]:
        found: list[run_pb2.Relation] = []
        token = ""
        while True:
            request = observe_pb.ListRelationsRequest(
                run_id=run_id, page_size=RELATIONS_A_PAGE, page_token=token
            )
            answer = await self._upstream.ask(self._upstream.observe.ListRelations, request)
            found.extend(answer.relations)
            token = answer.next_page_token
            if not token:
                return found


@dataclass(frozen=True, slots=True)
class _Edges:
    ties: Ties
    kind: list[int]
    kinds: list[str]


def _edges(number_of: dict[str, int], relations: list[run_pb2.Relation]) -> _Edges:
    """Each pair once; of a tie and the tie back, the closer one says how close it is."""
    best: dict[tuple[int, int], tuple[float, str]] = {}
    for one in relations:
        a, b = number_of.get(one.user_id, -1), number_of.get(one.other_user_id, -1)
        if a < 0 or b < 0 or a == b:
            continue
        pair = (a, b) if a < b else (b, a)
        if pair not in best or one.closeness > best[pair][0]:
            best[pair] = one.closeness, one.kind
    pairs = sorted(best)
    kinds = sorted({kind for _, kind in best.values()})
    number = {kind: at for at, kind in enumerate(kinds)}
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    ties = Ties(ends[:, 0], ends[:, 1], np.array([best[pair][0] for pair in pairs], np.float64))
    return _Edges(ties, [number[best[pair][1]] for pair in pairs], kinds)


def _world(chronicle: Chronicle, edges: _Edges, layout: Layout) -> Json:
    users = chronicle.roster.users
    ties = edges.ties
    degree = np.bincount(ties.a, minlength=len(users)) + np.bincount(ties.b, minlength=len(users))

    def rounded(values: np.ndarray[tuple[int], np.dtype[np.float64]], digits: int) -> list[float]:
        return np.round(values, digits).tolist()

    def centre_of(community: int) -> str:
        members = np.flatnonzero(layout.community == community)
        return users[int(members[np.argmax(degree[members])])].name

    sizes = np.bincount(layout.community)
    return {
        "run_id": chronicle.run.run_id,
        "epoch": chronicle.epoch,
        "version": chronicle.world_version,
        "ids": [user.user_id for user in users],
        "names": [user.name for user in users],
        "arm": chronicle.roster.arm.tolist(),
        "arms": [arm.arm_id for arm in chronicle.run.arms],
        "x": rounded(layout.x, 4),
        "y": rounded(layout.y, 4),
        "community": layout.community.tolist(),
        "communities": [
            {
                "size": int(size),
                "x": round(float(layout.centre_x[at]), 4),
                "y": round(float(layout.centre_y[at]), 4),
                "radius": round(float(layout.radius[at]), 4),
                "label": f"around {centre_of(at)}",
            }
            for at, size in enumerate(sizes.tolist())
        ],
        "edges": {
            "a": ties.a.tolist(),
            "b": ties.b.tolist(),
            "closeness": rounded(ties.weight, 3),
            "kind": edges.kind,
        },
        "kinds": edges.kinds,
        "genres": sorted({genre for user in users for genre in user.tastes}),
        "profiles": [dict(user.profile) for user in users],
    }
