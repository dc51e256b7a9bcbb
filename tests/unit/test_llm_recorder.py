"""The recording of a run: what is in it, and what outlives the end of a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recarena.server.errors import InputError, RunPaused
from recarena.server.llm.account import account
from recarena.server.llm.calls import Asker, Failure, Outcome, Source, Usage
from recarena.server.llm.recorder import FILE, Recorded, Recorder, copy_recording
from support.thinkers import asker

CALL = Recorded(200, b'{"answer": 1}', Usage(10, 5, 70, 20), 0.25, 0.5, 900)
PROGRAM = """
import asyncio, sys
from pathlib import Path
from recarena.server.llm.calls import Asker, Usage
from recarena.server.llm.recorder import Recorded, Recorder

async def main():
    recorder = Recorder(Path(sys.argv[1]))
    async def keep(n):
        await recorder.keep(
            f"h{n}", Recorded(200, b"{}", Usage(1, 1), 0.1), Asker(1, n, "page"),
            request=b"{}", provider="p", model="m", prompt="i", latency_ms=1.0,
        )
        print(f"h{n}", flush=True)
    for n in range(1000):
        await asyncio.gather(*(keep(n * 10 + i) for i in range(10)))

asyncio.run(main())
"""


async def keep(recorder: Recorder, hash: str, call: Recorded = CALL, **more: Any) -> None:
    given: dict[str, Any] = {"request": b'{"q": 1}', "provider": "openai", "model": "m"}
    given |= {"prompt": "rate@1", "latency_ms": 12.5}
    await recorder.keep(hash, call, more.pop("asker", asker()), **given | more)


def outcome(source: Source = Source.LLM, failure: Failure | None = None, **more: Any) -> Any:
    made: Outcome[str] = Outcome(
        None if failure else "yes", source, failure, "", Usage(10, 5), 0.25, 1, "h", "yes"
    )
    return replace(made, **more)


# ---------------------------------------------------------------------- calls


async def test_a_call_is_found_again_by_what_was_sent(tmp_path):
    with Recorder(tmp_path / FILE) as recorder:
        await keep(recorder, "h")
    for read_only in (False, True):
        with Recorder(tmp_path / FILE, read_only=read_only) as again:
            assert again.find("h") == replace(CALL, worst=None, worst_tokens=None)
            assert again.request("h") == b'{"q": 1}'
            assert again.find("other") is again.request("other") is None


async def test_what_is_unknown_stays_unknown():
    with Recorder(None) as recorder:
        await keep(recorder, "h", Recorded(200, b"{}", Usage(None, 5), None))
        found = recorder.find("h")
        assert found is not None
        assert (found.usage, found.cost) == (Usage(None, 5), None)


async def test_the_first_answer_to_a_call_stays():
    with Recorder(None) as recorder:
        await asyncio.gather(keep(recorder, "h"), keep(recorder, "h", replace(CALL, status=400)))
        await keep(recorder, "h", replace(CALL, status=400))
        assert recorder.find("h") == replace(CALL, worst=None, worst_tokens=None)


async def test_a_call_is_kept_when_others_can_see_it(tmp_path):
    with Recorder(tmp_path / FILE) as recorder:
        other = Recorder(tmp_path / FILE, read_only=True)
        keeping = [asyncio.ensure_future(keep(recorder, f"h{n}")) for n in range(50)]
        await asyncio.sleep(0)
        assert other.find("h0") is None
        await asyncio.gather(*keeping)
        assert all(other.find(f"h{n}") for n in range(50))
        other.close()


async def test_who_is_cancelled_while_a_call_is_kept_does_not_undo_it(tmp_path):
    with Recorder(tmp_path / FILE) as recorder:
        keeping = asyncio.ensure_future(keep(recorder, "h"))
        await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    with Recorder(tmp_path / FILE, read_only=True) as again:
        assert again.find("h")


@pytest.mark.parametrize("after", [1, 25, 300])
def test_what_was_kept_outlives_a_kill(tmp_path, after):
    path = tmp_path / FILE
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child, child.stdout:
        kept = [child.stdout.readline().strip() for _ in range(after)]
        os.kill(child.pid, signal.SIGKILL)
        kept += [line.strip() for line in child.stdout if line.endswith("\n")]
    assert child.returncode == -signal.SIGKILL
    with Recorder(path) as recorder:
        assert all(recorder.find(hash) for hash in kept)
        money, tokens = recorder.spent()
        assert money >= 0.1 * len(kept) - 1e-9
        assert tokens >= 2 * len(kept)


async def test_a_full_disk_pauses_the_run_and_says_so(tmp_path):
    with Recorder(tmp_path / FILE) as recorder:
        await keep(recorder, "before")
        recorder.rows("PRAGMA max_page_count = 12")
        heavy = Recorded(200, os.urandom(200_000), Usage(1, 1), 0.1)
        with pytest.raises(RunPaused, match=r"cannot be recorded.*Make room"):
            await keep(recorder, "heavy", heavy)
    with Recorder(tmp_path / FILE, read_only=True) as again:
        assert again.find("before")
        assert again.find("heavy") is None


# ---------------------------------------------------------------------- money and decisions


async def test_what_was_spent_counts_paid_calls_and_the_worst_case_of_unknown_ones():
    with Recorder(None) as recorder:
        await keep(recorder, "known")
        await keep(recorder, "unknown", Recorded(200, b"{}", Usage(), None, 0.5, 900))
        await keep(recorder, "half", Recorded(200, b"{}", Usage(10, None), None, 0.5, 900))
        await keep(recorder, "taken", paid=False)
        await keep(recorder, "rejected", Recorded(400, b"{}", Usage(0, 0), 0.0, 0.5, 900))
        money, tokens = recorder.spent()
        assert money == pytest.approx(0.25 + 0.5 + 0.5)
        assert tokens == 105 + 900 + 900


async def test_of_a_decision_the_last_word_counts():
    with Recorder(None) as recorder:
        recorder.decided(asker(1), outcome(Source.FALLBACK, Failure.EMPTY), False)
        recorder.decided(asker(1), outcome(Source.REPAIRED, calls=2), True)
        rows = recorder.rows("SELECT source, failure, calls, tolerated FROM decisions")
        assert rows == [("repaired", None, 2, 1)]


async def test_failures_of_the_rounds_before_are_counted_by_purpose_and_kind():
    with Recorder(None) as recorder:
        for round in range(4):
            fails = outcome(Source.FALLBACK, Failure.EMPTY)
            recorder.decided(asker(1, "page", round), fails, False)
            recorder.decided(asker(2, "social", round), outcome(), False)
        assert recorder.failures_before(3) == (4, {"page: empty": 2})
        assert recorder.failures_before(1) == (0, {})


async def test_an_account_tells_what_is_not_known(tmp_path):
    assert account(tmp_path, 9, 4, "USD") is None
    with Recorder(tmp_path / FILE) as recorder:
        await keep(recorder, "one")
        recorder.decided(asker(1), outcome(), True)
        recorder.decided(asker(2), outcome(Source.FALLBACK, Failure.EMPTY, calls=2), False)
        recorder.decided(asker(1, round=2), outcome(), False)
    told = account(tmp_path, 1, 4, "EUR")
    assert told is not None
    assert (told["decisions"], told["failed"], told["failed_share"]) == (2, 1, 0.5)
    assert told["by_source"] == {"llm": 1, "fallback": 1}
    assert told["failures"] == [{"purpose": "page", "kind": "empty", "count": 1}]
    assert (told["calls"], told["asked_twice"], told["read_with_tolerance"]) == (3, 1, 1)
    assert (told["cost"], told["cost_per_user_round"], told["currency"]) == (0.25, 0.0625, "EUR")
    with Recorder(tmp_path / FILE) as recorder:
        await keep(recorder, "two", Recorded(200, b"{}", Usage(), None, 0.5))
        recorder.decided(asker(3), outcome(usage=Usage(), cost=None), False)
    told = account(tmp_path, 1, 4, "EUR")
    assert told is not None
    assert (told["cost"], told["cost_per_user_round"], told["calls_of_unknown_cost"]) == (
        None, None, 1,
    )  # fmt: skip
    assert (told["input_tokens_per_user_round"], told["decisions_of_unknown_usage"]) == (None, 1)


# ---------------------------------------------------------------------- copies


async def test_a_copy_has_all_calls_none_of_them_paid_for_and_the_decisions_up_to_a_round(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with Recorder(source / FILE) as recorder:
        for round in (1, 2, 3):
            await keep(recorder, f"h{round}", asker=Asker(round, 1, "page"))
            recorder.decided(asker(1, round=round), outcome(), False)
        await recorder.keep_vectors("e", {"text": b"1234"})
        salt = recorder.salt
    copy_recording(source, target, 2)
    with Recorder(target / FILE) as copy:
        assert all(copy.find(f"h{round}") for round in (1, 2, 3))
        assert copy.rows("SELECT round FROM decisions ORDER BY 1") == [(1,), (2,)]
        assert copy.spent() == (0.0, 0)
        assert copy.salt == salt
        assert copy.vectors("e", ["text"]) == {"text": b"1234"}
        await keep(copy, "new")
        assert copy.spent() == (0.25, 105)
    with Recorder(source / FILE, read_only=True) as recorder:
        assert recorder.spent()[1] == 3 * 105, "the source stays as it was"


async def test_a_copy_for_a_run_that_begins_anew_has_no_decisions(tmp_path):
    with Recorder(tmp_path / FILE) as recorder:
        await keep(recorder, "h")
        recorder.decided(asker(1), outcome(), False)
        recorder.copy_to(tmp_path / "copy", 0)
    with Recorder(tmp_path / "copy", read_only=True) as copy:
        assert copy.find("h")
        assert copy.rows("SELECT round FROM decisions") == []


def test_a_run_without_a_recording_has_none_to_copy(tmp_path):
    copy_recording(tmp_path, tmp_path / "target", 0)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- the file


def test_every_recording_has_a_salt_of_its_own_and_keeps_it(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    salts = []
    for path in paths:
        with Recorder(path) as recorder:
            salts.append(recorder.salt)
    assert len({*salts}) == 2
    assert all(len(salt) == 16 for salt in salts)
    for path, salt in zip(paths, salts, strict=True):
        for more in ({}, {"read_only": True}, {"salt": b"another one, 16b"}):
            with Recorder(path, **more) as again:
                assert again.salt == salt


def test_a_recording_that_takes_calls_from_another_has_its_salt(tmp_path):
    with Recorder(tmp_path / "a") as one, Recorder(tmp_path / "b", salt=one.salt) as other:
        assert other.salt == one.salt


def database(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE meta (name, value)")
    other.close()


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.write_text("words"), database, Path.mkdir]
)
def test_what_is_no_recording_is_told(tmp_path, make):
    make(tmp_path / FILE)
    with pytest.raises(InputError, match="no recording of calls") as caught:
        Recorder(tmp_path / FILE, read_only=True)
    assert caught.value.where == str(tmp_path / FILE)


async def test_a_recording_that_is_read_only_takes_nothing(tmp_path):
    Recorder(tmp_path / FILE).close()
    with Recorder(tmp_path / FILE, read_only=True) as recorder, pytest.raises(RunPaused):
        await keep(recorder, "h")


@pytest.mark.parametrize("name", ["with space", "per%20cent", "ques?tion", "ha#sh", "ü"])
async def test_a_folder_may_have_any_name(tmp_path, name):
    (tmp_path / name).mkdir()
    with Recorder(tmp_path / name / FILE) as recorder:
        await keep(recorder, "h")
    assert (tmp_path / name / FILE).is_file()
    with Recorder(tmp_path / name / FILE, read_only=True) as again:
        assert again.find("h")


async def test_vectors_are_kept_by_embedder_and_text():
    with Recorder(None) as recorder:
        await recorder.keep_vectors("one", {"a": b"1111", "b": b"2222"})
        await recorder.keep_vectors("other", {"a": b"3333"})
        assert recorder.vectors("one", ["b", "c", "a"]) == {"a": b"1111", "b": b"2222"}
        assert recorder.vectors("other", ["a", "b"]) == {"a": b"3333"}


def test_a_recording_of_a_newer_release_is_not_touched(tmp_path: Path):
    path = tmp_path / FILE
    Recorder(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    for read_only in (True, False):
        with pytest.raises(InputError, match=r"format 99.*Update RecArena"):
            Recorder(path, read_only=read_only)
