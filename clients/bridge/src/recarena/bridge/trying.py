"""`--try`: one sample request, shown with its answer and what was read of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recarena.bridge import lists
from recarena.bridge.asking import Asking, wants
from recarena.bridge.counts import Counts
from recarena.bridge.lists import Found
from recarena.bridge.loading import Loaded
from recarena.bridge.mapping import Batch, Paged
from recarena.bridge.service import MISSING, Outgoing, Service, outgoing
from recarena.client import RankQuery, SearchQuery, UserContext
from recarena.v1.types_pb2 import ExplanationMode, Surface

# Characters of an answer that are shown.
SHOWN = 2000
SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What is asked."""

    user_id: str = "u000000"
    text: str = "love"
    count: int = 5


async def attempt(loaded: Loaded, sample: Sample, say: Callable[[str], None]) -> None:
    """Asks the service for the list of one user, and one search where the mapping has it.

    Raises:
        ServiceFailed: an answer did not come, or could not be read.
    """
    counts, mapping = Counts(), loaded.mapping
    service = Service(loaded, counts)
    try:
        asking = Asking(service, loaded.ids, counts)
        how = mapping.rank or mapping.batch
        assert how is not None
        query = rank_query(sample)
        always: dict[str, Any] = {"run_id": "try", "round": 1, "now": "", "values": mapping.values}
        if isinstance(how, Batch):
            request, _ = asking.batch(how, [query], always)
        else:
            values = asking.values(how, query, wants(query), always)
            request = outgoing(how.method, how.path, how.query, how.body, values)
        answer = await asked(service, request, loaded, say)
        if isinstance(how, Batch):
            found = lists.looked_up(how.lists, answer, "lists")
            (answer,) = lists.by_user(found, [sample.user_id], how.user)
        told(lists.read(how, answer), how, say)
        if mapping.search is not None:
            search = search_query(sample)
            values = asking.values(mapping.search, search, wants(search), always)
            those = mapping.search
            request = outgoing(those.method, those.path, those.query, those.body, values)
            answer = await asked(service, request, loaded, say)
            told(lists.read(those, answer), those, say)
    finally:
        await service.aclose()


def rank_query(sample: Sample) -> RankQuery:
    return RankQuery(
        user=UserContext(user_id=sample.user_id),
        surface=Surface.SURFACE_FEED,
        result_count=sample.count,
        explanation_mode=ExplanationMode.EXPLANATION_MODE_TEXT,
    )


def search_query(sample: Sample) -> SearchQuery:
    return SearchQuery(
        user=UserContext(user_id=sample.user_id),
        text=sample.text,
        result_count=sample.count,
        explanation_mode=ExplanationMode.EXPLANATION_MODE_TEXT,
    )


async def asked(
    service: Service, request: Outgoing, loaded: Loaded, say: Callable[[str], None]
) -> Any:
    say(f"asked:   {request.method} {loaded.mapping.base_url.rstrip('/')}{request.target}")
    for name, value in loaded.mapping.headers.items():
        say(f"         {name}: {value}")
    if request.body is not MISSING:
        say(f"         {json.dumps(request.body, ensure_ascii=False)}")
    answer = await service.ask(request, SECONDS)
    text = json.dumps(answer, ensure_ascii=False)
    say(f"answer:  {text if len(text) <= SHOWN else text[:SHOWN] + ' …'}")
    return answer


def told(found: Found, how: Paged, say: Callable[[str], None]) -> None:
    if not found.entries:
        say(f"read:    no items by items = {how.items.expression!r}")
    for number, one in enumerate(found.entries, 1):
        score = "" if one.score is None else f"  score {one.score:g}"
        reason = f"  “{one.explanation}”" if one.explanation else ""
        say(f"read:    {number}. {one.service_id}{score}{reason}")
    if found.token:
        say(f"read:    token {found.token}")
