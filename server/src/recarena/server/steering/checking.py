"""Whether a change can be, in the world as it will be when it takes effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from recarena.server.interventions import Change, Intervention
from recarena.server.network import MOST_KINDS
from recarena.server.population import PROFILE_FIELDS, TRAIT_BOUNDS
from recarena.server.steering.fields import MANY_LINES, Fields, nearest
from recarena.server.steering.prospect import Prospect, Steered
from recarena.server.steering.turning import STRANGER_BECOMES
from recarena.server.types import NOBODY, NOTHING, InterventionKind, unique_ids

Found = tuple[int, int, dict[str, Any]]
"""User, item and values of an intervention."""
MOST_TASTE = 3.0
TURN_S = (5.0, 600.0)
USUAL_TURN_S = 60.0
"""Time that a person has for a decision."""


def check(
    change: Change, number: int, world: Steered, pending: Iterable[Intervention] = ()
) -> tuple[Intervention, Change]:
    """The intervention that a change is, and the change with every field there is.

    `pending`: what waits to take effect before it. InputError names the field, like
    `edit_profile.traits.trust`, and what would be right.
    """
    name = change.kind.name.lower()
    fields, checked = KNOWN_FIELDS[change.kind], CHECKS[change.kind]
    prospect = Prospect(world, pending)
    user, item, values = checked(Fields(name, change.values, fields), prospect)
    ids: dict[str, Any] = {}
    if "user_id" in fields:
        ids["user_id"] = world.population.user_ids[user]
    if "item_id" in fields:
        ids["item_id"] = str(change.values.get("item_id", "")).strip()
    made = Intervention(number, change.kind, user, item, values)
    return made, Change(change.kind, {**ids, **values})


def _user(fields: Fields, prospect: Prospect, name: str = "user_id") -> int:
    user_id = fields.text(name, 128, needed=True)
    number = prospect.world.population.number_of.get(user_id)
    if number is None:
        ids = prospect.world.population.user_ids
        raise fields.wrong(name, f"there is no user {user_id!r}", f"Ids look like {ids[0]!r}")
    return number


def _item(fields: Fields, prospect: Prospect) -> int:
    item_id = fields.text("item_id", 128, needed=True)
    number = prospect.item(item_id)
    if number is None:
        ids = prospect.world.catalog.item_ids
        near = f"Ids look like {ids[0]!r}" if ids else ""
        raise fields.wrong("item_id", f"there is no item {item_id!r}", near)
    return number


def _edit_profile(fields: Fields, prospect: Prospect) -> Found:
    user, name = _user(fields, prospect), fields.text("name", 100)
    profile = fields.within("profile", PROFILE_FIELDS)
    traits = fields.within("traits", list(TRAIT_BOUNDS))
    tastes = fields.within("tastes", prospect.world.catalog.genre_names)
    values = {
        "name": name,
        "profile": {one: profile.text(one, 500) for one in profile.names()},
        "traits": {one: traits.number(one, *TRAIT_BOUNDS[one]) for one in traits.names()},
        "tastes": {one: tastes.number(one, -MOST_TASTE, MOST_TASTE) for one in tastes.names()},
    }
    if not any(values.values()):
        remedy = "Give a name, or something of profile, traits or tastes"
        raise fields.wrong("", "nothing is changed", remedy)
    return user, NOTHING, values


def _pair(fields: Fields, prospect: Prospect) -> tuple[int, int]:
    user, other = _user(fields, prospect), _user(fields, prospect, "other_user_id")
    if user == other:
        raise fields.wrong("other_user_id", "nobody is tied to themselves", "Name another user")
    return user, other


def _set_relation(fields: Fields, prospect: Prospect) -> Found:
    user, other = _pair(fields, prospect)
    kind, both_ways = fields.text("kind", 64), fields.flag("both_ways")
    there = prospect.tied(user, other) and (not both_ways or prospect.tied(other, user))
    made = kind or ("" if there else STRANGER_BECOMES)
    if made and made not in prospect.kinds() and len(prospect.kinds()) >= MOST_KINDS:
        kinds = sorted(prospect.kinds())
        raise fields.wrong("kind", f"{len(kinds)} kinds of ties are all there can be",
                           nearest(made, kinds))  # fmt: skip
    return user, NOTHING, {
        "other_user_id": prospect.world.population.user_ids[other],
        "kind": kind,
        "closeness": fields.number("closeness", 0, 1, 0.0),
        "both_ways": both_ways,
    }  # fmt: skip


def _remove_relation(fields: Fields, prospect: Prospect) -> Found:
    user, other = _pair(fields, prospect)
    ids = prospect.world.population.user_ids
    if not prospect.tied(user, other):
        problem = f"there is no tie from {ids[user]!r} to {ids[other]!r}"
        there = f"There is one from {ids[other]!r} to {ids[user]!r}"
        back = there if prospect.tied(other, user) else ""
        raise fields.wrong("other_user_id", problem, back)
    values = {"other_user_id": ids[other], "both_ways": fields.flag("both_ways")}
    return user, NOTHING, values


def _add_item(fields: Fields, prospect: Prospect) -> Found:
    known = ("item_id", "title", "description", "categories", "attributes")
    item = fields.within("item", known)
    item_id = item.text("item_id", 128, needed=True)
    try:
        unique_ids("item", [item_id])
    except ValueError as error:
        raise item.wrong("item_id", str(error)) from None
    if prospect.item(item_id) is not None:
        raise item.wrong("item_id", f"there is an item {item_id!r} already", "Use another id")
    genres = prospect.world.catalog.genre_names
    categories = item.strings("categories")
    for at, one in enumerate(categories):
        if one not in genres:
            problem = f"the catalogue has no category {one!r}"
            raise item.wrong(f"categories[{at}]", problem, nearest(one, genres))
    attributes = item.within("attributes", ("year", "director"))
    year = attributes.number("year", 0, 9999, 0)
    if year != int(year):
        raise attributes.wrong("year", f"{year:g} is no whole number")
    made = {
        "item_id": item_id,
        "title": item.text("title", 500, needed=True),
        "description": item.text("description", 5_000, lines=MANY_LINES),
        "categories": sorted(categories, key=genres.index),
        "attributes": {"year": int(year), "director": attributes.text("director", 200)},
    }
    quality = fields.number("quality", -MOST_TASTE, MOST_TASTE, 0.0)
    return NOBODY, prospect.items, {"item": made, "quality": quality}


def _withdraw_item(fields: Fields, prospect: Prospect) -> Found:
    item = _item(fields, prospect)
    if not prospect.available(item):
        raise fields.wrong("item_id", "the item is withdrawn already")
    if prospect.available_items == 1:
        raise fields.wrong("item_id", "it is the last item that can be shown", "Add another first")
    return NOBODY, item, {}


def _inject_post(fields: Fields, prospect: Prospect) -> Found:
    user, about = _user(fields, prospect), fields.text("item_id", 128)
    return user, _item(fields, prospect) if about else NOTHING, {
        "text": fields.text("text", 500, needed=True, lines=MANY_LINES),
        "sentiment": fields.number("sentiment", -2, 2, 0.0),
    }  # fmt: skip


def _tell_user(fields: Fields, prospect: Prospect) -> Found:
    return _user(fields, prospect), NOTHING, {
        "said": fields.text("said", 1_000, needed=True, lines=MANY_LINES),
        "answer": fields.text("answer", 2_000, lines=MANY_LINES),
    }  # fmt: skip


def _take_over(fields: Fields, prospect: Prospect) -> Found:
    user = _user(fields, prospect)
    if prospect.by_person(user):
        raise fields.wrong("user_id", "the user is taken over already", "Hand the user back first")
    return user, NOTHING, {"turn_time_s": fields.number("turn_time_s", *TURN_S, USUAL_TURN_S)}


def _hand_back(fields: Fields, prospect: Prospect) -> Found:
    user = _user(fields, prospect)
    if not prospect.by_person(user):
        raise fields.wrong("user_id", "nobody has taken the user over")
    return user, NOTHING, {}


_RELATION = ("user_id", "other_user_id", "both_ways")
KNOWN_FIELDS: dict[InterventionKind, tuple[str, ...]] = {
    InterventionKind.EDIT_PROFILE: ("user_id", "name", "profile", "traits", "tastes"),
    InterventionKind.SET_RELATION: (*_RELATION, "kind", "closeness"),
    InterventionKind.REMOVE_RELATION: _RELATION,
    InterventionKind.ADD_ITEM: ("item", "quality"),
    InterventionKind.WITHDRAW_ITEM: ("item_id",),
    InterventionKind.INJECT_POST: ("user_id", "text", "item_id", "sentiment"),
    InterventionKind.TELL_USER: ("user_id", "said", "answer"),
    InterventionKind.TAKE_OVER: ("user_id", "turn_time_s"),
    InterventionKind.HAND_BACK: ("user_id",),
}
"""The fields of a change of each kind."""
CHECKS: dict[InterventionKind, Callable[[Fields, Prospect], Found]] = {
    InterventionKind.EDIT_PROFILE: _edit_profile,
    InterventionKind.SET_RELATION: _set_relation,
    InterventionKind.REMOVE_RELATION: _remove_relation,
    InterventionKind.ADD_ITEM: _add_item,
    InterventionKind.WITHDRAW_ITEM: _withdraw_item,
    InterventionKind.INJECT_POST: _inject_post,
    InterventionKind.TELL_USER: _tell_user,
    InterventionKind.TAKE_OVER: _take_over,
    InterventionKind.HAND_BACK: _hand_back,
}
