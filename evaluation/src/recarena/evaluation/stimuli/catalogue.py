"""What a run folder says of items: what explanations may truly claim."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recarena.evaluation.runs.events import Bools
from recarena.evaluation.runs.run_log import RunLog

_YEAR_AFTER = re.compile(r"\s*\((?:18|19|20)\d\d\)\s*$")


@dataclass(frozen=True)
class Catalogue:
    """Items by their numbers."""

    item_ids: Sequence[str]
    titles: Sequence[str]
    genre_names: tuple[str, ...]
    genres: Bools
    """[items, genres]"""
    years: Sequence[int] = ()
    """[items], 0: unknown; or empty where the folder tells none."""
    directors: Sequence[str] = ()
    """[items], "": unknown; or empty."""

    @classmethod
    def of(cls, log: RunLog) -> Catalogue:
        """Of a run."""
        if cls not in log.kept:
            years, directors = _column(log, "year"), _column(log, "director")
            log.kept[cls] = cls(
                log.item_ids, log.titles, log.genre_names, log.genres,
                [int(one or 0) for one in years], [str(one or "") for one in directors],
            )  # fmt: skip
        return log.kept[cls]

    @cached_property
    def number_of(self) -> Mapping[str, int]:
        """Numbers of items by their ids."""
        return {item_id: at for at, item_id in enumerate(self.item_ids)}

    @cached_property
    def genre_number(self) -> Mapping[str, int]:
        """Numbers of genres by their names in small letters."""
        return {name.lower(): at for at, name in enumerate(self.genre_names)}

    @cached_property
    def titled(self) -> Mapping[str, Sequence[int]]:
        """Items by their titles, with and without the year after it."""
        found: dict[str, list[int]] = {}
        for at, title in enumerate(self.titles):
            for name in spellings(title):
                found.setdefault(name, []).append(at)
        return found

    def genres_of(self, item: int) -> list[str]:
        """Names of the item's genres."""
        return [self.genre_names[at] for at in np.flatnonzero(self.genres[item]).tolist()]

    def genres_not_of(self, item: int) -> list[str]:
        """Names of the genres that the item does not have, but others do."""
        there = self.genres.any(axis=0) & ~self.genres[item]
        return [self.genre_names[at] for at in np.flatnonzero(there).tolist()]

    def year(self, item: int) -> int:
        """0: unknown."""
        return self.years[item] if len(self.years) else 0

    def director(self, item: int) -> str:
        """Empty: unknown."""
        return self.directors[item] if len(self.directors) else ""


def spellings(title: str) -> tuple[str, ...]:
    """A title as people write it: whole, without the year after it, and "The Matrix" for "Matrix,
    The". The longest first."""
    short = _YEAR_AFTER.sub("", title).strip()
    found = [title.strip(), short]
    if turned := re.fullmatch(r"(.+), (The|A|An|Les?|La|Der|Die|Das|Il)", short):
        found.append(f"{turned[2]} {turned[1]}")
    return tuple(dict.fromkeys(one for one in sorted(found, key=len, reverse=True) if one))


def _column(log: RunLog, name: str) -> list[Any]:
    """Of all items, in their order; empty where the folder does not have it."""
    table = log.read("items", ("number", name))
    return [] if table is None else table.sort_by("number")[name].to_pylist()
