"""Sending: bytes to a provider through the SDK of its maker, bytes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from recarena.server.errors import InputError

HEADERS = ("retry-after", "retry-after-ms", "anthropic-ratelimit-", "x-ratelimit-", "request-id")
"""Beginnings of the names of the headers that we read."""

SDKS = {"anthropic": "anthropic"}
"""Module of a provider's SDK; of all others: openai."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A response, whatever its status."""

    status: int
    headers: dict[str, str]
    """Of HEADERS, names in small letters."""
    body: bytes


class NotArrived(Exception):
    """No response: a time-out, or a connection that could not be made or broke."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where calls go."""

    provider: str
    base_url: str
    """"": the provider's own."""
    path: str
    keys: tuple[str, ...]
    timeout_s: float
    connections: int
    """Most at once for each key."""


class Transport(Protocol):
    """Sends bodies."""

    async def post(self, key: int, body: bytes, path: str = "") -> Arrived:
        """The response to a body that was sent with a key, given by its number. NotArrived."""
        ...

    async def close(self) -> None:
        """Closes all connections."""
        ...


class SdkTransport:
    """The SDKs' own clients, one per key, in this process. Retrying is not theirs to do."""

    def __init__(self, endpoint: Endpoint) -> None:
        """InputError where the SDK is not installed."""
        import_sdks()
        import httpx2

        self._endpoint = endpoint
        self._httpx = httpx2
        # Each takes a while to load: only the one that is needed is.
        self._sdk: Any = import_module(
            "anthropic" if endpoint.provider == "anthropic" else "openai"
        )
        self._clients: Sequence[Any] = [self._client(key) for key in endpoint.keys]

    def _client(self, key: str) -> Any:
        """One with room for all calls at once: a smaller pool would be a limit of its own."""
        end, sdk = self._endpoint, self._sdk
        limits = self._httpx.Limits(
            max_connections=end.connections, max_keepalive_connections=end.connections
        )
        timeout = self._httpx.Timeout(end.timeout_s, connect=min(end.timeout_s, 30.0))
        kind = sdk.AsyncAnthropic if end.provider == "anthropic" else sdk.AsyncOpenAI
        return kind(
            api_key=key,
            base_url=end.base_url or None,
            max_retries=0,
            timeout=timeout,
            http_client=sdk.DefaultAioHttpClient(limits=limits, timeout=timeout),
        )

    async def post(self, key: int, body: bytes, path: str = "") -> Arrived:
        """By the client's own `post`, which adds what its methods add: key, version, time-outs."""
        try:
            response = await self._clients[key].post(
                path or self._endpoint.path,
                content=body,
                cast_to=self._httpx.Response,
                options={"headers": {"Content-Type": "application/json"}},
            )
        except self._sdk.APIStatusError as error:
            answer = error.response
            return Arrived(answer.status_code, kept_headers(answer.headers), answer.content)
        except self._sdk.APIConnectionError as error:
            cause = error.__cause__
            why = f": {type(cause).__name__} {cause}".rstrip() if cause else ""
            raise NotArrived(f"{type(error).__name__}{why}") from None
        return Arrived(response.status_code, kept_headers(response.headers), response.content)

    async def close(self) -> None:
        """Closes all connections."""
        for client in self._clients:
            await client.close()


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that we read."""
    return {
        name.lower(): value for name, value in headers.items() if name.lower().startswith(HEADERS)
    }


def import_sdks() -> None:
    """InputError where they are not installed."""
    missing = [name for name in ("anthropic", "openai", "aiohttp") if not find_spec(name)]
    if missing:
        raise InputError(
            f"LLM minds need packages that are not installed ({', '.join(missing)})",
            remedy="Install recarena-server[llm], or leave --mind away: the choice mind needs "
            "neither a key nor a network",
        )
