"""Turns that people take, and what they decide, as messages."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import numpy as np

from recarena.server.errors import InputError
from recarena.server.minds.choice import words
from recarena.server.minds.person.desk import OpenTurn, TurnState
from recarena.server.minds.person.rules import author_to_answer, can_socialise
from recarena.server.minds.person.turns import (
    ActivityTurn,
    Choice,
    Doing,
    Opened,
    OpeningTurn,
    PageChoice,
    PageTurn,
    Said,
    SocialTurn,
    WatchChoice,
)
from recarena.server.ports import WorldView
from recarena.server.rpc.times import duration, timestamp
from recarena.server.runs import Run
from recarena.server.types import NOBODY, NOTHING, EventKind, MemoryKind
from recarena.server.wording import spoken_title
from recarena.v1 import steering_pb2, types_pb2

DOINGS = {
    steering_pb2.Decision.DOING_NOTHING: EventKind.IDLE,
    steering_pb2.Decision.DOING_RECOMMENDER: EventKind.ENTER_RECOMMENDER,
    steering_pb2.Decision.DOING_SOCIAL: EventKind.ENTER_SOCIAL,
}
ACTIONS = {
    steering_pb2.Decision.ACTION_NEXT: EventKind.NEXT,
    steering_pb2.Decision.ACTION_SEARCH: EventKind.SEARCH,
    steering_pb2.Decision.ACTION_LEAVE: EventKind.LEAVE,
}


# ------------------------------------------------------------------------------ to decide
async def turn_message(run: Run, state: TurnState) -> steering_pb2.PlayTurn | None:
    """The open turn of a user; None without one."""
    opened = state.open
    if opened is None:
        return None
    made = _named(run, opened, state.remaining_s)
    match opened.turn:
        case ActivityTurn(world=world, user=user):
            made.activity.can_socialise = can_socialise(world, user)
        case OpeningTurn():
            made.opening.SetInParent()
        case PageTurn() as turn:
            made.page.CopyFrom(_page(turn))
        case SocialTurn(world=world, user=user):
            made.social.CopyFrom(_social(world, user))
            made.social.unread = await asyncio.to_thread(_unread, run, world, user)
    return made


def _named(run: Run, opened: OpenTurn, remaining_s: float) -> steering_pb2.PlayTurn:
    ends = datetime.fromtimestamp(time.time() + remaining_s, UTC)
    return steering_pb2.PlayTurn(
        turn_id=opened.id,
        user_id=run.world.population.user_ids[opened.turn.user],
        round=opened.turn.round,
        deadline=timestamp(ends),
        remaining=duration(remaining_s),
    )


def _page(turn: PageTurn) -> steering_pb2.PlayTurn.Page:
    """A page as its user sees it."""
    view, world, catalog = turn.view, turn.world, turn.world.catalog
    items = view.items[0]
    before = world.watched.has(np.full(len(items), turn.user, np.int32), items)
    before |= np.isin(items, view.watched_now[0])
    made = steering_pb2.PlayTurn.Page(
        step=view.step,
        surface=types_pb2.Surface.ValueType(int(view.surface[0])),
        can_search=view.can_search,
        last=turn.last,
        query=turn.query,
    )
    for position, item in enumerate(items.tolist()):
        if item != NOTHING:
            made.items.add(
                item_id=catalog.item_ids[item],
                title=catalog.titles[item],
                categories=catalog.genres_of(item),
                position=position,
                explanation=view.explanations.get((0, position), ""),
                watched_before=bool(before[position]),
                displayed_rating=float(world.displayed_rating[item]),
                description=catalog.descriptions[item],
            )
    return made


def _social(world: WorldView, user: int) -> steering_pb2.PlayTurn.Social:
    """The social network as its user finds it, but for the words of what was posted."""
    network, people, catalog = world.network, world.population, world.catalog
    ties, last = network.ties_of(user), int(world.last_item[user])
    made = steering_pb2.PlayTurn.Social()
    for tie in ties.start + np.argsort(-network.closeness[ties], kind="stable"):
        other = int(network.other[tie])
        made.acquaintances.add(
            user_id=people.user_ids[other],
            name=people.names[other],
            kind=network.kinds[int(network.kind[tie])],
            closeness=float(network.closeness[tie]),
        )
    if (author := author_to_answer(world, user)) != NOBODY:
        made.unread_user_id = people.user_ids[author]
    if last != NOTHING:
        made.last_item_id, made.last_title = catalog.item_ids[last], catalog.titles[last]
    return made


def _unread(run: Run, world: WorldView, user: int) -> str:
    """The newest post that the user has not read; "" without one."""
    author = author_to_answer(world, user)
    if author == NOBODY:
        return ""
    memories = run.folder.memories_of(user)
    read = (memories.kind == MemoryKind.READ) & (memories.source == author)
    for row in np.flatnonzero(read)[::-1].tolist():
        item = int(memories.item[row])
        if row in memories.text:
            return memories.text[row]
        if item != NOTHING:
            return words.post(int(memories.code[row]), spoken_title(world.catalog.titles[item]))
    return ""


# ------------------------------------------------------------------------------ decided
def choice_from(run: Run, decision: steering_pb2.Decision) -> Choice:
    """What a person decides. InputError with paths from `decision` on."""
    match decision.WhichOneof("decision"):
        case "activity":
            if decision.activity not in DOINGS:
                raise InputError("nothing, the recommender or the social network",
                                 where="decision.activity")  # fmt: skip
            return Doing(DOINGS[decision.activity])
        case "opening":
            return Opened(decision.opening.words)
        case "page":
            page = decision.page
            if page.action not in ACTIONS:
                raise InputError("the next page, a search or leaving",
                                 where="decision.page.action")  # fmt: skip
            watches = [WatchChoice(one.position, one.rating, one.feeling) for one in page.watches]
            return PageChoice(tuple(watches), ACTIONS[page.action], page.query)
        case "social":
            said, world = decision.social, run.world
            numbers = world.population.number_of, world.catalog.number_of
            return Said(
                said.words,
                _number(numbers[0], said.user_id, "decision.social.user_id", "user"),
                _number(numbers[1], said.item_id, "decision.social.item_id", "item"),
                said.sentiment,
            )
        case _:
            raise InputError("it does not say what is decided", where="decision")


def _number(number_of: dict[str, int], name: str, where: str, what: str) -> int:
    """The number of a user or an item; of nobody or nothing where there is no name."""
    if not name:
        return NOBODY
    if name not in number_of:
        raise InputError(f"there is no {what} {name[:128]!r}", where=where)
    return number_of[name]
