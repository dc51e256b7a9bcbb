"""From a TOML file, settings of the command line and the environment to a mapping."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterable
from collections.abc import Mapping as Tree
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from recarena.bridge.errors import MappingError, nearest
from recarena.bridge.ids import ItemIdMap, read_pairs
from recarena.bridge.mapping import Mapping, Table

HIDDEN = "***"
VARIABLE = re.compile(r"\$\{([^}]*)\}")
SHIPPED = files("recarena.bridge") / "mappings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A mapping that can be used."""

    # The file, or the name of a shipped mapping: for people.
    where: str
    mapping: Mapping
    ids: ItemIdMap
    # Values of environment variables that went into it: never to be shown.
    secrets: frozenset[str]
    # Of [auth], empty without.
    signing_key: str

    def hidden(self, text: str) -> str:
        """A text without the secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            for form in {secret, quote(secret, safe="")}:
                text = text.replace(form, HIDDEN)
        return text


def shipped() -> dict[str, str]:
    """The text of the mappings that come with the bridge, by name."""
    found = {one.name.removesuffix(".toml"): one for one in SHIPPED.iterdir()}
    return {name: found[name].read_text("utf-8") for name in sorted(found)}


def load(
    text: str, where: str, folder: Path, settings: Iterable[str], environment: Tree[str, str]
) -> Loaded:
    """The mapping that a text says.

    Args:
        text: TOML.
        where: What to call it in errors.
        folder: Where files that it names are looked for.
        settings: KEY=VALUE, each in place of what the text says.
        environment: Where `${NAME}` and the keys that end with `_env` are looked up.

    Raises:
        MappingError: naming the file, the key and what to do, on one line.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{where}: not TOML: {error}") from None
    for setting in settings:
        put(tree, setting)
    secrets: set[str] = set()
    for key in ("base_url", "headers", "values"):
        if key in tree:
            tree[key] = expanded(tree[key], key, where, environment, secrets)
    mapping = checked(tree, where)
    headers = dict(mapping.headers)
    if mapping.api_key_env:
        key = variable(mapping.api_key_env, "api_key_env", where, environment)
        headers[mapping.api_key_header] = key
        secrets.add(key)
    signing_key = ""
    if mapping.auth is not None:
        signing_key = variable(mapping.auth.token_env, "auth.token_env", where, environment)
        secrets.add(signing_key)
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise MappingError(
                f"{where}: headers.{name}: a header is of printable ASCII characters"
            )
    return Loaded(
        where=where,
        mapping=mapping.model_copy(update={"headers": headers}),
        ids=item_ids(mapping, where, folder),
        secrets=frozenset(secrets),
        signing_key=signing_key,
    )


def put(tree: dict[str, Any], setting: str) -> None:
    """Puts KEY=VALUE into a tree; VALUE is TOML where it is that, text otherwise."""
    key, equals, value = setting.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise MappingError(
            f"--set {setting}: write KEY=VALUE, for example base_url=http://host:8087"
        )
    for name in names[:-1]:
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            raise MappingError(f"--set {key}: {name} is no table")
        tree = typing.cast("dict[str, Any]", inner)
    try:
        tree[names[-1]] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        tree[names[-1]] = value


def expanded(
    value: Any, key: str, where: str, environment: Tree[str, str], secrets: set[str]
) -> Any:
    """A value with `${NAME}` replaced in its strings."""
    if isinstance(value, dict):
        return {
            name: expanded(one, f"{key}.{name}", where, environment, secrets)
            for name, one in value.items()
        }
    if not isinstance(value, str):
        return value

    def one(match: re.Match[str]) -> str:
        found = variable(match.group(1), key, where, environment)
        secrets.add(found)
        return found

    return VARIABLE.sub(one, value)


def variable(name: str, key: str, where: str, environment: Tree[str, str]) -> str:
    """The value of an environment variable, which must not be empty."""
    found = environment.get(name, "")
    if not found:
        raise MappingError(
            f"{where}: {key}: the environment variable {name!r} is not set; export it first"
        )
    return found


def checked(tree: Tree[str, Any], where: str) -> Mapping:
    """The tree as a mapping."""
    try:
        mapping = Mapping.model_validate(tree)
    except ValidationError as error:
        found = [problem(one) for one in error.errors()]
        raise MappingError(f"{where}: {'; '.join(dict.fromkeys(found))}") from None
    for key, template in mapping.templates():
        for one in template.placeholders:
            if one.name == "values" and one.field not in mapping.values:
                hint = nearest(one.field, mapping.values) if mapping.values else ""
                raise MappingError(f"{where}: {key}: {{{one}}} is no key of [values]{hint}")
    return mapping


def problem(error: Any) -> str:
    """One finding of pydantic as a sentence that names the key."""
    location = [part for part in error["loc"] if part != "[key]"]
    path = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        table = table_at(location[:-1])
        return f"{path} is not known{nearest(str(location[-1]), table.model_fields)}"
    if error["type"] == "missing":
        return f"{path} is missing: add it"
    if path == "base_url":
        return "base_url: an address is needed, for example http://127.0.0.1:8087"
    message = str(error["msg"]).removeprefix("Value error, ")
    given = error["input"]
    told = isinstance(given, (str, int, float, bool)) and error["type"] != "value_error"
    shown = f" (it is {given!r})" if told else ""
    return f"{path}: {message}{shown}" if path else message


def table_at(path: list[str | int]) -> type[Table]:
    """The class of the table at a path."""
    table: type[Table] = Mapping
    for part in path:
        if isinstance(part, str) and part in table.model_fields:
            table = table_of(table.model_fields[part].annotation) or table
    return table


def table_of(annotation: Any) -> type[Table] | None:
    """The table in an annotation such as `Rank | None` or `tuple[Rule, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation if issubclass(annotation, Table) else None
    found = (table_of(one) for one in typing.get_args(annotation))
    return next((one for one in found if one is not None), None)


def item_ids(mapping: Mapping, where: str, folder: Path) -> ItemIdMap:
    """What `[item_ids]` says."""
    rules = mapping.item_ids
    if not rules.file:
        return ItemIdMap(rules, None)
    path = folder / rules.file
    try:
        return ItemIdMap(rules, read_pairs(path))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise MappingError(f"{where}: item_ids.file: {path}: {why}") from None
