"""The Java client: its own tests, and its recommenders in runs of real servers."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from conformance.programs import CLIENTS, PROGRAMS, unbuilt
from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from recarena.server.types import Outcome
from recarena.v1.session_pb2 import RoundStarted
from support.arena import PATIENCE, begin, finished, program, settings
from support.callers import token
from support.certificates import Authority, with_password
from support.commands import free_port
from support.scripted_server import ScriptedServer
from support.sessions import outcomes

REASON = unbuilt("java")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]
HERE = CLIENTS / "java"
JAVA = (shutil.which("java") or "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
EXAMPLES = str(HERE / "target/lib/recarena-examples.jar")
CO_OCCURRENCE = (str(HERE / "bin/co-occurrence"),)
PYTHON = (sys.executable, str(CLIENTS / "python/examples/co_occurrence.py"))
POPULAR = HERE / "examples/src/main/java/org/recarena/examples/Popular.java"


@asynccontextmanager
async def talking(*words: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A program whose stdin and stderr are the test's; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
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
    sdk = HERE / "sdk/target"
    path = f"{sdk}/test-lib/*:{sdk}/classes:{sdk}/test-classes"
    launcher = ("org.junit.platform.console.ConsoleLauncher", "execute", "--fail-if-no-tests")
    which = ("--scan-classpath", str(sdk / "test-classes"), "--disable-ansi-colors")
    done = subprocess.run(
        [*JAVA, "-cp", path, *launcher, *which], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout[-4000:]


# ------------------------------------------------------------------------------ in runs
async def test_co_occurrence_lists_and_explains_as_in_python(tmp_path: Path):
    digests = set[str]()
    async with Server(tmp_path / "runs") as server:
        for name, command in (("java", CO_OCCURRENCE), ("python", PYTHON)):
            arm = {"id": "co", "recommender": "co", "explanations": True}
            run = await begin(server, settings(arm, rounds=3), name)
            words = (*command, "--server", server.address, "--id", "co")
            async with program(*words, log=tmp_path / name):
                digests.add(await finished(run))
    assert len(digests) == 1


async def test_the_recommender_of_the_readme_serves_a_run(tmp_path: Path):
    async with Server(tmp_path / "runs") as server:
        run = await begin(server, settings("popular"))
        words = (*JAVA, "-cp", EXAMPLES, "org.recarena.examples.Popular", server.address)
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
        code, said = await ended(*there, "--tls", "--retry-for", "0.5")
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
            (own.key, "is not the key of"),
            (own.certificate, "holds no key"),
        ):
            code, said = await ended(*words, "--tls-key", str(key))
            assert (code, len(said)) == (1, 1), said
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


async def test_a_second_signal_ends_it_at_once_though_it_is_busy():
    words = (*PROGRAMS["java"], "--server")
    async with ScriptedServer() as server, talking(*words, server.address) as process:
        stream = await (await server.accept()).begin()
        await stream.send(round_started=RoundStarted(round=100))  # trains until it has a line
        process.send_signal(signal.SIGINT)
        await stream.receive("drain")
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGINT


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--server", "nonsense"], 2, "HOST:PORT is needed"),
        (["--unknown"], 2, "no option --unknown (--help lists them)"),
        (["--tls-cert", "own.pem"], 2, "one of them is missing"),
        (["--tls-ca", "no-such.pem"], 1, "no-such.pem cannot be read"),
        (["--tls-ca", EXAMPLES], 1, "holds no certificate in PEM form"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(options: list[str], code: int, text: str):
    found, lines = await ended(*CO_OCCURRENCE, *options)
    assert (found, len(lines)) == (code, 1), lines
    assert text in lines[0]


async def test_an_unreachable_server_is_told_in_one_line_and_ends_it_where_it_may():
    nowhere = f"127.0.0.1:{free_port()}"
    code, lines = await ended(*CO_OCCURRENCE, "--server", nowhere, "--retry-for", "0.3")
    assert code == 1
    assert lines[-1] == f"no connection to {nowhere} unencrypted"


# ------------------------------------------------------------------------------ what is committed
def test_the_readme_shows_the_recommender_that_is_played_here():
    text = (HERE / "README.md").read_text("utf-8")
    assert POPULAR.read_text("utf-8") in re.findall(r"```java\n(.*?)```", text, re.DOTALL)


def test_an_artifact_with_other_bytes_than_were_committed_is_found_out(tmp_path: Path):
    repository, lib = tmp_path / "repository", tmp_path / "lib"
    for folder in (repository, lib):
        folder.mkdir()
        (folder / "one.jar").write_bytes(b"as it was")
    listed = tmp_path / "checksums.sha256"
    listed.write_text(f"{hashlib.sha256(b'as it was').hexdigest()}  one.jar\n")

    def checked() -> tuple[int, str]:
        words = (str(HERE / "Checksums.java"), "check", str(listed), str(repository), str(lib))
        done = subprocess.run([*JAVA, *words], capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stderr

    assert checked() == (0, "")
    (repository / "one.jar").write_bytes(b"as it is now")
    (lib / "two.jar").write_bytes(b"unknown")
    code, said = checked()
    assert code == 1
    assert "one.jar is not what checksums.sha256 says" in said
    assert "two.jar is not in checksums.sha256" in said


def test_the_checksums_name_artifacts_and_no_registry():
    lines = (HERE / "checksums.sha256").read_text("utf-8").splitlines()
    assert len(lines) > 100
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w./-]+\.(jar|exe)", line) for line in lines)
