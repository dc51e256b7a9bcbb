"""Tokens for a command and the programs that it starts, at a server that asks who calls."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from recarena.evaluation.playing.processes import find_program

NAME = f"compete-{os.getpid()}"
"""The operator that this process is in the file of tokens."""


class NoTokens(Exception):
    """The file of tokens cannot be used; the text is for people."""


class Admission:
    """Gives out tokens of a file; all are taken back when the block of `by` is left. Without a file
    nobody needs one, and every token is empty."""

    def __init__(self, tokens: Path | None) -> None:
        """Use `by`."""
        self._tokens = tokens
        self._given: list[str] = []

    @classmethod
    @asynccontextmanager
    async def by(cls, tokens: Path | None) -> AsyncGenerator[Admission]:
        """For the length of a block. NoTokens where the file cannot be used."""
        admission = cls(tokens)
        try:
            yield admission
        finally:
            for one in admission._given:
                await admission._ask("revoke", one)

    async def operator(self) -> str:
        """Of this command."""
        return await self._new("--operator", NAME)

    async def recommender(self, name: str, sessions: int) -> str:
        """Of a recommender with so many sessions."""
        return await self._new("--recommender", name, "--sessions", str(sessions))

    async def _new(self, *words: str) -> str:
        if self._tokens is None:
            return ""
        made = await self._ask("new", *words)
        self._given.append(str(made["id"]))
        return str(made["token"])

    async def _ask(self, what: str, *words: str) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            find_program("recarena"), "token", what, *words,
            "--tokens", str(self._tokens), "--json",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        out, err = await process.communicate()
        if process.returncode:
            said = err.decode("utf-8", "replace").strip()
            raise NoTokens(said or f"recarena token {what} ended with {process.returncode}")
        return json.loads(out)
