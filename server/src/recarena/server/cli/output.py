"""Output of commands: tables for people, one JSON object a line for machines, logs to stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

JSON = typer.Option("--json", help="One JSON object a line, for machines.")


def emit(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout, at once."""
    typer.echo(json.dumps(value, default=str, ensure_ascii=False))


def console() -> Console:
    """Where tables and sentences go."""
    from rich.console import Console

    return Console(highlight=False)


def say(text: str) -> None:
    """A line for people on stderr."""
    typer.echo(text, err=True)


def set_up_logging(level: str, as_json: bool) -> None:
    """Operators' logs: pretty on a terminal, JSON lines otherwise, always on stderr."""
    import logging

    import structlog

    number = logging.getLevelNamesMapping()[level.upper()]
    pretty = sys.stderr.isatty() and not as_json
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING))
