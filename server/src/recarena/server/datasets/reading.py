"""Reading files of others: what is wrong is named with file and line."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from recarena.server.errors import InputError


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of a text file without their ends. InputError if missing, empty or not text."""
    if not path.is_file():
        raise InputError(
            "the file is missing", where=str(path), remedy="Unpack the data set completely"
        )
    data = path.read_bytes()
    if not data.strip():
        raise InputError("the file is empty", where=str(path), remedy="Get the data set again")
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"not {encoding.upper()} text (byte 0x{data[error.start]:02x})",
            where=f"{path}:{line}",
            remedy=f"Save the file as {encoding.upper()}",
        ) from None
    return text.removesuffix("\n").replace("\r\n", "\n").split("\n")


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, fields in the order of `columns`) of a CSV file with a header; other columns are
    left out. InputError names the file and line of what is not as it should be."""
    lines = read_lines(path)
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    try:
        header = next(reader)
        for column in columns:
            if header.count(column) != 1:
                raise InputError(
                    f"the column {column!r} is not there once",
                    where=f"{path}:1",
                    remedy=f"The first line names the columns: {','.join(columns)}",
                )
        places = [header.index(column) for column in columns]
        rows = 0
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{len(row)} fields instead of {len(header)}",
                    where=f"{path}:{reader.line_num}",
                    remedy="Put a field that holds a comma in double quotes",
                )
            rows += 1
            yield reader.line_num, [row[place] for place in places]
    except csv.Error as error:
        raise InputError(
            f"not CSV ({error})",
            where=f"{path}:{reader.line_num}",
            remedy="Look for a double quote that is never closed",
        ) from None
    if not rows:
        raise InputError("no rows", where=str(path), remedy="Get the data set again")


def number(text: str, what: str, where: str, low: float, high: float) -> float:
    """The number in a field, within bounds."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise InputError(
            f"{what} is {text!r}", where=where, remedy=f"A number from {low:g} to {high:g}"
        )
    return value


def require_unique(path: Path, ids: Iterable[tuple[int, str]], what: str) -> None:
    """InputError for the first (line, id) that is empty, too long or there for the second time."""
    seen: dict[str, int] = {}
    for at, one in ids:
        if not one or len(one.encode()) > 128:
            raise InputError(
                f"the {what}'s id is {one[:140]!r}", where=f"{path}:{at}", remedy="1 to 128 bytes"
            )
        if (first := seen.setdefault(one, at)) != at:
            raise InputError(
                f"the {what} {one!r} is there already (line {first})",
                where=f"{path}:{at}",
                remedy="Ids are unique",
            )


def line_of_row(path: Path, row: int, headed: bool) -> int:
    """The line (from 1) on which a row (from 0) stands where empty lines are no rows."""
    wanted = row + 1 + headed
    with path.open("rb") as file:
        for at, line in enumerate(file, 1):
            wanted -= bool(line.strip(b"\r\n"))
            if not wanted:
                return at
    return 0


def file_digest(path: Path) -> str:
    """Blake2b hash of a file's bytes, 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
