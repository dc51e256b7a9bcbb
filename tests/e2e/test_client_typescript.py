"""The TypeScript client: its own tests, and its recommenders in runs of real servers."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from conformance.programs import CLIENTS, unbuilt
from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from recarena.server.types import Outcome
from recarena.v1.session_pb2 import Ping, RoundStarted
from support.arena import PATIENCE, begin, finished, program, settings
from support.callers import token
from support.certificates import Authority, with_password
from support.commands import free_port
from support.scripted_server import ScriptedServer, rank_work
from support.sessions import outcomes

REASON = unbuilt("typescript")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]
HERE = CLIENTS / "typescript"
NODE = shutil.which("node") or "node"
CO_OCCURRENCE = (NODE, str(HERE / "dist/examples/co-occurrence.js"))
PYTHON = (sys.executable, str(CLIENTS / "python/examples/co_occurrence.py"))
BUSY = """
import { readSync } from "node:fs";
import { serve } from "@recarena/client";

const line = () => readSync(0, Buffer.alloc(1));
class Busy {
  ready() { line(); }
  rank(queries) {
    if (queries.length === 3) line();
    return queries.map(() => ["item-1"]);
  }
}
await serve(() => new Busy(), "busy", { server: process.argv[1] });
"""
"""A recommender that blocks its thread until it is given a byte, in `ready` and for three users."""


@asynccontextmanager
async def talking(*words: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A program whose stdin and stderr are the test's; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *words, cwd=HERE, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(*words: str) -> tuple[int, list[str]]:
    """Exit code and lines of a program that ends by itself."""
    async with talking(*words) as process:
        _, said = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode is not None
        return process.returncode, said.decode().splitlines()


def test_its_own_tests_pass():
    done = subprocess.run(
        [NODE, "--test", "dist/test/"], cwd=HERE, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "# tests 0" not in done.stdout


# ------------------------------------------------------------------------------ in runs
async def test_co_occurrence_lists_and_explains_as_in_python(tmp_path: Path):
    digests = set[str]()
    async with Server(tmp_path / "runs") as server:
        for name, command in (("ts", CO_OCCURRENCE), ("py", PYTHON)):
            arm = {"id": "co", "recommender": "co", "explanations": True}
            run = await begin(server, settings(arm, rounds=3), name)
            words = (*command, "--server", server.address, "--id", "co")
            async with program(*words, log=tmp_path / name):
                digests.add(await finished(run))
    assert len(digests) == 1


async def test_the_recommender_of_the_readme_serves_a_run(tmp_path: Path):
    async with Server(tmp_path / "runs") as server:
        run = await begin(server, settings("popular"))
        words = (NODE, str(HERE / "dist/examples/popular.js"), server.address)
        async with program(*words, log=tmp_path / "said"):
            await finished(run)
            assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_a_token_and_an_authority_let_it_in_and_no_token_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ca, tokens = Authority(tmp_path / "ca"), tmp_path / "tokens.json"
    own, mine = ca.server(), token(tokens, Role.RECOMMENDER, "co-occurrence")
    security = Security(tls=Tls(own.certificate, own.key), tokens=tokens)
    async with Server(tmp_path / "runs", security=security) as server:
        there = (*CO_OCCURRENCE, "--server", server.address)
        trusting = (*there, "--tls-ca", str(ca.certificate))
        code, said = await ended(*trusting)
        assert code == 1
        assert "UNAUTHENTICATED" in said[-1]
        monkeypatch.setenv("RECARENA_TOKEN", mine)
        code, said = await ended(*trusting, "--id", "other")
        assert code == 1
        assert "PERMISSION_DENIED" in said[-1]
        code, said = await ended(*there, "--tls", "--retry-for", "0")
        assert code == 1
        assert "over TLS" in said[-1]
        run = await begin(server, settings("co-occurrence"))
        async with program(*trusting, log=tmp_path / "mine"):
            await finished(run)


async def test_a_certificate_of_its_own_lets_it_in(tmp_path: Path):
    ca = Authority(tmp_path / "ca")
    own, mine = ca.server(), ca.client("recarena:recommender:co-occurrence")
    security = Security(tls=Tls(own.certificate, own.key, client_ca=ca.certificate))
    async with Server(tmp_path / "runs", security=security) as server:
        run = await begin(server, settings("co-occurrence"))
        shown = ("--tls-ca", str(ca.certificate), "--tls-cert", str(mine.certificate))
        words = (*CO_OCCURRENCE, "--server", server.address, *shown)
        async with program(*words, "--tls-key", str(mine.key), log=tmp_path / "mine"):
            await finished(run)
        for key, why in (
            (with_password(mine, b"secret"), "has a password"),
            (own.key, "no certificate and its key"),
        ):
            code, said = await ended(*words, "--tls-key", str(key))
            assert (code, len(said)) == (1, 1)
            assert why in said[0]


# ------------------------------------------------------------------------------ leaving, errors
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_leaves_when_it_is_told_while_no_server_is_there(how: signal.Signals):
    async with talking(*CO_OCCURRENCE, "--server", f"127.0.0.1:{free_port()}") as process:
        assert process.stderr
        line = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
        assert b"trying again" in line
        process.send_signal(how)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        assert b"leaving" in await process.stderr.read()


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--server", "nonsense"], 1, "HOST:PORT is needed"),
        (["--unknown"], 2, "'--unknown' (--help lists the options)"),
        (["--server", "127.0.0.1:1", "--retry-for", "0"], 1, "no session at 127.0.0.1:1"),
        (["--tls-cert", "own.pem"], 1, "the key is missing"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    options: list[str], code: int, text: str, tmp_path: Path
):
    found, lines = await ended(*CO_OCCURRENCE, *options)
    assert (found, len(lines)) == (code, 1), lines
    assert text in lines[0]


# ------------------------------------------------------------------------------ a busy thread
async def test_code_that_blocks_its_thread_holds_up_no_heartbeat_and_sends_no_withdrawn_answer():
    words = (NODE, "--input-type=module", "--eval", BUSY)
    async with ScriptedServer() as server, talking(*words, server.address) as process:
        assert process.stdin

        async def heard(nonce: int) -> None:
            await stream.send(ping=Ping(nonce=nonce))
            assert (await stream.receive("pong")).nonce == nonce

        stream = await (await server.accept()).begin()
        await stream.send(round_started=RoundStarted(round=1))
        await heard(1)  # while it waits for a byte in `ready`, for which nothing is sent yet
        process.stdin.write(b".")
        await stream.receive("round_ready")
        await stream.send(rank_work=rank_work("slow", users=3))
        await heard(2)
        await stream.send(rank_work=rank_work("next", users=3))
        await stream.send(rank_work=rank_work("last", users=1))
        for work_id in ("slow", "next"):
            await stream.cancel_work(work_id)
        await heard(3)
        process.stdin.write(b".")
        assert (await stream.receive("rank_result")).work_id == "last"
        await heard(4)


# ------------------------------------------------------------------------------ what is committed
def test_the_readme_shows_the_recommender_that_is_played_here():
    text = (HERE / "README.md").read_text("utf-8")
    assert (HERE / "examples/popular.ts").read_text("utf-8") in re.findall(
        r"```ts\n(.*?)```", text, re.DOTALL
    )


def test_the_lock_file_has_hashes_and_names_no_registry():
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    assert [name for name, one in packages.items() if "integrity" not in one] == []
    assert [name for name, one in packages.items() if "resolved" in one] == []


def test_the_generated_messages_are_those_of_the_protos():
    script = CLIENTS.parent / "protos" / "generate_typescript.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout
