"""A method of any arity run as a stream: its request is read only when it is run."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from recarena.server.rpc import status
from recarena.server.rpc.refusal import Context, abort


async def run(
    handler: grpc.RpcMethodHandler[Any, Any], requests: AsyncIterator[Any], context: Context
) -> None:
    """Runs the method to its end and writes its replies."""
    asked: Any
    method: Any
    if handler.request_streaming:
        asked = requests
        method = handler.stream_stream if handler.response_streaming else handler.stream_unary
    else:
        asked = await context.read()
        method = handler.unary_stream if handler.response_streaming else handler.unary_unary
        if asked is grpc.aio.EOF:
            text = "the call ended without a request"
            await abort(context, status.status_proto(grpc.StatusCode.INVALID_ARGUMENT, text))
    if inspect.isasyncgenfunction(method):
        # Closed here, not when it is forgotten: what it holds is let go before the call is over.
        async with aclosing(method(asked, context)) as replies:
            async for reply in replies:
                await context.write(reply)
    else:
        reply = await method(asked, context)
        if not handler.response_streaming:
            await context.write(reply)
