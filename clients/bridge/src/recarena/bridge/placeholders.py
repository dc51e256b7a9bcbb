"""Which placeholders may stand where. A name that ends with a dot has fields."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator

from recarena.bridge.templates import Template

ALWAYS = frozenset({"run_id", "round", "now", "values."})
ASKING = ALWAYS | {
    "user_id",
    "user_number",
    "arm_id",
    "user_attributes",
    "user_attributes.",
    "surface",
    "anchor_item_id",
    "count",
    "offset",
    "end",
    "wanted",
    "excluded_ids",
}
SEARCHING = ASKING | {"text"}
BATCHING = ALWAYS | {"user_ids", "queries", "count", "offset", "end", "wanted"}
EVENT = ALWAYS | {
    "user_id",
    "item_id",
    "type",
    "rating",
    "scaled_rating",
    "time",
    "unix_time",
    "position",
    "interaction_id",
    "impression_id",
    "attribution_token",
}
EVENTS = EVENT | {"event", "events"}
ITEM = ALWAYS | {
    "item_id",
    "item_number",
    "title",
    "description",
    "categories",
    "attributes",
    "attributes.",
}
ITEMS = ITEM | {"item", "items"}
USER = ALWAYS | {"user_id", "user_number", "user_attributes", "user_attributes."}
USERS = USER | {"user", "users"}


def _of(names: frozenset[str]) -> BeforeValidator:
    def read(value: Any) -> Template:
        return value if isinstance(value, Template) else Template(value, names)

    return BeforeValidator(read)


Always: TypeAlias = Annotated[Template, _of(ALWAYS)]
Asking: TypeAlias = Annotated[Template, _of(ASKING)]
Searching: TypeAlias = Annotated[Template, _of(SEARCHING)]
Batching: TypeAlias = Annotated[Template, _of(BATCHING)]
OfEvent: TypeAlias = Annotated[Template, _of(EVENT)]
OfEvents: TypeAlias = Annotated[Template, _of(EVENTS)]
OfItem: TypeAlias = Annotated[Template, _of(ITEM)]
OfItems: TypeAlias = Annotated[Template, _of(ITEMS)]
OfUser: TypeAlias = Annotated[Template, _of(USER)]
OfUsers: TypeAlias = Annotated[Template, _of(USERS)]
