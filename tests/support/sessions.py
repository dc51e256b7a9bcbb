"""What tests of the server's side of a session share: runs of one page, and reading their logs."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from google.rpc.status_pb2 import Status

from recarena.server.rpc.server import Server
from recarena.server.types import EventKind, Outcome
from recarena.v1.recommender_service_pb2 import (
    ConnectRequest,
)
from recarena.v1.session_pb2 import (
    WorkFailed,
    WorkOutcome,
)
from support.arena import begin, finished, log_of, settings
from support.raw_client import (
    COLUMNAR,
    OK,
    RICH,
    RawClient,
)

ONE_PAGE: dict[str, Any] = {"rounds": 1, "visits": {"step_cap": 1}}
"""One round in which every visitor sees one page: one work."""
ENCODINGS = pytest.mark.parametrize("capabilities", [RICH, COLUMNAR], ids=["rich", "columnar"])


@contextlib.asynccontextmanager
async def another(server: Server) -> AsyncIterator[RawClient]:
    """One more client of a server."""
    async with RawClient(server.address) as client:
        yield client


def pages(run: Any) -> Any:
    """The PAGE events of the run's log."""
    return log_of(run).of(EventKind.PAGE)


def outcomes(run: Any) -> Counter[Outcome]:
    """How many pages had each outcome."""
    return Counter(Outcome(number) for number in pages(run).outcome.tolist())


def outcome_of(client: RawClient) -> WorkOutcome:
    """The one WorkOutcome that was told."""
    (told,) = client.all("work_outcome")
    return told


def shown_to(client: RawClient, user_id: str) -> list[str]:
    """Ids of the items on the first page of a user, as the feedback has them."""
    for batch in client.feedback():
        for impression in getattr(batch, "impressions", ()):
            if impression.user_id == user_id:
                return [shown.item_id for shown in impression.items]
    raise AssertionError(f"no impression of {user_id}")


def first_list(change: Callable[[RawClient, Any], None]) -> Callable[..., Any]:
    """Answers with something changed in the first list of the first work."""
    changed = []

    def answers(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
        answer = raw.answer(kind, work)
        if not changed:
            changed.append(work)
            change(raw, answer.rank_result)
        return [answer]

    return answers


async def play(server: Server, client: RawClient, answers: Any, *arms: Any, **values: Any) -> Any:
    """One round of one page each, with these answers."""
    fields = values.pop("register", {})
    run = await begin(server, settings(*(arms or ("raw",)), **{**ONE_PAGE, **values}))
    await client.join(**fields)
    await client.serve(answers)
    assert await client.status() == OK
    await finished(run)
    return run


def failing(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
    """Answers that there is no answer."""
    status = Status(code=13, message="no")
    return [ConnectRequest(work_failed=WorkFailed(work_id=work.header.work_id, status=status))]
