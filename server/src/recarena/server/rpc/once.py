"""Calls that change something: one after another, and each request_id once."""

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
    """The changing calls of a service. What takes long in another holds nobody up."""

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
                if request.request_id and call in self._answered:
                    return cast("Reply", self._answered[call])
                reply = await work()
                if request.request_id:
                    self._answered[call] = reply
                    while len(self._answered) > REMEMBERED_REQUESTS:
                        self._answered.popitem(last=False)
                return reply
        except RecArenaError as error:
            await refuse(context, error)
