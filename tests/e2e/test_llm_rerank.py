"""A language model re-ranks another recommender's best, through the real SDKs against a stub."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from recarena.recommenders.hybrid import Hybrid
from recarena.server.rpc.server import Server
from recarena.v1.session_pb2 import RoundStarted
from recarena.v1.types_pb2 import Evidence
from recarena.v1.work_pb2 import SearchQuery
from support.arena import begin, finished, log_of, program, settings
from support.llm_stub import Asked, LlmStub, random_mind, scripted_mind
from support.recommender_worlds import Planted
from support.rerankers import (
    DEPTH,
    PAGE,
    USERS,
    WATCHED,
    batch,
    choice,
    excluding,
    films,
    ids,
    last_first,
    plain_pages,
    query,
    reranker,
    reversing,
)
from support.scripted_server import ScriptedServer, rank_work

PROVIDERS = ["anthropic", "openai", "openai-compatible"]
EVERYBODY = range(USERS)


# ---------------------------------------------------------------------- what the model decides


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_models_order_is_the_page(provider: str):
    first = plain_pages(EVERYBODY)
    deep = [a + b + c for a, b, c in zip(first, plain_pages(EVERYBODY, 5),
                                         plain_pages(EVERYBODY, 10), strict=True)]  # fmt: skip
    async with LlmStub(reversing()) as stub, reranker(choice(stub, provider)) as made:
        pages = await made.rank([query(user) for user in EVERYBODY])
        assert [ids(page) for page in pages] == [one[:DEPTH][::-1][:PAGE] for one in deep]
        assert made.counts == {"by the model": USERS}
        assert stub.by_task == {"rerank": USERS}
        assert {call.api for call in stub.calls} == {
            {"anthropic": "anthropic", "openai": "openai"}.get(provider, "chat")
        }


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_reasons_come_with_evidence_that_is_true(provider: str):
    async with LlmStub(reversing()) as stub, reranker(choice(stub, provider)) as made:
        pages = await made.rank([query(user, explain=True) for user in EVERYBODY])
    catalog = {item.item_id: item for item in films()}
    for user, page in enumerate(pages):
        for place, one in enumerate(page):
            assert one.explanation.text == f"Take {DEPTH - place}."
            assert one.explanation.method == "llm-rerank"
            feature, *watched = one.explanation.evidence
            assert feature.kind == Evidence.KIND_FEATURE
            assert feature.reference == f"genre={catalog[one.item_id].categories[0]}"
            assert bool(watched) == bool(WATCHED[user])
            for piece in watched:
                assert piece.kind == Evidence.KIND_ITEM
                assert int(piece.reference[1:]) in WATCHED[user]


async def test_both_encodings_get_the_same_pages_and_columns_ask_for_no_reasons():
    async with LlmStub(random_mind(4)) as stub:
        async with reranker(choice(stub)) as in_words:
            rich_pages = [
                [ids(page) for page in await in_words.rank([query(u, at) for u in EVERYBODY])]
                for at in (0, 5, 10)
            ]
        async with reranker(choice(stub), columnar=True) as in_numbers:
            for at, expected in zip((0, 5, 10), rich_pages, strict=True):
                found = await in_numbers.rank_columns(batch(EVERYBODY, at))
                items = [f"i{item}" for item in list(found.item_numbers)]
                assert items == [item for page in expected for item in page]
        assert set(stub.answered.values()) == {2}, "each question was asked twice, word for word"


async def test_pages_of_a_round_are_disjoint_and_go_on_where_the_model_ends():
    async with LlmStub(random_mind(5)) as stub, reranker(choice(stub)) as made:
        for user in (0, 3, USERS - 1):
            pages = [ids((await made.rank([query(user, at)]))[0]) for at in range(0, 40, PAGE)]
            whole = [item for page in pages for item in page]
            alone = [item for at in range(0, 40, PAGE) for item in plain_pages([user], at)[0]]
            assert sorted(whole) == sorted(alone)
            assert set(whole[:DEPTH]) == set(alone[:DEPTH])
            assert whole[DEPTH:] == alone[DEPTH:]
            assert {f"i{item}" for item in WATCHED[user]} == set(whole[40 - len(WATCHED[user]) :])
        assert stub.answered.total() == 3 * 3, "three pages each are the model's, or begin as its"


async def test_a_page_that_is_asked_for_again_is_not_paid_for_again():
    async with LlmStub(random_mind(6)) as stub, reranker(choice(stub)) as made:
        first = await made.rank([query(1), query(2)])
        assert await made.rank([query(1), query(2)]) == first
        assert stub.answered.total() == 2
        made.ready(2)
        await made.rank([query(1)])
        assert stub.answered.total() == 3


async def test_what_is_excluded_is_not_offered_to_the_model():
    seen: list[Asked] = []

    def noting(asked: Asked) -> str:
        seen.append(asked)
        return reversing()(asked)

    async with LlmStub(noting) as stub, reranker(choice(stub)) as made:
        (plain,) = plain_pages([1])
        (page,) = await made.rank([query(1, candidates=excluding(*plain[:2]))])
        assert not set(plain[:2]) & set(ids(page))
        titles = {one["title"] for one in seen[0].data["candidates"]}
        assert len(titles) == DEPTH
        assert not {f"Film {item[1:]}" for item in plain[:2]} & titles


async def test_the_model_is_told_of_the_user_what_the_query_says():
    seen: list[Asked] = []

    def noting(asked: Asked) -> str:
        seen.append(asked)
        return reversing()(asked)

    asked_for = query(4)
    asked_for.user.attributes["age"] = "34"
    async with LlmStub(noting) as stub, reranker(choice(stub)) as made:
        await made.rank([asked_for])
    data = seen[0].data
    assert data["profile"] == {"age": "34"}
    assert {int(one["title"].split()[1]) for one in data["watched"]} == WATCHED[4]
    ratings = [one["rating"] for one in data["watched"]]
    assert ratings == sorted(ratings, reverse=True)


async def test_another_first_stage_is_searched_and_re_ranked():
    async with LlmStub(reversing()) as stub, reranker(choice(stub), first=Hybrid) as made:
        (page,) = await made.rank([query(2)])
        assert len(set(ids(page))) == PAGE
        search = SearchQuery(text="film 7", result_count=1, user=query(2).user)
        (found,) = await made.search([search])
        assert found == ["i7"]
        assert made.counts == {"by the model": 1}


# ---------------------------------------------------------------------- the command


def command(*words: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "recarena.recommenders.cli", "llm-rerank", *words]


async def said_by(*words: str, **environ: str) -> tuple[int, str]:
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    process = await asyncio.create_subprocess_exec(
        *command(*words), env=clean | environ, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("anthropic:claude-haiku-4-5", "ANTHROPIC_API_KEY"),
        ("openai:gpt-4.1-mini", "OPENAI_API_KEY"),
    ],
)
async def test_without_a_key_one_line_names_the_variable(model: str, variable: str):
    code, said = await said_by("--model", model)
    wanted = f"recarena-recommender: --model {model} needs a key: set {variable} in the environment"
    assert (code, said) == (1, wanted + "\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "llm-rerank needs --model PROVIDER:MODEL"),
        (["--model", "gpt"], "it is one of anthropic:MODEL, openai:MODEL, openai-compatible:MODEL"),
        (["--model", "openai-compatible:m"], "needs --base-url"),
        (["--model", "openai:m", "--first-stage", "llm-rerank"], "--first-stage llm-rerank: it is"),
        (["--model", "openai:m", "--first-stage", "oracle"], "--first-stage oracle needs --world"),
        (["--model", "openai:m", "--max-calls", "0"], "at least 1"),
    ],
)
async def test_a_wrong_command_line_is_explained(words: list[str], said: str):
    code, told = await said_by(*words, OPENAI_API_KEY="k")
    assert code == 2
    assert said in told.splitlines()[-1]


async def test_the_command_plays_a_round_and_says_what_came_of_it():
    items = list(Planted(users=1, items=12, genres=3).catalog().items)
    async with LlmStub(scripted_mind([], last_first)) as stub, ScriptedServer(items) as server:
        words = ["--model", "openai-compatible:m", "--base-url", f"{stub.url}/v1", "--encoding",
                 "rich", "--once", "--server", server.address, "--first-stage", "popular",
                 "--depth", "6", "--llm-concurrency", "6", "--max-calls", "1"]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command(*words), stderr=asyncio.subprocess.PIPE
        )
        stream = await (await server.accept()).begin(size=len(items))
        assert stream.register.max_outstanding_work == 4
        assert stream.register.max_users_per_work == 1
        await stream.send(round_started=RoundStarted(round=1))
        await stream.receive("round_ready")
        await stream.send(rank_work=rank_work("w", 2, count=3))
        result = await stream.receive("rank_result")
        pages = [[item.item_id for item in one.items] for one in result.lists]
        assert sorted(pages) == [["i0", "i1", "i2"], ["i5", "i4", "i3"]]
        await stream.end_run()
        _, said = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0
        lines = said.decode().splitlines()
        assert "the first stage alone from now on: --max-calls 1 is used up" in lines
        assert "pages of m: 1 by the model, 1 over budget" in lines


async def test_a_run_shows_the_models_reasons(tmp_path: Path):
    async with LlmStub(reversing()) as stub, Server(tmp_path / "runs") as server:
        log = tmp_path / "log"
        words = ["--model", "openai-compatible:m", "--base-url", f"{stub.url}/v1",
                 "--encoding", "rich", "--depth", "10"]  # fmt: skip
        async with program(
            "recarena-recommender", "llm-rerank", "--server", server.address, *words, log=log
        ):
            played = await begin(
                server, settings({"recommender": "llm-rerank", "explanations": True})
            )
            await finished(played)
        texts = set(log_of(played).text.values())
        assert {f"Take {n}." for n in range(6, 11)} <= texts
        assert "first stage" not in log.read_text()
