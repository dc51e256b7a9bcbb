"""What interventions do to the scripted server's world."""

from __future__ import annotations

from collections.abc import Mapping

from recarena.server.errors import InputError
from recarena.v1 import steering_pb2
from support.observatory.scenery import Film, Scenery

SECONDS = 60.0
"""Time for a turn where a take-over names none."""


def check(world: Scenery, played: Mapping[int, float], change: steering_pb2.Intervention) -> str:
    """The intervention in a sentence. InputError where it cannot be."""
    kind = change.WhichOneof("change")
    if kind is None:
        raise InputError("it changes nothing", where="intervention.change")
    body = getattr(change, kind)
    where = f"intervention.{kind}"
    names = {
        field: _known(world, getattr(body, field), f"{where}.{field}")
        for field in ("user_id", "other_user_id")
        if field in body.DESCRIPTOR.fields_by_name
    }
    user = names.get("user_id", -1)
    name = world.people[user].name if user >= 0 else ""
    if kind == "withdraw_item" and world.film(body.item_id) is None:
        raise InputError(f"no item {body.item_id!r}", where=f"{where}.item_id")
    if kind == "add_item":
        if world.film(body.item.item_id) is not None or not body.item.item_id:
            raise InputError("it has to be new in the run", where=f"{where}.item.item_id",
                             remedy="Choose another item_id")  # fmt: skip
        if not body.item.title:
            raise InputError("it needs a title", where=f"{where}.item.title")
    if kind == "take_over" and user in played:
        raise InputError(f"{name} is taken over already", where=f"{where}.user_id")
    if kind == "hand_back" and user not in played:
        raise InputError(f"nobody has taken {name} over", where=f"{where}.user_id")
    if kind == "edit_profile" and not 0 <= body.traits.get("activity", 0.5) <= 1:
        raise InputError("it has to be from 0 to 1", where=f"{where}.traits[activity]")
    if kind == "remove_relation" and names["other_user_id"] not in world.ties.of[user]:
        raise InputError("there is no such tie", where=f"{where}.other_user_id")
    other = world.people[names["other_user_id"]].name if "other_user_id" in names else ""
    edited = ""
    if kind == "edit_profile":
        edited = ", ".join([*body.profile, *body.traits, *body.tastes]) or "name"
    return {
        "edit_profile": f"{name} is changed: {edited}.",
        "set_relation": f"A tie from {name} to {other} is set.",
        "remove_relation": f"The tie from {name} to {other} ends.",
        "add_item": f"{body.item.title} is added." if kind == "add_item" else "",
        "withdraw_item": f"{body.item_id} is withdrawn." if kind == "withdraw_item" else "",
        "inject_post": f"{name} is made to post: “{body.text}”" if kind == "inject_post" else "",
        "tell_user": f"{name} is told: “{body.said}”" if kind == "tell_user" else "",
        "take_over": f"A person takes over {name}.",
        "hand_back": f"{name} is handed back.",
    }[kind]  # fmt: skip


def take_up(world: Scenery, played: dict[int, float], change: steering_pb2.Intervention) -> None:
    """Changes the world, and who is played by a person and how long for a turn."""
    kind = change.WhichOneof("change")
    assert kind
    body = getattr(change, kind)
    user = world.number_of.get(getattr(body, "user_id", ""), -1)
    if kind == "edit_profile":
        person = world.people[user]
        person.name = body.name or person.name
        person.profile.update(body.profile)
        person.traits.update(body.traits)
        person.tastes.update(body.tastes)
    elif kind in ("set_relation", "remove_relation"):
        other = world.number_of[body.other_user_id]
        for a, b in ((user, other), (other, user))[: 2 if body.both_ways else 1]:
            if kind == "set_relation":
                old = world.ties.of[a].get(b, ("acquaintance", 0.0))[0]
                world.ties.of[a][b] = body.kind or old, body.closeness
            else:
                world.ties.of[a].pop(b, None)
    elif kind == "add_item":
        item = body.item
        year = int(item.attributes["year"]) if "year" in item.attributes else 2026
        world.films.append(
            Film(item.item_id, item.title, list(item.categories), year, item.description)
        )
    elif kind == "withdraw_item":
        at = world.film(body.item_id)
        assert at is not None
        world.films[at].withdrawn = True
    elif kind == "take_over":
        timed = body.HasField("turn_time")
        played[user] = body.turn_time.ToMicroseconds() / 1e6 if timed else SECONDS
    elif kind == "hand_back":
        played.pop(user, None)


def _known(world: Scenery, user_id: str, where: str) -> int:
    if user_id not in world.number_of:
        raise InputError(f"no user {user_id[:128]!r}", where=where)
    return world.number_of[user_id]
