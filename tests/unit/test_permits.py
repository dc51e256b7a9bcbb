"""Who may call what is read from the contract, and is nobody where the contract is silent."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from recarena.server.errors import RecArenaError
from recarena.server.rpc.allowance import Allowance, Rate
from recarena.server.rpc.callers import Role
from recarena.server.rpc.guard import host_of
from recarena.server.rpc.permits import changing, permits_of
from recarena.server.rpc.server import CONTRACT
from recarena.v1 import access_pb2


def service(*roles: access_pb2.Role.ValueType, streams: bool = False) -> ServiceDescriptor:
    """A service with one method for these roles."""
    file = FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
    file.message_type.add(name="M")
    made = file.service.add(name="S").method.add(
        name="Do", input_type=".a.M", output_type=".a.M", server_streaming=streams
    )
    made.options.Extensions[access_pb2.allowed_roles].extend(roles)
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("a.S")


def test_the_roles_of_a_method_are_those_it_names():
    named = service(access_pb2.ROLE_OBSERVER, access_pb2.ROLE_OPERATOR)
    assert permits_of([named]) == {"/a.S/Do": {Role.OPERATOR, Role.OBSERVER}}


@pytest.mark.parametrize("roles", [(), (access_pb2.ROLE_UNSPECIFIED,)])
def test_a_method_that_names_no_role_keeps_the_server_from_starting(roles):
    with pytest.raises(RecArenaError, match=r"a\.S\.Do"):
        permits_of([service(*roles)])


def test_every_method_of_the_contract_names_its_roles():
    table = permits_of(CONTRACT)
    assert len(table) == sum(len(service.methods) for service in CONTRACT)
    assert all(table.values())


def test_recommenders_and_those_who_watch_or_drive_share_no_method():
    for path, roles in permits_of(CONTRACT).items():
        assert roles == {Role.RECOMMENDER} or Role.RECOMMENDER not in roles, path


def test_what_operators_alone_may_call_changes_something_or_may_cost_something():
    assert {path.rpartition("/")[2] for path in changing(CONTRACT)} == {
        "CreateRun", "StartRun", "PauseRun", "StepRun", "StopRun", "ResetRun", "ForkRun",
        "AskUsers", "ComposeTexts", "Intervene", "TakeTurn",
    }  # fmt: skip


def test_what_changes_something_may_not_stream():
    assert changing([service(access_pb2.ROLE_OPERATOR)]) == {"/a.S/Do"}
    with pytest.raises(RecArenaError, match="streams"):
        changing([service(access_pb2.ROLE_OPERATOR, streams=True)])


# ------------------------------------------------------------------------------ how often
def test_an_allowance_gives_its_burst_and_then_its_rate():
    now = 0.0
    allowance = Allowance(Rate(per_second=2, burst=3), clock=lambda: now)
    assert [allowance.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert allowance.take("b") == 0
    now = 0.25
    assert allowance.take("a") == 0.25
    now = 0.5
    assert [allowance.take("a"), allowance.take("a")] == [0, 0.5]
    now = 100.0
    assert [allowance.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_an_allowance_remembers_only_so_many():
    allowance = Allowance(Rate(per_second=1, burst=1), most_keys=10, clock=lambda: 0.0)
    for number in range(1000):
        allowance.take(str(number))
    assert len(allowance) == 10
    assert allowance.take("999") == 1


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:10.1.2.3:4567", "10.1.2.3"),
        ("ipv6:[::1]:4567", "::/64"),
        ("ipv6:%5B2001:db8::1%5D:4567", "2001:db8::/64"),
        ("ipv6:[fe80::1%25eth0]:4567", "fe80::/64"),
        ("unix:/run/one", "unix:/run/one"),
    ],
)
def test_failures_are_counted_by_address(peer, host):
    assert host_of(peer) == host
