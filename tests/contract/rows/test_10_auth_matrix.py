"""Every method of the contract, called by everybody who may not, and by everybody who may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.server.rpc.allowance import Rate
from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from recarena.server.rpc.tokens import TokenFile
from recarena.v1 import recommender_service_pb2 as recommender_pb
from recarena.v1.session_pb2 import CAPABILITY_RANK, Register
from support.callers import METHODS, Caller, id_of, roles_of, token
from support.certificates import Authority

CODE = grpc.StatusCode
GARBAGE = {
    "of another form": "letmein",
    "empty": "",
    "never given out": "rct_00000000_" + "A" * 43,
    "long": "rct_00000000_" + "A" * 4000,
}
MANY = Rate(per_second=1e6, burst=1e6)
"""The matrix asks more often than one may."""


def method_named(name: str) -> Any:
    return next(method for method in METHODS if method.name == name)


@dataclass
class Place:
    """A server that asks for tokens, certificates or both, and those who give them out."""

    folder: Path
    server: Server
    ca: Authority

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens.json"

    def caller(self, shown: str | None = None, certificate: Any = None) -> Caller:
        return Caller(self.server.address, shown, self.ca.certificate, certificate)


@asynccontextmanager
async def place(folder: Path, *, tokens: bool, certificates: bool) -> AsyncIterator[Place]:
    ca = Authority(folder / "ca")
    own = ca.server()
    if tokens:
        token(folder / "tokens.json", Role.OPERATOR, "first")
    security = Security(
        Tls(own.certificate, own.key, ca.certificate if certificates else None),
        folder / "tokens.json" if tokens else None,
        calls=MANY, failures=MANY,
    )  # fmt: skip
    async with Server(folder / "runs", security=security) as server:
        yield Place(folder, server, ca)


@pytest.fixture
async def by_token(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path, tokens=True, certificates=False) as made:
        yield made


@pytest.fixture
async def by_certificate(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path, tokens=False, certificates=True) as made:
        yield made


@pytest.fixture
async def by_both(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path, tokens=True, certificates=True) as made:
        yield made


async def refused_everywhere(caller: Caller, *outcomes: tuple[grpc.StatusCode, str]) -> int:
    """Every method refuses the caller in one of these ways; how many were asked."""
    async with caller:
        for method in METHODS:
            ended = await caller.ending(method)
            assert (ended.code, ended.reason) in outcomes, (method.full_name, ended)
    return len(METHODS)


def told(capsys: pytest.CaptureFixture[str], cases: int) -> None:
    assert cases
    with capsys.disabled():
        print(f" [{cases} cases]", end="")


# ------------------------------------------------------------------------------ tokens
async def test_no_method_answers_a_caller_without_a_token(by_token, capsys):
    cases = await refused_everywhere(by_token.caller(), (CODE.UNAUTHENTICATED, "NO_CREDENTIALS"))
    told(capsys, cases)


@pytest.mark.parametrize("kind", GARBAGE)
async def test_no_method_answers_a_token_that_is_none(by_token, kind, capsys):
    caller = by_token.caller(GARBAGE[kind])
    told(capsys, await refused_everywhere(caller, (CODE.UNAUTHENTICATED, "BAD_TOKEN")))


@pytest.mark.parametrize("role", Role)
async def test_no_method_answers_an_expired_token_of_any_role(by_token, role, capsys):
    caller = by_token.caller(token(by_token.tokens, role, "late", days=-1))
    told(capsys, await refused_everywhere(caller, (CODE.UNAUTHENTICATED, "TOKEN_EXPIRED")))


@pytest.mark.parametrize("role", Role)
async def test_no_method_answers_a_revoked_token_of_any_role(by_token, role, capsys):
    taken = token(by_token.tokens, role, "gone")
    TokenFile(by_token.tokens).revoke(id_of(taken))
    caller = by_token.caller(taken)
    told(capsys, await refused_everywhere(caller, (CODE.UNAUTHENTICATED, "TOKEN_REVOKED")))


@pytest.mark.parametrize("role", Role)
async def test_no_method_answers_the_id_of_a_token_with_the_secret_of_another(
    by_token, role, capsys
):
    one, other = (token(by_token.tokens, role, name) for name in ("one", "other"))
    caller = by_token.caller(f"rct_{id_of(one)}_{other.split('_', 2)[2]}")
    told(capsys, await refused_everywhere(caller, (CODE.UNAUTHENTICATED, "BAD_TOKEN")))


async def test_a_stranger_is_not_told_whether_an_id_exists(by_token):
    known = id_of(token(by_token.tokens, Role.OPERATOR, "known", days=-1))
    words = []
    for id in (known, "0" * 8):
        async with by_token.caller(f"rct_{id}_{'A' * 43}") as caller:
            words.append((await caller.ending(method_named("ListRuns"))).status)
    assert words[0] == words[1]


@pytest.mark.parametrize("role", Role)
async def test_each_method_lets_in_the_roles_that_the_contract_names_and_no_other(
    by_token, role, capsys
):
    let_in = 0
    async with by_token.caller(token(by_token.tokens, role, "somebody")) as caller:
        for method in METHODS:
            ended = await caller.ending(method)
            if role in roles_of(method):
                assert ended.code not in (CODE.UNAUTHENTICATED, CODE.PERMISSION_DENIED), method.name
                let_in += 1
            else:
                outcome = ended.code, ended.reason
                assert outcome == (CODE.PERMISSION_DENIED, "WRONG_ROLE"), method.name
    assert 0 < let_in < len(METHODS)
    told(capsys, len(METHODS))


def test_every_method_is_in_the_matrix():
    assert {method.full_name for method in METHODS} >= {
        "recarena.v1.RecommenderService.Connect",
        "recarena.v1.SimulationControlService.ForkRun",
        "recarena.v1.SimulationObserveService.ListMemories",
        "recarena.v1.SimulationInquiryService.AskUsers",
    }
    assert len(METHODS) >= 19
    for method in METHODS:
        assert roles_of(method), method.full_name


@pytest.mark.parametrize(("name", "code"), [("b", CODE.PERMISSION_DENIED), ("a", None)])
async def test_a_recommender_serves_by_its_own_name_only(by_token, name, code):
    register = recommender_pb.ConnectRequest(
        register=Register(recommender_id=name, capabilities=[CAPABILITY_RANK])
    )
    async with by_token.caller(token(by_token.tokens, Role.RECOMMENDER, "a")) as caller:
        call = caller.call(method_named("Connect"), register)
        if code:
            assert await call.code() is code
            return
        # It has no run to serve: it waits, until its stream is closed from here.
        call.cancel()
        assert await call.code() is CODE.CANCELLED


# ------------------------------------------------------------------------------ certificates
async def test_no_method_answers_a_caller_without_a_certificate(by_certificate, capsys):
    caller = by_certificate.caller()
    told(capsys, await refused_everywhere(caller, (CODE.UNAVAILABLE, "")))


async def test_no_method_answers_a_certificate_of_another_authority(by_certificate, capsys):
    other = Authority(by_certificate.folder / "other")
    shown = other.client("recarena:operator:me")
    caller = by_certificate.caller(certificate=shown)
    told(capsys, await refused_everywhere(caller, (CODE.UNAVAILABLE, "")))


@pytest.mark.parametrize("role", Role)
async def test_no_method_answers_an_expired_certificate(by_certificate, role, capsys):
    shown = by_certificate.ca.client(
        f"recarena:{role.name.lower()}:late", lifetime=timedelta(days=-1)
    )
    caller = by_certificate.caller(certificate=shown)
    told(capsys, await refused_everywhere(caller, (CODE.UNAVAILABLE, "")))


@pytest.mark.parametrize(
    ("uris", "domains"),
    [
        ((), ()),
        (("spiffe://somewhere/else",), ()),
        (("recarena:king:me",), ()),
        (("recarena:operator:",), ()),
        (("recarena:operator:me", "recarena:observer:me"), ()),
        (("recarena:operator:Not A Name",), ("me",)),
        ((), ("one", "two")),
        ((), ("recarena:operator:me",)),
    ],
)
async def test_no_method_answers_a_certificate_that_names_no_caller(
    by_certificate, uris, domains, capsys
):
    caller = by_certificate.caller(certificate=by_certificate.ca.client(*uris, domains=domains))
    told(capsys, await refused_everywhere(caller, (CODE.UNAUTHENTICATED, "BAD_CERTIFICATE")))


@pytest.mark.parametrize("role", Role)
async def test_a_certificate_opens_what_its_role_may_call_and_nothing_else(
    by_certificate, role, capsys
):
    shown = by_certificate.ca.client(f"recarena:{role.name.lower()}:me", domains=("host.example",))
    async with by_certificate.caller(certificate=shown) as caller:
        for method in METHODS:
            ended = await caller.ending(method)
            assert (ended.code is CODE.PERMISSION_DENIED) == (role not in roles_of(method))
            assert ended.code is not CODE.UNAUTHENTICATED
    told(capsys, len(METHODS))


async def test_a_certificate_with_one_domain_name_speaks_for_the_recommender_of_that_name(
    by_certificate, capsys
):
    shown = by_certificate.ca.client(domains=("ease",))
    async with by_certificate.caller(certificate=shown) as caller:
        for method in METHODS:
            code = (await caller.ending(method)).code
            allowed = Role.RECOMMENDER in roles_of(method)
            assert (code is CODE.PERMISSION_DENIED) == (not allowed)
    told(capsys, len(METHODS))


# ------------------------------------------------------------------------------ both
@pytest.mark.parametrize("role", Role)
async def test_where_both_are_asked_for_one_is_not_enough(by_both, role, capsys):
    good = token(by_both.tokens, role, "me")
    shown = by_both.ca.client(f"recarena:{role.name.lower()}:me")
    cases = await refused_everywhere(by_both.caller(good), (CODE.UNAVAILABLE, ""))
    cases += await refused_everywhere(
        by_both.caller(certificate=shown), (CODE.UNAUTHENTICATED, "NO_CREDENTIALS")
    )
    cases += await refused_everywhere(
        by_both.caller("garbage", shown), (CODE.UNAUTHENTICATED, "BAD_TOKEN")
    )
    told(capsys, cases)


@pytest.mark.parametrize("holder", ["recarena:operator:else", "recarena:observer:me"])
async def test_where_both_are_asked_for_they_must_name_the_same_caller(by_both, holder, capsys):
    good = token(by_both.tokens, Role.OPERATOR, "me")
    caller = by_both.caller(good, by_both.ca.client(holder))
    told(capsys, await refused_everywhere(caller, (CODE.UNAUTHENTICATED, "CREDENTIALS_DIFFER")))


@pytest.mark.parametrize("role", Role)
async def test_where_both_name_the_same_caller_it_may_what_its_role_may(by_both, role, capsys):
    good = token(by_both.tokens, role, "me")
    shown = by_both.ca.client(f"recarena:{role.name.lower()}:me")
    async with by_both.caller(good, shown) as caller:
        for method in METHODS:
            code = (await caller.ending(method)).code
            assert (code is CODE.PERMISSION_DENIED) == (role not in roles_of(method))
            assert code is not CODE.UNAUTHENTICATED
    told(capsys, len(METHODS))
