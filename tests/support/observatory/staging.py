"""What the scripted server's services share: the runs, and how calls are answered."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from recarena.server.errors import NotFound, RecArenaError
from recarena.server.rpc.refusal import refuse
from support.observatory.plays import Play

One = TypeVar("One")


class Stage:
    """Runs, and the ways in which the server can fail whoever watches."""

    def __init__(self) -> None:
        self.plays: dict[str, Play] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.observers_only = False
        self.answered: dict[tuple[str, str], Message] = {}
        self.calls: dict[str, int] = {}

    def play(self, run_id: str) -> Play:
        if run_id not in self.plays:
            raise NotFound(f"no run {run_id[:80]!r}")
        return self.plays[run_id]

    def user(self, play: Play, user_id: str) -> int:
        if user_id not in play.world.number_of:
            raise NotFound(f"run {play.run_id} has no user {user_id[:128]!r}")
        return play.world.number_of[user_id]


class Service:
    """What the services share."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage


def answering(method: Callable[..., Awaitable[Message]]) -> Callable[..., Awaitable[Message]]:
    """A unary call: waits while the server stalls, refuses as the real one does, and gives the
    first answer again to the same request_id."""

    @functools.wraps(method)
    async def call(self: Service, request: Any, context: Any) -> Message:
        stage, name = self.stage, method.__name__
        stage.calls[name] = stage.calls.get(name, 0) + 1
        await stage.gate.wait()
        changing = "request_id" in request.DESCRIPTOR.fields_by_name or name == "AskUsers"
        if changing and stage.observers_only:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "an observer may not do this")
        key = name, getattr(request, "request_id", "")
        if key[1] and key in stage.answered:
            return stage.answered[key]
        try:
            answer = await method(self, request)
        except RecArenaError as error:
            await refuse(context, error)
        stage.answered[key] = answer
        return answer

    return call


def paged(entries: Sequence[One], request: Any, default: int, most: int) -> tuple[list[One], str]:
    """A page and the token of the next."""
    first = int(request.page_token or 0)
    size = min(request.page_size or default, most)
    more = first + size < len(entries)
    return list(entries[first : first + size]), str(first + size) if more else ""
