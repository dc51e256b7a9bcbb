"""The catalogue: what can be shown, as columns; an item is its position in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recarena.server.types import Bools, Floats, unique_ids


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item that a catalogue gets."""

    item_id: str
    title: str
    genres: tuple[str, ...] = ()
    year: int = 0
    director: str = ""
    description: str = ""
    quality: float = 0.0


@dataclass
class Catalog:
    """Items with public fields (shown to recommenders) and hidden truth (known to minds only).

    Between two rounds items may be added at the end, or withdrawn: whoever holds the catalogue sees
    it. An item keeps its number for good. `World` alone calls `add` and `withdraw`.
    """

    item_ids: list[str]
    titles: list[str]
    years: NDArray[np.int32]
    """0 where unknown."""
    genre_names: tuple[str, ...]
    genres: Bools
    """[items, genres]."""
    directors: list[str]
    descriptions: list[str]
    quality: Floats
    """Hidden: how much better than the average item, in rating points, for everybody."""
    popularity: Floats
    """Watches before the run (estimated or planted); the start of the public watch counts."""
    factors: Floats
    """Hidden: [items, factors] further attributes that tastes refer to; may have no columns."""
    available: Bools = field(init=False)
    """[items]: False once it is withdrawn: it is not shown any more."""

    def __post_init__(self) -> None:
        unique_ids("item", self.item_ids)
        self.available = np.ones(len(self), bool)
        n = len(self)
        for name in ("titles", "years", "genres", "directors", "descriptions", "quality"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"catalogue: {name} has {len(getattr(self, name))} rows, not {n}")
        if self.genres.shape != (n, len(self.genre_names)) or len(self.factors) != n:
            raise ValueError("catalogue: genres or factors do not fit the items")

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def attributes(self) -> Floats:
        """[items, genres + factors]: x_i. Genres share a unit length, so that an item of three
        genres is a third of each; an item without genres has zeros there."""
        counts = np.maximum(self.genres.sum(axis=1, keepdims=True), 1)
        shares = self.genres / np.sqrt(counts)
        return np.concatenate([shares, self.factors], axis=1).astype(np.float32)

    @cached_property
    def main_genre(self) -> NDArray[np.int16]:
        """The rarest genre of each item (-1 without any): what a person would call it."""
        rarity = np.where(self.genres, 1.0 / np.maximum(self.genres.sum(axis=0), 1), 0.0)
        return np.where(self.genres.any(axis=1), rarity.argmax(axis=1), -1).astype(np.int16)

    @cached_property
    def number_of(self) -> dict[str, int]:
        """item_id -> item number."""
        return {one: number for number, one in enumerate(self.item_ids)}

    @cached_property
    def genre_number(self) -> dict[str, int]:
        """Name of a genre in small letters -> its number, the first of those that differ in
        capitals only."""
        numbered = reversed(list(enumerate(self.genre_names)))
        return {name.lower(): number for number, name in numbered}

    @cached_property
    def version(self) -> str:
        """Hash of all public fields: two catalogues with the same version are the same to a
        recommender."""
        digest = hashlib.blake2b(digest_size=12)
        digest.update(json.dumps(self.genre_names).encode())
        for row in zip(
            self.item_ids,
            self.titles,
            self.years.tolist(),
            self.directors,
            self.descriptions,
            strict=True,
        ):
            digest.update(json.dumps(row).encode())
        digest.update(np.packbits(self.genres, axis=1).tobytes())
        if not self.available.all():
            digest.update(np.packbits(self.available).tobytes())
        return digest.hexdigest()

    # ------------------------------------------------------------------ changing

    def snapshot(self) -> Catalog:
        """The catalogue as it is now, for good."""
        lists = {
            name: list(getattr(self, name))
            for name in ("item_ids", "titles", "directors", "descriptions")
        }
        made = replace(self, **lists)
        made.available = self.available
        made.main_genre = self.main_genre
        return made

    def add(self, item: NewItem) -> int:
        """Puts an item at the end; returns its number. ValueError for an id that is there, or a
        genre that is not. What the other items are called by (`main_genre`) stays."""
        if item.item_id in self.number_of:
            raise ValueError(f"catalogue: the item {item.item_id!r} is there already")
        genres = np.zeros((1, len(self.genre_names)), bool)
        genres[0, [self.genre_names.index(name) for name in item.genres]] = True
        known, number = self.main_genre, len(self)
        self.item_ids.append(item.item_id)
        self.titles.append(item.title)
        self.directors.append(item.director)
        self.descriptions.append(item.description)
        self.years = np.append(self.years, np.int32(item.year))
        self.genres = np.concatenate([self.genres, genres])
        self.quality = np.append(self.quality, np.float32(item.quality))
        self.popularity = np.append(self.popularity, np.float32(0))
        nothing = np.zeros((1, self.factors.shape[1]), np.float32)
        self.factors = np.concatenate([self.factors, nothing])
        self.available = np.append(self.available, True)
        self.number_of[item.item_id] = number
        self._forget("attributes", "main_genre", "version")
        self.main_genre = np.append(known, self.main_genre[number])
        return number

    def withdraw(self, item: int) -> None:
        """Takes an item out of what can be shown."""
        self.available = self.available.copy()
        self.available[item] = False
        self._forget("version")

    def _forget(self, *names: str) -> None:
        """What was computed of columns that have changed."""
        for name in names:
            self.__dict__.pop(name, None)

    # ------------------------------------------------------------------ telling

    def genres_of(self, item: int) -> list[str]:
        """Names of the genres of one item."""
        return [self.genre_names[g] for g in np.flatnonzero(self.genres[item])]

    def label(self, item: int) -> str:
        """Title with year, as people write it."""
        year = int(self.years[item])
        title = self.titles[item]
        return f"{title} ({year})" if year and f"({year})" not in title else title
