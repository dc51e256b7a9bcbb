"""Search, conversation, explanations, and what is on the wire of a user."""

from __future__ import annotations

import grpc

from recarena.server.types import EventKind, Outcome
from recarena.v1.session_pb2 import (
    CAPABILITY_CONVERSE,
    CAPABILITY_EXPLAIN,
    CAPABILITY_RANK,
)
from recarena.v1.types_pb2 import Evidence, ExplanationMode, Surface
from support.arena import begin, finished, log_of, settings
from support.raw_client import (
    RICH,
)
from support.sessions import (
    ENCODINGS,
    ONE_PAGE,
    outcomes,
    play,
)

CODE = grpc.StatusCode


async def test_without_the_search_capability_nobody_searches(server, client):
    run = await begin(server, settings("raw", rounds=3))
    await client.join(capabilities=[CAPABILITY_RANK])
    await client.serve()
    await finished(run)
    assert client.all("search_work") == []
    assert not len(log_of(run).of(EventKind.SEARCH))


@ENCODINGS
async def test_searches_carry_the_words_of_the_log(server, client, capabilities):
    run = await begin(server, settings("raw", rounds=3))
    await client.join(capabilities=capabilities)
    await client.serve()
    await finished(run)
    titles = {title.casefold() for title in run.data.catalog.titles}
    genres = {name.casefold() for name in run.data.catalog.genre_names}
    if capabilities is RICH:
        words = [query.text for work in client.all("search_work") for query in work.queries]
    else:
        works = client.all("search_batch")
        words = [work.texts[number] for work in works for number in work.text_numbers]
        assert all(len(set(work.texts)) == len(work.texts) for work in works)
    assert words
    assert all(one.casefold() in genres | titles for one in words)


async def test_a_search_that_finds_nothing_is_no_violation(server, client):
    def nothing_found(raw, kind, work):
        answer = raw.answer(kind, work)
        if kind == "search_work":
            for one in answer.rank_result.lists:
                del one.items[:]
        return [answer]

    run = await begin(server, settings("raw", rounds=3))
    await client.join()
    await client.serve(nothing_found)
    await finished(run)
    assert client.all("search_work")
    assert client.all("work_outcome") == []
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_conversations_open_visits_where_they_are_offered(server, client):
    run = await begin(server, settings("raw", rounds=2, choice={"conversation": 0.0}))
    await client.join(capabilities=[*RICH, CAPABILITY_CONVERSE])
    await client.serve()
    await finished(run)
    works = client.all("converse_work")
    assert works
    assert {len(work.turns) for work in works} == {1}
    genres = {name.casefold() for name in run.data.catalog.genre_names}
    assert {work.turns[0].text.casefold() for work in works} <= genres
    log = log_of(run)
    assert len(log.of(EventKind.CONVERSE)) == len(works)
    offered = log.of(EventKind.PAGE).surface == Surface.SURFACE_CONVERSATION
    assert int(offered.sum()) == len(works)


async def test_explanations_are_asked_for_shown_and_fed_back(server, client):
    def explaining(raw, kind, work):
        answer = raw.answer(kind, work)
        for one in answer.rank_result.lists:
            explanation = one.items[0].explanation
            explanation.text = "Because\u202e you\x00 like it. " + "x" * 600
            explanation.evidence.add(kind=Evidence.KIND_FEATURE, reference="genre=Comedy")
        return [answer]

    arm = {"recommender": "raw", "explanations": True}
    run = await begin(server, settings(arm, **ONE_PAGE))
    await client.join(capabilities=[*RICH, CAPABILITY_EXPLAIN])
    await client.serve(explaining)
    await finished(run)
    (work,) = client.all("rank_work")
    asked = {query.explanation_mode for query in work.queries}
    assert asked == {ExplanationMode.EXPLANATION_MODE_STRUCTURED}
    for batch in client.feedback(1):
        for page in batch.impressions:
            assert [shown.explanation_shown for shown in page.items] == [True] + [False] * 4
    shown = log_of(run).of(EventKind.SHOWN)
    words = set(shown.text.values())
    (text,) = words
    assert text.startswith("Because you like it.")
    assert len(text) == 500


async def test_explanations_that_nobody_asked_for_are_dropped_and_not_counted(server, client):
    def explaining(raw, kind, work):
        answer = raw.answer(kind, work)
        for one in answer.rank_result.lists:
            one.items[0].explanation.text = "Buy this."
        return [answer]

    run = await play(server, client, explaining)
    (work,) = client.all("rank_work")
    asked = {query.explanation_mode for query in work.queries}
    assert asked <= {ExplanationMode.EXPLANATION_MODE_NONE, 0}
    assert client.all("work_outcome") == []
    assert log_of(run).text == {}
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_nothing_hidden_of_a_user_is_on_the_wire_unless_it_was_opened(server, client):
    chosen = settings("raw", rounds=2, session={"open_profile": ["age"], "recent_interactions": 2})
    run = await begin(server, chosen)
    await client.join()
    await client.serve()
    await finished(run)
    users = [query.user for work in client.all("rank_work") for query in work.queries]
    ages = run.data.population.profile["age"]
    assert all(dict(user.attributes) == {"age": ages[user.user_number]} for user in users)
    recent = [one for user in users for one in user.recent]
    assert recent
    assert max(len(user.recent) for user in users) == 2
    assert {one.user_id for user in users for one in user.recent if one.user_id != user.user_id} \
        == set()  # fmt: skip
    raw = b"".join(message.SerializeToString() for message in client.seen)
    assert not [name for name in set(run.data.population.names) if name.encode() in raw]


async def test_recent_interactions_are_the_users_latest_watches_newest_last(server, client):
    chosen = settings("raw", rounds=3, session={"recent_interactions": 2})
    run = await begin(server, chosen)
    await client.join()
    await client.serve()
    await finished(run)
    items, history = run.data.catalog.item_ids, run.data.history
    watched: dict[int, list[tuple[int, str, float]]] = {}
    for user, item, value in zip(
        history.user.tolist(), history.item.tolist(), history.rating.tolist(), strict=True
    ):
        watched.setdefault(user, []).append((0, items[item], value))
    checked = 0
    for round in (1, 2, 3):
        works = [work for work in client.all("rank_work") if work.header.round == round]
        for user in (query.user for work in works for query in work.queries):
            told = [(one.round, one.item_id, one.value) for one in user.recent]
            assert told == watched.get(user.user_number, [])[-2:]
            checked += len(told)
        watches = log_of(run, round).of(EventKind.WATCH)
        for user, item, value in zip(
            watches.user.tolist(), watches.item.tolist(), watches.value.tolist(), strict=True
        ):
            watched.setdefault(user, []).append((round, items[item], value))
    assert checked
    assert any(one[0] > 0 for mine in watched.values() for one in mine)
