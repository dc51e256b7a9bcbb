"""The Go client: its own tests, and its recommenders in runs of real servers."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.programs import CLIENTS, PROGRAMS, unbuilt
from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from recarena.server.types import Outcome
from support.arena import PATIENCE, begin, finished, program, settings
from support.callers import token
from support.certificates import Authority, with_password
from support.commands import free_port
from support.sessions import outcomes

REASON = unbuilt("go")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]
HERE = CLIENTS / "go"
BUILD = HERE / "build"
CO_OCCURRENCE = (str(BUILD / "co-occurrence"),)
PYTHON = (sys.executable, str(CLIENTS / "python/examples/co_occurrence.py"))


async def ended(*words: str, log: Path) -> tuple[int, list[str]]:
    """Exit code and lines of a program that ends by itself."""
    async with program(*words, log=log) as process:
        code = await asyncio.wait_for(process.wait(), PATIENCE)
    return code, lines_of(log)


def lines_of(log: Path) -> list[str]:
    return log.read_text().splitlines()


@pytest.mark.parametrize(
    ("tests", "folder"), [("go.test", "."), ("co-occurrence.test", "cmd/co-occurrence")]
)
def test_its_own_tests_pass(tests: str, folder: str):
    done = subprocess.run(
        [BUILD / tests, "-test.v"], cwd=HERE / folder, capture_output=True, text=True,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    assert "--- PASS" in done.stdout


# ------------------------------------------------------------------------------ in runs
async def test_co_occurrence_lists_and_explains_as_in_python(tmp_path: Path):
    digests = set[str]()
    async with Server(tmp_path / "runs") as server:
        for name, command in (("go", CO_OCCURRENCE), ("py", PYTHON)):
            arm = {"id": "co", "recommender": "co", "explanations": True}
            run = await begin(server, settings(arm, rounds=3), name)
            words = (*command, "--server", server.address, "--id", "co")
            async with program(*words, log=tmp_path / name):
                digests.add(await finished(run))
    assert len(digests) == 1


async def test_the_recommender_of_the_readme_serves_a_run(tmp_path: Path):
    async with Server(tmp_path / "runs") as server:
        run = await begin(server, settings("popular"))
        async with program(str(BUILD / "popular"), server.address, log=tmp_path / "said"):
            await finished(run)
            assert set(outcomes(run)) == {Outcome.ACCEPTED}


@pytest.mark.parametrize("options", [(), ("--columnar",)], ids=["rich", "columnar"])
async def test_both_encodings_carry_what_they_do_in_python(
    tmp_path: Path, options: tuple[str, ...]
):
    digests = set[str]()
    async with Server(tmp_path / "runs") as server:
        for name in ("go", "python"):
            run = await begin(server, settings("conformance"), name)
            words = (*PROGRAMS[name], "--server", server.address, *options)
            async with program(*words, log=tmp_path / name):
                digests.add(await finished(run))
    assert len(digests) == 1


async def test_a_token_and_an_authority_let_it_in_and_no_token_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ca, tokens = Authority(tmp_path / "ca"), tmp_path / "tokens.json"
    own, mine = ca.server(), token(tokens, Role.RECOMMENDER, "co-occurrence")
    security = Security(tls=Tls(own.certificate, own.key), tokens=tokens)
    async with Server(tmp_path / "runs", security=security) as server:
        there = (*CO_OCCURRENCE, "--server", server.address)
        trusting = (*there, "--tls-ca", str(ca.certificate))
        code, said = await ended(*trusting, log=tmp_path / "stranger")
        assert code == 1
        assert "UNAUTHENTICATED" in said[-1]
        monkeypatch.setenv("RECARENA_TOKEN", mine)
        code, said = await ended(*trusting, "--id", "other", log=tmp_path / "poser")
        assert code == 1
        assert "PERMISSION_DENIED" in said[-1]
        code, said = await ended(*there, "--tls", "--retry-for", "0.3", log=tmp_path / "wary")
        assert code == 1
        assert "unknown authority" in said[-1]
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
        locked = with_password(mine, b"secret")
        code, said = await ended(*words, "--tls-key", str(locked), log=tmp_path / "locked")
        assert (code, len(said)) == (1, 1)
        assert "has a password" in said[0]


# ------------------------------------------------------------------------------ leaving, errors
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_leaves_when_it_is_told_while_no_server_is_there(how: signal.Signals):
    process = await asyncio.create_subprocess_exec(
        *CO_OCCURRENCE, "--server", f"127.0.0.1:{free_port()}", stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr
        line = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
        assert b"trying again" in line
        assert b"connection refused" in line
        process.send_signal(how)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--server", "nonsense"], 1, "host:port is needed"),
        (["--unknown"], 2, "-unknown (--help lists the options)"),
        (["--retry-for", "soon"], 2, 'invalid value "soon" for flag -retry-for'),
        (["--tls-cert", "own.pem"], 1, "the key is missing"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    options: list[str], code: int, text: str, tmp_path: Path
):
    found, lines = await ended(*CO_OCCURRENCE, *options, log=tmp_path / "said")
    assert (found, len(lines)) == (code, 1), lines
    assert text in lines[0]


async def test_a_server_that_is_not_there_is_given_up_where_that_is_wanted(tmp_path: Path):
    words = ("--server", f"127.0.0.1:{free_port()}", "--retry-for", "0.3")
    code, lines = await ended(*CO_OCCURRENCE, *words, log=tmp_path / "said")
    assert code == 1
    assert re.match(r"no session at .*: .*connection refused", lines[-1])


# ------------------------------------------------------------------------------ what is committed
def test_the_sources_are_formatted():
    gofmt = shutil.which("gofmt")
    if gofmt is None:
        pytest.skip("there is no gofmt here: install Go 1.24 or newer")
    done = subprocess.run([gofmt, "-l", "."], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_every_module_is_pinned_by_a_hash_and_none_is_replaced():
    pinned = (HERE / "go.sum").read_text().splitlines()
    assert pinned
    assert all(re.fullmatch(r"\S+ v\S+ h1:[A-Za-z0-9+/]{43}=", line) for line in pinned)
    assert "replace" not in (HERE / "go.mod").read_text()


def test_the_generated_messages_are_those_of_the_protos():
    if shutil.which("go") is None:
        pytest.skip("there is no Go here: install Go 1.24 or newer")
    script = CLIENTS.parent / "protos" / "generate_go.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout
