"""LLM re-rankers in this process, taught a small history, and minds that answer them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from recarena.client import Catalog, RunInfo
from recarena.recommenders.item_knn import ItemKnn
from recarena.recommenders.llm_budget import Budget
from recarena.recommenders.llm_rerank import LlmRerank
from recarena.recommenders.model_options import ModelChoice
from recarena.recommenders.numeric import NumericRecommender
from recarena.v1.types_pb2 import CandidateSet, ExplanationMode, Interaction, Item, RankedItem
from recarena.v1.work_pb2 import RankBatch, RankQuery
from support.llm_stub import Asked, LlmStub, Mind, scripted_mind
from support.recommender_worlds import columns, info, rich

USERS, ITEMS, DEPTH, PAGE = 12, 40, 12, 5
GENRES = ("Comedy", "Drama", "War")
HISTORY = [
    (user, item, Interaction.TYPE_RATE, float(1 + (user + item) % 5))
    for user in range(USERS - 1)  # of the last one nothing is known
    for item in range(user % 3, ITEMS, 9)
]
WATCHED = {user: {item for one, item, *_ in HISTORY if one == user} for user in range(USERS)}


def films(titles: Sequence[str] = ()) -> list[Item]:
    named = [*titles, *(f"Film {n}" for n in range(len(titles), ITEMS))]
    return [
        Item(item_id=f"i{n}", title=title, description="About it.", categories=[GENRES[n % 3]])
        for n, title in enumerate(named[:ITEMS])
    ]


def choice(stub: LlmStub, provider: str = "anthropic", **more: Any) -> ModelChoice:
    url = stub.url + ("" if provider == "anthropic" else "/v1")
    return ModelChoice(provider, "stub", url, "k", depth=DEPTH, **more)


def run(items: Sequence[Item] | None = None, *, work_timeout: float = 20.0) -> RunInfo:
    catalog = Catalog.of("v1", list(items or films()))
    return replace(info(catalog, USERS), work_timeout=work_timeout)


def taught(recommender: Any, about: RunInfo, *, columnar: bool = False) -> None:
    recommender.start(about)
    if columnar:
        recommender.feedback_columns(columns(0, HISTORY))
    else:
        recommender.feedback(rich(0, HISTORY))
    recommender.ready(1)


@asynccontextmanager
async def reranker(
    chosen: ModelChoice,
    *,
    about: RunInfo | None = None,
    first: Callable[[], NumericRecommender] = ItemKnn,
    budget: Budget | None = None,
    columnar: bool = False,
) -> AsyncIterator[LlmRerank]:
    made = LlmRerank(chosen, first, budget)
    taught(made, about or run(), columnar=columnar)
    try:
        yield made
    finally:
        await made.close()


def query(user: int, offset: int = 0, *, explain: bool = False, **more: Any) -> RankQuery:
    mode = ExplanationMode.EXPLANATION_MODE_STRUCTURED if explain else 0
    made = RankQuery(result_count=PAGE, offset=offset, explanation_mode=mode, **more)
    made.user.user_id, made.user.user_number = f"u{user}", user
    return made


def excluding(*items: str) -> CandidateSet:
    return CandidateSet(excluded_item_ids=items)


def batch(users: Sequence[int], offset: int = 0) -> RankBatch:
    return RankBatch(result_count=PAGE, user_numbers=users, offsets=[offset] * len(users))


def ids(answer: Any) -> list[str]:
    return [one.item_id if isinstance(one, RankedItem) else one for one in answer]


def plain_pages(users: Sequence[int], offset: int = 0, about: RunInfo | None = None):
    """What the first stage alone shows."""
    alone = ItemKnn()
    taught(alone, about or run())
    pages = [ids(page) for page in alone.rank([query(user, offset) for user in users])]
    alone.close()
    return pages


def last_first(asked: Asked) -> dict[str, Any]:
    """The last candidates, the very last first, each for a feature of its own, and the first for
    something that the user watched, if anything."""
    data = asked.data
    numbers = [one["n"] for one in data["candidates"]][::-1][: data["wanted"]]
    if "reason" not in json.dumps(asked.schema):
        return {"picks": [{"n": n} for n in numbers]}
    watched = [{"kind": "watched", "n": 1}] if data["watched"] else []
    return {
        "picks": [
            {"n": n, "reason": f"Take {n}.", "because": [{"kind": "feature", "n": 1}, *watched]}
            for n in numbers
        ]
    }


def reversing() -> Mind:
    return scripted_mind([], last_first)
