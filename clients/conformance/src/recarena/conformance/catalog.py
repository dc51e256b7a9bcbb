"""The items that a recommender is told of: those of the kit, or the author's own from a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from io import StringIO
from pathlib import Path
from typing import Any, cast

from recarena.v1.types_pb2 import Item

FEWEST, MAX_ID_BYTES = 12, 128
BETWEEN_CATEGORIES = "|"
OF_AN_ITEM = ("item_id", "title", "description", "categories")
"""Columns with a field of their own; all others become attributes."""


class BadCatalog(Exception):
    """A file that is no catalogue: where, and what to do."""


def built_in() -> tuple[Item, ...]:
    """The kit's own items: sixty films that there are not."""
    text = resources.files("recarena.conformance").joinpath("catalog.csv").read_text("utf-8")
    return tuple(checked("the built-in catalogue", _rows_of_csv("the built-in catalogue", text)))


def load(path: Path) -> tuple[Item, ...]:
    """The items of a CSV file with a header, or of a file of JSON lines.

    Raises:
        BadCatalog: it cannot be read, or breaks a rule.
    """
    name = str(path)
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise BadCatalog(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadCatalog(f"{name}: not UTF-8; save it as UTF-8") from None
    rows = _rows_of_json if text.lstrip().startswith("{") else _rows_of_csv
    return tuple(checked(name, rows(name, text)))


def checked(name: str, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[Item]:
    """The items of rows, each with its line. BadCatalog where one breaks a rule."""
    items, lines = list[Item](), dict[str, int]()
    for line, row in rows:
        where = f"{name}, line {line}"
        item_id = str(row.get("item_id") or "")
        if not item_id:
            raise BadCatalog(f"{where}: item_id is missing")
        if len(item_id.encode()) > MAX_ID_BYTES:
            raise BadCatalog(f"{where}: item_id has more than {MAX_ID_BYTES} bytes")
        if item_id in lines:
            raise BadCatalog(f"{where}: item_id {item_id!r} stands in line {lines[item_id]} too")
        lines[item_id] = line
        items.append(_item(where, row))
    if len(items) < FEWEST:
        raise BadCatalog(f"{name}: {len(items)} items, the cases need {FEWEST} or more")
    return items


def _item(where: str, row: Mapping[str, Any]) -> Item:
    categories = row.get("categories") or []
    if isinstance(categories, str):
        categories = [one.strip() for one in categories.split(BETWEEN_CATEGORIES)]
    if not isinstance(categories, list):
        raise BadCatalog(f"{where}: categories must be a list, or text with | between them")
    item = Item(
        item_id=str(row["item_id"]),
        title=str(row.get("title") or ""),
        description=str(row.get("description") or ""),
        categories=[str(one) for one in cast("list[object]", categories) if one],
    )
    further = {
        name: value
        for name, value in row.items()
        if name not in OF_AN_ITEM and value is not None and value != ""
    }
    try:
        item.attributes.update(further)
    except (TypeError, ValueError) as error:
        raise BadCatalog(f"{where}: {error}") from None
    return item


def _rows_of_csv(name: str, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(StringIO(text))
    missing = [column for column in ("item_id", "title") if column not in (reader.fieldnames or ())]
    if missing:
        raise BadCatalog(
            f"{name}: the header has no {' and no '.join(missing)}; it must be"
            " item_id,title[,categories,...] (or every line a JSON object)"
        )
    for row in reader:
        if None in row:
            raise BadCatalog(f"{name}, line {reader.line_num}: more cells than the header has")
        yield (
            reader.line_num,
            {
                column: cell if column in OF_AN_ITEM else _number(cell)
                for column, cell in row.items()
            },
        )


def _number(cell: str | None) -> object:
    """Years and the like are numbers."""
    return float(cell) if cell and cell.isdecimal() and not cell.startswith("0") else cell


def _rows_of_json(name: str, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadCatalog(f"{name}, line {number}: no JSON: {error.msg}") from None
        if not isinstance(row, dict):
            raise BadCatalog(f"{name}, line {number}: a JSON object is wanted")
        yield number, cast("dict[str, Any]", row)
