"""`recarena observatory` as people start it: what it says, what it refuses, how it ends."""

from __future__ import annotations

import signal
import socket

import grpc
import grpc.aio
import pytest

from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from recarena.server.rpc.tokens import TokenFile
from recarena.v1.simulation_control_service_pb2 import CreateRunRequest
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from support.callers import id_of, token
from support.certificates import Authority
from support.commands import free_port, recarena, started
from support.observatory.staged import Staged
from support.observing import Visitor, first, messages, observatory
from support.operators import a_run

pytestmark = pytest.mark.slow


async def created(address: str, token: str) -> str:
    """A run that waits to be started."""
    async with grpc.aio.insecure_channel(address) as channel:
        made = SimulationControlServiceStub(channel).CreateRun(
            CreateRunRequest(run=a_run()), metadata=(("authorization", f"Bearer {token}"),)
        )
        return (await made).run.run_id


async def test_it_waits_for_a_server_that_is_not_there_yet(tmp_path):
    server = Staged(users=20, ties=40)
    server.port = free_port()
    words = ("observatory", "--server", server.address, "--json")
    async with started(*words, cwd=tmp_path) as live:
        waiting = await live.event("waiting")
        assert waiting is not None
        assert waiting["server"] == server.address
        await server.open()
        try:
            assert await live.event("serving")
        finally:
            await server.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("watched", [False, True])
async def test_it_ends_at_once_when_told_to_also_with_pages_open(tmp_path, how, watched):
    server = Staged(users=20, ties=40)
    await server.open()
    try:
        async with observatory(server.address, cwd=tmp_path) as page:
            assert page.live is not None
            if watched:
                async with page.socket("live") as open_page:
                    await open_page.recv()
                    page.live.process.send_signal(how)
                    ended = await page.live.ended()
            else:
                page.live.process.send_signal(how)
                ended = await page.live.ended()
            assert (ended.code, ended.err) == (0, "")
    finally:
        await server.close()


async def test_it_ends_while_it_waits(tmp_path):
    words = ("observatory", "--server", f"127.0.0.1:{free_port()}", "--json")
    async with started(*words, cwd=tmp_path) as live:
        await live.event("waiting")
        live.process.send_signal(signal.SIGINT)
        ended = await live.ended()
        assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--server", "nonsense"), "--server: 'nonsense' is no HOST:PORT"),
        (("--listen", "0.0.0.0:0"), "can be reached from outside"),
        (("--listen", "127.0.0.1:99999"), "--listen"),
        (("--token-file", "missing"), "--token-file: missing cannot be read"),
        (("--tls-cert", "missing"), "the key is missing"),
        (("--tls-ca", "missing"), "missing cannot be read"),
        (("--public-url", "arena"), "--public-url: 'arena' is no address"),
        (("--run", "x"), "go together"),
        (("--bundle", "x"), "go together"),
    ],
)
async def test_a_wrong_option_is_named_in_one_line(tmp_path, words, said):
    assert said in (await recarena("observatory", *words, cwd=tmp_path)).failed()


async def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = (await recarena("observatory", "--listen", address, cwd=tmp_path)).failed()
    assert "Take another port" in line


async def test_a_host_that_is_not_there_ends_it(tmp_path):
    line = (
        await recarena("observatory", "--server", "no-such-host.invalid:7788", cwd=tmp_path)
    ).failed()
    assert "no-such-host.invalid" in line


async def test_a_server_that_wants_a_token_is_given_one_from_a_file(tmp_path):
    tokens = tmp_path / "tokens.json"
    watcher = token(tokens, Role.OBSERVER, "watcher")
    driver = token(tokens, Role.OPERATOR, "driver")
    stranger = token(tokens, Role.RECOMMENDER, "als")
    async with Server(tmp_path / "runs", security=Security(tokens=tokens)) as server:
        where = ("--server", server.address)
        line = (await recarena("observatory", *where, cwd=tmp_path)).failed()
        assert "--token-file" in line
        for name, secret in (("w", watcher), ("d", driver), ("s", stranger)):
            (tmp_path / name).write_text(secret + "\n")
        line = (await recarena("observatory", *where, "--token-file", "s", cwd=tmp_path)).failed()
        assert "as a recommender only" in line
        async with observatory(server.address, "--token-file", "w", cwd=tmp_path) as page:
            assert (await page.get("/api/me"))["role"] == "observer"
            answer = await page.command("any", "start")
            assert (answer.status, answer.error["code"]) == (403, "PERMISSION_DENIED")
            assert "observer" in answer.error["message"]
        async with observatory(server.address, "--token-file", "d", cwd=tmp_path) as page:
            assert (await page.get("/api/me"))["role"] == "operator"
            assert (await page.command("any", "start")).status == 404


async def test_a_token_that_is_refused_is_told_so_and_one_that_is_missing_is_asked_for(tmp_path):
    tokens = tmp_path / "tokens.json"
    revoked = token(tokens, Role.OPERATOR, "driver")
    TokenFile(tokens).revoke(id_of(revoked))
    unknown = token(tmp_path / "others.json", Role.OPERATOR, "driver")
    async with Server(tmp_path / "runs", security=Security(tokens=tokens)) as server:
        where = ("observatory", "--server", server.address)
        for secret in (revoked, unknown):
            (tmp_path / "t").write_text(secret)
            line = (await recarena(*where, "--token-file", "t", cwd=tmp_path)).failed()
            assert "was refused" in line
            assert "unknown or revoked" in line
            assert "recarena token new" in line
        line = (await recarena(*where, cwd=tmp_path)).failed()
        assert "wants to know who calls: give --token-file" in line
        assert "recarena token new" in line


async def test_a_token_that_is_revoked_meanwhile_is_said_once_and_shown_by_the_page(tmp_path):
    tokens = tmp_path / "tokens.json"
    driver = token(tokens, Role.OPERATOR, "driver")
    (tmp_path / "t").write_text(driver)
    async with (
        Server(tmp_path / "runs", security=Security(tokens=tokens)) as server,
        observatory(server.address, "--token-file", "t", cwd=tmp_path) as page,
    ):
        assert page.live is not None
        run = await created(server.address, driver)
        async with page.socket(run) as open_page:
            await first(open_page, "snapshot")
            TokenFile(tokens).revoke(id_of(driver))
            async for message in messages(open_page, "server"):
                if not message["reachable"]:
                    break
            assert message["message"].startswith("the token is refused by the RecArena server")
            assert f"{id_of(driver)} is revoked" in message["message"]
            answer = await page.command(run, "start")
            assert answer.error["message"] == f"the token {id_of(driver)} is revoked"
            for _ in range(3):  # each is refused anew
                assert (await page.ask("/api/runs")).status == 502
            async with page.socket(run) as another:
                assert (await first(another, "server"))["message"] == message["message"]
        page.live.process.send_signal(signal.SIGINT)
        ended = await page.live.ended()
    assert (ended.code, ended.err) == (0, "")
    said = [*page.live.events, *ended.values]
    refused = [one["message"] for one in said if one["event"] == "refused"]
    assert refused == [message["message"]]


@pytest.mark.parametrize("secret", ["ｆｕｌｌ", "rec\x1barena", "naïve"])
async def test_a_token_that_cannot_be_one_is_said_in_one_line(tmp_path, monkeypatch, secret):
    (tmp_path / "t").write_text(secret, "utf-8")
    line = (await recarena("observatory", "--token-file", "t", cwd=tmp_path)).failed()
    assert "--token-file: a token is made of plain letters" in line
    monkeypatch.setenv("RECARENA_TOKEN", secret)
    line = (await recarena("observatory", cwd=tmp_path)).failed()
    assert "$RECARENA_TOKEN: a token is made of plain letters" in line
    assert secret not in line


async def test_tls_is_spoken_where_the_authority_is_trusted(tmp_path):
    authority = Authority(tmp_path, "authority")
    made = authority.server()
    security = Security(Tls(made.certificate, made.key, None))
    async with Server(tmp_path / "runs", security=security) as server:
        where = ("--server", server.address)
        ca = authority.certificate
        async with observatory(server.address, "--tls-ca", ca, cwd=tmp_path) as page:
            assert await page.get("/api/runs") == {"runs": []}
        other = Authority(tmp_path, "other").certificate
        line = (await recarena("observatory", *where, "--tls-ca", other, cwd=tmp_path)).failed()
        assert "cannot agree on TLS" in line


async def test_a_page_behind_a_proxy_answers_to_its_public_name(tmp_path):
    server = Staged(users=20, ties=40)
    await server.open()
    try:
        public = "https://arena.example.org"
        words = ("--public-url", public)
        async with observatory(server.address, *words, cwd=tmp_path) as page:
            assert page.url.startswith("http://127.0.0.1:")
            headers = {"Host": "arena.example.org"}
            assert (await page.ask("/api/runs", headers=headers)).status == 200
            asked = {"command": "pause", "epoch": 0, "key": "k"}
            headers["Origin"] = public
            answer = await page.ask("/api/runs/nowhere/commands", asked, headers)
            assert answer.status == 404
            assert isinstance(page, Visitor)
    finally:
        await server.close()
