"""The tables of a mapping file: what each key means, and what it is when it is left out."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from recarena.bridge.placeholders import (
    Always,
    Asking,
    Batching,
    OfEvent,
    OfEvents,
    OfItem,
    OfItems,
    OfUser,
    OfUsers,
    Searching,
)
from recarena.bridge.templates import Template

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Kind: TypeAlias = Literal[
    "impression", "view", "like", "dislike", "rate", "share", "skip", "search", "custom"
]


def expression(value: Any) -> ParsedResult:
    """A compiled JMESPath."""
    if isinstance(value, ParsedResult):
        return value
    if not isinstance(value, str):
        raise ValueError("a JMESPath is a string, for example 'recommendations[].id'")
    try:
        return jmespath.compile(value)
    except JMESPathError as error:
        why = str(error).splitlines()[0].rstrip(":")
        raise ValueError(
            f"{value!r} is no JMESPath ({why}); one looks like 'recommendations[].id'"
        ) from None


Expression: TypeAlias = Annotated[ParsedResult, BeforeValidator(expression)]
AS_IS = jmespath.compile("@")


class Table(BaseModel):
    """A table of a mapping: no unknown keys, no numbers that are none."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True
    )


class Retry(Table):
    """`[retry]`: what is tried again, as long as there is time."""

    attempts: int = Field(default=4, ge=1, le=100)
    """Tries of one request, the first among them."""
    statuses: tuple[int, ...] = (429, 500, 502, 503, 504)
    """Answers that are worth another try; no connection and a timeout always are."""
    first_delay: float = Field(default=0.2, gt=0)
    """Seconds before the second try; doubled each time. Retry-After goes before it."""
    longest_delay: float = Field(default=5.0, gt=0)


class Auth(Table):
    """`[auth]`: signing requests."""

    kind: Literal["recombee-hmac"]
    token_env: str
    """The environment variable that holds the secret."""


class ItemIds(Table):
    """`[item_ids]`: the service's ids of the items, where they are not RecArena's.

    First what is stripped goes, then what is added comes; or a file says it all.
    """

    strip_prefix: str = ""
    strip_suffix: str = ""
    add_prefix: str = ""
    add_suffix: str = ""
    file: str = ""
    """CSV with two columns (RecArena's id, the service's), or a JSON object of the same."""

    @model_validator(mode="after")
    def _one_way(self) -> ItemIds:
        rules = (self.strip_prefix, self.strip_suffix, self.add_prefix, self.add_suffix)
        if self.file and any(rules):
            raise ValueError("either file, or prefixes and suffixes")
        return self


class Answer(Table):
    """How a list stands in an answer. JMESPaths, those after `items` looked up in one entry."""

    items: Expression = AS_IS
    """The entries of the list, best first."""
    id: Expression = AS_IS
    """The item's id in an entry: a string or a whole number."""
    score: Expression | None = None
    explanation: Expression | None = None
    """A text for people."""
    token: Expression | None = None
    """In the answer: what comes back as {attribution_token} in feedback about this list."""


class Paged(Answer):
    """Who skips ranks and leaves out what must not be shown."""

    paging: Literal["bridge", "service"] = "bridge"
    """bridge: the list is asked for from its beginning and cut; service: it takes {offset}."""
    exclusions: Literal["bridge", "service"] = "bridge"
    """bridge: excluded items are dropped; service: it was told {excluded_ids}."""
    extra: int = Field(default=0, ge=0)
    """Asked for in {wanted} on top of what is needed."""
    most: int = Field(default=1000, ge=1)
    """The largest {wanted} that the service takes."""


class Rank(Paged):
    """`[rank]`: one request for one list."""

    method: Method = "GET"
    path: Asking
    query: dict[str, Asking] = {}
    body: Asking | None = None


class Search(Paged):
    """`[search]`: one request for one search. Without it users see no search box."""

    method: Method = "GET"
    path: Searching
    query: dict[str, Searching] = {}
    body: Searching | None = None


class Batch(Paged):
    """`[batch]` in place of `[rank]`: one request for the lists of several users."""

    method: Method = "POST"
    path: Batching
    query: dict[str, Batching] = {}
    body: Batching | None = None
    each: Asking | None = None
    """One entry of {queries}."""
    lists: Expression = AS_IS
    """A list per user in the order of the request, or an object whose keys are the user ids."""
    user: Expression | None = None
    """The user's id in an entry of `lists`, where their order is not that of the request."""
    max_users: int = Field(default=64, ge=1, le=256)


def one_at_a_time(per_request: int, one: str, many: str, whole: dict[str, Template | None]) -> None:
    """Refuses placeholders of one thing in a request that carries several."""
    if per_request == 1:
        return
    for key, template in whole.items():
        for used in () if template is None else template.placeholders:
            if used.name not in (many, "run_id", "round", "now", "values"):
                raise ValueError(
                    f"{key}: {{{used}}} is of one {one}, and a request carries up to {per_request}"
                    f": use {{{many}}} in body, or per_request = 1"
                )


class Rule(Table):
    """`[[feedback.events]]`: what is sent of one kind of event. One may fit several rules."""

    of: tuple[Kind, ...] = Field(min_length=1)
    """Kinds of events; impression: an item as it was shown, from the service's own lists."""
    least: float | None = None
    """Only with a rating of at least this."""
    most: float | None = None
    """Only with a rating of at most this."""
    event: OfEvent
    """What is sent of it: {event} and an entry of {events} in paths, queries and bodies."""
    method: Method | None = None
    path: OfEvents | None = None
    """Where this kind goes, if not where all feedback goes."""


class Feedback(Table):
    """`[feedback]`: what users did, sent after each round."""

    method: Method = "POST"
    path: OfEvents
    query: dict[str, OfEvents] = {}
    body: OfEvents | None = None
    """Left out: {events} in an array, with per_request = 1 {event} itself."""
    per_request: int = Field(default=500, ge=1)
    ordered: bool = True
    """Whether one request waits for the one before it."""
    events: tuple[Rule, ...] = Field(min_length=1)
    rating_scale: tuple[float, float] = (-1.0, 1.0)
    """What 1 and 5 become in {scaled_rating}."""
    failures: Expression | None = None
    """Those entries of an answer with a good status that say that an event was refused."""
    idempotency_header: str = "Idempotency-Key"
    """The same each time that the same request is tried; empty: none."""
    give_up_after: float = Field(default=30.0, gt=0)
    """Seconds for one request with its retries; then its events are lost, and counted."""

    @model_validator(mode="after")
    def _whole(self) -> Feedback:
        whole = {"path": self.path, "body": self.body, **self.query}
        whole |= {f"events.{number}.path": rule.path for number, rule in enumerate(self.events)}
        one_at_a_time(self.per_request, "event", "events", whole)
        return self


class Upload(Table):
    """`[items]`, `[users]`: told to the service before it is asked about them."""

    method: Method = "POST"
    per_request: int = Field(default=500, ge=1)
    failures: Expression | None = None
    give_up_after: float = Field(default=60.0, gt=0)


class Withdraw(Table):
    """`[items.withdraw]`: asks the service not to list an item any more."""

    method: Method = "DELETE"
    path: OfItem
    query: dict[str, OfItem] = {}
    body: OfItem | None = None
    give_up_after: float = Field(default=60.0, gt=0)


class Items(Upload):
    """`[items]`: the catalogue, sent when a run begins, and what is new in it when it changes."""

    path: OfItems
    query: dict[str, OfItems] = {}
    body: OfItems | None = None
    each: OfItem
    withdraw: Withdraw | None = None

    @model_validator(mode="after")
    def _whole(self) -> Items:
        whole = {"path": self.path, "body": self.body, **self.query}
        one_at_a_time(self.per_request, "item", "items", whole)
        return self


class Users(Upload):
    """`[users]`: a user, sent before the first request that names her."""

    path: OfUsers
    query: dict[str, OfUsers] = {}
    body: OfUsers | None = None
    each: OfUser

    @model_validator(mode="after")
    def _whole(self) -> Users:
        whole = {"path": self.path, "body": self.body, **self.query}
        one_at_a_time(self.per_request, "user", "users", whole)
        return self


class Reset(Table):
    """`[reset]`: asks the service to forget, when a run begins."""

    method: Method = "POST"
    path: Always
    query: dict[str, Always] = {}
    body: Always | None = None
    required: bool = False
    """Refuse the run where it fails: it would begin with what another run taught."""
    give_up_after: float = Field(default=60.0, gt=0)


class Status(Table):
    """`[train.status]`: asked until it says that training is done."""

    path: Always
    query: dict[str, Always] = {}
    done: Expression
    """True once it is, for example \"state == 'ready'\"."""
    every: float = Field(default=0.5, gt=0)
    """Seconds between two questions."""


class Train(Table):
    """`[train]`: asks the service to learn, when a round opens."""

    method: Method = "POST"
    path: Always
    query: dict[str, Always] = {}
    body: Always | None = None
    status: Status | None = None
    at_most: float = Field(default=240.0, gt=0)
    """Seconds for all of it; then the round goes on with what the service has."""


class Mapping(Table):
    """The whole file."""

    base_url: str = Field(pattern=r"^https?://[^\s/]+")
    headers: dict[str, str] = {}
    """Sent with every request."""
    api_key_env: str = ""
    """The environment variable that holds a key."""
    api_key_header: str = "X-API-Key"
    """The header that the key is sent in."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds for one try of one request."""
    connect_timeout: float = Field(default=3.0, gt=0)
    concurrency: int = Field(default=8, ge=1, le=1024)
    """Requests under way at once."""
    users_per_work: int = Field(default=16, ge=1, le=256)
    """Most users that RecArena asks about at once: they succeed or fail together."""
    values: dict[str, str | int | float | bool] = {}
    """Yours: {values.NAME} in every template."""
    retry: Retry = Retry()
    auth: Auth | None = None
    item_ids: ItemIds = ItemIds()
    rank: Rank | None = None
    batch: Batch | None = None
    search: Search | None = None
    feedback: Feedback | None = None
    items: Items | None = None
    users: Users | None = None
    reset: Reset | None = None
    train: Train | None = None

    @model_validator(mode="after")
    def _asks_in_one_way(self) -> Mapping:
        if (self.rank is None) == (self.batch is None):
            raise ValueError("either [rank] or [batch] is needed, and not both")
        return self

    def templates(self) -> list[tuple[str, Template]]:
        """All templates, each with the key it stands at."""
        return list(_templates(self, ""))

    @property
    def explains(self) -> bool:
        """Whether an answer may hold explanations."""
        answers = (self.rank, self.batch, self.search)
        return any(one is not None and one.explanation is not None for one in answers)


def _templates(value: Any, where: str) -> list[tuple[str, Template]]:
    if isinstance(value, Template):
        return [(where, value)]
    parts: list[tuple[str, Any]] = []
    if isinstance(value, Table):
        parts = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        parts = [(str(name), one) for name, one in value.items()]
    elif isinstance(value, tuple):
        parts = [(str(index), one) for index, one in enumerate(value)]
    found: list[tuple[str, Template]] = []
    for name, one in parts:
        found += _templates(one, f"{where}.{name}" if where else name)
    return found
