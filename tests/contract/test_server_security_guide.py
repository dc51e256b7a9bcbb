"""What docs/security.md shows is done as it says, and a real recommender dials in."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest

from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from support.arena import begin, finished, recommender, settings
from support.callers import METHODS, Caller, token
from support.certificates import Pair
from support.commands import PROGRAM

CODE = grpc.StatusCode
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not here")
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
AUTHORITY, TOKENS, CLIENT = re.findall(r"```bash\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
LIST_FEEDBACK = next(method for method in METHODS if method.name == "ListFeedback")
LIST_RUNS = next(method for method in METHODS if method.name == "ListRuns")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with what the guide's commands make; its tokens are in `shown`."""
    subprocess.run(
        ["bash", "-e", "-c", AUTHORITY + TOKENS + CLIENT + 'echo "$operator $ease" > shown'],
        cwd=tmp_path, capture_output=True, check=True, timeout=60,
        env={**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    return tmp_path


async def test_the_certificates_of_the_guide_open_a_server(made):
    tls = Tls(made / "server.pem", made / "server.key", made / "ca.pem")
    async with Server(made / "runs", security=Security(tls)) as server:
        ease = Pair(made / "ease.pem", made / "ease.key")
        async with Caller(server.address, None, made / "ca.pem", ease) as caller:
            assert (await caller.ending(LIST_FEEDBACK)).code is CODE.NOT_FOUND
            assert (await caller.ending(LIST_RUNS)).code is CODE.PERMISSION_DENIED
        async with Caller(server.address, None, made / "ca.pem") as caller:
            assert (await caller.ending(LIST_FEEDBACK)).code is CODE.UNAVAILABLE


async def test_the_tokens_of_the_guide_open_a_server(made):
    operator, ease = (made / "shown").read_text().split()
    security = Security(
        Tls(made / "server.pem", made / "server.key"), made / "recarena-tokens.json"
    )
    async with Server(made / "runs", security=security) as server:
        async with Caller(server.address, operator, made / "ca.pem") as caller:
            assert (await caller.ending(LIST_RUNS)).code is CODE.OK
        async with Caller(server.address, ease, made / "ca.pem") as caller:
            assert (await caller.ending(LIST_RUNS)).code is CODE.PERMISSION_DENIED


def test_the_keys_of_the_guide_are_their_owners(made):
    for key in made.glob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600, key


async def test_a_recommender_plays_with_its_token_and_not_without(tmp_path):
    tokens = tmp_path / "tokens.json"
    shown = token(tokens, Role.RECOMMENDER, "popular")
    log, refused = tmp_path / "log", tmp_path / "refused"
    async with Server(tmp_path / "runs", security=Security(tokens=tokens)) as server:
        async with recommender(server, "popular", log=refused) as stranger:
            assert await asyncio.wait_for(stranger.wait(), 60)
        run = await begin(server, settings("popular"))
        async with recommender(server, "popular", "--token", shown, log=log):
            await finished(run)
    assert shown not in log.read_text() + refused.read_text()
