"""`recarena serve` and `recarena token`: certificates, files of tokens, and open doors."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.server.rpc.tokens import TokenBook
from support.callers import METHODS, Caller, id_of
from support.certificates import Authority, with_password
from support.commands import recarena, started

CODE = grpc.StatusCode
LIST_RUNS = next(method for method in METHODS if method.name == "ListRuns")


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@asynccontextmanager
async def served(*options: object, cwd: Path):
    """A server under way with these options, and its address."""
    async with started("serve", "--listen", "127.0.0.1:0", "--json", *options, cwd=cwd) as live:
        serving = await live.event("serving")
        if serving is None:
            raise AssertionError((await live.ended()).err)
        yield serving
        live.process.send_signal(signal.SIGINT)
        ended = await live.ended()
        assert ended.code == 0, ended


async def new_token(cwd: Path, *words: object) -> str:
    """What a shell variable would hold."""
    return (await recarena("token", "new", *words, cwd=cwd)).went_well().out.rstrip("\n")


# ------------------------------------------------------------------------------ tokens
async def test_a_token_is_made_used_listed_and_taken_back(tmp_path):
    shown = await new_token(tmp_path, "--operator", "me", "--days", "7", "--sessions", "3")
    file = tmp_path / "recarena-tokens.json"
    assert file.stat().st_mode & 0o777 == 0o600
    found = TokenBook(file).find(shown)
    assert found
    assert found.max_sessions == 3
    assert timedelta(days=6) < found.expires - datetime.now(UTC) <= timedelta(days=7)
    async with served("--tokens", file, cwd=tmp_path) as serving:
        assert serving["asks_who_calls"] is True
        async with Caller(serving["address"], shown) as caller:
            assert (await caller.ending(LIST_RUNS)).code is CODE.OK
            (await recarena("token", "revoke", found.id, cwd=tmp_path)).went_well()
            assert (await caller.ending(LIST_RUNS)).code is CODE.UNAUTHENTICATED
    listed = (await recarena("token", "list", "--json", cwd=tmp_path)).went_well()
    assert (listed.value["id"], listed.value["state"]) == (found.id, "revoked")
    table = (await recarena("token", "list", cwd=tmp_path)).went_well()
    for out in (listed.out, table.out):
        assert found.id in out
        assert shown.split("_", 2)[2] not in out
        assert found.sha256 not in out


async def test_a_token_for_machines_is_an_object(tmp_path):
    words = "token", "new", "--recommender", "ease", "--tokens", "mine.json", "--json"
    made = (await recarena(*words, cwd=tmp_path)).went_well().value
    assert made["role"] == "recommender"
    assert made["name"] == "ease"
    assert made["id"] == id_of(made["token"])
    assert (tmp_path / "mine.json").exists()


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("token", "new"), "--recommender NAME"),
        (("token", "new", "--operator", "a", "--observer", "b"), "--recommender NAME"),
        (("token", "new", "--operator", "No Name"), "--operator"),
        (("token", "new", "--operator", "a", "--tokens", "no/such/folder.json"), "--tokens FILE"),
        (("token", "list"), "recarena token new"),
        (("token", "revoke", "0" * 8), "recarena token new"),
    ],
)
async def test_a_bad_command_is_one_line_with_a_remedy(tmp_path, words, remedy):
    assert remedy in (await recarena(*words, cwd=tmp_path)).failed()


# ------------------------------------------------------------------------------ certificates
async def test_a_server_with_a_certificate_speaks_tls_only(tmp_path, ca):
    pair = ca.server()
    words = "--tls-cert", pair.certificate, "--tls-key", pair.key
    async with served(*words, cwd=tmp_path) as serving:
        assert serving["tls"] is True
        async with Caller(serving["address"], ca=ca.certificate) as caller:
            assert (await caller.ending(LIST_RUNS)).code is CODE.OK
        async with Caller(serving["address"]) as plain:
            assert (await plain.ending(LIST_RUNS)).code is CODE.UNAVAILABLE
        other = Authority(tmp_path / "other")
        async with Caller(serving["address"], ca=other.certificate) as wary:
            assert (await wary.ending(LIST_RUNS)).code is CODE.UNAVAILABLE


async def test_a_server_may_ask_for_certificates_and_tokens(tmp_path, ca):
    pair, client = ca.server(), ca.client("recarena:operator:me")
    shown = await new_token(tmp_path, "--operator", "me")
    words = "--tls-cert", pair.certificate, "--tls-key", pair.key, "--client-ca", ca.certificate
    async with served(*words, "--tokens", "recarena-tokens.json", cwd=tmp_path) as serving:
        async with Caller(serving["address"], shown, ca.certificate, client) as caller:
            assert (await caller.ending(LIST_RUNS)).code is CODE.OK
        async with Caller(serving["address"], None, ca.certificate, client) as caller:
            assert (await caller.ending(LIST_RUNS)).code is CODE.UNAUTHENTICATED
        async with Caller(serving["address"], shown, ca.certificate) as caller:
            assert (await caller.ending(LIST_RUNS)).code is CODE.UNAVAILABLE


def files(folder: Path) -> dict[str, dict[str, Any]]:
    """Options that are wrong, by what is wrong with them."""
    ca = Authority(folder / "ca")
    good, other = ca.server(), ca.server(name="other")
    late = ca.server(lifetime=timedelta(days=-1), name="late")
    old = Authority(folder / "old", lifetime=timedelta(days=-1))
    (folder / "empty.pem").write_text("")
    ours: dict[str, Any] = {"tls-cert": good.certificate, "tls-key": good.key}
    return {
        "no certificate": {**ours, "tls-cert": folder / "none.pem"},
        "a folder": {**ours, "tls-cert": folder},
        "an empty certificate": {**ours, "tls-cert": folder / "empty.pem"},
        "a key for a certificate": {**ours, "tls-cert": good.key},
        "an expired certificate": {"tls-cert": late.certificate, "tls-key": late.key},
        "no key": {**ours, "tls-key": folder / "none.key"},
        "a certificate for a key": {**ours, "tls-key": good.certificate},
        "another key": {**ours, "tls-key": other.key},
        "a key with a password": {**ours, "tls-key": with_password(good, b"secret")},
        "no authority": {**ours, "client-ca": folder / "none.pem"},
        "an expired authority": {**ours, "client-ca": old.certificate},
        "no authority's certificate": {**ours, "client-ca": other.certificate},
        "a key alone": {"tls-key": good.key},
        "a certificate alone": {"tls-cert": good.certificate},
        "an authority alone": {"client-ca": ca.certificate},
        "no tokens": {"tokens": folder / "none.json"},
        "tokens that are none": {"tokens": folder / "empty.pem"},
    }


WRONG = {
    "no certificate": ("--tls-cert", "No such file"),
    "a folder": ("--tls-cert", "cannot be read"),
    "an empty certificate": ("--tls-cert", "no certificate in PEM"),
    "a key for a certificate": ("--tls-cert", "no certificate in PEM"),
    "an expired certificate": ("--tls-cert", "expired on"),
    "no key": ("--tls-key", "No such file"),
    "a certificate for a key": ("--tls-key", "no private key"),
    "another key": ("--tls-key", "not the key of the certificate"),
    "a key with a password": ("--tls-key", "openssl pkey"),
    "no authority": ("--client-ca", "No such file"),
    "an expired authority": ("--client-ca", "expired on"),
    "no authority's certificate": ("--client-ca", "no certificate of an authority"),
    "a key alone": ("--tls-key", "needs --tls-cert"),
    "a certificate alone": ("--tls-cert", "needs --tls-key"),
    "an authority alone": ("--client-ca", "needs --tls-cert and --tls-key"),
    "no tokens": ("--tokens", "recarena token new"),
    "tokens that are none": ("--tokens", "no file of tokens"),
}


async def test_wrong_files_are_refused_with_the_option_and_a_remedy(tmp_path):
    made = files(tmp_path)
    assert set(made) == set(WRONG)

    async def said(options: dict[str, Any]) -> str:
        words = [word for name, path in options.items() for word in (f"--{name}", path)]
        return (await recarena("serve", "--listen", "127.0.0.1:0", *words, cwd=tmp_path)).failed()

    limit = asyncio.Semaphore(3)

    async def one(kind: str) -> None:
        async with limit:
            line = await said(made[kind])
        assert line.startswith(f"recarena: {WRONG[kind][0]}"), (kind, line)
        assert WRONG[kind][1] in line, (kind, line)

    await asyncio.gather(*map(one, made))


# ------------------------------------------------------------------------------ open doors
async def test_off_loopback_a_server_wants_tls_and_to_know_who_calls(tmp_path, ca):
    pair = ca.server()
    await new_token(tmp_path, "--operator", "me")
    tls = "--tls-cert", pair.certificate, "--tls-key", pair.key
    tokens = "--tokens", tmp_path / "recarena-tokens.json"
    cases = {(): "--tls-cert", tokens: "in the clear", tls: "--tokens or --client-ca"}
    for options, words in cases.items():
        for host in ("0.0.0.0", "[::]"):
            line = await recarena("serve", "--listen", f"{host}:0", *options, cwd=tmp_path)
            assert words in line.failed()
            assert "--insecure" in line.failed()
    for options in ((*tls, *tokens), ("--insecure",)):
        words = "serve", "--listen", "0.0.0.0:0", "--json", *options
        async with started(*words, cwd=tmp_path) as live:
            assert await live.event("serving")


async def test_an_open_server_says_that_it_is_open(tmp_path):
    async with started("serve", "--listen", "127.0.0.1:0", cwd=tmp_path) as live:
        assert live.process.stderr
        said = [(await live.process.stderr.readline()).decode() for _ in range(2)]
        assert "asks for no token" in said[1]
