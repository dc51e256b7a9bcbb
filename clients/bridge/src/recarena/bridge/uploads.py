"""Items and users as the service is told about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict

from recarena.bridge.ids import ItemIdMap
from recarena.bridge.mapping import Items, Users, Withdraw
from recarena.bridge.service import MISSING, Outgoing, outgoing
from recarena.bridge.templates import Values
from recarena.client import Catalog, UserContext


def items(
    catalog: Catalog, ids: ItemIdMap, before: Catalog | None = None
) -> Iterator[dict[str, Any]]:
    """The placeholders of each item that has an id at the service; with the catalogue that it was
    told before, only of those that are not as they were."""
    told = before.items if before else ()
    for number, item in enumerate(catalog.items):
        item_id = ids.service(item.item_id)
        if item_id is not None and (number >= len(told) or told[number] != item):
            yield {
                "item_id": item_id,
                "item_number": number,
                "title": item.title,
                "description": item.description,
                "categories": list(item.categories),
                "attributes": MessageToDict(item.attributes),
            }


def user(context: UserContext) -> dict[str, Any]:
    """The placeholders of a user."""
    return {
        "user_id": context.user_id,
        "user_number": context.user_number,
        "user_attributes": dict(context.attributes),
    }


def withdrawals(
    how: Withdraw, things: Iterable[Values], always: Values
) -> Iterator[tuple[Outgoing, float]]:
    """A request for each of these items, and the seconds for it."""
    for thing in things:
        made = outgoing(how.method, how.path, how.query, how.body, {**always, **thing})
        yield made, how.give_up_after


def requests(
    upload: Items | Users, things: Iterable[Values], always: Values
) -> Iterator[tuple[Outgoing, int]]:
    """The requests that carry items or users, each with their number."""
    one, many = ("item", "items") if isinstance(upload, Items) else ("user", "users")
    those = [{**always, **values} for values in things]
    for start in range(0, len(those), upload.per_request):
        part = those[start : start + upload.per_request]
        bodies = [upload.each.json(values) for values in part]
        values = {**part[0], one: bodies[0], many: bodies}
        made = outgoing(upload.method, upload.path, upload.query, upload.body, values)
        if made.body is MISSING and upload.method != "GET":
            body = bodies[0] if upload.per_request == 1 else bodies
            made = Outgoing(method=made.method, target=made.target, body=body)
        yield made, len(part)
