"""Checks of what LLM minds need: packages, keys, and servers that can be reached."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from recarena.server.cli.checks import Finding, Level, failure
from recarena.server.errors import InputError
from recarena.server.llm.settings import DEFAULT_KEYS
from recarena.server.llm.transport import import_sdks

PATIENCE_S = 2.0


def minds(*, llm: bool, urls: Sequence[str]) -> list[Finding]:
    """Whether runs could have LLM minds; nothing is asked of a model."""
    if not (llm or urls):
        return [Finding("llm minds", Level.OK, "not asked for")]
    try:
        import_sdks()
    except InputError as error:
        return [failure("llm minds", error)]
    found = [_keys(bool(urls))]
    return found + [_reached(url) for url in urls]


def recordings(folder: Path) -> Finding:
    """Whether runs could take recorded calls from below the folder."""
    name = "llm recordings"
    if not folder.is_dir():
        return Finding(name, Level.FAIL, f"{folder} is no folder", "Name a folder of run folders")
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(name, Level.FAIL, f"{folder} cannot be read", "Is it yours?")
    found = sum(1 for _ in folder.glob("*/llm.sqlite"))
    return Finding(name, Level.OK, f"{found:,} in {folder}")


def _keys(has_urls: bool) -> Finding:
    """Which providers there are keys for; never the keys."""
    names = [name for names in DEFAULT_KEYS.values() for name in names]
    there = [name for name in names if os.environ.get(name, "").strip(", ")]
    if there:
        return Finding("llm keys", Level.OK, f"{' and '.join(there)} set")
    level = Level.NOTE if has_urls else Level.WARN
    remedy = f"Set {' or '.join(names)} for the providers of that name"
    return Finding("llm keys", level, "no key of a provider is set", remedy)


def _reached(url: str) -> Finding:
    """Whether somebody listens there."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        remedy = "Write it as http://localhost:8000/v1"
        return Finding("llm url", Level.FAIL, f"{url} is no address of a server", remedy)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), PATIENCE_S).close()
    except OSError as error:
        remedy = "Start it before runs ask it"
        return Finding("llm url", Level.WARN, f"{url}: {error.strerror or error}", remedy)
    return Finding("llm url", Level.OK, f"{url} answers")
