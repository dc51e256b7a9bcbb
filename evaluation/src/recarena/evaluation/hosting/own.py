"""The tokens that the competition server itself calls with: made when it starts, taken back when
it ends."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.hosting.tokens import TokenBook
from recarena.evaluation.playing.processes import find_program

FILE = "own-tokens.json"
"""Ids of those that are given out: after a kill they are taken back by the next start."""
OPERATOR = "competition"
DAYS = 365


@asynccontextmanager
async def own_tokens(
    folder: Path, tokens: Path, recommenders: Sequence[str]
) -> AsyncGenerator[tuple[str, dict[str, str]]]:
    """The operator's token, and one for each of these recommenders, by name. BadCompetition where
    the file of tokens cannot be written."""
    await _take_back(folder, tokens)
    made: list[str] = []

    async def new(role: str, name: str) -> str:
        said = json.loads(await _run("new", f"--{role}", name, "--days", str(DAYS), tokens=tokens))
        made.append(str(said["id"]))
        _note(folder, made)
        return str(said["token"])

    try:
        operator = await new("operator", OPERATOR)
        yield operator, {name: await new("recommender", name) for name in recommenders}
    finally:
        await asyncio.shield(_take_back(folder, tokens))


async def _take_back(folder: Path, tokens: Path) -> None:
    path = folder / FILE
    if not path.exists():
        return
    try:
        ids = list(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadCompetition(
            f"{path}: {error}; revoke the tokens of {OPERATOR} with recarena token revoke, and "
            "remove the file"
        ) from None
    known = TokenBook(tokens)  # others open nothing
    tried = await asyncio.gather(
        *(_run("revoke", str(id), tokens=tokens) for id in ids if known.has(str(id))),
        return_exceptions=True,
    )
    for failure in tried:
        if isinstance(failure, BaseException):
            raise failure
    path.unlink()


def _note(folder: Path, ids: Sequence[str]) -> None:
    half = folder / f".{FILE}.new"
    half.write_text(json.dumps(ids) + "\n", "utf-8")
    os.replace(half, folder / FILE)


async def _run(*words: str, tokens: Path) -> str:
    """What `recarena token` says."""
    process = await asyncio.create_subprocess_exec(
        find_program("recarena"), "token", *words, "--tokens", str(tokens), "--json",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    out, said = await process.communicate()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise BadCompetition(f"serve.tokens: {lines[-1].removeprefix('recarena: ')}")
    return out.decode()
