"""The page as one HTML file: no request to anywhere, no script, no date of its making."""

from __future__ import annotations

from recarena.evaluation.report.blocks import Page
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.sections import sections


def render(content: Content) -> str:
    """The HTML; the same content gives the same text.

    Whatever came from outside (names, errors, manifests) is escaped and inert.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("recarena.evaluation.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source, _, _ = environment.loader.get_source(environment, "style.css")  # type: ignore[union-attr]
    return environment.get_template("report.html.j2").render(
        page=page_of(content), style=Markup(source)
    )


def page_of(content: Content) -> Page:
    """What the template shows."""
    return Page(
        title=content.title,
        is_competition=content.is_competition,
        created=str(content.manifest.get("created") or ""),
        sections=tuple(sections(content)),
        footer=(
            "Made by recarena report. Intervals are over worlds: users of one world influence one "
            "another, so that the world is the unit."
        ),
    )
