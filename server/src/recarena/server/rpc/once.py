"""Calls that change something: one after another but for those in haste, each request_id once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast

from recarena.server.errors import RecArenaError
from recarena.server.rpc.refusal import Context, refuse

Reply = TypeVar("Reply")

REMEMBERED_REQUESTS = 4096


class Changing(Protocol):
    """A request that changes something."""

    @property
    def request_id(self) -> str:
        """See the contract."""
        ...


class Once:
    """The changing calls of a server, whichever service they belong to."""

    def __init__(self) -> None:
        self._answered: OrderedDict[tuple[str, str], object] = OrderedDict()
        self._turn = asyncio.Lock()

    async def __call__(
        self, request: Changing, context: Context, work: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """The reply of `work`; of a request whose request_id was answered before, the first reply.
        Every error of the tree becomes its status."""
        try:
            async with self._turn:
                call = type(request).__name__, request.request_id
                if call in self._answered:
                    return cast("Reply", self._answered[call])
                return self._remember(call, await work())
        except RecArenaError as error:
            await refuse(context, error)

    async def at_once(
        self, request: Changing, context: Context, work: Callable[[], Reply]
    ) -> Reply:
        """The same for what takes no time, and has none: it waits for no other call."""
        try:
            call = type(request).__name__, request.request_id
            if call in self._answered:
                return cast("Reply", self._answered[call])
            return self._remember(call, work())
        except RecArenaError as error:
            await refuse(context, error)

    def _remember(self, call: tuple[str, str], reply: Reply) -> Reply:
        if call[1]:
            self._answered[call] = reply
            while len(self._answered) > REMEMBERED_REQUESTS:
                self._answered.popitem(last=False)
        return reply
