"""The guard stands before methods of every arity, and they know their caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.server.rpc.audit import Audit
from recarena.server.rpc.callers import Role, current_caller
from recarena.server.rpc.guard import Guard
from recarena.server.rpc.security import Security
from support.callers import ending, token

CODE = grpc.StatusCode
OPERATOR = Role.OPERATOR


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    token(tmp_path / "tokens.json", OPERATOR, "first")
    return tmp_path / "tokens.json"


def name() -> bytes:
    caller = current_caller.get()
    assert caller
    return caller.name.encode()


async def unary_unary(request: bytes, context: Any) -> bytes:
    return b"%s %s" % (name(), request)


async def unary_stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
    for part in request.split():
        yield b"%s %s" % (name(), part)


async def stream_unary(requests: AsyncIterator[bytes], context: Any) -> bytes:
    return b"%s %s" % (name(), b" ".join([one async for one in requests]))


async def stream_stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        # What a method starts knows the caller, too.
        yield b"%s %s" % (await asyncio.create_task(asyncio.to_thread(name)), request)


async def written_stream(request: bytes, context: Any) -> None:
    for part in request.split():
        await context.write(b"%s %s" % (name(), part))


@pytest.fixture
async def arities(tmp_path: Path, tokens: Path) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service with a method of every arity behind the guard."""
    handlers = {
        "UnaryUnary": grpc.unary_unary_rpc_method_handler(unary_unary),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(unary_stream),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(stream_unary),
        "StreamStream": grpc.stream_stream_rpc_method_handler(stream_stream),
        "WrittenStream": grpc.unary_stream_rpc_method_handler(written_stream),
        "NotInTheTable": grpc.unary_unary_rpc_method_handler(unary_unary),
    }
    permits = {f"/a.S/{one}": frozenset({OPERATOR}) for one in handlers if one != "NotInTheTable"}
    guard = Guard(Security(tokens=tokens), permits, Audit(tmp_path / "audit", frozenset()))
    server = grpc.aio.server(interceptors=[guard])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.S", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


async def test_methods_of_every_arity_know_their_caller(arities, tokens):
    shown = (("authorization", f"Bearer {token(tokens, OPERATOR, 'ann')}"),)
    many = [b"a", b"b"]
    assert await arities.unary_unary("/a.S/UnaryUnary")(b"a", metadata=shown) == b"ann a"
    stream = arities.unary_stream("/a.S/UnaryStream")(b"a b", metadata=shown)
    assert [one async for one in stream] == [b"ann a", b"ann b"]
    assert await arities.stream_unary("/a.S/StreamUnary")(iter(many), metadata=shown) == b"ann a b"
    stream = arities.stream_stream("/a.S/StreamStream")(iter(many), metadata=shown)
    assert [one async for one in stream] == [b"ann a", b"ann b"]
    stream = arities.unary_stream("/a.S/WrittenStream")(b"a b", metadata=shown)
    assert [one async for one in stream] == [b"ann a", b"ann b"]


async def test_a_method_that_no_table_names_is_closed_to_everybody(arities, tokens):
    for role in Role:
        shown = (("authorization", f"Bearer {token(tokens, role, 'ann')}"),)
        call = arities.unary_unary("/a.S/NotInTheTable")(b"a", metadata=shown)
        assert (await ending(call)).code is CODE.PERMISSION_DENIED


async def test_a_call_without_a_request_is_an_error(arities, tokens):
    shown = (("authorization", f"Bearer {token(tokens, OPERATOR, 'ann')}"),)
    call = arities.stream_unary("/a.S/UnaryUnary")(iter(()), metadata=shown)
    assert (await ending(call)).code is CODE.INVALID_ARGUMENT


async def test_a_caller_of_one_call_is_not_seen_by_the_next(arities, tokens):
    for who in ("ann", "bob"):
        shown = (("authorization", f"Bearer {token(tokens, OPERATOR, who)}"),)
        assert (await arities.unary_unary("/a.S/UnaryUnary")(b"", metadata=shown)).startswith(
            who.encode()
        )
    assert current_caller.get() is None
