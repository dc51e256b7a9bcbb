"""`recarena interview`: questions to a user, of which nothing is left."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import PATIENCE, PROGRAM, recarena
from support.judging import choosing
from support.llm_runs import asking, played
from support.llm_stub import LlmStub, StubProcess, reader_mind

USER = "u000003"
MIND = "openai-compatible:stub"


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProcess]:
    with StubProcess("reader", 1) as stub:
        yield stub


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`thinking`, whose users have LLM minds, and `choosing`, whose users have not."""
    path = tmp_path_factory.mktemp("runs")

    async def play() -> None:
        async with LlmStub(reader_mind(1)) as stub:
            async with played(path / "thinking", asking(stub, "openai-compatible")) as run:
                assert run.error == ""
            async with played(path / "choosing", choosing(3)) as run:
                assert run.error == ""

    asyncio.run(play())
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


async def test_a_user_answers_from_what_it_remembers_and_the_run_stays_as_it_is(
    runs: Path, stub: StubProcess
):
    before = contents(runs / "thinking")
    words = ("interview", "thinking", "--user", USER, "--base-url", f"{stub.url}/v1")
    ended = await recarena(*words, "What did you like?", "And why?", "--json", cwd=runs)
    first, second = ended.went_well().values
    assert (first["user_id"], first["before_round"], first["mind"]) == (USER, 4, MIND)
    assert first["question"] == "What did you like?"
    assert "The last was" in first["answer"]
    assert "We spoke of" not in first["answer"]
    assert "We spoke of 2 things." in second["answer"]
    assert first["spent"]["calls"] == 1
    assert contents(runs / "thinking") == before
    shown = (await recarena(*words, "What did you like?", cwd=runs)).went_well().out
    assert first["answer"][:30] in " ".join(shown.split())
    assert contents(runs / "thinking") == before


async def test_a_user_is_asked_as_it_was_and_without_memories(runs: Path, stub: StubProcess):
    async def answer(*more: object) -> str:
        words = ("interview", "choosing", "--user", USER, "--mind", MIND, "--base-url")
        ended = await recarena(*words, f"{stub.url}/v1", "What?", "--json", *more, cwd=runs)
        return str(ended.went_well().value["answer"])

    now, then, facts = (
        await answer(), await answer("--round", 1), await answer("--no-memory"),
    )  # fmt: skip
    assert now.startswith(facts)
    assert len(now) > len(facts)
    assert then != now


async def test_calls_are_kept_only_where_it_is_said(runs: Path, stub: StubProcess, tmp_path: Path):
    words = (
        "interview", runs / "choosing", "--user", USER, "What?", "--mind", MIND,
        "--base-url", f"{stub.url}/v1", "--json",
    )  # fmt: skip
    await recarena(*words, cwd=tmp_path)
    assert contents(tmp_path) == {}
    first = (await recarena(*words, "--record", "talk.sqlite", cwd=tmp_path)).went_well().value
    again = (await recarena(*words, "--record", "talk.sqlite", cwd=tmp_path)).went_well().value
    assert (first["spent"]["calls"], again["spent"]["calls"]) == (1, 0)
    assert again["answer"] == first["answer"]
    assert (tmp_path / "talk.sqlite").is_file()


async def test_a_refusal_is_told_as_one(runs: Path):
    with StubProcess("reader", 1, refusal=1.0) as stub:
        words = ("interview", "thinking", "-u", USER, "--base-url", f"{stub.url}/v1", "What?")
        told = (await recarena(*words, "--json", cwd=runs)).went_well().value
        shown = (await recarena(*words, cwd=runs)).went_well().out
    assert told["missing"] == {"reason": "REFUSED", "detail": "the model refused"}
    assert "answer" not in told
    assert "did not answer: refused" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("choosing", "-u", USER, "What?"), "choice mind, which has no words"),
        (("choosing", "-u", USER, "What?", "--mind", "choice"), "--mind: the choice mind has no"),
        (("thinking", "-u", "u00003", "What?"), "has no user 'u00003'; did you mean"),
        (("thinking", "-u", USER, "What?", "--round", "9"), "--round: the run has rounds 1 to 3"),
        (("thinking", "-u", USER, "x" * 1001), "at most 1,000 characters"),
        (("thinking", "-u", USER), "QUESTION: nothing is asked"),
        (("thinking", "What?"), "--user: nobody is asked"),
        (("nowhere", "-u", USER, "What?"), "nowhere"),
        (("choosing", "-u", USER, "What?", "--mind", "anthropic:m"), "ANTHROPIC_API_KEY is not"),
        (("choosing", "-u", USER, "What?", "--mind", MIND), "base_url is missing"),
    ],
)
async def test_wrong_input_is_one_line_that_says_what_to_do(
    words: tuple[str, ...], says: str, runs: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert says in (await recarena("interview", *words, cwd=runs)).failed()


async def test_on_a_terminal_questions_are_asked_for_until_there_are_no_more(
    runs: Path, stub: StubProcess
):
    mine, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "interview", "thinking", "--user", USER, "--base-url", f"{stub.url}/v1",
        "--json", cwd=runs, stdin=theirs, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    try:
        os.write(mine, b"What did you like?\n\nAnd why?\n\x04")
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        os.close(mine)
    assert process.returncode == 0, err
    assert out.decode().count('"answer"') == 2
    assert "We spoke of 2 things." in out.decode()
    assert f"({USER}), before round 4, played by {MIND}" in err.decode()
    assert "Traceback" not in err.decode()
