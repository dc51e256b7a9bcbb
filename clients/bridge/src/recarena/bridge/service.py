"""The HTTP service: requests that are tried again as long as there is time."""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx2

from recarena.bridge.counts import Counts
from recarena.bridge.errors import ServiceFailed
from recarena.bridge.loading import Loaded
from recarena.bridge.signing import RecombeeAuth
from recarena.bridge.templates import Template, Values

logger = logging.getLogger("recarena.bridge")

Query: TypeAlias = "dict[str, Template]"
MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request. `target` is the path with its query, encoded."""

    method: str
    target: str
    # A JSON value; MISSING: no body.
    body: Any = MISSING
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return f"{self.method} {self.target.partition('?')[0]}"


def outgoing(
    method: str, path: Template, query: Query, body: Template | None, values: Values
) -> Outgoing:
    """A request with its templates filled in."""
    parameters = [
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, template in query.items()
        for value in template.strings(values)
    ]
    target = path.path(values)
    if parameters:
        target += ("&" if "?" in target else "?") + "&".join(parameters)
    return Outgoing(
        method=method, target=target, body=MISSING if body is None else body.json(values)
    )


class Service:
    """The recommender behind the mapping's address. To be closed with `aclose`."""

    def __init__(
        self,
        loaded: Loaded,
        counts: Counts,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._mapping, self._counts = loaded.mapping, counts
        mapping = loaded.mapping
        self._free = asyncio.Semaphore(mapping.concurrency)
        self._client = httpx2.AsyncClient(
            headers={"accept": "application/json", **mapping.headers},
            auth=RecombeeAuth(loaded.signing_key) if mapping.auth else None,
            timeout=httpx2.Timeout(mapping.timeout, connect=mapping.connect_timeout, pool=None),
            limits=httpx2.Limits(max_connections=mapping.concurrency),
            # Another host must not be sent the headers.
            follow_redirects=False,
            transport=transport,
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def ask(self, request: Outgoing, seconds: float, attempts: int = 0) -> Any:
        """The JSON of the answer; None where it is empty.

        Args:
            request: What is sent.
            seconds: For all tries together, and the wait for a free place.
            attempts: Most tries; 0: as the mapping says.

        Raises:
            ServiceFailed: no good answer in that time, or one that is not JSON.
        """
        until = asyncio.get_running_loop().time() + seconds
        try:
            async with self._free:
                response = await self._answered(request, until, attempts)
            if not response.content.strip():
                return None
            try:
                return json.loads(response.content)
            except ValueError:
                kind = response.headers.get("content-type", "no content type")
                raise ServiceFailed(
                    f"{request}: {response.status_code}, but the answer is not JSON ({kind})"
                ) from None
        except ServiceFailed:
            self._counts.failed += 1
            raise

    async def _answered(self, request: Outgoing, until: float, attempts: int) -> httpx2.Response:
        """The first good answer, if it comes before `until` on the loop's clock."""
        clock = asyncio.get_running_loop().time
        retry = self._mapping.retry
        attempts = attempts or retry.attempts
        for attempt in range(1, attempts + 1):
            response, why = await self._tried(request, until - clock())
            if response is not None and response.is_success:
                return response
            if attempt == attempts or (
                response is not None and response.status_code not in retry.statuses
            ):
                tries = f" after {attempt} tries" if attempt > 1 else ""
                raise ServiceFailed(f"{request}: {why}{tries}")
            delay = min(retry.longest_delay, retry.first_delay * 2 ** (attempt - 1))
            delay *= random.uniform(0.5, 1.0)
            asked = None if response is None else retry_after(response)
            delay = delay if asked is None else asked
            if clock() + delay >= until:
                told = "" if asked is None else f", Retry-After {asked:.0f} s"
                raise ServiceFailed(f"{request}: {why}{told}, and no time left to try again")
            self._counts.retries += 1
            await asyncio.sleep(delay)
        raise AssertionError("there is at least one attempt")

    async def _tried(self, request: Outgoing, seconds: float) -> tuple[httpx2.Response | None, str]:
        """The answer of one try, and what is wrong with it or why there is none."""
        self._counts.requests += 1
        arguments: dict[str, Any] = {} if request.body is MISSING else {"json": request.body}
        url = self._mapping.base_url.rstrip("/") + request.target
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                response = await self._client.request(
                    request.method, url, headers=request.headers, **arguments
                )
        except (TimeoutError, httpx2.TimeoutException):
            return None, "no answer in time"
        except httpx2.ConnectError:
            return None, f"no connection to {self._mapping.base_url}"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return None, f"{type(error).__name__} {error}".strip()
        if response.is_redirect:
            return response, f"{response.status_code}, and redirects are not followed"
        return response, f"{response.status_code} {response.reason_phrase}".strip()


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the service wants to be left alone for."""
    said = response.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        date = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
