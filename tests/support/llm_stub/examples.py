"""Tasks as they are asked, each with a schema for its answer."""

from __future__ import annotations

import json
from typing import Any

from support.llm_stub.asking import Asked


def shape(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def many(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def whole(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "description": f"A number from {low} to {high}."}


TEXT = {"type": "string"}
WATCH = shape(item=whole(1, 4), rating=whole(1, 5), feeling=TEXT)
TURN = shape(speaker={"enum": ["you", "partner"]}, words=TEXT)
SCHEMAS: dict[str, dict[str, Any]] = {
    "activity": shape(activity={"enum": ["RECOMMENDER", "SOCIAL", "NOTHING"]}, reason=TEXT),
    "page": shape(
        watch=many(WATCH),
        then={"enum": ["NEXT", "SEARCH", "LEAVE"]},
        search=TEXT,
        note=TEXT,
        importance=whole(1, 10),
    ),
    "social": shape(
        action={"enum": ["CHAT", "POST"]},
        about=whole(0, 2),
        sentiment=whole(-2, 2),
        words=TEXT,
        dialogue=many(TURN),
        note=TEXT,
        importance=whole(1, 10),
        partner_note=TEXT,
        partner_importance=whole(1, 10),
    ),
    "reflect": shape(insights=many(shape(text=TEXT, rests_on=many(whole(1, 3))))),
    "converse": shape(words=TEXT),
    "else": shape(mood={"enum": ["good", "bad"]}, score={"anyOf": [whole(1, 3), {"type": "null"}]}),
}
DATA: dict[str, Any] = {
    "you": {"name": "Ann", "age": "34"},
    "partner": {"name": "Bob"},
    "friends": [{"n": 1, "name": "Eve", "relation": "friend"}],
    "topics": [{"n": 1, "title": "⟦k7q2⟧Heat (1995)⟦k7q2⟧"}, {"n": 2, "title": "Up (2009)"}],
    "memories": ["Saw Heat.", "Met Bob.", "Slept."],
    "page": [
        {"n": n, "title": f"⟦k7q2⟧{title}⟦k7q2⟧", "about": "A film."}
        for n, title in enumerate(["Heat (1995)", "Up (2009)", "Ran (1985)", "M (1931)"], 1)
    ],
    "page_number": 1,
    "mark": "k7q2",
}
MAY = {"page": ["WATCH", "NEXT", "SEARCH", "LEAVE"]}
TITLES = {"Heat (1995)", "Up (2009)", "Ran (1985)", "M (1931)"}


def said(task: str = "page", **more: Any) -> str:
    """The user's message for a task."""
    may = {"may": MAY[task]} if task in MAY else {}
    return json.dumps(DATA | may | {"task": task} | more, ensure_ascii=False)


def asked(task: str = "page", schema: bool = True, body_hash: str = "b", **more: Any) -> Asked:
    turns = [("user", said(task, **more))]
    return Asked("chat", "m", "Be Ann.", turns, SCHEMAS[task] if schema else None, 999, body_hash)
