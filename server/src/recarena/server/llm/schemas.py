"""JSON schemas as providers want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")


_MADE: dict[int, tuple[Mapping[str, Any], dict[str, Any]]] = {}


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """As `made_strict`, made once for each schema, which must not change."""
    known = _MADE.get(id(schema))
    if known is None or known[0] is not schema:
        known = _MADE[id(schema)] = (schema, made_strict(schema))
    return known[1]


def made_strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """All fields required and no others allowed, without titles and defaults, references put in
    place: the form that all providers of structured output take."""
    return _strict(schema, schema.get("$defs") or {})


def _strict(part: Any, named: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_strict(one, named) for one in part]
    if not isinstance(part, Mapping):
        return part
    if "$ref" in part:
        return _strict(named[str(part["$ref"]).rsplit("/", 1)[-1]], named)
    made: dict[str, Any] = {}
    for name, value in part.items():
        if name == "properties":
            made[name] = {field: _strict(one, named) for field, one in value.items()}
        elif name not in ("title", "default", "$defs"):
            made[name] = _strict(value, named)
    if made.get("type") == "object":
        made["additionalProperties"] = False
        made["required"] = list(made.get("properties", {}))
    return made


def bounds_in_words(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds as words in the descriptions, for providers whose schemas have none."""
    return _worded(schema)


def _worded(part: Any) -> Any:
    if isinstance(part, list):
        return [_worded(one) for one in part]
    if not isinstance(part, Mapping):
        return part
    made: dict[str, Any] = {}
    for name, value in part.items():
        if name == "properties":
            made[name] = {field: _worded(one) for field, one in value.items()}
        elif name not in _BOUNDS:
            made[name] = _worded(value)
    words: list[str] = []
    if "minimum" in part or "maximum" in part:
        words.append(f"from {part.get('minimum', 'any')} to {part.get('maximum', 'any')}")
    if "minItems" in part:
        words.append(f"at least {part['minItems']}")
    if "maxItems" in part:
        words.append(f"at most {part['maxItems']}")
    if "minLength" in part:
        words.append(f"at least {part['minLength']} characters")
    if "maxLength" in part:
        words.append(f"at most {part['maxLength']} characters")
    if words:
        told = [str(part["description"])] if "description" in part else []
        made["description"] = ", ".join([*told, *words])
    return made
