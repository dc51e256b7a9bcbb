"""Users of runs, whom they know, what they remember and what was asked in their names."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from recarena.server.assembly import CHOICE, LLM
from recarena.server.errors import NotFound
from recarena.server.llm.recorded_calls import calls_of
from recarena.server.minds.llm.mind import LlmMind
from recarena.server.population import TRAITS
from recarena.server.rpc.observe_words import narrator_of, user_number
from recarena.server.rpc.paging import Sizes, page
from recarena.server.rpc.played import played
from recarena.server.rpc.times import duration
from recarena.server.runs import Run
from recarena.server.store.tables import Rows, memories_from, numpy_column, text_of
from recarena.server.types import NOBODY, NOTHING, MemoryKind, memory_id
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as pb

USERS = MEMORIES = Sizes(100, 1000)
RELATIONS = Sizes(1000, 10_000)


async def list_users(run: Run, request: pb.ListUsersRequest) -> pb.ListUsersResponse:
    """Users, by number."""
    world = run.world
    rows, token = page(request, len(world.population), USERS)
    satisfaction = world.satisfaction(np.array(rows, np.int32))
    return pb.ListUsersResponse(
        users=[_user(run, user, float(satisfaction[at])) for at, user in enumerate(rows)],
        next_page_token=token,
    )


def _user(run: Run, user: int, satisfaction: float) -> run_pb2.User:
    world, people = run.world, run.world.population
    genres = world.catalog.genre_names
    return run_pb2.User(
        user_id=people.user_ids[user],
        user_number=user,
        name=people.names[user],
        profile={name: column[user] for name, column in people.profile.items()},
        arm_id=run.settings.arms[int(run.arm_of_user[user])].id,
        watches=int(world.watches[user]),
        satisfaction=satisfaction,
        by_person=played(run).is_by_person(user, run.round + 1),
        traits={name: float(getattr(people, name)[user]) for name in TRAITS},
        tastes=dict(zip(genres, world.taste[user, : len(genres)].tolist(), strict=True)),
        mind=_mind(run, user),
    )


def _mind(run: Run, user: int) -> str:
    """Whose decisions a user's are when no person plays the user."""
    inner = run.mind.inner
    return LLM if isinstance(inner, LlmMind) and inner.mine[user] else CHOICE


async def list_relations(run: Run, request: pb.ListRelationsRequest) -> pb.ListRelationsResponse:
    """Ties, by (user, other)."""
    network, ids = run.world.network, run.world.population.user_ids
    first, size = 0, len(network)
    if request.user_id:
        ties = network.ties_of(user_number(run, request.user_id))
        first, size = ties.start, ties.stop - ties.start
    rows, token = page(request, size, RELATIONS)
    at = np.array(rows, np.int64) + first
    source = np.searchsorted(network.start, at, side="right") - 1
    return pb.ListRelationsResponse(
        relations=[
            run_pb2.Relation(
                user_id=ids[int(user)],
                other_user_id=ids[int(network.other[tie])],
                kind=network.kinds[int(network.kind[tie])],
                closeness=float(network.closeness[tie]),
            )
            for user, tie in zip(source, at, strict=True)
        ],
        next_page_token=token,
    )


async def list_memories(run: Run, request: pb.ListMemoriesRequest) -> pb.ListMemoriesResponse:
    """Memories of one user, oldest first."""
    user = user_number(run, request.user_id)
    where = f"user = {user} AND round <= {run.round}"
    table = await asyncio.to_thread(run.folder.tables.where, "memories", where)
    table = table.sort_by([("round", "ascending"), ("seq", "ascending")])
    memories, recalled = memories_from(table), _recalled(table)
    is_memory = numpy_column(table, "kind") != MemoryKind.RECALL
    sequence = numpy_column(table, "seq")[is_memory]
    rows, token = page(request, len(memories), MEMORIES)
    ids, items = run.world.population.user_ids, run.world.catalog.item_ids
    narrator, response = narrator_of(run), pb.ListMemoriesResponse(next_page_token=token)
    for row in rows:
        source, item, round = (
            int(getattr(memories, name)[row]) for name in ("source", "item", "round")
        )
        response.memories.append(
            run_pb2.Memory(
                user_id=request.user_id,
                memory_number=row,
                round=round,
                kind=MemoryKind(int(memories.kind[row])).name.lower(),
                text=narrator.memory(memories, row),
                importance=float(memories.importance[row]),
                source_user_id=ids[source] if source != NOBODY else "",
                item_id=items[item] if item != NOTHING else "",
                recalled_in_rounds=recalled.get(memory_id(round, int(sequence[row])), ()),
            )
        )
    return response


def _recalled(table: Rows) -> Mapping[int, list[int]]:
    """Id of a memory -> rounds in which it came to its user's mind, from rows of `memories`."""
    found: dict[int, list[int]] = defaultdict(list)
    rounds, kinds = numpy_column(table, "round"), numpy_column(table, "kind")
    for row, ids in text_of(table, "rests_on").items():
        if kinds[row] == MemoryKind.RECALL:
            for one in json.loads(ids):
                found[one].append(int(rounds[row]))
    return found


async def list_model_calls(
    run: Run, request: pb.ListModelCallsRequest
) -> pb.ListModelCallsResponse:
    """Calls to language models for one user in one round."""
    user = user_number(run, request.user_id)
    if not 1 <= request.round <= run.round:
        raise NotFound(f"run {run.run_id} has rounds 1 to {run.round}, not {request.round}")
    calls = await asyncio.to_thread(calls_of, run.folder.path, request.round, user)
    currency = run.settings.llm.currency
    return pb.ListModelCallsResponse(
        calls=[
            run_pb2.ModelCall(
                purpose=call.purpose,
                step=call.step,
                model=call.model,
                request=call.request,
                response=call.response,
                input_tokens=call.input_tokens,
                output_tokens=call.output_tokens,
                cost=call.cost,
                currency=currency,
                latency=_latency(call.latency_ms),
                failure=call.failure,
            )
            for call in calls
        ]
    )


def _latency(milliseconds: float | None) -> Any:
    return None if milliseconds is None else duration(milliseconds / 1000)
