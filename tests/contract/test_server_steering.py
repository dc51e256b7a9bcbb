"""Operators change the world of a run between its rounds."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import grpc
import pytest

from recarena.server.rpc.callers import Role
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.types import EventKind
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1 import simulation_steering_service_pb2 as pb
from recarena.v1.run_pb2 import UserEvent
from recarena.v1.steering_pb2 import (
    AddItem,
    Decision,
    EditProfile,
    HandBack,
    InjectPost,
    Intervention,
    RemoveRelation,
    SetRelation,
    TakeOver,
    TellUser,
    WithdrawItem,
)
from recarena.v1.types_pb2 import Item
from support.arena import finished, log_of, settings
from support.callers import METHODS, Caller, token
from support.operators import Operator, gathered, refused
from support.raw_client import RawClient, fields_of
from support.watching import rounds_in, rounds_request

CODE = grpc.StatusCode
BY_NAME = {method.name: method for method in METHODS}
SMALL = "new:users=12,seed=3,history=2"


def asking(change: Any = None, run_id: str = "run", **fields: Any) -> pb.InterveneRequest:
    """An intervention with one change, named after its message."""
    made = Intervention()
    if change is not None:
        field = next(
            one.name
            for one in Intervention.DESCRIPTOR.oneofs_by_name["change"].fields
            if one.message_type is change.DESCRIPTOR
        )
        getattr(made, field).CopyFrom(change)
    return pb.InterveneRequest(run_id=run_id, intervention=made, **fields)


async def intervene(operator: Any, change: Any, **fields: Any) -> Intervention:
    return (await operator.steering.Intervene(asking(change, **fields))).intervention


async def interventions(operator: Any, run_id: str = "run") -> list[Intervention]:
    request = observe_pb.ListInterventionsRequest(run_id=run_id)
    return list((await operator.observe.ListInterventions(request)).interventions)


async def play(operator: Any, server: Server, rounds: int, run_id: str = "run") -> Any:
    """Plays so many rounds with a recommender that keeps up with the catalogue."""
    async with RawClient(server.address) as client:
        await operator.control.StepRun(control_pb.StepRunRequest(run_id=run_id, rounds=rounds))
        await client.join()
        run = server.house.run(run_id)
        serving = asyncio.create_task(client.serve())
        await run.settled()
        await client.hang_up() if not run.state.is_final else await serving
        serving.cancel()
        await asyncio.wait({serving})
    return run


def people(run: Any) -> list[str]:
    return run.world.population.user_ids


EVERY = [
    EditProfile(user_id="", name="Zoe", traits={"trust": 0.5}),
    SetRelation(user_id="", other_user_id="", kind="rival", closeness=0.25, both_ways=True),
    AddItem(item=Item(item_id="new-1", title="A New One"), quality=1.5),
    WithdrawItem(item_id=""),
    InjectPost(user_id="", text="Watch it!", sentiment=2),
    TellUser(user_id="", said="Hello", answer="Hi"),
    TakeOver(user_id=""),
]


def filled(change: Any, run: Any) -> Any:
    """The change about users and items of the run."""
    made = type(change)()
    made.CopyFrom(change)
    ids, names = people(run), {one.name for one in change.DESCRIPTOR.fields}
    if "user_id" in names:
        made.user_id = ids[2]
    if "other_user_id" in names:
        made.other_user_id = ids[5]
    if isinstance(made, WithdrawItem):
        made.item_id = run.world.catalog.item_ids[4]
    return made


@pytest.mark.parametrize("change", EVERY, ids=lambda one: type(one).__name__)
async def test_every_change_is_accepted_applied_in_the_next_round_and_told(
    operator, server, change
):
    await operator.create(round_limit=3, world=SMALL)
    run = server.house.run("run")
    if isinstance(change, TakeOver):
        change.turn_time.FromSeconds(5)
    accepted = await intervene(operator, filled(change, run))
    assert (accepted.number, accepted.round, accepted.applied) == (1, 1, False)
    assert accepted.text
    assert accepted.receive_time.seconds > 1_700_000_000
    assert getattr(accepted, accepted.WhichOneof("change")).ListFields()
    assert await interventions(operator) == [accepted]
    if not isinstance(change, TakeOver):
        await play(operator, server, 1)
        (told,) = await interventions(operator)
        assert (told.number, told.round, told.applied) == (1, 1, True)
        whole = await gathered_events(operator, round=1)
        events = [one for one in whole if one.type == UserEvent.TYPE_INTERVENTION]
        (event,) = events
        assert whole[0] == event
        assert (event.user_id, event.user_name, event.sequence) == ("", "", 0)
        assert event.intervention == 1
        assert event.text
        assert not event.HasField("step")
        summary = rounds_in([
            one async for one in operator.observe.StreamRounds(rounds_request(until_round=1))
        ])[0].summary  # fmt: skip
        assert (summary.interventions, summary.people) == (1, 0)


async def gathered_events(operator: Any, round: int) -> list[UserEvent]:
    size = len(log_of(operator.server.house.run("run"), round))
    request = observe_pb.TellEventsRequest(run_id="run", round=round, sequences=range(size))
    return list((await operator.observe.TellEvents(request)).events)


async def test_what_was_changed_is_what_readers_see(operator, server):
    await operator.create(round_limit=3, world=SMALL)
    run = server.house.run("run")
    ids = people(run)
    await intervene(operator, EditProfile(
        user_id=ids[1], name="Zoe <b>", profile={"occupation": "baker"},
        traits={"trust": 0.75}, tastes={run.world.catalog.genre_names[0]: 2.5},
    ))  # fmt: skip
    await intervene(operator, SetRelation(
        user_id=ids[1], other_user_id=ids[9], kind="rival", closeness=0.5
    ))  # fmt: skip
    item = Item(item_id="new-1", title="A Brand New Title",
                categories=[run.world.catalog.genre_names[1]])  # fmt: skip
    item.attributes.update({"year": 2024, "director": "Somebody"})
    await intervene(operator, AddItem(item=item, quality=1))
    gone = run.world.catalog.item_ids[3]
    await intervene(operator, WithdrawItem(item_id=gone))
    await play(operator, server, 1)
    users = (await operator.observe.ListUsers(observe_pb.ListUsersRequest(run_id="run"))).users
    assert users[1].name == "Zoe <b>"
    assert users[1].profile["occupation"] == "baker"
    assert users[1].traits["trust"] == pytest.approx(0.75)
    request = observe_pb.ListRelationsRequest(run_id="run", user_id=ids[1])
    ties = (await operator.observe.ListRelations(request)).relations
    assert [(tie.kind, tie.closeness) for tie in ties if tie.other_user_id == ids[9]] == [
        ("rival", 0.5)
    ]
    found = observe_pb.ListItemsRequest(run_id="run", text="brand new")
    (entry,) = (await operator.observe.ListItems(found)).entries
    assert entry.item.attributes["year"] == 2024
    assert entry.item_number == len(run.world.catalog) - 1
    listed = await operator.observe.ListItems(observe_pb.ListItemsRequest(run_id="run", text=gone))
    assert [one.item.withdrawn for one in listed.entries if one.item.item_id == gone] == [True]


async def test_interventions_are_listed_newest_first_page_by_page(operator, server):
    await operator.create(world=SMALL)
    ids = people(server.house.run("run"))
    for number in range(5):
        await intervene(operator, TellUser(user_id=ids[0], said=f"word {number}"))
    request = observe_pb.ListInterventionsRequest(run_id="run", page_size=2)
    found: list[int] = []
    while True:
        page = await operator.observe.ListInterventions(request)
        found += [one.number for one in page.interventions]
        if not page.next_page_token:
            break
        # One that comes in between does not shift the pages.
        await intervene(operator, TellUser(user_id=ids[0], said="more"))
        request.page_token = page.next_page_token
    assert found == [5, 4, 3, 2, 1]


async def test_a_repeated_request_gives_the_first_answer_also_after_a_restart(
    operator, server, tmp_path
):
    await operator.create(world=SMALL)
    user = people(server.house.run("run"))[0]
    first = await intervene(operator, TellUser(user_id=user, said="once"), request_id="r-1")
    again = await intervene(operator, TellUser(user_id=user, said="once"), request_id="r-1")
    assert again == first
    await server.stop()
    async with Server(tmp_path / "runs") as other:
        later = Operator(other)
        repeated = await intervene(later, TellUser(user_id=user, said="once"), request_id="r-1")
        assert repeated == first
        assert len(await interventions(later)) == 1
        await later.channel.close()


async def test_the_same_request_twice_at_once_is_one_change(operator, server):
    await operator.create(world=SMALL)
    user = people(server.house.run("run"))[0]
    both = await asyncio.gather(
        *(intervene(operator, TellUser(user_id=user, said="x"), request_id="r") for _ in range(8))
    )
    assert {one.number for one in both} == {1}
    assert len(await interventions(operator)) == 1


HOSTILE = [
    (None, "intervention"),
    (EditProfile(user_id="nobody"), "intervention.edit_profile.user_id"),
    (EditProfile(user_id="?", traits={"charm": 1}), "intervention.edit_profile.traits.charm"),
    (EditProfile(user_id="?", traits={"trust": math.nan}),
     "intervention.edit_profile.traits.trust"),
    (EditProfile(user_id="?", tastes={"Horror": math.inf}),
     "intervention.edit_profile.tastes.Horror"),
    (EditProfile(user_id="?", profile={"shoe": "9"}), "intervention.edit_profile.profile.shoe"),
    (EditProfile(user_id="?", profile={"occupation": "x" * 501}),
     "intervention.edit_profile.profile.occupation"),
    (SetRelation(user_id="?", other_user_id="?"), "intervention.set_relation.other_user_id"),
    (SetRelation(user_id="?", other_user_id="??", closeness=1.01),
     "intervention.set_relation.closeness"),
    (SetRelation(user_id="?", other_user_id="??", closeness=-math.inf),
     "intervention.set_relation.closeness"),
    (AddItem(), "intervention.add_item.item.item_id"),
    (AddItem(item=Item(item_id="n", title="t"), quality=4), "intervention.add_item.quality"),
    (AddItem(item=Item(item_id="n", title="t", withdrawn=True)),
     "intervention.add_item.item.withdrawn"),
    (AddItem(item=Item(item_id="n", title="t", categories=["Nonsense"])),
     "intervention.add_item.item.categories[0]"),
    (WithdrawItem(item_id="nothing"), "intervention.withdraw_item.item_id"),
    (InjectPost(user_id="?", text=""), "intervention.inject_post.text"),
    (InjectPost(user_id="?", text="x", sentiment=math.nan), "intervention.inject_post.sentiment"),
    (TellUser(user_id="?", said="x" * 1001), "intervention.tell_user.said"),
    (HandBack(user_id="?"), "intervention.hand_back.user_id"),
    (RemoveRelation(user_id="?", other_user_id="?"),
     "intervention.remove_relation.other_user_id"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "path"), HOSTILE, ids=[path for _, path in HOSTILE])
async def test_what_cannot_be_is_refused_with_the_path_of_its_field(operator, server, change, path):
    await operator.create(world=SMALL)
    ids = people(server.house.run("run"))
    if change is not None:
        for field in ("user_id", "other_user_id"):
            short = getattr(change, field, "")
            if short.startswith("?"):
                setattr(change, field, ids[len(short)])
    async with refused(CODE.INVALID_ARGUMENT) as status:
        await operator.steering.Intervene(asking(change))
    assert path in fields_of(status), fields_of(status)
    assert await interventions(operator) == []


async def test_turn_times_out_of_bounds_are_refused(operator, server):
    await operator.create(world=SMALL)
    user = people(server.house.run("run"))[0]
    for seconds in (-5, 0, 4, 601, 10**11):
        change = TakeOver(user_id=user)
        change.turn_time.seconds = seconds
        async with refused(CODE.INVALID_ARGUMENT) as status:
            await operator.steering.Intervene(asking(change))
        assert any("intervention.take_over.turn_time" in one for one in fields_of(status))


async def test_times_and_numbers_that_are_none_are_refused_by_their_fields(operator, server):
    await operator.create(world=SMALL)
    user = people(server.house.run("run"))[0]
    hostile: list[tuple[Any, str]] = []
    for nanos in (-1, -(2**31), 2**31 - 1):
        change = TakeOver(user_id=user)
        change.turn_time.seconds, change.turn_time.nanos = 600 if nanos > 0 else 5, nanos
        hostile.append((change, "intervention.take_over.turn_time"))
        change = AddItem(item=Item(item_id="new", title="New"))
        change.item.available_time.seconds, change.item.available_time.nanos = 1, nanos
        hostile.append((change, "intervention.add_item.item.available_time"))
    for year in (math.nan, math.inf):
        change = AddItem(item=Item(item_id="new", title="New"))
        change.item.attributes["year"] = year
        hostile.append((change, "intervention.add_item.item.attributes.year"))
    for change, path in hostile:
        async with refused(CODE.INVALID_ARGUMENT) as status:
            await operator.steering.Intervene(asking(change))
        assert any(one.startswith(path) for one in fields_of(status)), fields_of(status)
    assert await interventions(operator) == []


async def test_names_of_any_length_get_an_answer(operator, server):
    await operator.create(world=SMALL)
    user, long = people(server.house.run("run"))[0], "é\n" * 50_000
    changes = [
        EditProfile(user_id=long),
        EditProfile(user_id=user, traits={long: 1}),
        EditProfile(user_id=user, tastes={long: math.nan}),
        EditProfile(user_id=user, traits={f"{at}{'x' * 200}": 1 for at in range(3000)}),
        AddItem(item=Item(item_id=long, title=long, categories=[long])),
    ]
    for change in changes:
        async with refused(CODE.INVALID_ARGUMENT) as status:
            await operator.steering.Intervene(asking(change))
        assert fields_of(status)[0].startswith("intervention.")
    decision = Decision(social=Decision.OfSocial(user_id=long))
    request = pb.TakeTurnRequest(run_id="run", user_id=user, turn_id=long, decision=decision)
    async with refused(CODE.INVALID_ARGUMENT):
        await operator.steering.TakeTurn(request)
    request.decision.opening.words = long
    async with refused(CODE.FAILED_PRECONDITION):
        await operator.steering.TakeTurn(request)
    async with refused(CODE.INVALID_ARGUMENT):
        await operator.steering.Intervene(asking(changes[0], run_id=long))


async def test_interventions_are_put_into_words_once_for_all_who_ask(operator, server, monkeypatch):
    await operator.create(world=SMALL)
    run = server.house.run("run")
    for number in range(3):
        await intervene(operator, TellUser(user_id=people(run)[0], said=f"{number}"))
    asked: list[int] = []
    whole = run.interventions

    def counted() -> Any:
        asked.append(1)
        return whole()

    monkeypatch.setattr(run, "interventions", counted)
    assert [one.number for one in await interventions(operator)] == [3, 2, 1]
    assert await interventions(operator) == await interventions(operator)
    assert len(asked) == 1
    await intervene(operator, TellUser(user_id=people(run)[0], said="news"))
    assert [one.number for one in await interventions(operator)] == [4, 3, 2, 1]
    assert len(asked) == 2


async def test_other_epochs_unknown_runs_and_ended_ones_are_refused(operator, server):
    await operator.played(world=SMALL)
    user = people(server.house.run("run"))[0]
    change = TellUser(user_id=user, said="x")
    async with refused(CODE.FAILED_PRECONDITION) as status:
        await operator.steering.Intervene(asking(change))
    assert "fork" in status.message
    async with refused(CODE.NOT_FOUND):
        await operator.steering.Intervene(asking(change, run_id="none"))
    await operator.control.ResetRun(control_pb.ResetRunRequest(run_id="run"))
    async with refused(CODE.FAILED_PRECONDITION) as status:
        await operator.steering.Intervene(asking(change, epoch=1))
    assert "epoch 2" in status.message
    assert (await intervene(operator, change, epoch=2)).number == 1


async def test_a_turn_that_is_none_is_refused(operator, server):
    await operator.create(world=SMALL)
    user = people(server.house.run("run"))[0]
    request = pb.TakeTurnRequest(run_id="run", user_id=user, turn_id="1.0.1.x")
    async with refused(CODE.INVALID_ARGUMENT) as status:
        await operator.steering.TakeTurn(request)
    assert "decision" in fields_of(status)
    request.decision.opening.words = "hello"
    async with refused(CODE.FAILED_PRECONDITION):
        await operator.steering.TakeTurn(request)
    request.user_id = "nobody"
    async with refused(CODE.NOT_FOUND):
        await operator.steering.TakeTurn(request)
    asked = observe_pb.StreamTurnsRequest(run_id="run", user_id=user)
    async with refused(CODE.FAILED_PRECONDITION) as status:
        await gathered(operator.observe.StreamTurns(asked))
    assert "taken over" in status.message


# ------------------------------------------------------------------------------ who, and the audit
async def test_interventions_name_their_operator_and_stand_in_the_audit_log(tmp_path: Path):
    tokens = tmp_path / "tokens.json"
    secrets = {role: token(tokens, role, "alice") for role in Role}
    async with Server(tmp_path / "runs", security=Security(tokens=tokens)) as server:
        run = await server.house.create("run", SMALL, settings("raw"))
        change = asking(TellUser(user_id=people(run)[0], said="You seem well"), request_id="r-9")
        for role in (Role.OBSERVER, Role.RECOMMENDER):
            async with Caller(server.address, secrets[role]) as caller:
                ended = await caller.ending(BY_NAME["Intervene"], change)
                assert ended.code is CODE.PERMISSION_DENIED
        async with Caller(server.address, secrets[Role.OPERATOR]) as caller:
            made = (await caller.call(BY_NAME["Intervene"], change)).intervention
        assert made.by == "alice"
        async with Caller(server.address, secrets[Role.OBSERVER]) as caller:
            request = observe_pb.ListInterventionsRequest(run_id="run")
            listed = await caller.call(BY_NAME["ListInterventions"], request)
            assert [one.by for one in listed.interventions] == ["alice"]
    path = tmp_path / "runs" / "audit.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["code"] for line in lines] == ["PERMISSION_DENIED", "PERMISSION_DENIED", "OK"]
    written = lines[-1]
    assert written["method"] == "/recarena.v1.SimulationSteeringService/Intervene"
    assert (written["run_id"], written["request_id"]) == ("run", "r-9")
    assert written["request"]["intervention"]["tell_user"]["said"] == "You seem well"


async def test_the_same_changes_at_the_same_rounds_make_the_same_log(operator, server):
    digests: list[str] = []
    for run_id in ("one", "two"):
        await operator.create(run_id, round_limit=3, world=SMALL)
        run = server.house.run(run_id)
        await play(operator, server, 1, run_id)
        await intervene(operator, InjectPost(user_id=people(run)[0], text="Ho", sentiment=1),
                        run_id=run_id)  # fmt: skip
        await play(operator, server, 2, run_id)
        digests.append(await finished(run))
        assert len(log_of(run, 2).of(EventKind.INTERVENTION)) == 1
    assert digests[0] == digests[1]
