"""The scripted server's rounds in words."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from recarena.v1 import run_pb2
from support.observatory.scenery import Columns, Scenery

Type = run_pb2.UserEvent
OUTCOMES = ("", "accepted", "violations", "rejected", "late", "failed", "lost")
DAY_S = 86_400
FIRST_DAY = 1_767_225_600


def event(
    world: Scenery, log: Columns, row: int, *, round: int, people: frozenset[int]
) -> run_pb2.UserEvent:
    """One event of a round."""
    user, kind, item, other = log.user[row], log.kind[row], log.item[row], log.other[row]
    placed = kind in (Type.TYPE_SHOWN, Type.TYPE_WATCH)
    made = run_pb2.UserEvent(
        sequence=row, type=Type.Type.ValueType(kind), round=round, words=log.words.get(row, ""),
        position=log.position[row] if placed else None,
        value=log.value[row] if kind in (Type.TYPE_WATCH, Type.TYPE_CHAT, Type.TYPE_POST) else None,
        step=log.step[row] if log.step[row] >= 0 else None, by_person=user in people,
    )  # fmt: skip
    if user >= 0:
        made.user_id, made.user_name = world.people[user].user_id, world.people[user].name
    if item >= 0:
        made.item_id, made.item_title = world.films[item].item_id, world.films[item].title
    if other >= 0:
        made.other_user_id = world.people[other].user_id
        made.other_user_name = world.people[other].name
    if kind == Type.TYPE_PAGE:
        made.outcome = OUTCOMES[log.outcome[row]]
        made.surface = log.surface[row]  # pyright: ignore[reportAttributeAccessIssue]
    if kind == Type.TYPE_INTERVENTION:
        made.intervention = int(log.value[row])
    made.text = sentence(made, log.position[row])
    return made


def sentence(event: run_pb2.UserEvent, count: int) -> str:
    """The event as somebody would say it."""
    who, what, words = event.user_name, event.item_title, event.words
    if event.type == Type.TYPE_WATCH:
        return f"{who} watches {what}, rates it {event.value:.0f}/5: “{words}”"
    if event.type == Type.TYPE_CHAT:
        said = words.replace("\n", " / ")
        return f"{who} chats with {event.other_user_name} about {what}: “{said}”"
    return {
        Type.TYPE_IDLE: f"{who} does nothing.",
        Type.TYPE_ENTER_RECOMMENDER: f"{who} opens the recommender.",
        Type.TYPE_ENTER_SOCIAL: f"{who} opens the social network.",
        Type.TYPE_PAGE: f"{who} sees {count} recommendations.",
        Type.TYPE_SHOWN: f"{who} sees {what} at position {event.position + 1}.",
        Type.TYPE_NEXT: f"{who} turns to the next page.",
        Type.TYPE_SEARCH: f"{who} searches for “{words}”.",
        Type.TYPE_LEAVE: f"{who} leaves the recommender.",
        Type.TYPE_POST: f"{who} posts about {what}: “{words}”",
        Type.TYPE_CONVERSE: f"{who} asks the recommender: “{words}”",
        Type.TYPE_INTERVENTION: words,
    }[event.type]


def told(
    world: Scenery, log: Columns, user: int, *, round: int, people: frozenset[int]
) -> run_pb2.UserRound | None:
    """What a user did in a round; None where it was nothing."""
    rows = [row for row in range(len(log)) if log.user[row] == user]
    if not rows or log.kind[rows[0]] == Type.TYPE_IDLE:
        return None
    person = world.people[user]
    made = run_pb2.UserRound(
        user_id=person.user_id, user_name=person.name, round=round, by_person=user in people
    )
    deeds: list[str] = []
    watched = [world.films[log.item[row]].title for row in rows if log.kind[row] == Type.TYPE_WATCH]
    pages = sum(log.kind[row] == Type.TYPE_PAGE for row in rows)
    for row in rows:
        if log.kind[row] == Type.TYPE_SEARCH:
            deeds.append(f"searches for {log.words[row]}")
            made.titles.append(log.words[row])
        if log.kind[row] in (Type.TYPE_CHAT, Type.TYPE_POST):
            title = world.films[log.item[row]].title
            made.titles.append(title)
            deeds.append(f"posts about {title}")
            if log.other[row] >= 0:
                partner = world.people[log.other[row]]
                made.people[partner.user_id] = partner.name
                deeds[-1] = f"chats with {partner.name} about {title}"
    if watched:
        deeds.append(
            f"watches {watched[0]}" + (f" and {len(watched) - 1} more" * (len(watched) > 1))
        )
        made.titles.append(watched[0])
    elif pages:
        deeds.append(f"looks at {pages} page{'s' * (pages > 1)} and watches nothing")
    made.text = f"{person.name} {', '.join(deeds) or 'looks in'}."
    return made


def summary(
    log: Columns, *, round: int, wall_ms: float, people: frozenset[int]
) -> run_pb2.RoundSummary:
    """What a round came to."""

    def count(kind: int) -> int:
        return log.kind.count(kind)

    ratings = [
        value
        for kind, value in zip(log.kind, log.value, strict=True)
        if kind == Type.TYPE_WATCH and value > 0
    ]
    made = run_pb2.RoundSummary(
        round=round,
        sim_time=Timestamp(seconds=FIRST_DAY + round * DAY_S),
        active_users=len({user for user in log.user if user >= 0}),
        visits=count(Type.TYPE_ENTER_RECOMMENDER),
        pages=count(Type.TYPE_PAGE),
        exposures=count(Type.TYPE_SHOWN),
        watches=count(Type.TYPE_WATCH),
        chats=count(Type.TYPE_CHAT),
        posts=count(Type.TYPE_POST),
        mean_rating=sum(ratings) / len(ratings) if ratings else None,
        interventions=count(Type.TYPE_INTERVENTION),
        people=len(people),
    )
    made.wall_time.FromMicroseconds(int(wall_ms * 1000))
    return made
