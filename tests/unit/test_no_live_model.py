"""No test reaches a live model, by accident either."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys

import pytest

from recarena.server.errors import InputError
from recarena.server.llm.opening import keys_of
from recarena.server.llm.settings import LlmSettings
from recarena.server.llm.transport import Endpoint, NotArrived, SdkTransport

FAR = ("192.0.2.1", 443)  # TEST-NET-1: nobody's
FAR_6 = ("2001:db8::1", 443, 0, 0)
NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
@pytest.mark.parametrize("address", [FAR, ("api.openai.com", 443), ("192.0.2.1", 80)])
def test_a_socket_connects_to_nobody_outside(method, address):
    with socket.socket() as one, pytest.raises(AssertionError, match="no test may connect"):
        getattr(one, method)(address)


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
def test_nor_by_ipv6():
    with (
        socket.socket(socket.AF_INET6) as one,
        pytest.raises(AssertionError, match="no test may connect"),
    ):
        one.connect(FAR_6)


async def test_nor_does_a_loop():
    loop = asyncio.get_running_loop()
    with pytest.raises(AssertionError, match="no test may connect"):
        await loop.create_connection(asyncio.Protocol, *FAR)
    with pytest.raises(AssertionError, match="no test may connect"):
        await asyncio.open_connection(*FAR)


async def test_the_loopback_is_open():
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        for host in ("127.0.0.1", "localhost"):
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(host, port, family=socket.AF_INET)
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
async def test_a_transport_without_an_address_of_its_own_reaches_nobody(provider):
    path = {"anthropic": "/v1/messages", "openai": "/responses"}[provider]
    transport = SdkTransport(Endpoint(provider, "", path, ("any",), 5.0, 1))
    try:
        with pytest.raises(NotArrived):
            await transport.post(0, b"{}")
    finally:
        await transport.close()


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_no_key_is_there_to_be_used(provider):
    with pytest.raises(InputError, match=f"{provider.upper()}_API_KEY is not set"):
        keys_of(LlmSettings(provider=provider, model="m"))


def test_a_program_that_a_test_starts_inherits_this():
    tell = "import json, os; print(json.dumps(dict(os.environ)))"
    told = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
    inherited = json.loads(told.stdout)
    assert not {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"} & inherited.keys()
    assert inherited["ANTHROPIC_BASE_URL"] == inherited["OPENAI_BASE_URL"] == NOBODY
