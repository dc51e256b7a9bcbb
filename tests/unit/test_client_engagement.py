from __future__ import annotations

import asyncio
import threading

import pytest

from recarena.client import Catalog, FeedbackBatch, Item, Recommender, RecommenderFailed, RunInfo
from recarena.client.engagement import Engagement
from recarena.client.worker import Worker


def run_info(version="v1", run_id="run-1"):
    return RunInfo(
        run_id=run_id,
        epoch=1,
        catalog=Catalog.of(version, [Item(item_id="a"), Item(item_id="b")]),
        user_count=2,
        page_size=5,
        round_limit=3,
        arm_ids=("arm-1",),
        columnar=False,
    )


class Diary(Recommender):
    """Writes down what it is asked, and in which thread."""

    def __init__(self):
        self.calls = []
        self.threads = set()

    def note(self, *call):
        self.calls.append(call)
        self.threads.add(threading.get_ident())

    def start(self, run):
        self.note("start", run.run_id)

    def rank(self, queries):
        self.note("rank", queries)
        return queries

    def feedback(self, batch):
        self.note("feedback", batch.cursor)

    def ready(self, round):
        self.note("ready", round)

    def close(self):
        self.note("close")


async def test_sync_methods_run_in_one_thread_of_their_own():
    diary = Diary()
    engagement = Engagement(diary)
    await engagement.start(run_info())
    await engagement.feedback(FeedbackBatch(cursor="1"))
    await engagement.ready(1)
    assert await engagement.call("rank", "q", then=str.upper) == "Q"
    await engagement.close(5)
    assert [call[0] for call in diary.calls] == ["start", "feedback", "ready", "rank", "close"]
    assert len(diary.threads) == 1
    assert threading.get_ident() not in diary.threads


async def test_a_batch_that_was_applied_is_skipped():
    diary = Diary()
    engagement = Engagement(diary)
    for cursor in ("1", "2", "1", "2", "3"):
        await engagement.feedback(FeedbackBatch(cursor=cursor))
    assert [call[1] for call in diary.calls] == ["1", "2", "3"]
    assert engagement.cursor == "3"
    await engagement.close(5)


async def test_ready_is_asked_once_per_round_unless_there_was_feedback_since():
    diary = Diary()
    engagement = Engagement(diary)
    await engagement.ready(1)
    await engagement.ready(1)
    await engagement.feedback(FeedbackBatch(cursor="1"))
    await engagement.ready(1)
    assert [call[0] for call in diary.calls] == ["ready", "feedback", "ready"]
    await engagement.close(5)


async def test_a_call_that_a_broken_session_left_behind_is_finished_before_the_next():
    began, go = asyncio.Event(), asyncio.Event()

    class Slow(Diary):
        async def feedback(self, batch):
            self.note("feedback begins")
            began.set()
            await go.wait()
            self.note("feedback ends")

    slow = Slow()
    engagement = Engagement(slow)
    session = asyncio.create_task(engagement.feedback(FeedbackBatch(cursor="1")))
    await began.wait()
    session.cancel()
    with pytest.raises(asyncio.CancelledError):
        await session
    assert engagement.cursor == "1"
    following = asyncio.create_task(engagement.ready(1))
    go.set()
    await following
    assert slow.calls == [("feedback begins",), ("feedback ends",), ("ready", 1)]
    await engagement.close(5)


async def test_an_error_tells_method_type_and_text(caplog):
    class Broken(Diary):
        def ready(self, round):
            raise ValueError("no\nmodel")

    engagement = Engagement(Broken())
    with pytest.raises(RecommenderFailed) as caught:
        await engagement.ready(1)
    assert str(caught.value) == "ready raised ValueError: no model"
    assert isinstance(caught.value.__cause__, ValueError)
    assert caplog.text.count("Traceback") == 1
    await engagement.close(5)


async def test_even_stop_iteration_reaches_whoever_waits():
    class Exhausted(Diary):
        def rank(self, queries):
            return next(iter(()))

    engagement = Engagement(Exhausted())
    with pytest.raises(RecommenderFailed, match="rank raised StopIteration"):
        await engagement.call("rank", "q", then=str)
    await engagement.close(5)


async def test_an_error_in_close_is_logged_and_swallowed(caplog):
    class Clumsy(Diary):
        def close(self):
            raise OSError("disk full")

    await Engagement(Clumsy()).close(5)
    assert "close raised OSError: disk full" in caplog.text


async def test_a_recommender_that_stays_busy_is_left_without_close(caplog):
    go = threading.Event()

    class Busy(Diary):
        def ready(self, round):
            go.wait(20)

    busy = Busy()
    engagement = Engagement(busy)
    training = asyncio.create_task(engagement.ready(1))
    await asyncio.sleep(0)  # let it begin: what close finds is a call under way
    await engagement.close(0)
    assert "Busy is still busy: left without close()" in caplog.text
    go.set()
    await training
    assert busy.calls == []


async def test_a_call_that_was_taken_back_is_never_made():
    worker, go, made = Worker("test"), threading.Event(), []
    first = worker.run(lambda: go.wait(20))
    second = worker.run(lambda: made.append("second"))
    third = worker.run(lambda: made.append("third"))
    second.cancel()
    go.set()
    await first
    await third
    worker.stop()
    assert made == ["third"]
