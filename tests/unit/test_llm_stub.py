"""The stand-in for providers of language models, asked by the providers' own SDKs."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from support.llm_stub import Asked, LlmStub, StubProcess, bare, problems, scripted_mind
from support.llm_stub.examples import DATA, SCHEMAS, TITLES, said
from support.llm_stub.sdks import Heard, Sdks, sdks

APIS = ("anthropic", "openai", "chat")
EVERY_API = pytest.mark.parametrize("api", APIS)
ENDS = {"anthropic": "end_turn", "openai": "completed", "chat": "stop"}
CUTS = {"anthropic": "max_tokens", "openai": "max_output_tokens", "chat": "length"}
REFUSALS = {"anthropic": "refusal", "openai": "refusal", "chat": "content_filter"}


def sdk(api: str) -> Any:
    """Both SDKs call their exceptions the same."""
    return anthropic if api == "anthropic" else openai


@EVERY_API
async def test_it_answers_every_task_validly_by_every_api(api: str):
    async with sdks() as all_of:
        for task, schema in SCHEMAS.items():
            heard = await all_of.ask(api, said(task), schema)
            assert not problems(json.loads(heard.text), schema)
            assert heard.stop == ENDS[api]
        assert [call.task for call in all_of.stub.calls] == list(SCHEMAS)
        assert all_of.stub.by_key == {"k": len(SCHEMAS)}
        assert all_of.stub.by_status == {200: len(SCHEMAS)}
        assert all(call.answered and call.api == api for call in all_of.stub.calls)


@EVERY_API
async def test_usage_is_a_quarter_of_the_characters(api: str):
    async with sdks(scripted_mind([], "word " * 8)) as all_of:
        usage = (await all_of.ask(api, "x" * 393)).usage.model_dump()
        told, answered = (len("Be Ann.") + 393) // 4, 10
        if api == "chat":
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (told, answered)
            assert usage["prompt_tokens_details"]["cached_tokens"] == 0
        else:
            assert (usage["input_tokens"], usage["output_tokens"]) == (told, answered)
        if api != "anthropic":
            assert usage["total_tokens"] == told + answered


async def test_what_was_asked_reaches_the_mind_without_the_marks():
    seen: list[Asked] = []
    mind = scripted_mind([(lambda asked: not seen.append(asked), "fine")])
    async with sdks(mind) as all_of:
        for api in APIS:
            await all_of.ask(api, said("page"), SCHEMAS["page"])
        await all_of.anthropic.messages.create(
            model="m",
            max_tokens=9,
            messages=[
                {"role": "user", "content": json.dumps(DATA)},
                {"role": "assistant", "content": "no"},
                {"role": "user", "content": "again"},
            ],
        )
    for one, api in zip(seen, APIS, strict=False):
        assert (one.api, one.system, one.task, one.max_tokens) == (api, "Be Ann.", "page", 999)
        assert one.schema == SCHEMAS["page"]
        assert not one.repairs
    assert {item["title"] for one in seen for item in one.data["page"]} == TITLES
    assert seen[0].raw["page"][0]["title"] == "⟦k7q2⟧Heat (1995)⟦k7q2⟧"
    assert bare("⟦k7q2⟧Heat (1995)⟦k7q2⟧", "k7q2") == "Heat (1995)"
    assert seen[-1].repairs


async def test_embeddings_are_unit_vectors_and_alike_for_texts_alike():
    async with sdks() as all_of:
        create = all_of.openai.embeddings.create
        texts = ["a quiet film about rain", "a loud film about rain", "zebras seldom juggle"]
        both = [await create(model="e", input=texts, encoding_format="float")]
        both.append(await create(model="e", input=texts))
        for got in both:
            one, near, far = (entry.embedding for entry in got.data)
            assert len(one) == 64
            assert sum(x * x for x in one) == pytest.approx(1, rel=1e-5)
            alike, other = (sum(map(float.__mul__, one, two)) for two in (near, far))
            assert alike > 0.5 > other
        assert both[0].data[0].embedding == pytest.approx(both[1].data[0].embedding, rel=1e-5)
        small = await create(model="e", input="one", dimensions=8)
        assert len(small.data[0].embedding) == 8


async def test_models_are_listed_and_others_unknown_once_they_are_given():
    async with sdks(models=("m-1", "m-2")) as all_of:
        for client in (all_of.anthropic, all_of.openai):
            assert [model.id async for model in client.models.list()] == ["m-1", "m-2"]
            assert (await client.models.retrieve("m-2")).id == "m-2"
        for api in APIS:
            with pytest.raises(sdk(api).NotFoundError):
                await all_of.ask(api, "hello")


@EVERY_API
async def test_an_unknown_key_is_turned_down(api: str):
    async with sdks(key="wrong", keys=("right",)) as all_of:
        with pytest.raises(sdk(api).AuthenticationError):
            await all_of.ask(api, "hello")
        all_of.stub.switches.keys = ("right", "wrong")
        await all_of.ask(api, "hello")


@EVERY_API
async def test_a_rate_limit_says_when_to_come_back(api: str):
    async with sdks(rate_limited=1, retry_after_s=0.25) as all_of:
        with pytest.raises(sdk(api).RateLimitError) as caught:
            await all_of.ask(api, "hello")
        assert caught.value.response.headers["retry-after"] == "0.25"
        assert all_of.stub.by_status == {429: 1}


@EVERY_API
async def test_too_many_in_flight_for_one_key_are_turned_down(api: str):
    async with sdks(rate_limit_above=3, latency_s=0.05) as all_of:
        asking = (all_of.ask(api, f"hello {n}") for n in range(5))
        got = await asyncio.gather(*asking, return_exceptions=True)
        assert sum(isinstance(one, sdk(api).RateLimitError) for one in got) == 2
        assert sum(isinstance(one, Heard) for one in got) == 3
        assert all_of.stub.most_in_flight == 4  # the one that is turned down is there as well
        assert all_of.stub.in_flight == 0


@EVERY_API
async def test_errors_of_the_server_are_seen(api: str):
    async with sdks(server_error=True) as all_of:
        for status in (500, 503, 529):
            all_of.stub.switches.server_error_status = status
            with pytest.raises(sdk(api).APIStatusError) as caught:
                await all_of.ask(api, "hello")
            assert caught.value.status_code == status


@EVERY_API
async def test_no_money_is_said_as_the_provider_says_it(api: str):
    async with sdks(spend_limit=True) as all_of:
        if api == "anthropic":
            with pytest.raises(anthropic.BadRequestError, match="credit balance is too low"):
                await all_of.ask(api, "hello")
        else:
            with pytest.raises(openai.RateLimitError) as caught:
                await all_of.ask(api, "hello")
            assert caught.value.code == "insufficient_quota"


@EVERY_API
async def test_a_hang_is_a_timeout_and_no_longer_in_flight(api: str):
    async with sdks(hang=1) as all_of:
        with pytest.raises(sdk(api).APITimeoutError):
            await Sdks(
                all_of.stub,
                all_of.anthropic.with_options(timeout=0.05),
                all_of.openai.with_options(timeout=0.05),
            ).ask(api, "hello")
        await all_of.stub.idle()
        assert [call.status for call in all_of.stub.calls] == [0]


@EVERY_API
async def test_a_reset_is_a_connection_error(api: str):
    async with sdks(reset=1, latency_s=0.01) as all_of:
        with pytest.raises(sdk(api).APIConnectionError):
            await all_of.ask(api, "hello")
        assert not all_of.stub.answered


@EVERY_API
async def test_a_refusal_is_said_in_its_field(api: str):
    async with sdks(refusal=1) as all_of:
        heard = await all_of.ask(api, said(), SCHEMAS["page"])
        assert heard.stop == REFUSALS[api]
        assert "can't help" in heard.text


@EVERY_API
async def test_a_truncated_answer_says_so(api: str):
    async with sdks(truncation=1) as all_of:
        heard = await all_of.ask(api, said(), SCHEMAS["page"])
        assert heard.stop == CUTS[api]
        with pytest.raises(ValueError, match="char"):
            json.loads(heard.text)


@EVERY_API
async def test_what_is_longer_than_allowed_is_cut(api: str):
    async with sdks(scripted_mind([], "word" * 100)) as all_of:
        heard = await all_of.ask(api, "hello", max_tokens=20)
        assert (heard.stop, len(heard.text)) == (CUTS[api], 80)


@EVERY_API
async def test_answers_are_spoilt_as_switched(api: str):
    async with sdks(fenced=1) as all_of:
        switches, schema = all_of.stub.switches, SCHEMAS["activity"]

        async def text() -> str:
            return (await all_of.ask(api, said("activity"), schema)).text

        found = re.search(r"\S+.*\n```json\n(.*)\n```", await text(), re.DOTALL)
        assert found is not None
        assert not problems(json.loads(found[1]), schema)
        switches.update({"fenced": 0, "no_schema": True})
        start, found_json, end = re.split(r"(\{.*\})", await text())
        assert start
        assert end
        assert not problems(json.loads(found_json), schema)
        switches.update({"no_schema": False, "malformed": 1})
        assert "{" not in await text()


async def test_numbers_are_far_out_if_switched():
    rules = {"watch": [{"item": 1, "rating": 5, "feeling": "good"}], "importance": 3}
    async with sdks(scripted_mind([], rules), out_of_range=1) as all_of:
        text = (await all_of.ask("chat", said(), SCHEMAS["page"])).text
        assert json.loads(text) == {
            "watch": [{"item": 99, "rating": 9, "feeling": "good"}],
            "importance": 99,
        }


@EVERY_API
async def test_usage_may_be_missing(api: str):
    async with sdks(missing_usage=True) as all_of:
        assert (await all_of.ask(api, "hello")).usage is None


@EVERY_API
async def test_what_is_left_of_the_limits_is_said_in_headers(api: str):
    async with sdks(limits=True, limit_requests=10) as all_of:
        client: Any = all_of.anthropic.messages if api == "anthropic" else None
        if api == "anthropic":
            got = await client.with_raw_response.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "hello"}]
            )
            assert got.headers["anthropic-ratelimit-requests-limit"] == "10"
            assert got.headers["anthropic-ratelimit-requests-remaining"] == "9"
            reset = got.headers["anthropic-ratelimit-requests-reset"]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", reset)
        else:
            got = await all_of.openai.responses.with_raw_response.create(model="m", input="hello")
            assert got.headers["x-ratelimit-limit-requests"] == "10"
            assert got.headers["x-ratelimit-remaining-requests"] == "9"


async def test_a_short_context_loses_the_beginning_silently():
    seen: list[Asked] = []
    mind = scripted_mind([(lambda asked: not seen.append(asked), "fine")])
    async with sdks(mind, caps_context=40) as all_of:
        heard = await all_of.ask("chat", said())
        assert seen[0].system == ""
        assert seen[0].first == said()[-40:]
        assert seen[0].data == {}
        assert heard.usage.prompt_tokens == 10


async def test_shares_are_drawn_per_body_and_attempt_whatever_the_order():
    async def statuses(order: list[int], seed: int = 3) -> dict[int, list[bool]]:
        found: dict[int, list[bool]] = {}
        async with sdks(server_error=0.5, seed=seed) as all_of:
            for n in order * 3:
                try:
                    await all_of.ask("openai", f"hello {n}")
                    found.setdefault(n, []).append(True)
                except openai.InternalServerError:
                    found.setdefault(n, []).append(False)
        return found

    one, other = await statuses(list(range(20))), await statuses(list(range(19, -1, -1)))
    assert one == other
    assert one != await statuses(list(range(20)), seed=4)
    assert {good for tries in one.values() for good in tries} == {True, False}
    assert any(len(set(tries)) == 2 for tries in one.values())


async def test_many_in_flight_wait_side_by_side():
    async with sdks(latency_s=0.2) as all_of:
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(all_of.ask("chat", f"hello {n}") for n in range(60)))
        assert asyncio.get_running_loop().time() - started < 0.2 * 10
        assert all_of.stub.most_in_flight > 20
        assert min(call.seconds for call in all_of.stub.calls) > 0.19


async def test_a_mind_that_fails_is_raised_at_the_end():
    async def fail() -> None:
        async with sdks(lambda asked: str(1 // 0)) as all_of:
            with pytest.raises(openai.InternalServerError):
                await all_of.ask("chat", "hello")

    with pytest.raises(ZeroDivisionError):
        await fail()


async def test_chunked_and_pipelined_requests_are_read_byte_by_byte():
    body = json.dumps({"model": "m", "input": "hello"}).encode()
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
    plain = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    parts = b"".join(b"%x;a=b\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\nT: 1\r\n\r\n"
    last = b"GET /v1/models HTTP/1.1\r\nx-api-key: k\r\nConnection: close\r\n\r\n"
    async with LlmStub() as stub:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(stub.url.split(":")[2]))
        for byte in plain + chunked:
            writer.write(bytes([byte]))
            await writer.drain()
        writer.write(plain + chunked + last)
        answers = await reader.read()
        while not reader.at_eof():
            answers += await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answers.count(b"HTTP/1.1 200 OK") == 5
        assert len({call.body_hash for call in stub.calls}) == 2
        assert sum(stub.answered.values()) == 4


async def test_the_process_answers_and_counts(tmp_path: Path):
    bodies = tmp_path / "bodies.jsonl"
    with StubProcess("obedient", 7, record_bodies=bodies, keys=["k"]) as stub:
        async with openai.AsyncOpenAI(
            base_url=f"{stub.url}/v1", api_key="k", max_retries=0
        ) as client:
            for text in ("a", "a", "reply only: OK"):
                got = await client.responses.create(model="m", input=text)
            assert got.output_text == "OK"
            assert stub.set(rate_limited=1.0)["rate_limited"] == 1.0
            with pytest.raises(openai.RateLimitError):
                await client.responses.create(model="m", input="a")
        with pytest.raises(ValueError, match="no such switches: speed"):
            stub.set(speed=1)
        counts = stub.counts()
        assert (counts["total"], counts["by_status"]) == (4, {"200": 3, "429": 1})
        assert sorted(counts["answered"].values()) == [1, 2]
        assert counts["most_in_flight"] == 1
    lines = [json.loads(line) for line in bodies.read_text().splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 200, 429]
    assert lines[2]["answer"] == "OK"
    assert json.loads(lines[2]["body"])["input"] == "reply only: OK"


@pytest.mark.parametrize("how", ["stdin", "SIGTERM", "SIGINT"])
def test_the_process_ends_when_told_or_when_stdin_closes(how: str):
    with StubProcess(latency_s=0.1) as stub:
        process = stub.process
        if how == "stdin":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.send_signal(signal.Signals[how])
        assert process.wait(10) == 0
