"""What a section of the page is made of; a template shows each kind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from markupsafe import Markup

from recarena.evaluation.report.tables import Table

MOST_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Panel:
    """A drawing, and the name that stands above it; empty for one that stands alone."""

    name: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Figure:
    """Drawings with one caption, and the same figures as a table."""

    caption: str
    panels: tuple[Panel, ...]
    table: Table

    @property
    def columns(self) -> int:
        """Drawings in a row where there is room for six: so that no row has a single one left."""
        rows = math.ceil(len(self.panels) / MOST_COLUMNS)
        return math.ceil(len(self.panels) / max(1, rows))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The question, and its answer with the names in the middle; what it holds under, and facts."""

    kind: ClassVar[str] = "verdict"
    question: str
    before: str
    names: str
    after: str
    under: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `style` is a class of the style sheet."""

    kind: ClassVar[str] = "text"
    text: str
    style: str = "measure"


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences."""

    kind: ClassVar[str] = "list"
    items: tuple[str, ...]
    style: str = ""


@dataclass(frozen=True, slots=True)
class Tabled:
    """A table in full view."""

    kind: ClassVar[str] = "table"
    table: Table


@dataclass(frozen=True, slots=True)
class Folded:
    """A table that opens on demand."""

    kind: ClassVar[str] = "folded"
    summary: str
    table: Table


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures beside one another, where there is room."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]
    summary: str = ""
    """Where it is given, they open on demand under these words."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    kind: ClassVar[str] = "facts"
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be read or typed as it stands."""

    kind: ClassVar[str] = "code"
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Links:
    """Links to places of the page: (ident, words)."""

    kind: ClassVar[str] = "links"
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MetricPage:
    """One metric: what it means, and how recommenders did."""

    kind: ClassVar[str] = "metric"
    ident: str
    heading: str
    meaning: str
    traits: str
    formula: str
    said: str
    """What stands in the place of figures; empty where there are some."""
    figures: tuple[Figure, ...]


Block: TypeAlias = (
    Verdict | Text | Points | Tabled | Folded | Figures | Facts | Code | Links | MetricPage
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page that the contents name."""

    ident: str
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All of it."""

    title: str
    is_competition: bool
    created: str
    sections: tuple[Section, ...]
    footer: str
