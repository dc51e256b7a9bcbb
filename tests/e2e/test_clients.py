"""The clients that are not Python's: their own tests, and their recommenders in real servers."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.programs import CLIENTS, PROGRAMS, RECOMMENDERS, unbuilt
from recarena.server.config import Settings
from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from recarena.server.types import Outcome
from support.arena import PATIENCE, begin, finished, program, settings, talking
from support.callers import token
from support.certificates import Authority, with_password
from support.commands import free_port
from support.sessions import outcomes

pytestmark = pytest.mark.slow
Words = tuple[str, ...]


def installed(words: Sequence[str]) -> Words:
    """The command with the path of its tool, which may stand anywhere on PATH."""
    return (shutil.which(words[0]) or words[0], *words[1:])


GO, JAVA, TYPESCRIPT = CLIENTS / "go", CLIENTS / "java", CLIENTS / "typescript"
(NODE,) = installed(["node"])
JVM = installed(["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
EXAMPLES = JAVA / "target/lib/recarena-examples.jar"
ARCHIVED = f"-XX:SharedArchiveFile={EXAMPLES.with_suffix('.jsa')}"
SDK = JAVA / "sdk/target"


@dataclass(frozen=True, slots=True)
class Client:
    """A language's client: how its programs are started, and the texts that are its own."""

    language: str
    own_tests: tuple[tuple[Words, Path], ...]
    """Programs that run them, and where."""
    some_passed: str
    """Pattern of the report of a program that had tests to run."""
    popular: Words
    """The recommender of its README, before the server's address."""
    source: Path
    """Where that recommender is kept."""
    fence: str
    """How its README marks code of the language."""
    one_try: str
    """Seconds to retry for that mean none, or few where 0 means for ever."""
    untrusted: str
    """Told last where the server's certificate is of an unknown authority."""
    keys: tuple[str, str, str]
    """Told of a key with a password, another's key, and a file without a key."""
    refused: str
    """Part of the line that says that nobody listens."""
    given_up: str
    """Pattern of the last line of all, `{server}` being where it looked."""
    wrong: tuple[tuple[Words, int, str], ...]
    """Options, the exit code that they lead to, and a part of the line."""

    @property
    def co_occurrence(self) -> Words:
        return installed(RECOMMENDERS[self.language])

    @property
    def readme(self) -> str:
        return (CLIENTS / self.language / "README.md").read_text("utf-8")


NEITHER = "no certificate and its key"
NO_PEM = "holds no certificate in PEM form"
CLIENTS_HERE = (
    Client(
        language="go",
        own_tests=(
            ((str(GO / "build/go.test"), "-test.v"), GO),
            ((str(GO / "build/co-occurrence.test"), "-test.v"), GO / "cmd/co-occurrence"),
        ),
        some_passed=r"--- PASS",
        popular=(str(GO / "build/popular"),),
        source=GO / "examples/popular/main.go",
        fence="go",
        one_try="0.3",
        untrusted="unknown authority",
        keys=("has a password", NEITHER, NEITHER),
        refused="connection refused",
        given_up=r"no session at {server}: .*connection refused.*",
        wrong=(
            (("--server", "nonsense"), 1, "host:port is needed"),
            (("--unknown",), 2, "-unknown (--help lists the options)"),
            (("--retry-for", "soon"), 2, 'invalid value "soon" for flag -retry-for'),
            (("--tls-cert", "own.pem"), 1, "the key is missing"),
            (("--tls-ca", "no-such.pem"), 1, "no-such.pem cannot be read"),
            (("--tls-ca", str(GO / "build/popular")), 1, NO_PEM),
        ),
    ),
    Client(
        language="java",
        own_tests=(
            (
                (
                    *JVM, "-cp", f"{SDK}/test-lib/*:{SDK}/classes:{SDK}/test-classes",
                    "org.junit.platform.console.ConsoleLauncher", "execute",
                    "--fail-if-no-tests", "--scan-classpath", str(SDK / "test-classes"),
                    "--disable-ansi-colors",
                ),
                JAVA,
            ),
        ),
        some_passed=r"[1-9]\d* tests successful",
        popular=(*JVM, ARCHIVED, "-cp", str(EXAMPLES), "org.recarena.examples.Popular"),
        source=JAVA / "examples/src/main/java/org/recarena/examples/Popular.java",
        fence="java",
        one_try="0",
        untrusted="over TLS",
        keys=("has a password", "is not the key of", "holds no key"),
        refused="unencrypted",
        given_up=r"no connection to {server} unencrypted",
        wrong=(
            (("--server", "nonsense"), 2, "HOST:PORT is needed"),
            (("--unknown",), 2, "no option --unknown (--help lists them)"),
            (("--retry-for", "soon"), 2, "--retry-for soon: seconds are needed"),
            (("--tls-cert", "own.pem"), 2, "one of them is missing"),
            (("--tls-ca", "no-such.pem"), 1, "no-such.pem cannot be read"),
            (("--tls-ca", str(EXAMPLES)), 1, NO_PEM),
        ),
    ),
    Client(
        language="typescript",
        own_tests=(((NODE, "--test", "dist/test/"), TYPESCRIPT),),
        some_passed=r"# tests [1-9]",
        popular=(NODE, str(TYPESCRIPT / "dist/examples/popular.js")),
        source=TYPESCRIPT / "examples/popular.ts",
        fence="ts",
        one_try="0",
        untrusted="over TLS",
        keys=("has a password", NEITHER, NEITHER),
        refused="ECONNREFUSED",
        given_up=r"no session at {server} \(unencrypted\): .*ECONNREFUSED.*",
        wrong=(
            (("--server", "nonsense"), 1, "HOST:PORT is needed"),
            (("--unknown",), 2, "'--unknown' (--help lists the options)"),
            (("--retry-for", "soon"), 1, "seconds are needed"),
            (("--server", "127.0.0.1:1", "--retry-for", "0"), 1, "no session at 127.0.0.1:1"),
            (("--tls-cert", "own.pem"), 1, "the key is missing"),
            (("--tls-ca", "no-such.pem"), 1, "no-such.pem cannot be read"),
            (("--tls-ca", str(TYPESCRIPT / "dist/examples/popular.js")), 1, NO_PEM),
        ),
    ),
)  # fmt: skip
EACH = pytest.mark.parametrize(
    "client",
    [
        pytest.param(
            client, id=client.language, marks=pytest.mark.skipif(bool(reason), reason=reason)
        )
        for client in CLIENTS_HERE
        for reason in [unbuilt(client.language)]
    ],
)


async def ended(*words: str) -> tuple[int, list[str]]:
    """Exit code and lines of a program that ends by itself."""
    async with talking(*words) as process:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode is not None
        return process.returncode, (out + err).decode().splitlines()


@EACH
def test_its_own_tests_pass(client: Client):
    for words, folder in client.own_tests:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout[-4000:]
        assert re.search(client.some_passed, done.stdout)


# ------------------------------------------------------------------------------ in runs
@dataclass(frozen=True, slots=True)
class Play:
    """A run that every language's program must serve with the same result."""

    programs: dict[str, list[str]]
    settings: Settings
    options: Words = ()

    async def digest(self, language: str, folder: Path) -> str:
        """Digest of the run where the language's program serves it."""
        async with Server(folder / "runs") as server:
            run = await begin(server, self.settings)
            words = (*installed(self.programs[language]), "--server", server.address, *self.options)
            async with program(*words, log=folder / "said"):
                return await finished(run)


EXPLAINED = {"id": "co", "recommender": "co", "explanations": True}
PLAYS = {
    "explained": Play(RECOMMENDERS, settings(EXPLAINED, rounds=3), ("--id", "co")),
    "rich": Play(PROGRAMS, settings("conformance")),
    "columnar": Play(PROGRAMS, settings("conformance"), ("--columnar",)),
}


@pytest.fixture(scope="module")
def in_python(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digest of each play where Python's program serves it: once for all languages."""
    folders = [tmp_path_factory.mktemp(name) for name in PLAYS]

    async def played() -> list[str]:
        pairs = zip(PLAYS.values(), folders, strict=True)
        return await asyncio.gather(*(play.digest("python", folder) for play, folder in pairs))

    return dict(zip(PLAYS, asyncio.run(played()), strict=True))


@EACH
async def test_co_occurrence_lists_and_explains_as_in_python(
    client: Client, in_python: dict[str, str], tmp_path: Path
):
    found = await PLAYS["explained"].digest(client.language, tmp_path)
    assert found == in_python["explained"]


@EACH
async def test_both_encodings_carry_what_they_do_in_python(
    client: Client, in_python: dict[str, str], tmp_path_factory: pytest.TempPathFactory
):
    encodings = ("rich", "columnar")
    digests = await asyncio.gather(
        *(
            PLAYS[encoding].digest(client.language, tmp_path_factory.mktemp(encoding))
            for encoding in encodings
        )
    )
    for encoding, digest in zip(encodings, digests, strict=True):
        assert digest == in_python[encoding], encoding


@EACH
async def test_the_recommender_of_the_readme_serves_a_run(client: Client, tmp_path: Path):
    async with Server(tmp_path / "runs") as server:
        run = await begin(server, settings("popular"))
        async with program(*client.popular, server.address, log=tmp_path / "said"):
            await finished(run)
            assert set(outcomes(run)) == {Outcome.ACCEPTED}


@EACH
def test_the_readme_shows_the_recommender_that_is_played_here(client: Client):
    shown = re.findall(rf"```{client.fence}\n(.*?)```", client.readme, re.DOTALL)
    assert client.source.read_text("utf-8") in shown


@EACH
async def test_a_token_and_an_authority_let_it_in_and_no_token_does_not(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ca, tokens = Authority(tmp_path / "ca"), tmp_path / "tokens.json"
    own, mine = ca.server(), token(tokens, Role.RECOMMENDER, "co-occurrence")
    security = Security(tls=Tls(own.certificate, own.key), tokens=tokens)
    async with Server(tmp_path / "runs", security=security) as server:
        there = (*client.co_occurrence, "--server", server.address)
        trusting = (*there, "--tls-ca", str(ca.certificate))
        stranger = await ended(*trusting)
        monkeypatch.setenv("RECARENA_TOKEN", mine)
        run = await begin(server, settings("co-occurrence"))
        async with program(*trusting, log=tmp_path / "mine"):
            poser, wary = await asyncio.gather(
                ended(*trusting, "--id", "other"),
                ended(*there, "--tls", "--retry-for", client.one_try),
            )
            await finished(run)
    for (code, said), why in (
        (stranger, "UNAUTHENTICATED"),
        (poser, "PERMISSION_DENIED"),
        (wary, client.untrusted),
    ):
        assert code == 1, said
        assert why in said[-1]


@EACH
async def test_a_certificate_of_its_own_lets_it_in(client: Client, tmp_path: Path):
    ca = Authority(tmp_path / "ca")
    own, mine = ca.server(), ca.client("recarena:recommender:co-occurrence")
    security = Security(tls=Tls(own.certificate, own.key, client_ca=ca.certificate))
    async with Server(tmp_path / "runs", security=security) as server:
        run = await begin(server, settings("co-occurrence"))
        shown = ("--tls-ca", str(ca.certificate), "--tls-cert", str(mine.certificate))
        words = (*client.co_occurrence, "--server", server.address, *shown, "--tls-key")
        keys = (with_password(mine, b"secret"), own.key, own.certificate)
        async with program(*words, str(mine.key), log=tmp_path / "mine"):
            all_said = await asyncio.gather(*(ended(*words, str(key)) for key in keys))
            await finished(run)
    for (code, said), why in zip(all_said, client.keys, strict=True):
        assert (code, len(said)) == (1, 1), said
        assert why in said[0]


# ------------------------------------------------------------------------------ leaving, errors
@EACH
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
async def test_it_leaves_when_it_is_told_while_no_server_is_there(
    client: Client, how: signal.Signals
):
    words = (*client.co_occurrence, "--server", f"127.0.0.1:{free_port()}")
    async with talking(*words) as process:
        assert process.stderr
        line = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
        assert b"trying again" in line
        assert client.refused.encode() in line
        process.send_signal(how)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        assert b"leaving" in await process.stderr.read()


@EACH
async def test_what_is_wrong_is_said_in_one_line(client: Client):
    all_said = await asyncio.gather(
        *(ended(*client.co_occurrence, *options) for options, _, _ in client.wrong)
    )
    for (found, lines), (options, code, text) in zip(all_said, client.wrong, strict=True):
        assert (found, len(lines)) == (code, 1), (options, lines)
        assert text in lines[0], options


@EACH
async def test_a_server_that_is_not_there_is_given_up_where_that_is_wanted(client: Client):
    nowhere = f"127.0.0.1:{free_port()}"
    words = (*client.co_occurrence, "--server", nowhere, "--retry-for", "0.3")
    code, lines = await ended(*words)
    assert code == 1
    assert re.fullmatch(client.given_up.format(server=re.escape(nowhere)), lines[-1])
