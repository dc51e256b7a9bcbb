"""Questionnaires from their files, checked: what loads can be asked."""

from __future__ import annotations

import hashlib
import os
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from recarena.evaluation.questionnaires.checking import (
    BadQuestionnaire,
    Table,
    nearest,
    read_table,
)
from recarena.evaluation.questionnaires.form import Construct, Item, Questionnaire
from recarena.evaluation.questionnaires.rules import check

__all__ = ["BadQuestionnaire", "available", "content_of", "load"]

SUFFIX = ".toml"
LARGEST = 1 << 20
"""Bytes of a file."""
LONGEST_TEXT = 500
LONGEST_LABEL = 100


def available() -> tuple[str, ...]:
    """Names of the questionnaires that come with RecArena, in alphabetical order."""
    names = (one.name for one in _shelf().iterdir() if one.name.endswith(SUFFIX))
    return tuple(sorted(name.removesuffix(SUFFIX) for name in names))


def load(name_or_path: str | Path) -> Questionnaire:
    """A questionnaire that comes with RecArena, by its name, or one's own, by its file.

    BadQuestionnaire, one line with file, item, field and remedy, where it cannot be asked as it
    is written.
    """
    return read(content_of(name_or_path), str(name_or_path))


def content_of(name_or_path: str | Path) -> bytes:
    """The bytes of the file that `load` would read. BadQuestionnaire where there is none."""
    given = str(name_or_path)
    if given in available():
        return _bytes_of(_shelf() / f"{given}{SUFFIX}", given)
    path = Path(name_or_path)
    looks_like_a_file = path.suffix == SUFFIX or len(path.parts) > 1
    if not looks_like_a_file and not os.path.exists(path):
        guess = nearest(given, available(), "built in are ")
        raise BadQuestionnaire(
            f"no questionnaire is called {given[:80]!r}; {guess} -- or a file ending in {SUFFIX}"
        )
    return _bytes_of(path, given)


def read(content: bytes, file: str) -> Questionnaire:
    """The questionnaire in a file's bytes. BadQuestionnaire as `load` raises it."""
    found = _form(Table(file, "", _parsed(content, file)), hashlib.sha256(content).hexdigest())
    check(found, file)
    return found


def _shelf() -> Traversable:
    return resources.files(__package__ or "")


def _bytes_of(path: Path | Traversable, file: str) -> bytes:
    try:
        with path.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except FileNotFoundError:
        raise BadQuestionnaire(f"{file}: there is no such file; name one that exists") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadQuestionnaire(f"{file} cannot be read: {why}; name a TOML file that can") from None
    if len(content) > LARGEST:
        raise BadQuestionnaire(f"{file} is larger than {LARGEST >> 20} MiB; name a questionnaire")
    return content


def _parsed(content: bytes, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadQuestionnaire(
            f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BadQuestionnaire(f"{file} is not TOML: {error}; correct it there") from None
    except (RecursionError, ValueError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadQuestionnaire(f"{file} is not TOML that can be read: {why}; correct it") from None


def _form(top: Table, digest: str) -> Questionnaire:
    """Each field by itself is right in it; what fields say together is for `check`."""
    identity = top.name("id")
    version = top.text("version", longest=40)
    title = top.text("title", longest=200)
    source = top.text("source", longest=LONGEST_TEXT)
    verbatim = top.switch("verbatim", None)
    scale = top.table("scale")
    lowest, highest = scale.whole("lowest"), scale.whole("highest")
    labels = scale.texts("labels", longest=LONGEST_LABEL, needed=False)
    constructs = tuple(_construct(one) for one in top.tables("constructs", needed=True))
    items = [_item(one) for one in top.tables("items", needed=True)]
    items += [_check(one) for one in top.tables("checks", needed=False)]
    scale.done()
    top.done()
    return Questionnaire(
        id=identity,
        version=version,
        title=title,
        source=source,
        verbatim=verbatim,
        lowest=lowest,
        highest=highest,
        labels=labels,
        constructs=constructs,
        items=tuple(items),
        hash=digest,
    )


@read_table
def _construct(table: Table) -> Construct:
    return Construct(
        id=table.name("id"),
        title=table.text("title", longest=200),
        source=table.text("source", longest=LONGEST_TEXT, needed=False),
        note=table.text("note", longest=LONGEST_TEXT, needed=False),
    )


@read_table
def _item(table: Table) -> Item:
    return Item(
        id=table.name("id"),
        construct=table.name("construct"),
        reversed=bool(table.switch("reversed", False)),
        texts=table.texts("texts", longest=LONGEST_TEXT, needed=True),
    )


@read_table
def _check(table: Table) -> Item:
    return Item(
        id=table.name("id"),
        construct="",
        reversed=False,
        texts=table.texts("texts", longest=LONGEST_TEXT, needed=True),
        asked_for=table.whole("asked_for"),
    )
