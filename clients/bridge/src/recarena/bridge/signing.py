"""Recombee's signed URLs.

A request carries the time in `hmac_timestamp`, and in `hmac_sign` the HMAC-SHA1 of its path and
query (with the time, without the host), keyed with the database's private token. The signature is
good for about half a minute, so every try is signed anew.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Generator

import httpx2


class RecombeeAuth(httpx2.Auth):
    """Signs each request as it is sent."""

    def __init__(self, token: str) -> None:
        self._key = token.encode()

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Called by the client for each request."""
        target = request.url.raw_path
        target += b"&" if b"?" in target else b"?"
        target += b"hmac_timestamp=%d" % time.time()
        sign = hmac.new(self._key, target, hashlib.sha1).hexdigest().encode()
        request.url = request.url.copy_with(raw_path=target + b"&hmac_sign=" + sign)
        yield request
