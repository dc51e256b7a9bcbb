"""The one WebSocket of a page."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from recarena.observatory.channel import Channel, text_of
from recarena.observatory.chronicle import run_of
from recarena.observatory.failures import Failure
from recarena.observatory.library import Library
from recarena.observatory.listener import Listener
from recarena.observatory.messages import turn_message
from recarena.observatory.upstream import Upstream
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

STALLED_S = 60.0
"""A page that takes nothing for so long is let go."""
TURN_AGAIN_S = 1.0
"""How often it is looked whether a user who nobody plays was taken over."""
NOT_TAKEN_OVER = text_of(
    {"type": "turn", "taken_over": False, "turn": None, "last_outcome": "", "missed_rounds": 0}
)
NO_SUCH_RUN = 4404
"""Code with which the socket of a run that is not there is closed."""


class Live:
    """All open sockets, by run."""

    def __init__(self, upstream: Upstream, library: Library) -> None:
        self._upstream, self._library = upstream, library
        self._channels: dict[str, Channel] = {}
        self._sockets: defaultdict[str, int] = defaultdict(int)

    def channel(self, run_id: str) -> Channel | None:
        """The channel of a run that somebody watches."""
        return self._channels.get(run_id)

    async def tell_of_server(self) -> None:
        """Tells all pages when the server comes or goes, until it is cancelled."""
        while True:
            await self._upstream.changed()
            for channel in self._channels.values():
                channel.tell_of_server()

    async def endpoint(self, socket: WebSocket) -> None:
        """`/api/runs/{run}/live`."""
        run_id: str = socket.path_params["run"]
        await socket.accept()
        try:
            await run_of(self._upstream, run_id)
        except Failure as failure:
            if failure.status == 404:
                await socket.close(NO_SUCH_RUN, "there is no such run")
                return
        channel = self._channels.setdefault(run_id, Channel(self._upstream, self._library, run_id))
        epoch, since = (_number(socket.query_params.get(name)) for name in ("epoch", "since"))
        listener = Listener()
        self._sockets[run_id] += 1
        try:
            async with channel.joined(listener, epoch, since):
                await self._converse(socket, channel, listener)
        finally:
            self._sockets[run_id] -= 1
            if not self._sockets[run_id]:
                del self._sockets[run_id], self._channels[run_id]

    async def _converse(self, socket: WebSocket, channel: Channel, listener: Listener) -> None:
        """Until either side is gone."""
        tasks = [
            asyncio.create_task(_send(socket, listener)),
            asyncio.create_task(_receive(socket, listener)),
        ]
        if user_id := socket.query_params.get("play"):
            tasks.append(asyncio.create_task(self._play(channel, listener, user_id)))
        try:
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if socket.application_state is WebSocketState.CONNECTED:
                with suppress(RuntimeError, WebSocketDisconnect):
                    await socket.close(1001)

    async def _play(self, channel: Channel, listener: Listener, user_id: str) -> None:
        """Tells a page what a user has to decide, as long as it is taken over, again and again."""
        while True:
            request = observe_pb.StreamTurnsRequest(run_id=channel.run_id, user_id=user_id)
            try:
                turns = self._upstream.stream(self._upstream.observe.StreamTurns, request)
                async for told in turns:
                    listener.tell("turn", text_of(turn_message(told)))
                listener.tell("turn", NOT_TAKEN_OVER)
            except Failure as failure:
                if failure.status in (404, 409):
                    listener.tell("turn", NOT_TAKEN_OVER)
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN_AGAIN_S), channel.changed:
                    await channel.changed.wait()


async def _send(socket: WebSocket, listener: Listener) -> None:
    while True:
        text = await listener.next()
        try:
            async with asyncio.timeout(STALLED_S):
                await socket.send_text(text)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            return


async def _receive(socket: WebSocket, listener: Listener) -> None:
    while True:
        message = await socket.receive()
        if message["type"] != "websocket.receive":
            return
        if '"ping"' in (message.get("text") or "")[:64]:
            listener.tell("pong", '{"type":"pong"}')


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0
