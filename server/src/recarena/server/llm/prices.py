"""What tokens cost: dated rows with their sources. What is not in them is unknown, never 0."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from importlib import resources

from pydantic import Field

from recarena.server.llm.calls import Usage
from recarena.server.section import Section

CURRENCY = "USD"
"""Of the rows that come with the product."""


class Price(Section):
    """One row: money per million tokens from a date on."""

    provider: str
    model: str
    """A name, or the beginning of names where it ends in *."""
    effective_from: date
    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)
    """None: as input."""
    cache_write: float | None = Field(default=None, ge=0)
    batch: float | None = Field(default=None, ge=0, le=1)
    """Factor of batch calls, which RecArena does not make."""
    source: str = Field(min_length=1)

    def matches(self, provider: str, model: str) -> bool:
        """Whether the row is for the model."""
        if self.provider != provider:
            return False
        if self.model.endswith("*"):
            return model.startswith(self.model[:-1])
        return model == self.model

    def of(self, usage: Usage) -> float | None:
        """Money for some tokens, None where their number is unknown."""
        if usage.input is None or usage.output is None:
            return None
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_read * read
            + usage.cache_write * write
        ) / 1e6

    def at_most(self, input_tokens: int, output_tokens: int) -> float:
        """Money for so many tokens at the dearest of the prices that may apply."""
        dearest = max(self.input, self.cache_read or 0.0, self.cache_write or 0.0)
        return (input_tokens * dearest + output_tokens * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Rows in no particular order."""

    rows: tuple[Price, ...]

    @classmethod
    def embedded(cls, own: Iterable[Price] = ()) -> PriceTable:
        """The rows that come with the product, after those of one's own."""
        text = resources.files("recarena.server.llm").joinpath("prices.toml").read_text("utf-8")
        rows = [Price.model_validate(row) for row in tomllib.loads(text)["price"]]
        return cls((*own, *rows))

    def price(self, provider: str, model: str, on: date) -> Price | None:
        """The newest row in force; of rows of the same day the first, of those with and without *
        the one without. None where there is none."""
        fitting = [
            row for row in self.rows if row.matches(provider, model) and row.effective_from <= on
        ]
        exact = [row for row in fitting if not row.model.endswith("*")] or fitting
        return max(exact, key=lambda row: row.effective_from, default=None)
