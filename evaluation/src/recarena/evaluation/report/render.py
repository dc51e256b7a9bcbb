"""The page as one HTML file: no request to anywhere, no script, no date of its making."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from recarena.evaluation.report.blocks import Page
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.sections import sections

if TYPE_CHECKING:
    from jinja2 import Environment


def render(content: Content) -> str:
    """The HTML; the same content gives the same text.

    Whatever came from outside (names, errors, manifests) is escaped and inert.
    """
    from markupsafe import Markup

    templates = _templates()
    assert templates.loader
    style, _, _ = templates.loader.get_source(templates, "style.css")
    return templates.get_template("report.html.j2").render(
        page=page_of(content), style=Markup(style)
    )


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("recarena.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_of(content: Content) -> Page:
    """What the template shows."""
    return Page(
        title=content.title,
        is_competition=content.is_competition,
        created=_moment(str(content.manifest.get("created") or "")),
        sections=tuple(sections(content)),
        footer=(
            "Made by recarena report. Intervals are over worlds: users of one world influence one "
            "another, so that the world is the unit."
        ),
    )


def _moment(written: str) -> str:
    """To the minute, as people write it; what is no moment stays as it is."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return written
    return f"{moment:%Y-%m-%d %H:%M %Z}".strip()
