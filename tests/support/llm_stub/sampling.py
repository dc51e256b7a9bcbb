"""JSON schemas: a value for one, a value made to fit one, and what is wrong with a value."""

from __future__ import annotations

import re
from functools import cache
from random import Random
from typing import Any

from support.llm_stub.asking import Json

DEEP = 5  # from here on as little as the schema allows
_PROSE = """
a quiet film about people who wait for rain and talk too much before the long night ends
with good music and an honest heart that stays warm in the old town by the sea
"""
WORDS = tuple(_PROSE.split())
_FROM_TO = re.compile(r"\bfrom (-?\d+) to (-?\d+)", re.IGNORECASE)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def words(rng: Random, at_least: int = 2, at_most: int = 8) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(at_least, at_most)))


@cache
def described_bounds(description: str) -> tuple[int, int] | None:
    """The bounds of a description such as "your rating, from 1 to 5"."""
    found = _FROM_TO.search(description)
    return (int(found[1]), int(found[2])) if found else None


def bounds(node: Json) -> tuple[float | None, float | None]:
    """The least and the greatest number that the schema allows; integers if it says integer."""
    step = 1 if node.get("type") == "integer" else 1e-6
    low, high = described_bounds(node.get("description", "")) or (None, None)
    if "minimum" in node:
        low = node["minimum"]
    if "exclusiveMinimum" in node:
        low = node["exclusiveMinimum"] + step
    if "maximum" in node:
        high = node["maximum"]
    if "exclusiveMaximum" in node:
        high = node["exclusiveMaximum"] - step
    return low, high


def has_type(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def sample(schema: Json, rng: Random) -> Any:
    """Any value that the schema allows."""
    return Shape(schema, rng).sample(schema)


def fitted(value: object, schema: Json, rng: Random) -> Any:
    """The value with what the schema does not allow taken out, and what it misses sampled."""
    return Shape(schema, rng).fit(value, schema)


def problems(value: object, schema: Json) -> list[str]:
    """What the schema does not allow, each with where it stands."""
    return Shape(schema, Random(0)).problems(value, schema)


class Shape:
    """A schema with its `$defs`."""

    def __init__(self, root: Json, rng: Random) -> None:
        self.root = root
        self.rng = rng

    def resolved(self, given: Json | bool) -> Json:
        node: Json = given if isinstance(given, dict) else {}
        while "$ref" in node:
            target: Any = self.root
            for part in node["$ref"].removeprefix("#").strip("/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")] if part else target
            node = target | {key: value for key, value in node.items() if key != "$ref"}
        for part in node.get("allOf", ()):
            node = self.resolved(part) | {k: v for k, v in node.items() if k != "allOf"}
        return node

    def sample(self, node: Json | bool, depth: int = 0) -> Any:
        node = self.resolved(node)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return self.rng.choice(node["enum"])
        if options := node.get("anyOf") or node.get("oneOf"):
            if depth >= DEEP:
                return self.sample(min(options, key=self.weight), depth + 1)
            return self.sample(self.rng.choice(options), depth + 1)
        kind = kinds[0] if len(kinds := self.kinds(node)) == 1 else self.rng.choice(kinds)
        return getattr(self, f"_{kind}")(node, depth)

    @staticmethod
    def kinds(node: Json) -> list[str]:
        given = node.get("type")
        if given is None:
            return ["object"] if "properties" in node else ["string"]
        return [given] if isinstance(given, str) else list(given)

    def weight(self, node: Json | bool) -> int:
        """Of the options of a deep schema the one that ends is taken."""
        node = self.resolved(node)
        if "anyOf" in node or "oneOf" in node:
            return 2
        order = {"object": 3, "array": 1 if not node.get("minItems") else 3}
        return min(order.get(kind, 0) for kind in self.kinds(node))

    def _object(self, node: Json, depth: int) -> Json:
        required = node.get("required", ())
        return {
            name: self.sample(part, depth + 1)
            for name, part in node.get("properties", {}).items()
            if name in required or (depth < DEEP and self.rng.random() < 0.5)
        }

    def _array(self, node: Json, depth: int) -> list[Any]:
        least = node.get("minItems", 0)
        most = least if depth >= DEEP else min(node.get("maxItems", least + 3), least + 3)
        items = [
            self.sample(node.get("items", {}), depth + 1)
            for _ in range(self.rng.randint(least, most))
        ]
        return self._distinct(items, node, depth) if node.get("uniqueItems") else items

    def _distinct(self, items: list[Any], node: Json, depth: int) -> list[Any]:
        kept = [item for at, item in enumerate(items) if item not in items[:at]]
        for _ in range(100):
            if len(kept) >= node.get("minItems", 0):
                break
            if (item := self.sample(node.get("items", {}), depth + 1)) not in kept:
                kept.append(item)
        return kept

    def _string(self, node: Json, depth: int = 0) -> str:
        return self.lengthened(words(self.rng), node)

    def lengthened(self, text: str, node: Json) -> str:
        while len(text) < node.get("minLength", 0):
            text += " " + words(self.rng)
        most = node.get("maxLength")
        return text if most is None else text[:most]

    def _number_bounds(self, node: Json) -> tuple[float, float]:
        low, high = bounds(node)
        low = low if low is not None else min(0, high if high is not None else 0)
        return low, high if high is not None else low + 10

    def _integer(self, node: Json, depth: int = 0) -> int:
        low, high = self._number_bounds(node)
        return self.rng.randint(-int(-low // 1), int(high // 1))

    def _number(self, node: Json, depth: int = 0) -> float:
        low, high = self._number_bounds(node)
        return min(max(round(self.rng.uniform(low, high), 3), low), high)

    def _boolean(self, node: Json, depth: int) -> bool:
        return self.rng.random() < 0.5

    def _null(self, node: Json, depth: int) -> None:
        return None

    def fit(self, value: Any, node: Json | bool) -> Any:
        node = self.resolved(node)
        if "const" in node or "enum" in node:
            allowed = node["enum"] if "enum" in node else [node["const"]]
            return value if value in allowed else self.sample(node)
        if options := node.get("anyOf") or node.get("oneOf"):
            good = [one for one in options if not self.problems(value, one)]
            kin = [one for one in options if self._is_kin(value, self.resolved(one))]
            return self.fit(value, (good or kin)[0]) if good or kin else self.sample(node)
        if "type" not in node and "properties" not in node:
            return value
        if not self._is_kin(value, node):
            return self.sample(node)
        if isinstance(value, dict):
            return self._fit_object(value, node)
        if isinstance(value, list):
            return self._fit_array(value, node)
        if isinstance(value, str):
            return self.lengthened(value, node)
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = bounds(node)
            value = value if low is None else max(value, low)
            return value if high is None else min(value, high)
        return value

    def _is_kin(self, value: object, node: Json) -> bool:
        kind = node.get("type")
        if isinstance(kind, str):
            return has_type(value, kind)
        return any(has_type(value, kind) for kind in self.kinds(node))

    def _fit_object(self, value: Json, node: Json) -> Json:
        parts = node.get("properties", {})
        open_ended = node.get("additionalProperties", True) is not False
        fit = {
            name: self.fit(part, parts[name]) if name in parts else part
            for name, part in value.items()
            if name in parts or open_ended
        }
        for name in node.get("required", ()):
            if name not in fit:
                fit[name] = self.sample(parts.get(name, {}))
        return fit

    def _fit_array(self, value: list[Any], node: Json) -> list[Any]:
        fit = [self.fit(item, node.get("items", {})) for item in value[: node.get("maxItems")]]
        while len(fit) < node.get("minItems", 0):
            fit.append(self.sample(node.get("items", {})))
        return self._distinct(fit, node, 0) if node.get("uniqueItems") else fit

    def problems(self, value: Any, node: Json | bool, where: str = "$") -> list[str]:
        node = self.resolved(node)
        if "const" in node and value != node["const"]:
            return [f"{where}: {value!r} is not {node['const']!r}"]
        if "enum" in node and value not in node["enum"]:
            return [f"{where}: {value!r} is none of {node['enum']!r}"]
        for word in ("anyOf", "oneOf"):
            if word in node and all(self.problems(value, one, where) for one in node[word]):
                return [f"{where}: {value!r} fits no option"]
        if "type" in node and not any(has_type(value, kind) for kind in self.kinds(node)):
            return [f"{where}: {value!r} is not of type {node['type']}"]
        if isinstance(value, dict):
            return self._problems_of_object(value, node, where)
        if isinstance(value, list):
            found = [
                problem
                for at, item in enumerate(value)
                for problem in self.problems(item, node.get("items", {}), f"{where}[{at}]")
            ]
            if not node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value)):
                found.append(f"{where}: {len(value)} items")
            if node.get("uniqueItems") and any(x in value[:at] for at, x in enumerate(value)):
                found.append(f"{where}: an item twice")
            return found
        if isinstance(value, str):
            length = len(value)
            fits = node.get("minLength", 0) <= length <= node.get("maxLength", length)
            return [] if fits else [f"{where}: {length} characters"]
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = bounds(node)
            if (low is not None and value < low) or (high is not None and value > high):
                return [f"{where}: {value} is not from {low} to {high}"]
        return []

    def _problems_of_object(self, value: Json, node: Json, where: str) -> list[str]:
        parts = node.get("properties", {})
        found = [f"{where}: no {name}" for name in node.get("required", ()) if name not in value]
        for name, part in value.items():
            if name in parts:
                found += self.problems(part, parts[name], f"{where}.{name}")
            elif node.get("additionalProperties", True) is False:
                found.append(f"{where}: {name} is too much")
        return found
