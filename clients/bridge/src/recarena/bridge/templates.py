"""Values with placeholders: paths, queries and JSON bodies of a mapping.

`{name}` stands for a value, `{{` and `}}` for braces. A string that is one placeholder and nothing
else becomes the value itself, with its type; otherwise the value is written into the string. Where
such a value is absent, its key (or its place in a list) is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

from recarena.bridge.errors import nearest

Values: TypeAlias = Mapping[str, Any]

TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[A-Za-z0-9_-]+)?")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Stands for `values[name]`, or for `values[name][field]`."""

    name: str
    field: str = ""

    def of(self, values: Values) -> Any:
        """The value, None where it is absent."""
        found = values.get(self.name)
        if not self.field:
            return found
        return found.get(self.field) if isinstance(found, Mapping) else None

    def __str__(self) -> str:
        return f"{self.name}.{self.field}" if self.field else self.name


@dataclass(frozen=True, slots=True)
class Text:
    """Pieces of a string, none of them empty."""

    pieces: tuple[str | Placeholder, ...]

    def written(self, values: Values, encode: Callable[[str], str] = str) -> str:
        """The string; `encode` is applied to the values alone."""
        return "".join(
            piece if isinstance(piece, str) else encode(as_text(piece.of(values)))
            for piece in self.pieces
        )

    def value(self, values: Values) -> Any:
        """The value of a lone placeholder, or the string."""
        if len(self.pieces) == 1 and isinstance(self.pieces[0], Placeholder):
            return self.pieces[0].of(values)
        return self.written(values)


class Template:
    """A JSON value whose strings may hold placeholders; keys of objects are taken as they are."""

    def __init__(self, source: Any, names: frozenset[str]) -> None:
        """Reads a template.

        `names` are the placeholders that may stand in it; `name.` lets any field of `name` stand.

        Raises:
            ValueError: a placeholder is not known, or a brace stands alone.
        """
        self.source = source
        self._tree = parsed(source, names)
        self.placeholders = tuple(found(self._tree))

    def json(self, values: Values) -> Any:
        """The JSON value."""
        return filled(self._tree, values)

    def path(self, values: Values) -> str:
        """The string as a path of a URL: a value is one piece of it, whatever it holds."""
        return self._tree.written(values, in_path)

    def strings(self, values: Values) -> list[str]:
        """The values of a query parameter: several for a list, none where the value is absent."""
        value = filled(self._tree, values)
        if isinstance(self._tree, list):
            return [as_text(one) for one in flat(value)]
        return [] if value is None else [as_text(value)]


def parsed(source: Any, names: frozenset[str]) -> Any:
    if isinstance(source, str):
        return read(source, names)
    if isinstance(source, Mapping):
        return {key: parsed(value, names) for key, value in source.items()}
    if isinstance(source, list):
        return [parsed(value, names) for value in source]
    return source


def read(source: str, names: frozenset[str]) -> Text:
    pieces: list[str | Placeholder] = []
    literal, at = "", 0
    for match in TOKEN.finditer(source):
        literal += source[at : match.start()]
        at = match.end()
        token = match.group()
        if token in ("{{", "}}"):
            literal += token[0]
        elif match.group(1) is None:
            raise ValueError(f"{source!r} has a brace alone: write {{{{ or }}}} for a brace itself")
        else:
            if literal:
                pieces.append(literal)
            literal = ""
            pieces.append(placeholder(match.group(1), names))
    literal += source[at:]
    if literal:
        pieces.append(literal)
    return Text(tuple(pieces))


def placeholder(name: str, names: frozenset[str]) -> Placeholder:
    head, dot, field = name.partition(".")
    if not NAME.fullmatch(name) or (head + dot not in names):
        raise ValueError(f"{{{name}}} is not known here{nearest(name, names)}")
    return Placeholder(head, field)


def filled(tree: Any, values: Values) -> Any:
    if isinstance(tree, Text):
        return tree.value(values)
    if isinstance(tree, dict):
        pairs = ((key, filled(value, values)) for key, value in tree.items())
        return {key: value for key, value in pairs if value is not None}
    if isinstance(tree, list):
        return [value for one in tree if (value := filled(one, values)) is not None]
    return tree


def found(tree: Any) -> Iterator[Placeholder]:
    if isinstance(tree, Text):
        yield from (piece for piece in tree.pieces if isinstance(piece, Placeholder))
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from found(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from found(value)


def flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def as_text(value: Any) -> str:
    """How a value is written into a string: a list with commas, what is absent as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    return json.dumps(value, ensure_ascii=False)


def in_path(text: str) -> str:
    """One piece of a path. Dots alone would walk up the path, so they are written as %2E."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")
