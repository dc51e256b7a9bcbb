"""A competition server as a program of its own, and entrants that call it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from recarena.evaluation.hosting.command import app
from recarena.server.rpc.callers import Role
from support.arena import PATIENCE, PROGRAMS
from support.callers import token
from support.commands import Ended, Live, started
from support.kit import KIT

TINY = {
    "worlds": {"hidden": 2, "users": 30, "rounds": 3},
    "practice": {"worlds": 1},
    "entrants": {"requests_per_minute": 1000, "max_submissions_per_day": 20},
}


def toml(name: str, **tables: Mapping[str, Any] | object) -> str:
    """A competition.toml of these tables; what is no table stands at the top."""
    given = {key: value for key, value in tables.items() if isinstance(value, Mapping)}
    top = {key: value for key, value in tables.items() if key not in given}
    lines = [f'name = "A competition"\nseason = "{name}"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    serve = {"listen": "127.0.0.1:0", "http": "127.0.0.1:0", **dict(given.pop("serve", {}))}
    for title, table in {**given, "serve": serve}.items():
        lines.append(f"[{title}]")
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_value(one)}" for key, one in value.items())
        return "{ " + inner + " }"
    return json.dumps(value)


def written(folder: Path, name: str = "spring", **tables: Any) -> Path:
    """The file of a tiny competition, with these tables over the usual ones."""
    merged: dict[str, Any] = {"baselines": [], **TINY}
    for key, value in tables.items():
        before = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[key] = {**before, **value} if both else value
    file = folder / "competition.toml"
    file.write_text(toml(name, **merged))
    return file


@dataclass
class Answer:
    """What the server said to one request."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


@dataclass
class Host:
    """A competition server under way."""

    live: Live
    folder: Path
    """Where competition.toml and the tokens are."""
    about: dict[str, Any]
    """What it said when it was up: http, grpc, commitment."""
    ca: Path | None = None
    served: list[bytes] = field(default_factory=list)
    """Everything that was answered over HTTP."""

    @property
    def season(self) -> Path:
        return self.folder / "spring"

    def token(self, name: str, role: Role = Role.RECOMMENDER, days: float = 1) -> str:
        """A new token of the file that the server reads."""
        return token(self.folder / "recarena-tokens.json", role, name, days)

    async def ask(
        self, path: str, token: str = "", body: object | None = None, method: str = ""
    ) -> Answer:
        """A request; with a body it is a POST."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.about["http"] + path, None if body is None else raw,
            {"Authorization": f"Bearer {token}"} if token else {}, method=method or None,
        )  # fmt: skip

        def call() -> Answer:
            context = ssl.create_default_context(cafile=self.ca) if self.ca else None
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            try:
                with opener.open(request, timeout=PATIENCE) as answer:
                    return Answer(answer.status, answer.read(), dict(answer.headers))
            except urllib.error.HTTPError as error:
                with error:
                    return Answer(error.code, error.read(), dict(error.headers))

        found = await asyncio.to_thread(call)
        self.served.append(found.body + json.dumps(found.headers).encode())
        return found

    async def submit(self, token: str, track: str = "hidden", version: str = "") -> dict[str, Any]:
        """A submission that is taken."""
        made = await self.ask("/api/submissions", token, {"track": track, "version": version})
        assert made.status == 201, made.body
        return made.json

    async def status(self, id: str, token: str) -> dict[str, Any]:
        return (await self.ask(f"/api/submissions/{id}", token)).json

    async def ended(self, id: str, token: str) -> dict[str, Any]:
        """The submission when nothing more becomes of it."""
        async with asyncio.timeout(2 * PATIENCE):
            while True:
                one = (await self.ask(f"/api/submissions/{id}?wait=30", token)).json
                if one["status"] not in ("queued", "playing"):
                    return one

    async def played(self, token: str, track: str = "hidden", version: str = "") -> dict[str, Any]:
        """A submission to its end."""
        return await self.ended((await self.submit(token, track, version))["id"], token)

    def run(self, id: str, world: int) -> Path:
        return self.season / "runs" / f"{id}-{world}"

    async def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Its exit code."""
        self.live.process.send_signal(how)
        return (await self.live.ended()).code


async def command(*words: object, cwd: Path) -> Ended:
    """`recarena competition …` in this process: the same, without the wait for its imports."""

    def run() -> Ended:
        with contextlib.chdir(cwd):
            found = CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})
        if found.exception and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Ended(found.exit_code, found.stdout, found.stderr)

    return await asyncio.to_thread(run)


@contextlib.asynccontextmanager
async def hosted(folder: Path, ca: Path | None = None) -> AsyncIterator[Host]:
    """Serves the competition of a folder; it has ended afterwards."""
    words = ("competition", "serve", "--config", "competition.toml", "--json")
    async with started(*words, cwd=folder) as live:
        about = await live.event("serving")
        assert about, (await live.ended(), live.events)
        host = Host(live, folder, about, ca)
        try:
            yield host
        finally:
            if live.process.returncode is None:
                await host.stop()


@contextlib.asynccontextmanager
async def entrant(
    host: Host, name: str, token: str, *words: str, server: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A reference recommender, `random` unless said otherwise, under an entrant's name."""
    line = words or ("random", "--no-search")
    async with _program(
        host, name, token, str(PROGRAMS / "recarena-recommender"), *line, server=server
    ) as process:
        yield process


@contextlib.asynccontextmanager
async def misbehaving(
    host: Host, name: str, token: str, *switches: object
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The recommender of tests/faults under an entrant's name."""
    words = (sys.executable, str(KIT), "--token", token, "--quiet", *map(str, switches))
    async with _program(host, name, token, *words) as process:
        yield process


@contextlib.asynccontextmanager
async def _program(
    host: Host, name: str, token: str, *words: str, server: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    with (host.folder / f"{name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *words, "--id", name, "--server", server or host.about["grpc"],
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "RECARENA_TOKEN": token},
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
