"""What is asked: the three providers' request bodies, brought into one form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

OPEN, CLOSE = "⟦", "⟧"
Turn = tuple[str, str]
Json = dict[str, Any]


class BadRequest(Exception):
    """The provider would answer 400."""


@dataclass
class Asked:
    """One request for words."""

    api: str  # anthropic, openai or chat
    model: str
    system: str
    messages: list[Turn]
    schema: Json | None = None
    max_tokens: int | None = None
    body_hash: str = ""

    @cached_property
    def first(self) -> str:
        """The first message of the user."""
        return next((text for role, text in self.messages if role == "user"), "")

    @cached_property
    def raw(self) -> Json:
        """The first message of the user as JSON, with the marks; {} if it is none."""
        return _json_object(self.first)

    @cached_property
    def data(self) -> Json:
        """The first message of the user as JSON, without the marks; {} if it is none."""
        mark = self.raw.get("mark")
        if not isinstance(mark, str) or not mark:
            return self.raw
        opened = json.dumps(OPEN)[1:-1]
        closed = json.dumps(CLOSE)[1:-1]
        text = bare(self.first, mark)
        return _json_object(text.replace(f"{opened}{mark}{closed}", ""))

    @property
    def task(self) -> str:
        return str(self.data.get("task", ""))

    @property
    def repairs(self) -> bool:
        """Whether this is a second try: the conversation has an answer already."""
        return any(role == "assistant" for role, _ in self.messages)

    @property
    def prompt_length(self) -> int:
        return len(self.system) + sum(len(text) for _, text in self.messages)


Mind = Callable[[Asked], str]


def bare(text: str, mark: str) -> str:
    """Without the mark that a call puts around what it quotes: ⟦k7q2⟧Heat (1995)⟦k7q2⟧."""
    return text.replace(f"{OPEN}{mark}{CLOSE}", "")


def asked_by(api: str, body: Json, body_hash: str, caps_context: int | None = None) -> Asked:
    """What the body of a request to `api` asks for."""
    if not isinstance(body.get("model"), str):
        raise BadRequest("model: Field required")
    if body.get("stream"):
        raise BadRequest("stream: not supported here")
    system, messages = _READ[api](body)
    if not messages:
        raise BadRequest("messages: at least one message is required")
    if caps_context is not None:
        system, messages = capped(system, messages, caps_context)
    return Asked(
        api, body["model"], system, messages, _schema(api, body), _max_tokens(api, body), body_hash
    )


def capped(system: str, messages: list[Turn], limit: int) -> tuple[str, list[Turn]]:
    """The last `limit` characters of it all."""
    kept: list[Turn] = []
    left = limit
    for role, text in reversed(messages):
        if left <= 0:
            break
        kept.append((role, text[-left:]))
        left -= len(text)
    kept.reverse()
    return system[-left:] if left > 0 else "", kept


def _json_object(text: str) -> Json:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(content: object, types: tuple[str, ...]) -> str:
    """A string, or a list of text blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadRequest("content: a string or a list of text blocks is required")
    texts: list[str] = []
    for block in content:
        if not isinstance(block, dict) or block.get("type") not in types:
            raise BadRequest(f"content: only blocks of {' or '.join(types)} are known here")
        if not isinstance(block.get("text"), str):
            raise BadRequest("content.text: Field required")
        texts.append(block["text"])
    return "".join(texts)


def _turns(
    messages: object, roles: tuple[str, ...], types: tuple[str, ...]
) -> tuple[list[str], list[Turn]]:
    """What is said as the system, and the turns of the others."""
    if not isinstance(messages, list):
        raise BadRequest("messages: a list is required")
    system: list[str] = []
    turns: list[Turn] = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role not in roles:
            raise BadRequest(f"messages.role: {role!r} is none of {', '.join(roles)}")
        text = _text(message.get("content"), types)
        if role in ("system", "developer"):
            system.append(text)
        else:
            turns.append((role, text))
    return system, turns


def _read_anthropic(body: Json) -> tuple[str, list[Turn]]:
    if not isinstance(body.get("max_tokens"), int):
        raise BadRequest("max_tokens: Field required")
    _, turns = _turns(body.get("messages"), ("user", "assistant"), ("text",))
    if any(not text.strip() for _, text in turns):
        raise BadRequest("messages: text content blocks must be non-empty")
    return _text(body.get("system", ""), ("text",)), turns


OPENAI_ROLES = ("system", "developer", "user", "assistant")


def _read_openai(body: Json) -> tuple[str, list[Turn]]:
    given = body.get("input")
    system = [body.get("instructions") or ""]
    if isinstance(given, str):
        return system[0], [("user", given)]
    more, turns = _turns(given, OPENAI_ROLES, ("input_text", "output_text"))
    return "\n\n".join(part for part in system + more if part), turns


def _read_chat(body: Json) -> tuple[str, list[Turn]]:
    system, turns = _turns(body.get("messages"), OPENAI_ROLES, ("text",))
    return "\n\n".join(system), turns


_READ = {"anthropic": _read_anthropic, "openai": _read_openai, "chat": _read_chat}


def _schema(api: str, body: Json) -> Json | None:
    if api == "anthropic":
        form = (body.get("output_config") or {}).get("format")
    elif api == "openai":
        form = (body.get("text") or {}).get("format")
    else:
        form = body.get("response_format")
    if not form or form.get("type") == "text":
        return None
    if form.get("type") == "json_object":
        return {"type": "object"}
    if form.get("type") != "json_schema":
        raise BadRequest(f"format.type: {form.get('type')!r} is not known")
    holder = form.get("json_schema") if api == "chat" else form
    if not isinstance(holder, dict) or not isinstance(holder.get("schema"), dict):
        raise BadRequest("format.schema: Field required")
    if api != "anthropic" and not isinstance(holder.get("name"), str):
        raise BadRequest("format.name: Field required")
    return holder["schema"]


def _max_tokens(api: str, body: Json) -> int | None:
    names = {
        "anthropic": ("max_tokens",),
        "openai": ("max_output_tokens",),
        "chat": ("max_completion_tokens", "max_tokens"),
    }
    given = (body.get(name) for name in names[api])
    return next((limit for limit in given if isinstance(limit, int)), None)
