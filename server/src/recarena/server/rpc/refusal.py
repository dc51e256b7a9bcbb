"""Ending a call with the status of an error."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
from google.rpc import status_pb2

from recarena.server.errors import RecArenaError
from recarena.server.rpc import status

Context = grpc.aio.ServicerContext[Any, Any]


async def refuse(context: Context, error: RecArenaError) -> NoReturn:
    """Ends a call with the error's row of the table."""
    await abort(context, status.of_error(error))


async def abort(context: Context, ending: status_pb2.Status) -> NoReturn:
    """Ends a call with a status."""
    await context.abort_with_status(status.to_grpc(ending))
    raise AssertionError("abort_with_status always raises")
