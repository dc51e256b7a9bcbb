"""Forms of answers: structured, checked by us whatever the provider promises, or lines of text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from recarena.server.llm.calls import Failure, Unreadable

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

_SCHEMAS: dict[type[BaseModel], dict[str, Any]] = {}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema; made once."""
    if model not in _SCHEMAS:
        _SCHEMAS[model] = model.model_json_schema()
    return _SCHEMAS[model]


class JsonForm(Generic[M]):
    """One JSON object. `check` raises Unreadable for what the schema cannot know (numbers that
    were not offered)."""

    def __init__(
        self, name: str, model: type[M], check: Callable[[M], None] = lambda _: None
    ) -> None:
        self.name, self._model, self._check = name, model, check
        self.schema: Mapping[str, Any] | None = schema_of(model)

    def read(self, text: str) -> tuple[M, bool]:
        """The object; tolerated where something stands around it."""
        stripped = text.strip()
        try:
            value, clean = json.loads(stripped), True
        except (ValueError, RecursionError):
            value, clean = _object_in(stripped), False
        if not isinstance(value, dict):
            raise Unreadable(Failure.NOT_IN_FORM, "the answer is not one JSON object")
        try:
            model = self._model.model_validate(value)
        except ValidationError as error:
            raise _unreadable(error) from None
        self._check(model)
        return model, clean


def _object_in(text: str) -> object:
    """The first JSON object in prose or in a fence, None without one."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", text):
        try:
            return decoder.raw_decode(text, match.start())[0]
        except json.JSONDecodeError:
            continue
        except (ValueError, RecursionError):
            return None  # numbers of thousands of digits, or thousands of brackets
    return None


def _unreadable(error: ValidationError) -> Unreadable:
    """Range before shape: a rating of 9 is another mistake than none."""
    first = error.errors()[0]
    kinds = ("less_than", "greater_than", "literal", "enum", "too_long", "too_short")
    out = any(word in str(first["type"]) for word in kinds)
    where = ".".join(str(part) for part in first["loc"])
    # The names of unknown fields are the model's own words, and may be half of a character.
    problem = f"{where}: {first['msg']}".encode("utf-8", "replace").decode()
    return Unreadable(Failure.OUT_OF_RANGE if out else Failure.WRONG_FIELDS, problem)


class TextForm(Generic[T]):
    """Lines of text, read by a function that raises Unreadable."""

    schema: Mapping[str, Any] | None = None

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name, self._parse = name, parse

    def read(self, text: str) -> tuple[T, bool]:
        """What the function makes of the text."""
        return self._parse(text), True
